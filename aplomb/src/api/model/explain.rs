//! Where would this request go, and why: question and answer of `GET /v1/explain`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A request or connection that somebody asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// The service that it comes to; none: the one whose listener the URL names.
    pub service: Option<String>,
    /// Who asks; port 0 if only the address is known.
    pub client: SocketAddr,
    /// The method; of HTTP services.
    pub method: String,
    /// `http://host[:port]/path?query`, or only a path; of HTTP services.
    pub url: Option<String>,
    /// Further headers; of HTTP services.
    pub headers: Vec<(String, String)>,
}

/// Where it would go, and why.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Explanation {
    /// The service that takes it.
    pub service: String,
    /// Why that service.
    pub service_why: String,
    /// Every route that was tried, in order, up to the one that takes it; of HTTP services.
    pub routes: Vec<RouteTried>,
    /// What becomes of it: `pool web`, `redirect 301 to …`, `respond 200`, `404`.
    pub action: String,
    /// The pool it goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// How the pool chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<String>,
    /// The backend that it would get now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Why that backend, or why none.
    pub why: String,
    /// Every backend of the pool, and how it stands.
    pub candidates: Vec<Candidate>,
}

/// Packets that somebody asks about: `POST /v1/l4/explain`. One of the two.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PacketQuestion {
    /// A packet of these addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<PacketFlow>,
    /// Whole packets, decided one after the other: each finds what those before it would have left behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<PacketFrame>,
}

/// A packet by its addresses.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PacketFlow {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Whom it comes from, IP:PORT.
    pub source: String,
    /// Whom it is for, IP:PORT of the same family.
    pub destination: String,
    /// TCP's flags: `syn`, `ack`, `fin,ack` …, or `none`; without it that of a connection that is known, else `syn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<String>,
    /// Length of the IP packet in bytes; 60 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u16>,
}

/// A whole packet.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PacketFrame {
    /// Its frame from the Ethernet header on, in hexadecimal; at least all headers.
    pub hex: String,
    /// How long the frame is, if that is more; at most 65557 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
}

/// What the kernel data plane would do with a packet, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct PacketExplanation {
    /// The packet in words.
    pub packet: String,
    /// `forward`, `pass` (left to this machine), `drop`, or `answer`: dropped, and the client is told why by ICMP.
    pub verdict: String,
    /// `new`, `established` or `reply`; none: it belongs to no service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub road: Option<String>,
    /// Why it is passed or dropped, by the word of the metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// How packets reach it: `nat`, `direct`, `tunnel` or `local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<String>,
    /// The packet as it leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub becomes: Option<String>,
    /// Where it leaves to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<String>,
    /// What was found on the way to that, in order.
    pub steps: Vec<String>,
    /// The backends of the service, where one had to be chosen, in the order in which they are looked at.
    pub candidates: Vec<Candidate>,
}

/// A route that was tried.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct RouteTried {
    /// Its name, or its place in the list, from 1.
    pub route: String,
    /// Whether it takes the request.
    pub matched: bool,
    /// What matched, or what did not.
    pub why: String,
}

/// A backend that was considered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Candidate {
    /// Where it listens.
    pub address: String,
    /// Whether it would take the request.
    pub chosen: bool,
    /// Whether it may be given work at all.
    pub usable: bool,
    /// Its score where the algorithm has one; what that means, `why` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// How it stands.
    pub why: String,
}
