//! Virtual addresses: how they are, and moving them by hand.

use axum::{
    Json,
    extract::{Path, State},
};

use super::{
    super::model::{Problem, VipStatus},
    Api,
};
use crate::vrrp::Order;

type Answer<T> = Result<Json<T>, Problem>;

/// All virtual addresses: one entry for each family of a vip
#[utoipa::path(get, path = "/v1/vips", tag = "look", responses((status = 200, description = "Done", body = Vec<VipStatus>)))]
pub(in super::super) async fn vips(State(api): State<Api>) -> Answer<Vec<VipStatus>> {
    Ok(Json(api.status().await?.vips))
}

/// Hands a group over to another node; it keeps back until it is resumed or promoted
#[utoipa::path(post, path = "/v1/vrrp/{group}/release", tag = "change", params(("group", description = "Its name, or that of a vip that moves alone")),
    responses((status = 200, description = "Done", body = Vec<VipStatus>), (status = 404, description = "There is no such group", body = Problem), (status = 409, description = "It is not done", body = Problem)))]
pub(in super::super) async fn release(
    State(api): State<Api>,
    Path(group): Path<String>,
) -> Answer<Vec<VipStatus>> {
    order(&api, group, Order::Release).await
}

/// Has this node take a group over; it keeps it until it is resumed or released
#[utoipa::path(post, path = "/v1/vrrp/{group}/promote", tag = "change", params(("group", description = "Its name, or that of a vip that moves alone")),
    responses((status = 200, description = "Done", body = Vec<VipStatus>), (status = 404, description = "There is no such group", body = Problem), (status = 409, description = "It is not done", body = Problem)))]
pub(in super::super) async fn promote(
    State(api): State<Api>,
    Path(group): Path<String>,
) -> Answer<Vec<VipStatus>> {
    order(&api, group, Order::Promote).await
}

/// Has what the configuration says of a group count again
#[utoipa::path(post, path = "/v1/vrrp/{group}/resume", tag = "change", params(("group", description = "Its name, or that of a vip that moves alone")),
    responses((status = 200, description = "Done", body = Vec<VipStatus>), (status = 404, description = "There is no such group", body = Problem), (status = 409, description = "It is not done", body = Problem)))]
pub(in super::super) async fn resume(
    State(api): State<Api>,
    Path(group): Path<String>,
) -> Answer<Vec<VipStatus>> {
    order(&api, group, Order::Resume).await
}

/// Answers with the group as it is then.
async fn order(api: &Api, group: String, order: Order) -> Answer<Vec<VipStatus>> {
    api.node.order(group.clone(), order).await?;
    let mut vips = api.status().await?.vips;
    vips.retain(|vip| vip.group == group);
    Ok(Json(vips))
}
