//! Keys that only services forwarded by the kernel have, and backends of theirs; `[l4]` is in [`super::l4`].

use std::net::{IpAddr, Ipv4Addr};

use super::admin::SecretText;
use crate::{
    config::{
        diagnostic::Problem,
        form::{
            Fault, Form, is_not,
            many::{Either, List, OneOrMany},
            number::{Int, Time},
            text::Hex,
            words::words,
        },
        kind::section,
        limits,
        walk::{At, Cx, quote, too_many, unique},
    },
    spec::{
        NatSource, PersistenceSpec, QuicLbConfig, QuicLbKey, QuicLbSpec, ServerId, SynCookies,
        TunnelKind, TunnelSpec,
    },
};

/// The longest that anything is remembered of a client, in milliseconds: 31 days, as `ipvsadm` has it.
pub(in crate::config) const LONGEST: u64 = 31 * 86_400_000;

section! {
    /// A client goes where it went before, at whatever address and port of the service.
    pub(in crate::config) struct PersistenceKeys = "`persistence`" {
        /// How long after its last new connection.
        timeout: Time<1000, LONGEST>, default "\"5min\"";
        /// What of an IPv4 address tells clients apart: a mask, or how many leading bits.
        mask: Either<Mask, Int<1, 32>>, default "32";
        /// How many leading bits of an IPv6 address do.
        prefix6: Int<1, 128>, default "128";
    }
}

/// A service's persistence: how long, or a table.
pub(in crate::config) type Persistence = Either<Time<1000, LONGEST>, PersistenceKeys>;

/// A mask of IPv4 addresses.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Mask(Ipv4Addr);

impl Form for Mask {
    const WHAT: &'static str = "a mask such as \"255.255.255.0\"";
    const EXAMPLE: &'static str = "255.255.255.0";
    const PATTERN: &'static str = "^[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let fault = || is_not::<Self>(text).help("write \"255.255.255.0\", or 24");
        let mask: Ipv4Addr = text.parse().map_err(|_| fault())?;
        let bits = u32::from(mask);
        if bits == 0 || bits.leading_ones() + bits.trailing_zeros() != 32 {
            return Err(fault());
        }
        Ok(Self(mask))
    }
}

pub(in crate::config) fn persistence(keys: Persistence) -> PersistenceSpec {
    let keys = match keys {
        Either::One(timeout) => return PersistenceSpec::new(timeout.0),
        Either::Other(keys) => keys,
    };
    let mask4 = match keys.mask.value {
        Either::One(mask) => mask.0,
        Either::Other(bits) => Ipv4Addr::from(u32::MAX << (32 - bits.to::<u32>())),
    };
    PersistenceSpec {
        timeout: keys.timeout.0,
        mask4,
        prefix6: keys.prefix6.to(),
    }
}

/// Whom backends see: the client, or addresses of this node.
pub(in crate::config) type Source = Either<SourceText, List<IpAddr>>;

/// `client`, `pool`, or one address of this node.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum SourceText {
    Client,
    Pool,
    One(IpAddr),
}

impl Form for SourceText {
    const WHAT: &'static str = "\"client\", \"pool\" or an IP address";
    const EXAMPLE: &'static str = "pool";
    const PATTERN: &'static str = "^(client|pool|[0-9a-fA-F:.]+)$";

    fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "client" => Ok(Self::Client),
            "pool" => Ok(Self::Pool),
            _ => text.parse().map(Self::One).map_err(|_| {
                is_not::<Self>(text).help("write \"client\", \"pool\" or a list of addresses")
            }),
        }
    }
}

