//! What can be changed.

use std::{path::PathBuf, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
};
use bytes::Bytes;
use control::{engine::Operation, name::BackendKey};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    super::{
        model::{
            Applied, BackendStatus, Done, DrainRequest, Problem, StopRequest, UpgradeRequest,
            Upgraded, WeightRequest,
        },
        node::ConfigText,
    },
    Api,
};

type Answer<T> = Result<Json<T>, Problem>;

/// How a configuration is to be applied.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(in super::super) struct ApplyQuery {
    dry_run: bool,
    name: Option<String>,
    directory: Option<PathBuf>,
}

/// Applies a configuration: changes what differs, and only that
#[utoipa::path(post, path = "/v1/apply", tag = "change",
    params(
        ("dry-run" = Option<bool>, Query, description = "Only say what would change"),
        ("name" = Option<String>, Query, description = "What diagnostics call it"),
        ("directory" = Option<String>, Query, description = "Where relative paths in it begin, an absolute path"),
    ),
    request_body(content = String, content_type = "application/toml", description = "The whole configuration"),
    responses((status = 200, description = "Done", body = Applied), (status = 422, description = "The configuration is not in order; all is as it was", body = Problem), (status = 503, description = "The node is starting or ending", body = Problem)))]
pub(in super::super) async fn apply(
    State(api): State<Api>,
    query: Result<Query<ApplyQuery>, axum::extract::rejection::QueryRejection>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Answer<Applied> {
    let Query(query) = query.map_err(|e| Problem::bad_request(e.to_string()))?;
    let body = bytes(body)?;
    let text = std::str::from_utf8(&body)
        .map_err(|e| Problem::bad_request(format!("a configuration is UTF-8 text: {e}")))?;
    let config = ConfigText {
        name: query.name.unwrap_or_else(|| "<api>".into()),
        text: text.to_owned(),
        directory: query.directory.unwrap_or_else(|| "/".into()),
    };
    Ok(Json(api.node.apply(config, query.dry_run).await?))
}

/// Reads the configuration file again and applies it
#[utoipa::path(post, path = "/v1/reload", tag = "change",
    responses((status = 200, description = "Done", body = Applied), (status = 422, description = "The configuration is not in order; all is as it was", body = Problem), (status = 503, description = "The node is starting or ending", body = Problem)))]
pub(in super::super) async fn reload(State(api): State<Api>) -> Answer<Applied> {
    Ok(Json(api.node.reload().await?))
}

/// Gives a backend no new work; what goes on may finish
#[utoipa::path(post, path = "/v1/pools/{pool}/backends/{address}/drain", tag = "change",
    params(("pool", description = "The pool's name"), ("address", description = "The backend's address, IP:PORT")),
    request_body = Option<DrainRequest>,
    responses((status = 200, description = "Done", body = BackendStatus), (status = 404, description = "It names something that is not there", body = Problem)))]
pub(in super::super) async fn drain(
    State(api): State<Api>,
    Path(path): Path<(String, String)>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Answer<BackendStatus> {
    let request: DrainRequest = json(body)?;
    let timeout = request.timeout_seconds.map(Duration::try_from_secs_f64);
    let timeout = timeout
        .transpose()
        .map_err(|e| Problem::bad_request(format!("timeout_seconds: {e}")))?;
    operate(&api, path, |key| Operation::Drain(key, timeout)).await
}

/// Takes a backend out: no work and no checks
#[utoipa::path(post, path = "/v1/pools/{pool}/backends/{address}/disable", tag = "change",
    params(("pool", description = "The pool's name"), ("address", description = "The backend's address, IP:PORT")),
    responses((status = 200, description = "Done", body = BackendStatus), (status = 404, description = "It names something that is not there", body = Problem)))]
pub(in super::super) async fn disable(
    State(api): State<Api>,
    Path(path): Path<(String, String)>,
) -> Answer<BackendStatus> {
    operate(&api, path, Operation::Disable).await
}

