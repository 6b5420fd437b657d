//! IPVS's behaviour, replayed without a kernel: `ipvsadm`'s command lines go through the engine, the driver's tables and
//! the program's own decisions, and what comes of each connection must be what came of it with IPVS.
//!
//! [`story`] reads what was done and seen, [`site`] has the clients and servers, [`rig`] is what lies between them;
//! [`schedulers`] holds the order in which servers are chosen. The same stories run on a real kernel with
//! `cargo xtask guest replay`.
#![expect(clippy::unwrap_used, reason = "tests")]

mod hashes;
mod rig;
mod schedulers;
mod site;
mod story;

use std::net::{Ipv4Addr, SocketAddrV4};

use self::{
    site::{Seen, Site},
    story::{Step, Story, rows, same_connections, stories},
};

/// The virtual address.
const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 100);
/// What an expiry may differ by, seconds: commands took time where this was recorded.
const SLACK: u64 = 2;

#[test]
fn every_story_ends_as_with_ipvs() {
    let mut failures = Vec::new();
    let all = stories(include_str!("stories.txt"));
    assert!(all.len() >= 14, "the file is there");
    for story in &all {
        tell(story, &mut failures);
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn tell(story: &Story, failures: &mut Vec<String>) {
    let mut site = Site::new();
    for step in &story.steps {
        let mut differs = |expected: String, found: String| {
            failures.push(format!(
                "{}, line {}: {} {}\n  with IPVS: {expected}\n  here:      {found}",
                story.title,
                step.line,
                step.verb,
                step.words.join(" ")
            ));
        };
        let words: Vec<&str> = step.words.iter().map(String::as_str).collect();
        match step.verb.as_str() {
            "$" => {
                let output = site.rig.ipvsadm(&step.words.join(" "));
                assert_eq!(output.code, 0, "line {}: {}", step.line, output.stderr);
                site.pass(0.01);
            }
            "sysctl" => {
                let [name, value] = *words else {
                    panic!("line {}", step.line)
                };
                match name {
                    "expire_nodest_conn" => site.rig.expire_removed = value == "1",
                    "expire_quiescent_template" => site.rig.expire_quiescent = value == "1",
                    _ => panic!("line {}: {name}", step.line),
                }
                site.rig.apply();
            }
            "sleep" => site.pass(words[0].parse().unwrap()),
            "list" => {
                let printed = site.rig.ipvsadm(&words.join(" ")).stdout;
                let found = rows(&printed);
                if found != step.rows {
                    differs(step.rows.join("\n    "), found.join("\n    "));
                }
            }
            "connections" => {
                let printed = site.rig.ipvsadm("-Lnc").stdout;
                let found = rows(&printed);
                if !same_connections(&step.rows, &found, SLACK) {
                    differs(step.rows.join("\n    "), found.join("\n    "));
                }
            }
            _ => {
                let found = act(&mut site, step, &words);
                let found: Vec<String> = found.into_iter().map(Seen::word).collect();
                if found != step.answers {
                    differs(step.answers.join(" "), found.join(" "));
                    return;
                }
            }
        }
        site.rig.check_counts();
    }
}

/// Does what a client does.
fn act(site: &mut Site, step: &Step, words: &[&str]) -> Vec<Seen> {
    let names: Vec<&str> = words[0].split(',').collect();
    let mut seen = Vec::new();
    if let [_, client, port] = *words {
        let to = SocketAddrV4::new(VIP, port.parse().unwrap());
        let times = match step.verb.as_str() {
            "visit" => words[0].parse().unwrap(),
            _ => names.len(),
        };
        let each = names.iter().copied().chain(std::iter::repeat("a visitor"));
        for name in each.take(times) {
            let from = from(site, client);
            seen.push(match step.verb.as_str() {
                "visit" => site.visit(from, to),
                "hold" => site.hold(name, from, to),
                "knock" => site.knock(name, from, to),
                "ask" => site.ask(name, from, to),
                other => panic!("line {}: {other}", step.line),
            });
            site.pass(0.03);
        }
        return seen;
    }
    for name in names {
        match step.verb.as_str() {
            "talk" => seen.push(site.talk(name)),
            "close" => site.close(name),
            "reset" => site.reset(name),
            "refuse" => site.refuse(name),
            other => panic!("line {}: {other}", step.line),
        }
        site.pass(0.03);
    }
    seen
}

/// A client's address and port; a port of its own if none is said.
fn from(site: &mut Site, client: &str) -> SocketAddrV4 {
    client
        .parse()
        .unwrap_or_else(|_| SocketAddrV4::new(client.parse().unwrap(), site.port()))
}
