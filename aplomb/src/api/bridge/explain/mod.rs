//! Where a request or connection would go now, and why.

mod service;
#[cfg(test)]
mod tests;
mod words;

use std::{net::SocketAddr, sync::Arc};

use control::{
    balance,
    name::Name,
    plan::{Duty, MemberPlan, PoolPlan},
    route::{Path, RequestView, Router, connection_key, hash_key},
    spec::{Balance, HashKey, HttpSpec, RouteSpec, ServiceKind, http::RouteAction},
};

use self::{
    service::{Target, service, target},
    words::{differs, meaning, takes},
};
use super::{
    super::model::{Candidate, Explanation, Problem, Question, RouteTried},
    status,
};
use crate::daemon::handle;

/// What a pool would do with a request of this key; none: there is no such pool.
pub(super) type Ask<'a> =
    &'a dyn Fn(&Name, Option<u64>) -> Option<(Arc<PoolPlan>, balance::Explanation)>;

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
        ServiceKind::Kernel(kernel) => {
            let key = |of: &HashKey| connection_key(of, client);
            to_pool(&mut explanation, &kernel.pool, &key, known, ask);
        }
    }
    Ok(explanation)
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
