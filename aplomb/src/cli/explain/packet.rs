//! `aplomb explain` for packets: what the kernel data plane would do with them, and why.

use std::{fmt::Write, path::Path};

use l4::{explain::flags_of, pcap};

use super::{
    super::{
        client::{Client, block_on},
        exit::{Failure, Outcome, print},
        table::Table,
    },
    Args,
};
use crate::api::model::{PacketExplanation, PacketFlow, PacketFrame, PacketQuestion};

/// The protocols that the kernel data plane knows; as a method, they mean packets.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// Bytes of a packet that are sent: all headers, also those inside an ICMP error, lie within.
const HEAD: usize = 512;

/// The longest file that is read.
const LONGEST: u64 = 1 << 30;

/// Whether packets are asked about.
pub(super) fn is_meant(args: &Args) -> bool {
    let protocol = |method: &String| {
        let lower = method.to_ascii_lowercase();
        PROTOCOLS.contains(&lower.as_str())
    };
    args.pcap.is_some() || args.method.as_ref().is_some_and(protocol)
}

/// Asks the daemon.
pub(super) fn run(client: &Client, args: &Args) -> Outcome {
    let (question, remarks) = match &args.pcap {
        Some(file) => captured(file, args.count)?,
        None => (flowing(args)?, Vec::new()),
    };
    let body = serde_json::to_vec(&question)
        .map_err(|error| Failure::refused("cannot ask this", error))?;
    let told: Vec<PacketExplanation> = block_on(client.post("/v1/l4/explain", body))?;
    if args.json {
        let json = serde_json::to_string_pretty(&told)
            .map_err(|error| Failure::refused("cannot print this", error))?;
        print(&(json + "\n"))?;
    } else {
        print(&render(&told, args.pcap.is_some()))?;
    }
    for remark in remarks {
        eprintln!("aplomb: {remark}");
    }
    Ok(())
}

fn flowing(args: &Args) -> Outcome<PacketQuestion> {
    let usage = || {
        Failure::Usage(
            "name both ends: aplomb explain tcp 192.0.2.9:4711 192.168.1.100:80".to_owned(),
        )
    };
    let protocol = args.method.as_ref().ok_or_else(usage)?;
    let (source, destination) = args
        .url
        .as_ref()
        .zip(args.target.as_ref())
        .ok_or_else(usage)?;
    if let Some(flags) = &args.flags {
        let _ = flags_of(flags).map_err(Failure::Usage)?;
    }
    let flow = PacketFlow {
        protocol: protocol.to_ascii_lowercase(),
        source: source.clone(),
        destination: destination.clone(),
        flags: args.flags.clone(),
        length: args.length,
    };
    Ok(PacketQuestion {
        flow: Some(flow),
        frames: Vec::new(),
    })
}

