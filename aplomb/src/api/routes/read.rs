//! What can be looked at.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::header,
    response::IntoResponse,
};

use super::{
    super::{
        model::{
            BackendStatus, Done, Explanation, Phase, PoolStatus, Problem, Question, ServiceStatus,
            Stats, Status,
        },
        node::Snapshot,
        openapi,
    },
    Api,
};
use crate::metrics;

type Answer<T> = Result<Json<T>, Problem>;

/// What the node is and does
#[utoipa::path(get, path = "/v1/status", tag = "look", responses((status = 200, description = "Done", body = Status)))]
pub(in super::super) async fn status(State(api): State<Api>) -> Answer<Status> {
    Ok(Json(api.status().await?))
}

/// All services
#[utoipa::path(get, path = "/v1/services", tag = "look", responses((status = 200, description = "Done", body = Vec<ServiceStatus>)))]
pub(in super::super) async fn services(State(api): State<Api>) -> Answer<Vec<ServiceStatus>> {
    Ok(Json(api.status().await?.services))
}

/// One service
#[utoipa::path(get, path = "/v1/services/{service}", tag = "look", params(("service", description = "Its name")),
    responses((status = 200, description = "Done", body = ServiceStatus), (status = 404, description = "It names something that is not there", body = Problem)))]
pub(in super::super) async fn service(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Answer<ServiceStatus> {
    let services = api.status().await?.services;
    let service = services.into_iter().find(|s| s.name == name);
    service.map(Json).ok_or_else(|| {
        Problem::not_found("no-such-service", format!("there is no service {name:?}"))
    })
}

/// All pools with their backends
#[utoipa::path(get, path = "/v1/pools", tag = "look", responses((status = 200, description = "Done", body = Vec<PoolStatus>)))]
pub(in super::super) async fn pools(State(api): State<Api>) -> Answer<Vec<PoolStatus>> {
    Ok(Json(api.status().await?.pools))
}

/// One pool with its backends
#[utoipa::path(get, path = "/v1/pools/{pool}", tag = "look", params(("pool", description = "Its name")),
    responses((status = 200, description = "Done", body = PoolStatus), (status = 404, description = "It names something that is not there", body = Problem)))]
pub(in super::super) async fn pool(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Answer<PoolStatus> {
    let pools = api.status().await?.pools;
    let pool = pools.into_iter().find(|p| p.name == name);
    pool.map(Json)
        .ok_or_else(|| Problem::not_found("no-such-pool", format!("there is no pool {name:?}")))
}

/// All backends of all pools, named POOL/ADDRESS
#[utoipa::path(get, path = "/v1/backends", tag = "look",
    responses((status = 200, description = "Done", body = std::collections::BTreeMap<String, BackendStatus>)))]
pub(in super::super) async fn backends(
    State(api): State<Api>,
) -> Answer<std::collections::BTreeMap<String, BackendStatus>> {
    let pools = api.status().await?.pools;
    let backends = pools.into_iter().flat_map(|pool| {
        let name = pool.name;
        let of_pool = pool.backends.into_iter();
        of_pool.map(move |backend| (format!("{name}/{}", backend.address), backend))
    });
    Ok(Json(backends.collect()))
}

/// All counters since the process began
#[utoipa::path(get, path = "/v1/stats", tag = "look", responses((status = 200, description = "Done", body = Stats)))]
pub(in super::super) async fn stats(State(api): State<Api>) -> Answer<Stats> {
    Ok(Json(api.node.snapshot().await?.stats))
}

/// Where a request or connection would go now, and why
#[utoipa::path(get, path = "/v1/explain", tag = "look",
    params(
        ("service" = Option<String>, Query, description = "The service that it comes to; without it, the one that listens where the URL says"),
        ("client" = Option<String>, Query, description = "Who asks, IP or IP:PORT; 127.0.0.1 without it"),
        ("method" = Option<String>, Query, description = "The method; GET without it"),
        ("url" = Option<String>, Query, description = "The URL, or only its path; for HTTP services"),
        ("header" = Option<Vec<String>>, Query, description = "NAME: VALUE; may be given again"),
    ),
    responses((status = 200, description = "Done", body = Explanation), (status = 400, description = "The request makes no sense", body = Problem), (status = 404, description = "It names something that is not there", body = Problem)))]
