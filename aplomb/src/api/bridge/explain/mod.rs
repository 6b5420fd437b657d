//! Where a request or connection would go now, and why.

use std::{net::SocketAddr, sync::Arc};

use axum::http::Uri;
use control::{
    balance::{self, Algorithm},
    name::Name,
    plan::{Duty, MemberPlan, Plan, PoolPlan},
    route::{Mismatch, Path, RequestView, Router, connection_key, hash_key},
    spec::{
        Balance, HashKey, HttpSpec, Listen, RouteSpec, Scheme, ServiceKind, ServiceSpec,
        http::{HostMatch, PathMatch, RouteAction, RouteMatch},
    },
};

use super::{
    super::model::{Candidate, Explanation, Problem, Question, RouteTried},
    status,
};
use crate::daemon::handle;

/// What a pool would do with a request of this key; none: there is no such pool.
pub(super) type Ask<'a> =
    &'a dyn Fn(&Name, Option<u64>) -> Option<(Arc<PoolPlan>, balance::Explanation)>;

/// The URL of a question, taken apart.
struct Target {
    scheme: Option<Scheme>,
    host: String,
    port: Option<u16>,
    path: String,
    query: Option<String>,
}

/// Answers a question about the node whose facts are `known`.
///
/// # Errors
/// The question names nothing that is there, or cannot be told.
pub(super) fn explain(
    question: &Question,
    known: &handle::Status,
    ask: Ask<'_>,
) -> Result<Explanation, Problem> {
    let target = question.url.as_deref().map(target).transpose()?;
    let (service, service_why) = service(question, target.as_ref(), &known.plan)?;
    let mut explanation = Explanation {
        service: service.name.to_string(),
        service_why,
        ..Explanation::default()
    };
    let client = question.client.ip();
    match &service.kind {
        ServiceKind::Http(http) => {
            let Some(target) = target else {
                let detail = format!(
                    "{} is an HTTP service: give a method and a URL",
                    service.name
                );
                return Err(Problem::bad_request(detail));
            };
            request(&mut explanation, http, question, &target, known, ask);
        }
        ServiceKind::Tcp(tcp) => {
            let key = |of: &HashKey| connection_key(of, client);
            to_pool(&mut explanation, &tcp.pool, &key, known, ask);
        }
        ServiceKind::Udp(udp) => {
            let key = |of: &HashKey| connection_key(of, client);
            to_pool(&mut explanation, &udp.pool, &key, known, ask);
        }
        ServiceKind::Kernel { pool, .. } => {
            let key = |of: &HashKey| connection_key(of, client);
            to_pool(&mut explanation, pool, &key, known, ask);
        }
    }
    Ok(explanation)
}

fn target(url: &str) -> Result<Target, Problem> {
    let uri: Uri = url
        .parse()
        .map_err(|error| Problem::bad_request(format!("the URL {url:?}: {error}")))?;
    let scheme = match uri.scheme_str() {
        None => None,
        Some("http") => Some(Scheme::Http),
        Some("https") => Some(Scheme::Https),
        Some(other) => {
            return Err(Problem::bad_request(format!(
                "{other}: is neither http: nor https:; for TCP and UDP name the service"
            )));
        }
    };
    let default = match scheme {
        Some(Scheme::Https) => Some(443),
        Some(_) => Some(80),
        None => None,
    };
    Ok(Target {
        scheme,
        host: uri.host().unwrap_or_default().to_owned(),
        port: uri.port_u16().or(default),
        path: uri.path().to_owned(),
        query: uri.query().map(str::to_owned),
    })
}

