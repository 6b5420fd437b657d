//! Services of the kernel data plane: how packets reach a backend, and what is remembered of a client.
//!
//! What holds for all of them is [`super::l4`]; the backends are those of the pool ([`super::pool`]).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use serde::{Serialize, Serializer};

use super::{
    service::Forward,
    value::{self, hexadecimal},
};
use crate::name::Name;

/// A service that the kernel forwards. The words are IPVS's where it has one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelSpec {
    /// How it reaches a backend, unless the backend says otherwise; never [`Forward::Proxy`].
    pub forward: Forward,
    /// Where it goes.
    pub pool: Name,
    /// The hash takes the client's port too (`sh-port`, `mh-port`).
    pub hash_port: bool,
    /// A hash that leads to a backend that takes nothing tries further (`sh-fallback`, `mh-fallback`).
    pub fallback: bool,
    /// A client goes where it went before, at whatever address and port of the service.
    pub persistence: Option<PersistenceSpec>,
    /// Each packet is scheduled by itself and no flow is kept; UDP only.
    pub one_packet: bool,
    /// A TCP or SCTP packet that opens no connection may begin a flow too.
    pub sloppy: bool,
    /// Whom backends see as the source; [`Forward::Nat`] only.
    pub source: NatSource,
    /// What goes around packets to [`Forward::Tunnel`] backends that do not say otherwise.
    pub tunnel: TunnelSpec,
    /// The most that the MSS of a SYN may say, bytes; none: it is left alone.
    pub mss: Option<u16>,
    /// Whether SYNs are answered for the backend, with cookies; TCP with [`Forward::Nat`] only.
    pub syn_cookies: SynCookies,
    /// QUIC connection IDs name the backend; UDP only.
    pub quic_lb: Option<QuicLbSpec>,
    /// How long an idle flow of UDP is remembered; none: as [`super::L4Spec`] says.
    #[serde(serialize_with = "value::opt_duration")]
    pub udp_timeout: Option<Duration>,
    /// Flows of a removed backend end at their next packet (`expire_nodest_conn`); else its packets are dropped until
    /// it is back.
    pub expire_removed: bool,
    /// What is remembered of a client is forgotten once its backend takes no new work
    /// (`expire_quiescent_template`).
    pub expire_quiescent: bool,
    /// Made or changed by `ipvsadm`, not by the file.
    pub ipvs: bool,
}

impl KernelSpec {
    /// A service with everything but what is given at its default.
    #[must_use]
    pub fn new(forward: Forward, pool: Name) -> Self {
        Self {
            forward,
            pool,
            hash_port: false,
            fallback: false,
            persistence: None,
            one_packet: false,
            sloppy: false,
            source: NatSource::Client,
            tunnel: TunnelSpec::default(),
            mss: None,
            syn_cookies: SynCookies::Off,
            quic_lb: None,
            udp_timeout: None,
            expire_removed: false,
            expire_quiescent: false,
            ipvs: false,
        }
    }
}

/// A client goes where it went before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PersistenceSpec {
    /// How long after its last new connection, in whole seconds.
    #[serde(serialize_with = "value::duration")]
    pub timeout: Duration,
    /// What of an IPv4 address tells clients apart.
    #[serde(rename = "mask")]
    pub mask4: Ipv4Addr,
    /// How many leading bits of an IPv6 address do.
    pub prefix6: u8,
}

impl PersistenceSpec {
    /// By the whole address, for `timeout`.
    #[must_use]
    pub const fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            mask4: Ipv4Addr::BROADCAST,
            prefix6: 128,
        }
    }
}

/// Whom the backends of a `nat` service see as the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatSource {
    /// The client; backends must route their answers through this node.
    Client,
    /// One of these addresses of this node, which follow one another within a family; none listed: the one that the
    /// node itself would use.
    Pool(Vec<IpAddr>),
}

impl Serialize for NatSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Client => serializer.serialize_str("client"),
            Self::Pool(addresses) if addresses.is_empty() => serializer.serialize_str("pool"),
            Self::Pool(addresses) => addresses.serialize(serializer),
        }
    }
}

/// When SYNs are answered with cookies, and remembered only once the client has acknowledged that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynCookies {
    /// Never.
    Off,
    /// While many handshakes of the service are open.
    Auto,
    /// Always.
    On,
}

impl SynCookies {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "false",
            Self::Auto => "auto",
            Self::On => "true",
        }
    }
}

impl Serialize for SynCookies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// What goes around a packet to a `tunnel` backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelSpec {
    /// The encapsulation.
    pub kind: TunnelKind,
    /// Where GUE goes; 0 for the others.
    pub port: u16,
    /// The outer UDP or GRE header carries a checksum.
    pub checksum: bool,
}

impl TunnelSpec {
    /// The port of GUE where none is said, as registered with IANA.
    pub const GUE_PORT: u16 = 6080;

    /// This encapsulation with everything else at its default.
    #[must_use]
    pub const fn new(kind: TunnelKind) -> Self {
        Self {
            kind,
            port: match kind {
                TunnelKind::Gue => Self::GUE_PORT,
                TunnelKind::IpIp | TunnelKind::Gre => 0,
            },
            checksum: false,
        }
    }
}