pub(in crate::config) fn source(given: At<Source>, cx: &mut Cx<'_>) -> NatSource {
    let (span, key) = (given.span, given.key);
    let list = match given.value {
        Either::One(SourceText::Client) => return NatSource::Client,
        Either::One(SourceText::Pool) => return NatSource::Pool(Vec::new()),
        Either::One(SourceText::One(value)) => vec![At {
            value,
            span,
            key,
            given: true,
        }],
        Either::Other(list) => list.0,
    };
    if list.is_empty() {
        let problem = Problem::error(span, "an empty list says nothing here");
        cx.push(problem.help("write source = \"pool\" for this node's own address"));
    }
    let _ = too_many(list.len(), limits::ENTRIES, "addresses", span, cx);
    unique(&list, "the address", |ip| ip.to_string(), cx);
    let mut last: [Option<&At<IpAddr>>; 2] = [None; 2];
    for at in &list {
        if at.is_unspecified() || at.is_multicast() {
            let message = format!("{} is no address to send from", at.value);
            cx.push(Problem::error(at.span, message));
            continue;
        }
        let before = last[usize::from(at.is_ipv6())].replace(at);
        if let Some(before) = before
            .filter(|before| before.value != at.value && follower(before.value) != Some(at.value))
        {
            let message = format!("{} does not follow {}", at.value, before.value);
            let problem = Problem::error(at.span, message).related(before.span, "this one");
            let next = follower(before.value).unwrap_or(before.value);
            cx.push(problem.help(format!(
                "addresses of a source count up: write \"{next}\" next"
            )));
        }
    }
    NatSource::Pool(list.into_iter().map(|at| at.value).collect())
}

/// The address behind `ip`.
fn follower(ip: IpAddr) -> Option<IpAddr> {
    Some(match ip {
        IpAddr::V4(ip) => Ipv4Addr::from(u32::from(ip).checked_add(1)?).into(),
        IpAddr::V6(ip) => std::net::Ipv6Addr::from(u128::from(ip).checked_add(1)?).into(),
    })
}

/// When SYNs are answered with cookies.
pub(in crate::config) type Cookies = Either<bool, Automatic>;

/// `auto`.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Automatic;

impl Form for Automatic {
    const WHAT: &'static str = "\"auto\"";
    const EXAMPLE: &'static str = "auto";
    const PATTERN: &'static str = "^auto$";

    fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "auto" => Ok(Self),
            _ => Err(is_not::<Self>(text).help("write \"auto\", or true or false without quotes")),
        }
    }
}

pub(in crate::config) fn syn_cookies(given: &Cookies) -> SynCookies {
    match given {
        Either::One(false) => SynCookies::Off,
        Either::One(true) => SynCookies::On,
        Either::Other(Automatic) => SynCookies::Auto,
    }
}

words!(TunnelKind {
    "ipip" => TunnelKind::IpIp, "IP in IP, of any two families";
    "gue" => TunnelKind::Gue, "generic UDP encapsulation";
    "gre" => TunnelKind::Gre, "GRE";
});

section! {
    /// What goes around a packet to a `tunnel` backend.
    pub(in crate::config) struct TunnelKeys = "`tunnel`" {
        /// The encapsulation.
        kind: TunnelKind, required;
        /// Where GUE goes.
        port: Int<1, 65_535>, absent "6080";
        /// The outer UDP or GRE header carries a checksum.
        checksum: bool, default "false";
    }
}

/// An encapsulation: its name, with a port if it is GUE, or a table.
pub(in crate::config) type Tunnel = Either<TunnelText, TunnelKeys>;

/// `ipip`, `gre`, `gue` or `gue:PORT`.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct TunnelText(TunnelSpec);

impl Form for TunnelText {
    const WHAT: &'static str = "an encapsulation such as \"ipip\" or \"gue:6080\"";
    const EXAMPLE: &'static str = "ipip";
    const PATTERN: &'static str = "^(ipip|gre|gue(:[0-9]+)?)$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let (kind, port) = match text.split_once(':') {
            Some((kind, port)) => (kind, Some(port)),
            None => (text, None),
        };
        let kind = match kind {
            "ipip" => TunnelKind::IpIp,
            "gue" => TunnelKind::Gue,
            "gre" => TunnelKind::Gre,
            _ => {
                return Err(Fault::new(format!("\"{}\" is not known here", quote(text)))
                    .meant(kind, vec!["ipip", "gue", "gre"]));
            }
        };
        let mut tunnel = TunnelSpec::new(kind);
        if let Some(port) = port {
            let at = text.len() - port.len()..text.len();
            if kind != TunnelKind::Gue {
                let at = at.start - 1..at.end;
                return Err(Fault::new("only gue has a port").at(at));
            }
            tunnel.port = match port.parse() {
                Ok(port) if port > 0 => port,
                _ => {
                    let fault = Fault::new(format!("\"{}\" is not a port", quote(port)));
                    return Err(fault.help("a port is a number from 1 to 65535").at(at));
                }
            };
        }
        Ok(Self(tunnel))
    }
}

