//! The states of a connection: IPVS's transition tables, a row of which is a number with four bits for each state.

use crate::{
    abi::{FlowState, FlowState::*},
    packet::header::tcp_flags::{ACK, FIN, RST, SYN},
};

/// Who sent the packet, and whether the other side's packets are seen at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The client, of a flow whose both directions pass us.
    Client,
    /// The backend.
    Backend,
    /// The client, of a flow whose replies do not pass us.
    ClientAlone,
}

/// How many states TCP has.
const STATES: usize = 11;

/// What each state becomes, in the order of their numbers.
const fn row(next: [FlowState; STATES]) -> u64 {
    let mut packed = 0;
    let mut i = 0;
    while i < STATES {
        packed |= (next[i] as u64) << (4 * i);
        i += 1;
    }
    packed
}

/// The next state under a row.
#[inline(always)]
fn step(row: u64, state: FlowState) -> FlowState {
    FlowState::of((row >> (4 * (state as u32 & 15)) & 15) as u8)
}

// What follows has one column for each of:      NONE  ESTABLISHED  SYN_SENT  SYN_RECV  FIN_WAIT  TIME_WAIT  CLOSE
//                                               CLOSE_WAIT  LAST_ACK  LISTEN  SYNACK
const SYN_CLIENT: u64 = row([
    SynRecv,
    Established,
    Established,
    SynRecv,
    SynRecv,
    SynRecv,
    SynRecv,
    SynRecv,
    SynRecv,
    SynRecv,
    SynRecv,
]);
const FIN_CLIENT: u64 = row([
    Close, CloseWait, SynSent, TimeWait, TimeWait, TimeWait, Close, CloseWait, LastAck, Listen,
    TimeWait,
]);
const ACK_CLIENT: u64 = row([
    Established,
    Established,
    SynSent,
    Established,
    FinWait,
    TimeWait,
    Close,
    CloseWait,
    Close,
    Listen,
    Established,
]);
const RST_CLIENT: u64 = row([
    Close, Close, Close, SynRecv, Close, Close, Close, Close, LastAck, Listen, SynRecv,
]);
const SYN_BACKEND: u64 = row([
    SynSent,
    Established,
    SynSent,
    SynRecv,
    SynSent,
    SynSent,
    SynSent,
    SynSent,
    SynSent,
    Listen,
    SynRecv,
]);
const FIN_BACKEND: u64 = row([
    TimeWait, FinWait, SynSent, TimeWait, FinWait, TimeWait, Close, TimeWait, LastAck, Listen,
    TimeWait,
]);
const ACK_BACKEND: u64 = row([
    Established,
    Established,
    SynSent,
    Established,
    FinWait,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Established,
    Established,
]);
const RST_BACKEND: u64 = row([
    Close, Close, SynSent, Close, Close, TimeWait, Close, Close, Close, Close, Close,
]);
const FIN_ALONE: u64 = row([
    Close, FinWait, SynSent, TimeWait, FinWait, TimeWait, Close, CloseWait, LastAck, Listen,
    TimeWait,
]);
const RST_ALONE: u64 = row([
    Close, Close, Close, SynRecv, Close, Close, Close, Close, LastAck, Listen, Close,
]);

/// What a TCP packet with these flags makes of a connection's state. A packet with none of them changes nothing.
#[inline(always)]
pub fn tcp(state: FlowState, flags: u8, seen: Seen) -> FlowState {
    let rows = match seen {
        Seen::Client => (RST_CLIENT, SYN_CLIENT, FIN_CLIENT, ACK_CLIENT),
        Seen::Backend => (RST_BACKEND, SYN_BACKEND, FIN_BACKEND, ACK_BACKEND),
        Seen::ClientAlone => (RST_ALONE, SYN_CLIENT, FIN_ALONE, ACK_CLIENT),
    };
    if flags & RST != 0 {
        step(rows.0, state)
    } else if flags & SYN != 0 {
        step(rows.1, state)
    } else if flags & FIN != 0 {
        step(rows.2, state)
    } else if flags & ACK != 0 {
        step(rows.3, state)
    } else {
        state
    }
}

/// Whether a SYN on a connection in this state is a new connection with an old one's ports (`conn_reuse_mode`).
#[inline(always)]
pub fn is_over(state: FlowState) -> bool {
    matches!(state, TimeWait | Close | FinWait | LastAck)
}
