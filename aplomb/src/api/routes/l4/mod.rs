//! The kernel data plane, looked at.

mod packets;
mod stream;

use axum::{
    Json,
    body::Body,
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::header,
    response::IntoResponse,
};
use bytes::Bytes;
use l4::filter::Filter;

use super::{
    super::model::{Connections, Decision, L4Status, PacketExplanation, PacketQuestion, Problem},
    Api,
};

type Answer<T> = Result<Json<T>, Problem>;

/// How many connections are shown if nothing is said, and at most.
const SHOWN: usize = 1000;
const MOST: usize = 50_000;

/// The kernel data plane: where it is attached, how full its tables are, what it dropped, what drains
#[utoipa::path(get, path = "/v1/l4", tag = "look", operation_id = "l4_status",
    responses((status = 200, description = "Done", body = L4Status), (status = 404, description = "There is no kernel data plane", body = Problem)))]
pub(in super::super) async fn status(State(api): State<Api>) -> Answer<L4Status> {
    let counted = api.node.snapshot().await?.stats.l4;
    counted.map(|l4| Json(l4.status)).ok_or_else(no_kernel)
}

/// There is no kernel data plane to be asked.
pub(in super::super) fn no_kernel() -> Problem {
    let detail = "this node has no kernel data plane: no service asks for one (`forward`), or it cannot run here";
    Problem::not_found("no-kernel-plane", detail)
}

/// Connections that the kernel remembers, and clients (persistence)
#[utoipa::path(get, path = "/v1/l4/connections", tag = "look", operation_id = "l4_connections",
    params(
        ("limit" = Option<usize>, Query, description = "The most that are shown, 1000 without it, at most 50000"),
        ("service" = Option<String>, Query, description = "Only of this service"),
        ("backend" = Option<String>, Query, description = "Only to this backend: IP, NETWORK/LENGTH or IP:PORT"),
        ("client" = Option<String>, Query, description = "Only of this client: the same"),
        ("target" = Option<String>, Query, description = "Only of those that turned there: the same"),
        ("address" = Option<String>, Query, description = "Only those of which one end is this: the same"),
        ("port" = Option<u16>, Query, description = "Only those whose client or target has this port"),
        ("protocol" = Option<String>, Query, description = "Only tcp, udp or sctp"),
    ),
    responses((status = 200, description = "Done", body = Connections), (status = 400, description = "The request makes no sense", body = Problem), (status = 404, description = "There is no kernel data plane", body = Problem)))]
pub(in super::super) async fn connections(
    State(api): State<Api>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Answer<Connections> {
    let Query(pairs) = query.map_err(|e| Problem::bad_request(e.to_string()))?;
    let mut limit = SHOWN;
    let mut filter = Filter::default();
    for (key, value) in &pairs {
        match key.as_str() {
            "limit" => {
                let number: usize = value
                    .parse()
                    .map_err(|_| Problem::bad_request(format!("limit {value:?} is no number")))?;
                limit = number.min(MOST);
            }
            "verdict" | "reason" => {
                return Err(Problem::bad_request(format!("a connection has no {key}")));
            }
            _ => filter.set(key, value).map_err(Problem::bad_request)?,
        }
    }
    Ok(Json(api.node.connections(filter, limit).await?))
}

/// What the kernel data plane would do with packets, and why; nothing comes of it
#[utoipa::path(post, path = "/v1/l4/explain", tag = "look", operation_id = "l4_explain", request_body = PacketQuestion,
    responses((status = 200, description = "Done", body = Vec<PacketExplanation>), (status = 400, description = "The request makes no sense", body = Problem), (status = 404, description = "There is no kernel data plane", body = Problem)))]
pub(in super::super) async fn explain(
    State(api): State<Api>,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Vec<PacketExplanation>> {
    let asked: PacketQuestion = super::write::json(body)?;
    let questions = packets::questions(&asked)?;
    Ok(Json(api.node.explain_packets(questions).await?))
}

/// How many decisions a second are shown if nothing is said.
const RATE: u32 = 100;

/// Decisions of the kernel program as they are made, a line of JSON each; empty lines show that all is well
///
/// They are sampled while somebody listens: the busier the services, the fewer. A listener ends by closing its
/// connection, and is ended after ten minutes.
#[utoipa::path(get, path = "/v1/l4/trace", tag = "look", operation_id = "l4_trace",
    params(
        ("rate" = Option<u32>, Query, description = "The most lines a second, 100 without it, at most 10000"),
        ("service" = Option<String>, Query, description = "Only of this service: decisions of others are not even sampled"),
        ("backend" = Option<String>, Query, description = "Only to this backend: IP, NETWORK/LENGTH or IP:PORT"),
        ("client" = Option<String>, Query, description = "Only of this client: the same"),
        ("target" = Option<String>, Query, description = "Only of those that turned there: the same"),
        ("address" = Option<String>, Query, description = "Only those of which one end is this: the same"),
        ("port" = Option<u16>, Query, description = "Only those whose client or target has this port"),
        ("protocol" = Option<String>, Query, description = "Only tcp, udp or sctp"),
        ("verdict" = Option<String>, Query, description = "Only new, established, reply, drop or pass"),
        ("reason" = Option<String>, Query, description = "Only those dropped or passed for this reason"),
    ),
    responses((status = 200, description = "Done", body = Decision, content_type = "application/x-ndjson"), (status = 400, description = "The request makes no sense", body = Problem), (status = 404, description = "There is no kernel data plane", body = Problem), (status = 429, description = "Too many listen already", body = Problem)))]
pub(in super::super) async fn trace(
    State(api): State<Api>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Query(pairs) = query.map_err(|e| Problem::bad_request(e.to_string()))?;
    let mut rate = RATE;
    let mut filter = Filter::default();
    for (key, value) in &pairs {
        if key == "rate" {
            let number = value.parse();
            rate =
                number.map_err(|_| Problem::bad_request(format!("rate {value:?} is no number")))?;
        } else {
            filter.set(key, value).map_err(Problem::bad_request)?;
        }
    }
    let lines = stream::Lines::of(api.node.trace(filter, rate)?);
    Ok((
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::new(lines),
    ))
}
