//! One list of cases, each a few packets with what must become of them, byte for byte. Each goes through the program in
//! the kernel and through its twin on the host ([`crate::host`]), which must agree. What is wanted is built from
//! scratch, never by rewriting.
//!
//! [`mod@site`] is what is balanced and how; the other modules are the cases.

mod errors;
mod fragments;
mod headers;
mod modes;
mod reasons;
mod site;
mod size;
mod tags;

use xdp::abi::{PassReason, Reason};

use self::site::{Net, Site};
use super::{
    host::Host,
    rig::{OUR_MAC, Rig, THEIR_MAC},
};

const DROP: u32 = 1;
const PASS: u32 = 2;
const TX: u32 = 3;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Makes what is wanted of what left.
type Make = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// What must become of a packet.
enum Wanted {
    /// The stack gets it as it is.
    Pass,
    /// It ends, and that is counted once.
    Drop(Reason),
    /// It leaves so.
    Sent(Vec<u8>),
    /// It leaves as this makes of what did leave, which has something that chance chose.
    Like(Make),
    /// It ends, that is counted once, and this goes back.
    Answer(Reason, Vec<u8>),
}

/// A case: packets in their order, and what becomes of each.
struct Case {
    name: String,
    steps: Vec<(Vec<u8>, Wanted)>,
    /// Chance is part of it: kernel and host differ.
    by_chance: bool,
}

impl Case {
    fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            steps: Vec::new(),
            by_chance: false,
        }
    }

    fn step(mut self, packet: Vec<u8>, wanted: Wanted) -> Self {
        self.steps.push((packet, wanted));
        self
    }

    fn sent(self, packet: Vec<u8>, wanted: Vec<u8>) -> Self {
        self.step(packet, Wanted::Sent(wanted))
    }

    fn drop(self, packet: Vec<u8>, reason: Reason) -> Self {
        self.step(packet, Wanted::Drop(reason))
    }

    fn pass(self, packet: Vec<u8>) -> Self {
        self.step(packet, Wanted::Pass)
    }
}

/// A frame on its way to the next hop.
fn onward(mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].copy_from_slice(&THEIR_MAC);
    frame[6..12].copy_from_slice(&OUR_MAC);
    frame
}

/// A frame that goes back to whom the tests' packets come from.
fn back(mut frame: Vec<u8>) -> Vec<u8> {
    let (to, from) = frame.split_at_mut(6);
    to.swap_with_slice(&mut from[..6]);
    frame
}

/// The IP packet in an untagged frame.
fn ip(frame: &[u8]) -> &[u8] {
    &frame[14..]
}

fn drops(rig: &Rig) -> Vec<u64> {
    let count = |reason: &Reason| rig.harness.drops(*reason).unwrap();
    Reason::ALL.iter().map(count).collect()
}

fn passes(rig: &Rig) -> u64 {
    let count = |reason: &PassReason| rig.harness.passes(*reason).unwrap();
    PassReason::ALL.iter().map(count).sum()
}

/// Runs cases through the kernel's program and through the host's.
#[track_caller]
fn run(rig: &Rig, host: &Host, cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        for (i, (packet, wanted)) in case.steps.iter().enumerate() {
            let name = format!("{}, packet {}", case.name, i + 1);
            if let Err(why) = step(rig, host, case.by_chance, packet, wanted) {
                wrong.push(format!("{name}: {why}"));
                break;
            }
        }
    }
    let count = wrong.len();
    assert!(
        wrong.is_empty(),
        "{count} of {} cases:\n{}",
        cases.len(),
        wrong.join("\n")
    );
}

fn step(
    rig: &Rig,
    host: &Host,
    by_chance: bool,
    packet: &[u8],
    wanted: &Wanted,
) -> Result<(), String> {
    let (before, passed) = (drops(rig), passes(rig));
    let outcome = rig.harness.run(packet, rig.out).unwrap();
    let counted: Vec<Reason> = Reason::ALL
        .iter()
        .zip(before.iter().zip(drops(rig)))
        .flat_map(|(reason, (before, after))| {
            std::iter::repeat_n(*reason, (after - before) as usize)
        })
        .collect();
    let passed = passes(rig) - passed;
    let (verdict, reasons, bytes) = match wanted {
        Wanted::Pass => (PASS, vec![], Some(packet.to_vec())),
        Wanted::Drop(reason) => (DROP, vec![*reason], None),
        Wanted::Sent(frame) => (TX, vec![], Some(frame.clone())),
        Wanted::Like(make) => (TX, vec![], Some(make(&outcome.packet))),
        Wanted::Answer(reason, frame) => (TX, vec![*reason], Some(frame.clone())),
    };
    if (outcome.verdict, &counted) != (verdict, &reasons) {
        return Err(format!(
            "verdict {} {counted:?} instead of {verdict} {reasons:?}",
            outcome.verdict
        ));
    }
    if passed != u64::from(verdict == PASS) {
        return Err(format!("passed {passed} times"));
    }
    if let Some(bytes) = bytes
        && bytes != outcome.packet
    {
        return Err(differs(&outcome.packet, &bytes));
    }
    let twin = host.run(packet, rig.out);
    if twin.verdict != verdict {
        return Err(format!("the host's verdict is {}", twin.verdict));
    }
    if !by_chance && verdict != DROP && twin.packet != outcome.packet {
        return Err(format!("host: {}", differs(&twin.packet, &outcome.packet)));
    }
    if let Wanted::Like(make) = wanted
        && make(&twin.packet) != twin.packet
    {
        return Err("the host's packet is not as wanted".into());
    }
    if verdict == TX {
        let judged = xdp::testing::verify(&outcome.packet);
        return judged.map_err(|why| format!("judged: {why}"));
    }
    Ok(())
}

fn differs(got: &[u8], wanted: &[u8]) -> String {
    let at = got.iter().zip(wanted).position(|(a, b)| a != b);
    let at = at.unwrap_or(got.len().min(wanted.len()));
    format!(
        "differs at {at} ({} bytes instead of {})\n  got    {got:02x?}\n  wanted {wanted:02x?}",
        got.len(),
        wanted.len()
    )
}

/// All cases of a module, through one site.
#[track_caller]
fn held(make: impl FnOnce(&mut Net) -> Vec<Case>) {
    let Some(site) = Site::new() else {
        return;
    };
    let cases = make(&mut Net::default());
    run(&site.rig, &Host::new(&site.rig), &cases);
}