pub(in crate::config) fn tunnel(given: Tunnel, cx: &mut Cx<'_>) -> TunnelSpec {
    let keys = match given {
        Either::One(text) => return text.0,
        Either::Other(keys) => keys,
    };
    let mut tunnel = TunnelSpec::new(*keys.kind);
    if let Some(port) = &keys.port {
        if tunnel.kind == TunnelKind::Gue {
            tunnel.port = port.to();
        } else {
            let problem = Problem::error(port.key, "only gue has a port");
            cx.push(problem.help("leave `port` out, or write kind = \"gue\""));
        }
    }
    if *keys.checksum && tunnel.kind == TunnelKind::IpIp {
        let problem = Problem::error(keys.checksum.key, "ipip has no header for a checksum");
        cx.push(problem.help("leave `checksum` out, or write kind = \"gue\" or \"gre\""));
    }
    tunnel.checksum = *keys.checksum;
    tunnel
}

section! {
    /// Connection IDs of QUIC that name the backend (draft-ietf-quic-load-balancers). Backends need `server-id`.
    pub(in crate::config) struct QuicLbKeys = "`quic-lb`" {
        /// The config rotation id: the first three bits of a connection ID.
        rotation: Int<0, 6>, default "0";
        /// Bytes of the server id.
        server_id_length: Int<1, 15>, required;
        /// Bytes of the nonce; at most 19 together with the server id's.
        nonce_length: Int<4, 18>, required;
        /// What they are encrypted with, 16 bytes in hexadecimal. A kernel of 6.1 opens none: all its clients go by `balance`.
        key: SecretText, absent "they are in the open";
    }
}

pub(in crate::config) fn quic_lb(given: At<OneOrMany<QuicLbKeys>>, cx: &mut Cx<'_>) -> QuicLbSpec {
    // One that could not be read stands at its default.
    let read = |keys: &&At<QuicLbKeys>| keys.rotation.given || !keys.value.given.has("rotation");
    let ids = given.0.iter().filter(read);
    let ids: Vec<_> = ids.map(|keys| keys.rotation.clone()).collect();
    unique(&ids, "the rotation id", |id| id.to::<u8>().to_string(), cx);
    let first = given.0.first().map(|keys| keys.server_id_length.clone());
    for keys in &given.0 {
        let length = &keys.server_id_length;
        let both = length.to::<u8>() + keys.nonce_length.to::<u8>();
        if both > 19 {
            let message = format!("server id and nonce have {both} bytes together: at most 19");
            cx.push(Problem::error(keys.nonce_length.span, message));
        }
        if let Some(first) = first.as_ref().filter(|first| first.value != length.value) {
            let message = "server ids of one service are all of one length";
            let problem = Problem::error(length.span, message).related(first.span, "the first");
            cx.push(problem);
        }
    }
    let configs = given.value.0.into_iter().map(|keys| QuicLbConfig {
        rotation: keys.rotation.to(),
        server_id_length: keys.server_id_length.to(),
        nonce_length: keys.nonce_length.to(),
        key: keys.value.key.as_ref().and_then(|key| quic_key(key, cx)),
    });
    QuicLbSpec {
        configs: configs.collect(),
    }
}

fn quic_key(key: &At<SecretText>, cx: &mut Cx<'_>) -> Option<QuicLbKey> {
    let bytes = Hex::parse(key.reveal()).ok().map(|hex| hex.0);
    let bytes: Option<[u8; 16]> = bytes.and_then(|bytes| bytes.try_into().ok());
    if bytes.is_none() {
        let problem = Problem::error(key.span, "the key is not 16 bytes in hexadecimal");
        cx.push(problem.help("make one with: openssl rand -hex 16"));
    }
    bytes.map(QuicLbKey::new)
}

impl Form for ServerId {
    const WHAT: &'static str = "a server id, 1 to 15 bytes in hexadecimal";
    const EXAMPLE: &'static str = "0a01";
    const PATTERN: &'static str = "^([0-9a-fA-F]{2}){1,15}$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let bytes = Hex::parse(text).map(|hex| hex.0);
        let id = bytes.ok().and_then(|bytes| Self::new(&bytes));
        id.ok_or_else(|| is_not::<Self>(text).help("write two digits a byte: \"0a01\""))
    }
}
