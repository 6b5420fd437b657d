//! A flow that a SYN cookie opened is two handshakes joined: the client's with us, which is over when the flow begins, and
//! ours with the backend, which then begins.
//!
//! | packet | becomes |
//! |---|---|
//! | the client's acknowledgement, and all it sends before the backend has answered | our SYN, with the client's number ([`Turn::Open`]) |
//! | the backend's SYN-ACK | a segment that opens the client's window and has it acknowledge ([`Turn::Offer`]) |
//! | the backend's RST instead | an RST that the client believes ([`Turn::Refuse`]) |
//! | all that follows | itself, the backend's sequence numbers moved to the cookie's ([`Turn::Shift`]) |
//!
//! The SYN to the backend offers an MSS and no other option, as we offered none to the client: nothing but these numbers differs.

use super::{Entry, Tables, Verdict, follow, get, put};
use crate::{
    abi::{Family, Flow, FlowState, Reason, flow_flags},
    packet::{
        Kind, Packet,
        header::{
            Tcp,
            tcp_flags::{ACK, RST, SYN},
        },
    },
    verifier::below,
};

/// What is done to the TCP header of a packet of a spliced flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Turn {
    /// Nothing: the flow is not spliced.
    None = 0,
    /// It becomes a SYN, whose sequence number [`Verdict::number`] is and whose MSS the cookie says that it acknowledges.
    Open = 1,
    /// The backend's SYN-ACK becomes a segment of one byte, which lies before all that the client waits for: a TCP takes
    /// the window from it and answers at once. `number` is added to its sequence number.
    Offer = 2,
    /// The backend's RST gets the sequence number `number`, the one that the client waits for.
    Refuse = 3,
    /// The client's RST acknowledges nothing: what it would, we do not know.
    Abort = 4,
    /// `number` is added to what the backend numbers, and taken from what the client acknowledges of that.
    Shift = 5,
}

/// Whether a flow is spliced.
#[inline(always)]
pub(super) fn is_spliced<F: Family>(flow: Entry<Flow<F>>) -> bool {
    get!(flow.flags) & flow_flags::SPLICED != 0
}

/// Whether the backend has answered our SYN.
#[inline(always)]
fn is_answered<F: Family>(flow: Entry<Flow<F>>) -> bool {
    get!(flow.flags) & flow_flags::ANSWERED != 0
}

/// Whether a SYN of the client ends a spliced flow: its handshake with the backend is not complete, and the client, who
/// has completed its own, begins anew or is late. Either is answered as if there had been no flow.
#[inline(always)]
pub(super) fn is_void<F: Family>(flow: Entry<Flow<F>>) -> bool {
    is_spliced(flow) && get!(flow.state) == FlowState::SynRecv as u8
}

/// Says what becomes of a packet of a spliced flow. False: it ends here, and the verdict says why.
///
/// A packet that becomes a SYN is one from here on.
#[inline(always)]
pub(super) fn turn<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &mut Packet<F>,
    flow: Entry<Flow<F>>,
    forward: bool,
    verdict: &mut Verdict<F>,
) -> bool {
    verdict.number = get!(flow.delta);
    if forward {
        return from_client(packet, flow, verdict);
    }
    from_backend(tables, packet, flow, verdict)
}

#[inline(always)]
fn from_client<F: Family>(
    packet: &mut Packet<F>,
    flow: Entry<Flow<F>>,
    verdict: &mut Verdict<F>,
) -> bool {
    if is_answered(flow) {
        verdict.turn = Turn::Shift;
        return true;
    }
    if packet.kind != Kind::Whole || packet.tcp_flags & SYN != 0 {
        verdict.drop(Reason::Malformed);
        return false;
    }
    if packet.tcp_flags & RST != 0 {
        verdict.turn = Turn::Abort;
        return true;
    }
    verdict.turn = Turn::Open;
    packet.tcp_flags = SYN;
    true
}

#[inline(always)]
fn from_backend<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    flow: Entry<Flow<F>>,
    verdict: &mut Verdict<F>,
) -> bool {
    let is_answer = packet.tcp_flags & (SYN | ACK | RST) == SYN | ACK;
    if is_answered(flow) {
        // One that comes again while the client may not have heard of the first.
        let again =
            is_answer && get!(flow.state) == FlowState::SynRecv as u8 && packet.kind == Kind::Whole;
        verdict.turn = if again { Turn::Offer } else { Turn::Shift };
        return true;
    }
    if packet.kind != Kind::Whole {
        verdict.drop(Reason::Malformed);
        return false;
    }
    if packet.tcp_flags & RST != 0 {
        verdict.turn = Turn::Refuse;
        verdict.number = verdict.number.wrapping_add(1);
        return true;
    }
    let Some(client) = follow::partner(tables, flow, packet.tuple.proto) else {
        verdict.drop(Reason::BackendGone);
        return false;
    };
    let tcp: Option<Tcp> = tables.frame().read(below(packet.l4, 0x3fff));
    // Of a question without a frame (`explain`), the numbers are taken to be right.
    let right = tcp.is_none_or(|tcp| u32::from_be(tcp.ack) == get!(client.delta).wrapping_add(1));
    if !is_answer || !right {
        // Its port remembers another connection.
        verdict.drop(Reason::TupleTaken);
        return false;
    }
    let seq = tcp.map_or(0, |tcp| u32::from_be(tcp.seq));
    let delta = verdict.number.wrapping_sub(seq);
    put!(client.delta = delta);
    put!(flow.delta = delta);
    put!(client.flags = get!(client.flags) | flow_flags::ANSWERED);
    put!(flow.flags = get!(flow.flags) | flow_flags::ANSWERED);
    verdict.turn = Turn::Offer;
    verdict.number = delta;
    true
}

/// The same for an ICMP error about a packet of the opposite direction.
#[inline(always)]
pub(super) fn turn_error<F: Family>(flow: Entry<Flow<F>>, verdict: &mut Verdict<F>) {
    if is_spliced(flow) && is_answered(flow) {
        verdict.turn = Turn::Shift;
        verdict.number = get!(flow.delta);
    }
}