impl fmt::Display for TunnelSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.word())?;
        if self.port != 0 {
            write!(f, ":{}", self.port)?;
        }
        if self.checksum {
            f.write_str(" with checksum")?;
        }
        Ok(())
    }
}

impl Serialize for TunnelSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Default for TunnelSpec {
    fn default() -> Self {
        Self::new(TunnelKind::IpIp)
    }
}

/// An encapsulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelKind {
    /// IP in IP, of any two families (RFC 2003, 2473, 4213).
    IpIp,
    /// Generic UDP encapsulation, version 0 without options, as Linux's `fou` has it.
    Gue,
    /// GRE without key and sequence number (RFC 2784).
    Gre,
}

impl TunnelKind {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::IpIp => "ipip",
            Self::Gue => "gue",
            Self::Gre => "gre",
        }
    }
}

/// Connection IDs of QUIC that name the backend (draft-ietf-quic-load-balancers).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct QuicLbSpec {
    /// The configurations, at most one for each rotation id; all of one server-id length.
    pub configs: Vec<QuicLbConfig>,
}

impl QuicLbSpec {
    /// How many bytes a backend's [`ServerId`] has.
    #[must_use]
    pub fn server_id_length(&self) -> u8 {
        self.configs.first().map_or(0, |c| c.server_id_length)
    }
}

/// How connection IDs with one rotation id are made. A connection ID has 1 byte more than the two lengths together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuicLbConfig {
    /// The config rotation id in a connection ID's first three bits, 0 to 6.
    pub rotation: u8,
    /// Bytes of the server id, 1 to 15.
    pub server_id_length: u8,
    /// Bytes of the nonce, 4 to 18; at most 19 together with the server id's.
    pub nonce_length: u8,
    /// What they are encrypted with; none: they are in the open.
    pub key: Option<QuicLbKey>,
}

/// The key of encrypted connection IDs (AES-128): it never shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct QuicLbKey([u8; 16]);

impl QuicLbKey {
    /// Keeps `key` from being shown.
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// The key itself, for the one place that needs it.
    #[must_use]
    pub const fn reveal(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for QuicLbKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for QuicLbKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// What names a backend in connection IDs: 1 to 15 bytes, written in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId {
    length: u8,
    bytes: [u8; Self::LONGEST],
}

impl ServerId {
    /// The most bytes it has.
    pub const LONGEST: usize = 15;

    /// The id of these bytes; none if they are none or too many.
    #[must_use]
    pub fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LONGEST];
        if id.is_empty() {
            return None;
        }
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self {
            length: u8::try_from(id.len()).ok()?,
            bytes,
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(self.as_bytes()))
    }
}

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ServerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn server_ids_have_a_length() {
        assert_eq!(
            ServerId::new(&[0x0a, 0xff]).map(|id| id.to_string()),
            Some("0aff".into())
        );
        assert_ne!(ServerId::new(&[0]), ServerId::new(&[0, 0]));
        assert_eq!(ServerId::new(&[]), None);
        assert_eq!(ServerId::new(&[1; 16]), None);
        assert_eq!(
            ServerId::new(&[1; 15]).map(|id| id.as_bytes().len()),
            Some(15)
        );
    }

    #[test]
    fn it_reads_well_in_a_dry_run() {
        let spec = KernelSpec {
            persistence: Some(PersistenceSpec::new(Duration::from_secs(300))),
            source: NatSource::Pool(vec![IpAddr::from([10, 0, 0, 8])]),
            tunnel: TunnelSpec {
                checksum: true,
                ..TunnelSpec::new(TunnelKind::Gue)
            },
            quic_lb: Some(QuicLbSpec {
                configs: vec![QuicLbConfig {
                    rotation: 2,
                    server_id_length: 1,
                    nonce_length: 4,
                    key: Some(QuicLbKey::new([7; 16])),
                }],
            }),
            ..KernelSpec::new(Forward::Nat, "web".parse().unwrap())
        };
        assert_eq!(
            serde_json::to_value(&spec).unwrap(),
            serde_json::json!({
                "forward": "nat",
                "pool": "web",
                "hash_port": false,
                "fallback": false,
                "persistence": { "timeout": "5min", "mask": "255.255.255.255", "prefix6": 128 },
                "one_packet": false,
                "sloppy": false,
                "source": ["10.0.0.8"],
                "tunnel": "gue:6080 with checksum",
                "mss": null,
                "syn_cookies": "false",
                "quic_lb": [{ "rotation": 2, "server_id_length": 1, "nonce_length": 4, "key": "***" }],
                "udp_timeout": null,
                "expire_removed": false,
                "expire_quiescent": false,
                "ipvs": false,
            })
        );
    }

    #[test]
    fn a_key_does_not_show() {
        let key = QuicLbKey::new([0xab; 16]);
        assert_eq!(format!("{key:?}"), "***");
        assert_eq!(serde_json::to_string(&key).ok().as_deref(), Some("\"***\""));
    }
}
