//! Routes and algorithms in words.

use control::{
    balance::Algorithm,
    route::Mismatch,
    spec::http::{HostMatch, PathMatch, RouteMatch},
};

/// What a request does not meet, in words.
pub(super) fn differs(mismatch: &Mismatch) -> String {
    match mismatch {
        Mismatch::Host | Mismatch::Path | Mismatch::Method => format!("the {mismatch} differs"),
        Mismatch::Header(_) | Mismatch::Query(_) => format!("{mismatch} is missing or differs"),
    }
}

/// What a route takes, in words.
pub(super) fn takes(matches: &RouteMatch) -> String {
    let mut parts = Vec::new();
    let hosts: Vec<String> = matches
        .hosts
        .iter()
        .map(|host| match host {
            HostMatch::Exact(name) => name.clone(),
            HostMatch::Below(name) => format!("*.{name}"),
        })
        .collect();
    if !hosts.is_empty() {
        parts.push(format!("host {}", hosts.join(" or ")));
    }
    match &matches.path {
        None => {}
        Some(PathMatch::Exact(path)) => parts.push(format!("path {path}")),
        Some(PathMatch::Prefix(path)) if path.ends_with('/') => {
            parts.push(format!("path {path}"));
        }
        Some(PathMatch::Prefix(path)) => parts.push(format!("path {path}*")),
        Some(PathMatch::Regex(path)) => parts.push(format!("path ~{path}")),
    }
    if !matches.methods.is_empty() {
        parts.push(matches.methods.join(" or "));
    }
    let names = |pairs: &[(String, _)]| {
        let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    };
    if !matches.headers.is_empty() {
        parts.push(format!("header {}", names(&matches.headers)));
    }
    if !matches.query.is_empty() {
        parts.push(format!("query parameter {}", names(&matches.query)));
    }
    if parts.is_empty() {
        "everything".into()
    } else {
        parts.join(", ")
    }
}

/// What an algorithm goes by.
pub(super) fn meaning(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RoundRobin | Algorithm::WeightedRoundRobin => {
            "each in turn; where a worker stands in its turns differs, this is the first turn"
        }
        Algorithm::LeastConnections => "the fewest in flight",
        Algorithm::WeightedLeastConnections => "the fewest in flight for its weight",
        Algorithm::ShortestExpectedDelay => "the least (in flight + 1) / weight",
        Algorithm::NeverQueue => "idle, or else the least (in flight + 1) / weight",
        Algorithm::Random => "drawn at random by weight; another draw may differ",
        Algorithm::LeastOfTwo => "the less loaded of two drawn at random; another draw may differ",
        Algorithm::First => "the first that is not full",
        Algorithm::Hash | Algorithm::Maglev => "by the hash of its key: the same each time",
        Algorithm::LeastTime => "the least expected time",
    }
}
