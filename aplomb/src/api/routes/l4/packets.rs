//! Packets that somebody asks about, from the words of the API.

use std::net::SocketAddr;

use l4::{
    explain::{AT_ONCE, Flowing, Question, flags_of},
    filter::protocol_number,
};

use super::super::super::model::{PacketFlow, PacketFrame, PacketQuestion, Problem};

/// Length of a packet if nothing is said: a SYN with the usual options.
const LENGTH: u16 = 60;

/// The questions in it.
pub(super) fn questions(asked: &PacketQuestion) -> Result<Vec<Question>, Problem> {
    match (&asked.flow, asked.frames.len()) {
        (Some(flow), 0) => Ok(vec![flowing(flow)?]),
        (None, 1..=AT_ONCE) => asked.frames.iter().map(frame).collect(),
        (None, 0) => Err(Problem::bad_request("give a `flow`, or `frames`")),
        (None, _) => Err(Problem::bad_request(format!(
            "at most {AT_ONCE} frames at once"
        ))),
        (Some(_), _) => Err(Problem::bad_request("give a `flow` or `frames`, not both")),
    }
}

fn flowing(flow: &PacketFlow) -> Result<Question, Problem> {
    let protocol = protocol_number(&flow.protocol).ok_or_else(|| {
        let detail = format!("protocol {:?} is none of tcp, udp, sctp", flow.protocol);
        Problem::bad_request(detail)
    })?;
    let address = |text: &str| -> Result<SocketAddr, Problem> {
        text.parse()
            .map_err(|_| Problem::bad_request(format!("{text:?} is no IP:PORT")))
    };
    let (source, destination) = (address(&flow.source)?, address(&flow.destination)?);
    if source.is_ipv4() != destination.is_ipv4() {
        let detail = format!("{source} and {destination} are of two address families");
        return Err(Problem::bad_request(detail));
    }
    let flags = flow.flags.as_deref().map(flags_of).transpose();
    let flags = flags.map_err(Problem::bad_request)?;
    Ok(Question::Flowing {
        packet: Flowing {
            protocol,
            source,
            destination,
            flags: flags.unwrap_or(0),
            length: flow.length.unwrap_or(LENGTH),
        },
        any_flags: flags.is_none(),
    })
}

fn frame(frame: &PacketFrame) -> Result<Question, Problem> {
    let wrong = || Problem::bad_request("a frame's `hex` is pairs of hexadecimal digits");
    if !frame.hex.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes: Option<Vec<u8>> = frame
        .hex
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            let value = digit(pair[0])? << 4 | digit(pair[1])?;
            u8::try_from(value).ok()
        })
        .collect();
    let bytes = bytes.ok_or_else(wrong)?;
    let length = frame.length.map_or(bytes.len(), |length| length as usize);
    Ok(Question::Frame { bytes, length })
}
