//! The PROXY protocol, versions 1 and 2: who a connection really comes from, told by whom it passes through.
//!
//! [`parse`] and [`encode`] know no sockets; [`receive`](receive()) takes a header off a connection. Source: "The
//! PROXY protocol, versions 1 & 2", HAProxy Technologies, 2020/03/05.

mod receive;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use control::spec::pool::ProxyProtocol;

pub(crate) use self::receive::receive;

/// The longest header that is taken: version 2 with some TLVs (a certificate's names, say). The protocol allows 64 KiB.
pub const LONGEST: usize = 4096;
/// The longest header of version 1, with its line end (section 2.1).
const LONGEST_V1: usize = 107;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED_V2: usize = 16;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The connection is the sender's own (a check, say), or of a kind without addresses: what the socket says holds.
    Local,
    /// The connection is forwarded for another.
    Forwarded {
        /// Whom it comes from.
        source: SocketAddr,
        /// What that one connected to.
        destination: SocketAddr,
    },
}

/// How far the bytes so far lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// They may begin a header; more are needed.
    Partial,
    /// They begin with a header of this length.
    Complete(Header, usize),
}

/// Why bytes do not begin with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// They begin neither version.
    Signature,
    /// A line of version 1 that is not of its form.
    Line,
    /// Version 2 with a version or command that does not exist.
    Command,
    /// Version 2 with an address family or transport that does not exist.
    Family,
    /// Version 2 whose length is too short for its addresses, or longer than is taken.
    Length,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "no PROXY header",
            Self::Line => "malformed line in a PROXY header",
            Self::Command => "unknown command in a PROXY header",
            Self::Family => "unknown address family in a PROXY header",
            Self::Length => "wrong length of a PROXY header",
        })
    }
}

impl std::error::Error for Invalid {}

/// The header that `bytes` begin with.
///
/// # Errors
/// They cannot begin one, whatever follows.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Invalid> {
    let begins = |what: &[u8]| bytes.starts_with(what) || what.starts_with(bytes);
    if begins(SIGNATURE) {
        parse_v2(bytes)
    } else if begins(b"PROXY ") {
        parse_v1(bytes)
    } else {
        Err(Invalid::Signature)
    }
}

fn parse_v1(bytes: &[u8]) -> Result<Parsed, Invalid> {
    let line = &bytes[..bytes.len().min(LONGEST_V1)];
    let Some(end) = memchr::memchr(b'\n', line) else {
        let full = line.len() == LONGEST_V1;
        return if full {
            Err(Invalid::Line)
        } else {
            Ok(Parsed::Partial)
        };
    };
    let text = line[..end].strip_suffix(b"\r").ok_or(Invalid::Line)?;
    let text = std::str::from_utf8(text).map_err(|_| Invalid::Line)?;
    let header = header_of_line(text).ok_or(Invalid::Line)?;
    Ok(Parsed::Complete(header, end + 1))
}

fn header_of_line(text: &str) -> Option<Header> {
    let mut words = text.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        // What follows is to be ignored (section 2.1).
        return Some(Header::Local);
    }
    let (source, destination) = (words.next()?, words.next()?);
    let (source_port, destination_port) = (port(words.next()?)?, port(words.next()?)?);
    let (source, destination): (IpAddr, IpAddr) = match family {
        "TCP4" => (ip::<Ipv4Addr>(source)?, ip::<Ipv4Addr>(destination)?),
        "TCP6" => (ip::<Ipv6Addr>(source)?, ip::<Ipv6Addr>(destination)?),
        _ => return None,
    };
    words.next().is_none().then_some(Header::Forwarded {
        source: (source, source_port).into(),
        destination: (destination, destination_port).into(),
    })
}

fn ip<A: std::str::FromStr + Into<IpAddr>>(text: &str) -> Option<IpAddr> {
    text.parse::<A>().ok().map(Into::into)
}

/// A port in decimal, without sign or leading zeros.
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

fn parse_v2(bytes: &[u8]) -> Result<Parsed, Invalid> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_V2>() else {
        return Ok(Parsed::Partial);
    };
    let [.., version_command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let local = match version_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Invalid::Command),
    };
    // Addresses of a family without use for us are skipped like TLVs.
    let needed = match family {
        _ if local => 0,
        0x00 => 0,
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        0x31 | 0x32 => 216,
        _ => return Err(Invalid::Family),
    };
    if length < needed || FIXED_V2 + length > LONGEST {
        return Err(Invalid::Length);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Parsed::Partial);
    };
    let header = match needed {
        12 => addresses::<4>(body),
        36 => addresses::<16>(body),
        _ => None,
    };
    Ok(Parsed::Complete(
        header.unwrap_or(Header::Local),
        FIXED_V2 + length,
    ))
}

/// Source, destination, and their ports, each address of `N` bytes.
fn addresses<const N: usize>(body: &[u8]) -> Option<Header>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = body.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (&[a, b, c, d], _) = rest.split_first_chunk::<4>()?;
    Some(Header::Forwarded {
        source: (IpAddr::from(*source), u16::from_be_bytes([a, b])).into(),
        destination: (IpAddr::from(*destination), u16::from_be_bytes([c, d])).into(),
    })
}

/// Appends the header that tells a backend of `client`, which had connected to `local`, as far as that is known.
pub(crate) fn announce(
    out: &mut Vec<u8>,
    version: ProxyProtocol,
    client: SocketAddr,
    local: Option<SocketAddr>,
) {
    let unknown = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    encode(out, version, client, local.unwrap_or(unknown));
}

/// Appends the header that says that a connection comes from `source`, which had connected to `destination`.
pub fn encode(
    out: &mut Vec<u8>,
    version: ProxyProtocol,
    source: SocketAddr,
    destination: SocketAddr,
) {
    let (from, to) = (source.ip().to_canonical(), destination.ip().to_canonical());
    let ports = (source.port(), destination.port());
    match (version, from, to) {
        (ProxyProtocol::V1, IpAddr::V4(from), IpAddr::V4(to)) => {
            line(out, "TCP4", &from, &to, ports)
        }
        (ProxyProtocol::V1, from, to) => line(out, "TCP6", &v6(from), &v6(to), ports),
        (ProxyProtocol::V2, IpAddr::V4(from), IpAddr::V4(to)) => {
            block(out, 0x11, &from.octets(), &to.octets(), ports);
        }
        (ProxyProtocol::V2, from, to) => {
            block(out, 0x21, &v6(from).octets(), &v6(to).octets(), ports);
        }
    }
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

fn line<A: fmt::Display>(out: &mut Vec<u8>, family: &str, from: &A, to: &A, ports: (u16, u16)) {
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "PROXY {family} {from} {to} {} {}\r\n",
        ports.0, ports.1
    );
}

fn block(out: &mut Vec<u8>, family: u8, from: &[u8], to: &[u8], ports: (u16, u16)) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0x21, family]);
    let length = (from.len() + to.len() + 4) as u16;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(from);
    out.extend_from_slice(to);
    out.extend_from_slice(&ports.0.to_be_bytes());
    out.extend_from_slice(&ports.1.to_be_bytes());
}
