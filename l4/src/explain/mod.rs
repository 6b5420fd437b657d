//! What the kernel program would do with a packet, and why: `aplomb explain`.
//!
//! The decision is the program's own ([`fn@xdp::decide::decide`]), made on the host: [`mod@source`] is where its tables
//! come from ([`mod@live`]), [`mod@view`] keeps what it changes apart from them ([`mod@cells`]). Packets asked about together are decided
//! one after the other, each with what came of those before. [`mod@frame`] makes a packet of a question that has none;
//! [`mod@words`] says what was decided, [`mod@choice`] how a backend was chosen.

mod cells;
mod choice;
mod frame;
mod live;
mod reasons;
mod source;
#[cfg(test)]
mod tests;
mod view;
mod words;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use xdp::{
    abi::{Flow, PassReason, Reason, Tuple, V4, V6},
    decide::{Table, Tables, Verdict, decide},
    packet::{
        Frame, Packet, Parsed,
        header::{proto, tcp_flags},
        parse,
    },
};

pub(crate) use self::live::Live;
use self::{
    cells::copy,
    view::{View, Viewed},
    words::Decided,
};
pub use self::{
    frame::{Flowing, flags_of, flags_word},
    source::{Lookup, Source},
};
use crate::status::{Method, Word};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A frame, from its Ethernet header on. What it is longer than its bytes is taken for zeros.
    Frame {
        /// Its beginning, at least all headers.
        bytes: Vec<u8>,
        /// How long it is.
        length: usize,
    },
    /// A packet of these addresses. Of TCP without flags: one of a known connection if there is one, else a SYN.
    Flowing {
        /// The packet.
        packet: Flowing,
        /// Its flags are not said.
        any_flags: bool,
    },
}

/// What would become of a packet, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The packet in words.
    pub packet: String,
    /// `forward`, `pass`, `drop`, or `answer`: dropped, and the client is told why by ICMP.
    pub verdict: Word,
    /// `new`, `established` or `reply`; none: it belongs to no service.
    pub road: Option<Word>,
    /// Why it is passed or dropped, by the word of the metrics.
    pub reason: Option<Word>,
    /// The service.
    pub service: Option<String>,
    /// The backend.
    pub backend: Option<SocketAddr>,
    /// How packets reach it.
    pub method: Option<Method>,
    /// The packet as it leaves, in words.
    pub becomes: Option<String>,
    /// Where it leaves to, in words.
    pub next_hop: Option<String>,
    /// What was found on the way to that, in order.
    pub steps: Vec<String>,
    /// The backends of the service, where one had to be chosen, in the order in which they are looked at.
    pub candidates: Vec<Candidate>,
}

/// A backend that could have been chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it was.
    pub chosen: bool,
    /// Whether it may be given new work.
    pub usable: bool,
    /// What the scheduler goes by, where that is a number: the least is chosen.
    pub score: Option<f64>,
    /// How it stands.
    pub why: String,
}

/// The longest frame that is taken for as long as it says.
const LONGEST: usize = 65_535 + 22;

/// The most questions that are answered at once.
pub const AT_ONCE: usize = 10_000;

/// Answers questions, one after the other: each packet finds what those before it would have left behind.
pub fn explain<S>(source: &S, questions: &[Question]) -> Vec<Explanation>
where
    S: Source + Lookup<V4> + Lookup<V6>,
{
    let view = View::new(source);
    let questions = questions.iter().take(AT_ONCE);
    questions.map(|question| answer(&view, question)).collect()
}

fn answer<S>(view: &View<'_, S>, question: &Question) -> Explanation
where
    S: Source + Lookup<V4> + Lookup<V6>,
{
    match question {
        Question::Frame { bytes, length } => {
            let mut bytes = bytes.clone();
            bytes.resize((*length).clamp(bytes.len(), LONGEST.max(bytes.len())), 0);
            judge(view, &mut bytes, true)
        }
        Question::Flowing { packet, any_flags } => {
            let mut packet = *packet;
            let choose = *any_flags && packet.protocol == proto::TCP;
            if choose {
                packet.flags = tcp_flags::ACK;
            }
            let Some(mut bytes) = frame::build(&packet) else {
                return Explanation {
                    packet: format!("{} > {}", packet.source, packet.destination),
                    verdict: "pass".into(),
                    reason: Some(PassReason::Unparsed.word().into()),
                    steps: vec!["source and destination are of two address families".into()],
                    ..Explanation::default()
                };
            };
            if choose && !is_known(view, &mut bytes) {
                packet.flags = tcp_flags::SYN;
                bytes = frame::build(&packet).unwrap_or(bytes);
            }
            judge(view, &mut bytes, false)
        }
    }
}

/// Whether the packet's connection is remembered.
fn is_known<S>(view: &View<'_, S>, bytes: &mut [u8]) -> bool
where
    S: Source + Lookup<V4> + Lookup<V6>,
{
    // SAFETY: the frame is used only within this call.
    match parse(unsafe { Frame::of(bytes) }) {
        Parsed::V4(packet) => flow_of(view, &packet.tuple).is_some(),
        Parsed::V6(packet) => flow_of(view, &packet.tuple).is_some(),
        _ => false,
    }
}

fn flow_of<F: Viewed, S: Source + Lookup<F>>(
    view: &View<'_, S>,
    tuple: &Tuple<F>,
) -> Option<(Flow<F>, Table)> {
    let of = |table| Some((copy(Tables::<F>::flow(view, table, tuple)?), table));
    of(Table::Established).or_else(|| of(Table::Pending))
}

/// `whole`: what follows the headers is the packet's, too, and may be looked into.
fn judge<S>(view: &View<'_, S>, bytes: &mut [u8], whole: bool) -> Explanation
where
    S: Source + Lookup<V4> + Lookup<V6>,
{
    let length = bytes.len();
    // SAFETY: the frame is used only within this call: the view forgets it before the end.
    let frame = unsafe { Frame::of(bytes) };
    view.frame.set(whole.then_some(frame));
    let explanation = match parse(frame) {
        Parsed::V4(packet) => decided(view, packet),
        Parsed::V6(packet) => decided(view, packet),
        Parsed::Pass(reason) => other(length, "pass", reason.word(), reasons::passed(reason)),
        Parsed::Drop(reason) => other(length, "drop", reason.word(), reasons::dropped(reason)),
    };
    view.frame.set(None);
    explanation
}

/// What is no packet of a flow.
fn other(length: usize, verdict: &'static str, reason: &'static str, why: &str) -> Explanation {
    Explanation {
        packet: format!("a frame of {length} bytes"),
        verdict: verdict.into(),
        reason: Some(reason.into()),
        steps: vec![why.into()],
        ..Explanation::default()
    }
}

fn decided<F: Viewed, S: Source + Lookup<F>>(view: &View<'_, S>, packet: Packet<F>) -> Explanation {
    let mut packet = packet;
    let before = flow_of(view, &packet.tuple);
    let mut verdict = Verdict::new(packet.tuple);
    decide(view, &mut packet, &mut verdict);
    let after = flow_of(view, &packet.tuple);
    words::explain(
        view,
        &Decided {
            packet,
            verdict,
            before,
            after,
        },
    )
}

/// The reason of a verdict, and it in words.
fn reason<F: xdp::abi::Family>(verdict: &Verdict<F>) -> Option<(&'static str, &'static str)> {
    let dropped = verdict
        .dropped()
        .map(|r: Reason| (r.word(), reasons::dropped(r)));
    dropped.or_else(|| verdict.passed().map(|r| (r.word(), reasons::passed(r))))
}