/// The service that is asked about, and why it is that one.
fn service<'a>(
    question: &Question,
    target: Option<&Target>,
    plan: &'a Plan,
) -> Result<(&'a ServiceSpec, String), Problem> {
    let all = || plan.services.values().map(|service| &*service.spec);
    let names = |services: &[&ServiceSpec]| {
        let names: Vec<&str> = services.iter().map(|s| s.name.as_str()).collect();
        names.join(", ")
    };
    if let Some(name) = &question.service {
        let found = all().find(|service| service.name.as_str() == name);
        let missing = || {
            let there: Vec<&ServiceSpec> = all().collect();
            let detail = format!("there is no service {name:?}; there are: {}", names(&there));
            Problem::not_found("no-such-service", detail)
        };
        return Ok((found.ok_or_else(missing)?, "named in the question".into()));
    }
    let Some(target) = target else {
        return Err(Problem::bad_request("name a service, or give a URL"));
    };
    let http: Vec<&ServiceSpec> = all()
        .filter(|service| matches!(service.kind, ServiceKind::Http(_)))
        .collect();
    let Some(port) = target.port else {
        return match http[..] {
            [only] => Ok((only, "it is the only HTTP service".into())),
            _ => Err(Problem::bad_request(format!(
                "name one of the HTTP services ({}), or give the whole URL",
                names(&http)
            ))),
        };
    };
    let listens = |service: &ServiceSpec| {
        let mut fitting = service.listen.iter().filter(|l| fits(l, target, port));
        fitting.next().copied()
    };
    let mut fitting = http.iter().filter_map(|s| Some((*s, listens(s)?)));
    // One that listens on the very address goes before one that listens on all.
    let best = fitting
        .clone()
        .find(|(_, listen)| !listen.address.ip().is_unspecified())
        .or_else(|| fitting.next());
    best.map(|(service, listen)| (service, format!("it listens on {listen}")))
        .ok_or_else(|| {
            let detail = format!(
                "no HTTP service listens on port {port} of that address; name one of: {}",
                names(&http)
            );
            Problem::not_found("no-such-service", detail)
        })
}

/// Whether what is sent to `target` could come in at this listener. A name could lead to any address.
fn fits(listen: &Listen, target: &Target, port: u16) -> bool {
    let host = target.host.trim_start_matches('[').trim_end_matches(']');
    let ip = listen.address.ip();
    listen.address.port() == port
        && target.scheme.is_none_or(|scheme| scheme == listen.scheme)
        && (ip.is_unspecified()
            || host
                .parse()
                .map_or(true, |asked: std::net::IpAddr| asked == ip))
}

