//! The table of virtual services, for `ipvsadm`.

use axum::{Json, extract::State};
use bytes::Bytes;

use super::{
    super::model::{IpvsConnections, IpvsEdits, IpvsOutcomes, IpvsTable, Problem},
    Api,
    write::{bytes, parse},
};

type Answer<T> = Result<Json<T>, Problem>;

/// The most connections that are told at a time: more is nothing that anybody reads.
const CONNECTIONS: usize = 100_000;

/// The kernel's services as IPVS would show them, with what they count
#[utoipa::path(get, path = "/v1/ipvs", operation_id = "ipvs", tag = "look",
    responses((status = 200, description = "The table", body = IpvsTable)))]
pub(in super::super) async fn table(State(api): State<Api>) -> Answer<IpvsTable> {
    let listing = api.node.ipvs().await?;
    Ok(Json(IpvsTable { listing }))
}

/// Connections of the kernel's services
#[utoipa::path(get, path = "/v1/ipvs/connections", operation_id = "ipvs_connections", tag = "look",
    responses((status = 200, description = "The connections, 100,000 at most", body = IpvsConnections)))]
pub(in super::super) async fn connections(State(api): State<Api>) -> Answer<IpvsConnections> {
    let connections = api.node.ipvs_connections(CONNECTIONS).await?;
    Ok(Json(IpvsConnections { connections }))
}

/// Edits the table; each edit is done or not by itself, and all that are done come into force at once
#[utoipa::path(post, path = "/v1/ipvs/edits", operation_id = "ipvs_edit", tag = "change", request_body = IpvsEdits,
    responses((status = 200, description = "What came of each", body = IpvsOutcomes), (status = 409, description = "It cannot be carried out now; all is as it was", body = Problem)))]
pub(in super::super) async fn edit(
    State(api): State<Api>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Answer<IpvsOutcomes> {
    let IpvsEdits { edits } = parse(&bytes(body)?)?;
    let outcomes = api.node.ipvs_edit(edits).await?;
    Ok(Json(IpvsOutcomes { outcomes }))
}