pub(in super::super) async fn explain(
    State(api): State<Api>,
    query: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Answer<Explanation> {
    let Query(pairs) = query.map_err(|e| Problem::bad_request(e.to_string()))?;
    Ok(Json(api.node.explain(question(pairs)?).await?))
}

fn question(pairs: Vec<(String, String)>) -> Result<Question, Problem> {
    let mut question = Question {
        service: None,
        client: SocketAddr::from(([127, 0, 0, 1], 0)),
        method: "GET".into(),
        url: None,
        headers: Vec::new(),
    };
    for (name, value) in pairs {
        match name.as_str() {
            "service" => question.service = Some(value),
            "client" => question.client = client(&value)?,
            "method" => question.method = value,
            "url" => question.url = Some(value),
            "header" => {
                let (name, value) = value
                    .split_once(':')
                    .ok_or_else(|| Problem::bad_request("a header is written NAME: VALUE"))?;
                let pair = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
                question.headers.push(pair);
            }
            _ => {
                return Err(Problem::bad_request(format!(
                    "there is no parameter {name:?}; see /openapi.json"
                )));
            }
        }
    }
    Ok(question)
}

fn client(text: &str) -> Result<SocketAddr, Problem> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    text.parse()
        .or_else(|_| bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0)))
        .map_err(|_| Problem::bad_request(format!("client {text:?} is not IP or IP:PORT")))
}

/// The same as Prometheus reads it
#[utoipa::path(get, path = "/metrics", tag = "watch",
    responses((status = 200, description = "Done", body = String, content_type = "text/plain")))]
pub(in super::super) async fn metrics(
    State(api): State<Api>,
) -> Result<impl IntoResponse, Problem> {
    let Snapshot { status, stats } = api.node.snapshot().await?;
    Ok((
        [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)],
        metrics::encode(&status, &stats),
    ))
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "watch", responses((status = 200, description = "OpenAPI 3")))]
pub(in super::super) async fn openapi() -> impl IntoResponse {
    Json(openapi::document())
}

/// Whether the process works
#[utoipa::path(get, path = "/healthz", tag = "watch",
    responses((status = 200, description = "Done", body = Done), (status = 503, description = "The node is starting or ending", body = Problem)))]
pub(in super::super) async fn healthz(State(api): State<Api>) -> Answer<Done> {
    let _ = api.node.snapshot().await?;
    Ok(Json(Done {}))
}

/// Whether it takes new work
#[utoipa::path(get, path = "/readyz", tag = "watch",
    responses((status = 200, description = "Done", body = Done), (status = 503, description = "The node is starting or ending", body = Problem)))]
pub(in super::super) async fn readyz(State(api): State<Api>) -> Answer<Done> {
    match api.node.snapshot().await?.status.phase {
        Phase::Serving | Phase::HandingOver => Ok(Json(Done {})),
        Phase::Starting => Err(Problem::new(503, "starting", "it is not ready yet")),
        Phase::Leaving => Err(Problem::new(503, "leaving", "it takes no new work")),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).into(), (*v).into()))
            .collect()
    }

    #[test]
    fn a_question_is_read_from_a_query() {
        let asked = question(pairs(&[
            ("client", "2001:db8::7"),
            ("url", "/cart"),
            ("header", "Cookie: a=b:c"),
            ("header", "X-Y:z"),
        ]))
        .unwrap();
        assert_eq!(asked.client.to_string(), "[2001:db8::7]:0");
        assert_eq!(asked.method, "GET");
        assert_eq!(asked.headers[0], ("cookie".into(), "a=b:c".into()));
        assert_eq!(asked.headers[1], ("x-y".into(), "z".into()));
        for bad in [
            ("client", "nobody"),
            ("header", "no colon"),
            ("colour", "red"),
        ] {
            assert_eq!(question(pairs(&[bad])).unwrap_err().status, 400, "{bad:?}");
        }
    }
}