fn request(
    explanation: &mut Explanation,
    http: &HttpSpec,
    question: &Question,
    target: &Target,
    known: &handle::Status,
    ask: Ask<'_>,
) {
    let path = match Path::clean(&target.path) {
        Ok(path) => path,
        Err(bad) => {
            explanation.action = "400".into();
            explanation.why = bad.to_string();
            return;
        }
    };
    let router = match Router::new(&http.routes) {
        Ok(router) => router,
        Err(bad) => {
            explanation.why = bad.to_string();
            return;
        }
    };
    let mut headers = question.headers.iter();
    let named = headers.find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = named.map_or(target.host.as_str(), |(_, value)| without_port(value));
    let view = RequestView {
        method: &question.method,
        host,
        path: &path,
        query: target.query.as_deref(),
        headers: &question.headers,
    };
    let mut taken = None;
    for tried in router.explain(&view) {
        let route = &http.routes[tried.route];
        explanation.routes.push(RouteTried {
            route: route_name(route, tried.route),
            matched: tried.mismatch.is_none(),
            why: match tried.mismatch {
                None => takes(&route.matches),
                Some(mismatch) => {
                    format!("{}; it takes {}", differs(&mismatch), takes(&route.matches))
                }
            },
        });
        taken = Some(route).filter(|_| explanation.routes.last().is_some_and(|r| r.matched));
    }
    match taken.map(|route| &route.action) {
        None => {
            explanation.action = "404".into();
            explanation.why = "no route takes it".into();
        }
        Some(RouteAction::Redirect { status, to }) => {
            explanation.action = format!("redirect {status} to {to}");
            explanation.why = "the route says so".into();
        }
        Some(RouteAction::Respond { status, .. }) => {
            explanation.action = format!("respond {status}");
            explanation.why = "the route says so".into();
        }
        Some(RouteAction::Pool(pool)) => {
            let key = |of: &HashKey| hash_key(of, &view, question.client.ip());
            to_pool(explanation, pool, &key, known, ask);
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn route_name(route: &RouteSpec, place: usize) -> String {
    match &route.name {
        Some(name) => name.to_string(),
        None => (place + 1).to_string(),
    }
}

/// What a request does not meet, in words.
fn differs(mismatch: &Mismatch) -> String {
    match mismatch {
        Mismatch::Host | Mismatch::Path | Mismatch::Method => format!("the {mismatch} differs"),
        Mismatch::Header(_) | Mismatch::Query(_) => format!("{mismatch} is missing or differs"),
    }
}

/// What a route takes, in words.
fn takes(matches: &RouteMatch) -> String {
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

fn to_pool(
    explanation: &mut Explanation,
    pool: &Name,
    key: &dyn Fn(&HashKey) -> u64,
    known: &handle::Status,
    ask: Ask<'_>,
) {
    explanation.action = format!("pool {pool}");
    explanation.pool = Some(pool.to_string());
    let spec = known.plan.pools.get(pool).map(|plan| &plan.spec);
    let key = spec.and_then(|spec| match &spec.balance {
        Balance::Hash(of) | Balance::Maglev(of) => Some(key(of)),
        _ => None,
    });
    let Some((plan, choice)) = ask(pool, key) else {
        explanation.why = "the pool has just gone".into();
        return;
    };
    explanation.balance = Some(status::balance(&plan.spec.balance));
    explanation.candidates = candidates(&plan, &choice, known);
    let chosen = explanation.candidates.iter().find(|c| c.chosen);
    explanation.backend = chosen.map(|c| c.address.clone());
    explanation.why = match choice.chosen {
        Err(none) => none.to_string(),
        Ok(_) if choice.explores => "its turn to be tried, to learn how it does".into(),
        Ok(_) => meaning(choice.algorithm).into(),
    };
}

/// All backends in config order: those that may be chosen with how they stand, the others with why they may not.
fn candidates(
    plan: &PoolPlan,
    choice: &balance::Explanation,
    known: &handle::Status,
) -> Vec<Candidate> {
    let mut verdicts = choice.verdicts.iter();
    let chosen = choice.chosen.ok();
    plan.members
        .iter()
        .map(|member| {
            let verdict = match member.duty {
                Duty::Take => verdicts.next(),
                Duty::Finish { .. } | Duty::Avoid => None,
            };
            match verdict {
                Some(verdict) => candidate(member.address(), verdict, chosen),
                None => Candidate {
                    address: member.address().to_string(),
                    why: left_out(member, known),
                    ..Candidate::default()
                },
            }
        })
        .collect()
}

fn candidate(address: SocketAddr, verdict: &balance::Verdict, chosen: Option<usize>) -> Candidate {
    use balance::Reason;
    let stand = match verdict.reason {
        Reason::Chosen | Reason::Passed => String::new(),
        Reason::Quiesced => "weight 0: no new work; ".into(),
        Reason::Backup => "a backup, and others can take it; ".into(),
        Reason::Tried => "tried already; ".into(),
        Reason::Full => "at its max-connections; ".into(),
    };
    let latency = verdict
        .latency
        .map(|latency| format!(", {:.1}ms", latency.as_secs_f64() * 1e3))
        .unwrap_or_default();
    Candidate {
        address: address.to_string(),
        chosen: chosen == Some(verdict.index),
        usable: matches!(verdict.reason, Reason::Chosen | Reason::Passed),
        score: verdict.score,
        why: format!(
            "{stand}{} in flight, weight {}{latency}",
            verdict.in_flight,
            (verdict.weight * 100.0).round() / 100.0
        ),
    }
}

fn left_out(member: &MemberPlan, known: &handle::Status) -> String {
    let status = known
        .backends
        .iter()
        .find(|b| b.pool == member.key.pool && b.address == member.key.address);
    match status {
        Some(status) if status.why.is_empty() => status.state.to_string(),
        Some(status) => format!("{}: {}", status.state, status.why),
        None => "it has just gone".into(),
    }
}

/// What an algorithm goes by.
fn meaning(algorithm: Algorithm) -> &'static str {
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

#[cfg(test)]
mod tests;