/// The packets of a file, and what there is to say of it.
fn captured(file: &Path, most: usize) -> Outcome<(PacketQuestion, Vec<String>)> {
    let unreadable =
        |error: std::io::Error| Failure::refused(format!("cannot read {}", file.display()), error);
    let length = std::fs::metadata(file).map_err(unreadable)?.len();
    if length > LONGEST {
        let why = format!("{} is longer than 1 GiB: cut it first", file.display());
        return Err(Failure::Refused(why));
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let capture = pcap::read(&bytes, most)
        .map_err(|why| Failure::Refused(format!("{}: {why}", file.display())))?;
    let mut remarks = Vec::new();
    if capture.more {
        remarks.push(format!("only the first {most} packets; --count takes more"));
    }
    if capture.unknown > 0 {
        let unknown = capture.unknown;
        remarks.push(format!(
            "{unknown} packets are of link layers that are not known"
        ));
    }
    if let Some(trouble) = capture.trouble {
        remarks.push(format!("{}: {trouble}", file.display()));
    }
    if capture.packets.is_empty() {
        remarks.insert(0, format!("{} holds no packet", file.display()));
        return Err(Failure::Refused(remarks.join("; ")));
    }
    let frames = capture.packets.iter().map(|packet| PacketFrame {
        hex: hex(&packet.frame[..packet.frame.len().min(HEAD)]),
        length: u32::try_from(packet.frame.len()).ok(),
    });
    let question = PacketQuestion {
        flow: None,
        frames: frames.collect(),
    };
    Ok((question, remarks))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn render(told: &[PacketExplanation], numbered: bool) -> String {
    let one = |(index, told): (usize, &PacketExplanation)| {
        let number = if numbered {
            format!("{}. ", index + 1)
        } else {
            String::new()
        };
        format!("{number}{}", packet(told))
    };
    let all: Vec<String> = told.iter().enumerate().map(one).collect();
    all.join("\n")
}

fn packet(told: &PacketExplanation) -> String {
    let mut text = format!("{}\n", told.packet);
    for step in &told.steps {
        text += &format!("  {step}\n");
    }
    if !told.candidates.is_empty() {
        let mut table = Table::new(&["", "BACKEND", ">SCORE", "WHY"]);
        for candidate in &told.candidates {
            table.row(vec![
                if candidate.chosen { "=>" } else { "" }.into(),
                candidate.address.clone(),
                candidate.score.map_or("-".into(), |s| format!("{s:.3}")),
                candidate.why.clone(),
            ]);
        }
        text += &table.render("  ");
    }
    text + &format!("{}\n", verdict(told))
}

fn verdict(told: &PacketExplanation) -> String {
    let mut text = format!("=> {}", told.verdict);
    if let Some(road) = &told.road {
        text += &format!(", {road}");
    }
    if let Some(service) = &told.service {
        text += &format!(", service {service}");
    }
    if let Some(backend) = &told.backend {
        let forward = told.forward.as_deref().unwrap_or("");
        text += &format!(", backend {backend} ({forward})");
    }
    if let Some(reason) = &told.reason {
        text += &format!(": {reason}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::*;
    use crate::api::model::Candidate;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &[&str]) -> Args {
        let words = ["explain"].iter().chain(line);
        Line::try_parse_from(words).unwrap().args
    }

    #[test]
    fn a_flow_is_told_from_a_request() {
        let asked = args(&[
            "tcp",
            "192.0.2.9:4711",
            "192.168.1.100:80",
            "--flags",
            "syn",
        ]);
        assert!(is_meant(&asked));
        let flow = flowing(&asked).unwrap().flow.unwrap();
        assert_eq!((&*flow.protocol, &*flow.source), ("tcp", "192.0.2.9:4711"));
        assert_eq!(flow.destination, "192.168.1.100:80");
        assert!(!is_meant(&args(&["GET", "http://shop.example/"])));
        assert!(is_meant(&args(&["--pcap", "a.pcap"])));
        assert_eq!(flowing(&args(&["udp", "1.2.3.4:5"])).unwrap_err().code(), 2);
        let wrong = args(&["tcp", "1.2.3.4:5", "1.2.3.4:6", "--flags", "sync"]);
        assert_eq!(flowing(&wrong).unwrap_err().code(), 2);
        assert!(Line::try_parse_from(["explain", "--pcap", "a", "GET", "/"]).is_err());
    }

    #[test]
    fn the_way_of_a_packet_reads_from_top_to_bottom() {
        let told = PacketExplanation {
            packet: "tcp 192.0.2.9:4711 > 192.168.1.100:80, SYN, 60 bytes".into(),
            verdict: "forward".into(),
            road: Some("new".into()),
            service: Some("web".into()),
            backend: Some("10.0.0.11:80".into()),
            forward: Some("direct".into()),
            steps: vec!["no connection of these addresses is remembered".into()],
            candidates: vec![Candidate {
                address: "10.0.0.11:80".into(),
                chosen: true,
                usable: true,
                score: Some(0.5),
                why: "weight 2, 0 active, 1 inactive".into(),
            }],
            ..PacketExplanation::default()
        };
        let text = render(&[told.clone(), told], true);
        assert!(text.starts_with("1. tcp 192.0.2.9:4711 > "), "{text}");
        assert!(text.contains("\n  no connection of these"), "{text}");
        assert!(
            text.contains("  =>  10.0.0.11:80  0.500  weight 2"),
            "{text}"
        );
        assert!(
            text.contains(
                "\n=> forward, new, service web, backend 10.0.0.11:80 (direct)\n\n2. tcp"
            ),
            "{text}"
        );
        let dropped = PacketExplanation {
            verdict: "drop".into(),
            reason: Some("no-backend".into()),
            ..PacketExplanation::default()
        };
        assert!(render(&[dropped], false).ends_with("=> drop: no-backend\n"));
    }

    #[test]
    fn a_capture_is_sent_by_its_heads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.pcap");
        let mut file = Vec::new();
        for word in [
            0xa1b2_c3d4_u32,
            0x0004_0002,
            0,
            0,
            65_535,
            1,
            1,
            2,
            600,
            1500,
        ] {
            file.extend(word.to_le_bytes());
        }
        file.extend([0xab; 600]);
        std::fs::write(&path, &file).unwrap();
        let (question, remarks) = captured(&path, 10).unwrap();
        assert_eq!(question.frames[0].hex.len(), 2 * HEAD);
        assert!(question.frames[0].hex.starts_with("abab"));
        assert_eq!(question.frames[0].length, Some(1500));
        assert!(remarks.is_empty());
        std::fs::write(&path, "nothing").unwrap();
        let refused = captured(&path, 10).unwrap_err();
        assert!(refused.to_string().contains("neither pcap nor pcapng"));
        assert_eq!(
            captured(&dir.path().join("none"), 10).unwrap_err().code(),
            1
        );
    }
}