/// Puts a backend back: undoes drain and disable, and ends an ejection
#[utoipa::path(post, path = "/v1/pools/{pool}/backends/{address}/enable", tag = "change",
    params(("pool", description = "The pool's name"), ("address", description = "The backend's address, IP:PORT")),
    responses((status = 200, description = "Done", body = BackendStatus), (status = 404, description = "It names something that is not there", body = Problem)))]
pub(in super::super) async fn enable(
    State(api): State<Api>,
    Path(path): Path<(String, String)>,
) -> Answer<BackendStatus> {
    operate(&api, path, Operation::Enable).await
}

/// Gives a backend another weight than the configured one
#[utoipa::path(post, path = "/v1/pools/{pool}/backends/{address}/weight", tag = "change",
    params(("pool", description = "The pool's name"), ("address", description = "The backend's address, IP:PORT")),
    request_body = WeightRequest,
    responses((status = 200, description = "Done", body = BackendStatus), (status = 404, description = "It names something that is not there", body = Problem)))]
pub(in super::super) async fn weight(
    State(api): State<Api>,
    Path(path): Path<(String, String)>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Answer<BackendStatus> {
    let body = bytes(body)?;
    // Unlike elsewhere an empty body is none: it would silently mean the configured weight.
    let request: WeightRequest = parse(&body)?;
    operate(&api, path, |key| {
        Operation::Weight(key, request.weight.map(u32::from))
    })
    .await
}

/// Hands over to another binary; answers once that serves
#[utoipa::path(post, path = "/v1/upgrade", tag = "change", request_body = Option<UpgradeRequest>,
    responses((status = 200, description = "Done", body = Upgraded), (status = 409, description = "It cannot be carried out now; all is as it was", body = Problem)))]
pub(in super::super) async fn upgrade(
    State(api): State<Api>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Answer<Upgraded> {
    let request: UpgradeRequest = json(body)?;
    let successor = api.node.upgrade(request.binary).await?;
    Ok(Json(Upgraded {
        successor,
        predecessor: std::process::id(),
    }))
}

/// Ends the daemon
#[utoipa::path(post, path = "/v1/stop", tag = "change", request_body = Option<StopRequest>,
    responses((status = 200, description = "Done", body = Done)))]
pub(in super::super) async fn stop(
    State(api): State<Api>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Answer<Done> {
    let request: StopRequest = json(body)?;
    api.node.stop(request.now).await?;
    Ok(Json(Done {}))
}

/// Opens log files again, after rotation
#[utoipa::path(post, path = "/v1/logs/reopen", tag = "change", responses((status = 200, description = "Done", body = Done)))]
pub(in super::super) async fn reopen_logs(State(api): State<Api>) -> Answer<Done> {
    api.node.reopen_logs().await?;
    Ok(Json(Done {}))
}

async fn operate(
    api: &Api,
    (pool, address): (String, String),
    operation: impl FnOnce(BackendKey) -> Operation,
) -> Answer<BackendStatus> {
    let key = format!("{pool}/{address}")
        .parse::<BackendKey>()
        .map_err(Problem::bad_request)?;
    api.node.operate(operation(key.clone())).await?;
    let address = key.address.to_string();
    let pools = api.status().await?.pools;
    pools
        .into_iter()
        .find(|p| p.name == key.pool.as_str())
        .and_then(|p| p.backends.into_iter().find(|b| b.address == address))
        .map(Json)
        .ok_or_else(|| Problem::not_found("no-such-backend", format!("{key} has just gone")))
}

pub(super) fn bytes(
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Bytes, Problem> {
    body.map_err(|rejection| {
        let status = rejection.status().as_u16();
        let reason = if status == 413 {
            "too-large"
        } else {
            "bad-request"
        };
        Problem::new(status, reason, rejection.body_text())
    })
}

/// A JSON body; nothing at all stands for all defaults.
pub(super) fn json<T: DeserializeOwned + Default>(
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<T, Problem> {
    let body = bytes(body)?;
    if body.is_empty() {
        return Ok(T::default());
    }
    parse(&body)
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|e| Problem::bad_request(format!("the body: {e}")))
}
