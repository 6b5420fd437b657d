//! The same packets through IPVS and through the balancer: what comes out must be the same, byte by byte.

use super::balancer::Balancer;
use super::case::{COMPARED, Case};
use super::source::Source;
use super::stack;
use super::wire::Wire;
use crate::Result;
use std::path::Path;
use std::time::Duration;

/// Clients of a case.
const CLIENTS: u32 = 6;
/// When nothing has come for so long, nothing comes.
const QUIET: Duration = Duration::from_millis(100);

/// What came out for a packet that went in.
struct Exchange {
    what: String,
    out: Vec<Vec<u8>>,
}

/// Goes through all cases; the differences.
pub(super) fn run(file: &Path, source: &mut Source) -> Result<Vec<String>> {
    let wire = Wire::open("peer")?;
    let mut expected = Vec::new();
    for (index, case) in COMPARED.iter().enumerate() {
        stack::service(case, index, false)?;
        expected.push(exchanges(case, index, source, &wire)?);
    }
    stack::clear()?;
    let mut balancer = Balancer::load(file, 10_000, COMPARED, false)?;
    balancer.attach("in")?;
    let mut differences = Vec::new();
    for (index, case) in COMPARED.iter().enumerate() {
        let got = exchanges(case, index, source, &wire)?;
        let mut same = 0;
        for (theirs, ours) in expected[index].iter().zip(&got) {
            if normal(&theirs.out) == normal(&ours.out) {
                same += 1;
            } else {
                differences.push(format!(
                    "{}: {}:\n{}{}",
                    case.name,
                    theirs.what,
                    shown("IPVS", &theirs.out),
                    shown("aplomb", &ours.out)
                ));
            }
        }
        println!("{}: {same} of {} the same", case.name, got.len());
    }
    Ok(differences)
}

/// Sends the packets of a case one by one.
fn exchanges(case: &Case, index: usize, source: &Source, wire: &Wire) -> Result<Vec<Exchange>> {
    let mut done = Vec::new();
    for (word, stream) in case.talk(index) {
        for client in 0..CLIENTS {
            let frame = source.frame(&stream, client);
            wire.send(&frame)?;
            let out = wire.received(QUIET);
            done.push(Exchange {
                what: format!("{word} of client {client}"),
                out,
            });
        }
    }
    Ok(done)
}

/// Frames without what may differ: of an outer header the identification and the time to live (IPVS copies that of
/// the packet, the balancer begins anew), and with them its checksum.
fn normal(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut frames = frames.to_vec();
    for frame in &mut frames {
        let tunnelled = frame.get(12..14) == Some(&[8, 0]) && matches!(frame.get(23), Some(4 | 41));
        if tunnelled {
            frame[18..20].fill(0);
            frame[22] = 0;
            frame[24..26].fill(0);
        }
    }
    frames
}

fn shown(who: &str, frames: &[Vec<u8>]) -> String {
    let mut text = String::new();
    if frames.is_empty() {
        text.push_str(&format!("  {who}: nothing\n"));
    }
    for frame in frames {
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        text.push_str(&format!("  {who}: {hex}\n"));
    }
    text
}
