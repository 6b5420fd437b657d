//! Reads messages. What is wrong with the form of a record ends its message, as nobody knows where the next begins; a record
//! that only says what is not known here is left out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{
    ENGINE_DATA, ENGINE_NAME, HEADER, RECORD_V4, RECORD_V6, Refusal,
    record::{
        Engine, Flags, Record, SCTP_STATES, Sequence, TCP_STATES, TEMPLATE_STATES, UDP_STATES,
        protocol,
    },
};

/// The header's version.
const VERSION: u8 = 1;
/// Of a record's type: it is of IPv6.
const IPV6: u8 = 1;
/// Of an option's type: who does not know it may leave it.
const MAY_BE_LEFT: u8 = 0x40;

/// The records of a message, for a backup of a sync id; 0 takes all.
///
/// # Errors
/// It is no message for us.
pub fn message(bytes: &[u8], id: u8) -> Result<Records<'_>, Refusal> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or(Refusal::Length)?;
    let [zero, theirs, high, low, count, version, spare @ ..] = *header;
    if usize::from(u16::from_be_bytes([high, low])) != bytes.len() {
        return Err(Refusal::Length);
    }
    if id != 0 && theirs != id {
        return Err(Refusal::Id);
    }
    // A count of connections stands where the zero is in version 0.
    if zero != 0 || version != VERSION || spare != [0, 0] {
        return Err(Refusal::Version);
    }
    Ok(Records { rest, count })
}

/// The records of a message. After one whose form is wrong there are no more.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    count: u8,
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        match self.one() {
            Ok(taken) => Some(taken),
            Err(refusal) => {
                self.count = 0;
                Some(Err(refusal))
            }
        }
    }
}

impl Records<'_> {
    /// The next record, and steps over it. What is wrong outside concerns all that follow.
    fn one(&mut self) -> Result<Result<Record, Refusal>, Refusal> {
        let fixed: &[u8; RECORD_V4] = self.rest.first_chunk().ok_or(Refusal::Truncated)?;
        let sized = u16::from_be_bytes([fixed[2], fixed[3]]);
        let size = usize::from(sized & 0x0fff);
        let record = self.rest.get(..size).ok_or(Refusal::Truncated)?;
        if sized >> 12 != 0 {
            return Err(Refusal::RecordVersion);
        }
        let taken = record_of(record)?;
        // The next begins at a multiple of four; the last need not be padded.
        let next = size.next_multiple_of(4).min(self.rest.len());
        self.rest = self.rest.get(next..).unwrap_or_default();
        Ok(taken)
    }
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    let two = bytes.get(at..).and_then(<[u8]>::first_chunk);
    u16::from_be_bytes(two.copied().unwrap_or_default())
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk);
    u32::from_be_bytes(four.copied().unwrap_or_default())
}

/// Three addresses, as they stand behind the rest.
fn addresses(bytes: &[u8], v6: bool) -> [IpAddr; 3] {
    std::array::from_fn(|n| {
        if v6 {
            let at = bytes.get(24 + 16 * n..).and_then(<[u8]>::first_chunk);
            Ipv6Addr::from(at.copied().unwrap_or([0; 16])).into()
        } else {
            Ipv4Addr::from(be32(bytes, 24 + 4 * n)).into()
        }
    })
}

fn record_of(bytes: &[u8]) -> Result<Result<Record, Refusal>, Refusal> {
    let (kind, protocol) = match bytes {
        [kind, protocol, ..] => (*kind, *protocol),
        _ => return Err(Refusal::Truncated),
    };
    let v6 = kind & IPV6 != 0;
    if !v6 && kind != 0 {
        return Err(Refusal::Family);
    }
    let fixed = if v6 { RECORD_V6 } else { RECORD_V4 };
    let options = bytes.get(fixed..).ok_or(Refusal::Truncated)?;
    let options = match Options::read(options)? {
        Ok(options) => options,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (flags, state) = (Flags(be32(bytes, 4)), be16(bytes, 8));
    if let Err(refusal) = check(protocol, flags, state) {
        return Ok(Err(refusal));
    }
    let [client, target, backend] = addresses(bytes, v6);
    let engine = match (options.data, options.name) {
        (Some(data), Some(name)) => Engine::new(name, data),
        (Some(_), None) => return Ok(Err(Refusal::Engine)),
        (None, _) => None,
    };
    Ok(Ok(Record {
        protocol,
        flags,
        state,
        client: SocketAddr::new(client, be16(bytes, 10)),
        target: SocketAddr::new(target, be16(bytes, 12)),
        backend: SocketAddr::new(backend, be16(bytes, 14)),
        mark: be32(bytes, 16),
        timeout: be32(bytes, 20),
        sequences: options.sequences,
        engine,
    }))
}

fn check(protocol: u8, flags: Flags, state: u16) -> Result<(), Refusal> {
    let states = if flags.has(Flags::TEMPLATE) {
        TEMPLATE_STATES
    } else {
        match protocol {
            protocol::TCP => TCP_STATES,
            protocol::UDP => UDP_STATES,
            protocol::SCTP => SCTP_STATES,
            _ => return Err(Refusal::Protocol),
        }
    };
    if state < states {
        Ok(())
    } else {
        Err(Refusal::State)
    }
}

/// What stands behind the addresses.
#[derive(Default)]
struct Options<'a> {
    sequences: Option<[Sequence; 2]>,
    data: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn read(mut bytes: &'a [u8]) -> Result<Result<Self, Refusal>, Refusal> {
        let mut options = Self::default();
        while !bytes.is_empty() {
            let (kind, length, rest) = match bytes {
                [kind, length, rest @ ..] => (*kind, usize::from(*length), rest),
                _ => return Err(Refusal::Option),
            };
            let (value, rest) = rest.split_at_checked(length).ok_or(Refusal::Option)?;
            if value.is_empty() {
                return Err(Refusal::Option);
            }
            match kind & !MAY_BE_LEFT {
                1 => once(&mut options.sequences, sequences(value)?)?,
                2 => once(&mut options.data, most(value, ENGINE_DATA)?)?,
                3 => once(&mut options.name, most(value, ENGINE_NAME)?)?,
                _ if kind & MAY_BE_LEFT == 0 => return Ok(Err(Refusal::OptionUnknown)),
                _ => {}
            }
            bytes = rest;
        }
        Ok(Ok(options))
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Refusal> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::OptionTwice),
    }
}

fn most(value: &[u8], most: usize) -> Result<&[u8], Refusal> {
    if value.len() > most {
        return Err(Refusal::OptionTwice);
    }
    Ok(value)
}

fn sequences(value: &[u8]) -> Result<[Sequence; 2], Refusal> {
    if value.len() != 24 {
        return Err(Refusal::OptionTwice);
    }
    Ok([0, 12].map(|at| Sequence {
        begin: be32(value, at),
        delta: be32(value, at + 4),
        before: be32(value, at + 8),
    }))
}
