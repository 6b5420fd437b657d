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
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
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
