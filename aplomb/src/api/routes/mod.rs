//! What can be asked of the admin API: one table of routes, handlers by what they do.

mod ipvs;
mod l4;
mod read;
mod vrrp;
mod write;

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{MethodRouter, get, post},
};

pub(super) use self::l4::no_kernel;
use super::{
    model::{Problem, Status},
    node::{Node, Snapshot},
    rates::Rates,
};

/// The largest request body: a configuration of 10,000 backends is below 1 MiB.
pub(super) const MAX_BODY: usize = 8 << 20;

/// What handlers work with.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) node: Arc<dyn Node>,
    rates: Arc<Mutex<Rates>>,
}

impl Api {
    /// An API that speaks for this node.
    pub(super) fn new(node: Arc<dyn Node>) -> Self {
        Self {
            node,
            rates: Arc::default(),
        }
    }

    /// Takes a sample for the rates; to be called once a second.
    pub(super) fn sample(&self) {
        let stats = self.node.counters();
        self.with_rates(|rates| rates.sample(&stats));
    }

    async fn status(&self) -> Result<Status, Problem> {
        let Snapshot { mut status, stats } = self.node.snapshot().await?;
        self.with_rates(|rates| rates.fill(&mut status, &stats));
        Ok(status)
    }

    fn with_rates<T>(&self, work: impl FnOnce(&mut Rates) -> T) -> T {
        // Nobody panics while holding it; and if, samples are still samples.
        work(&mut self.rates.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Every route: method, path, handler. The test of the OpenAPI document walks it.
pub(super) fn table() -> Vec<(&'static str, &'static str, MethodRouter<Api>)> {
    vec![
        ("get", "/v1/status", get(read::status)),
        ("get", "/v1/services", get(read::services)),
        ("get", "/v1/services/{service}", get(read::service)),
        ("get", "/v1/pools", get(read::pools)),
        ("get", "/v1/pools/{pool}", get(read::pool)),
        ("get", "/v1/backends", get(read::backends)),
        ("get", "/v1/stats", get(read::stats)),
        ("get", "/v1/vips", get(vrrp::vips)),
        ("post", "/v1/vrrp/{group}/release", post(vrrp::release)),
        ("post", "/v1/vrrp/{group}/promote", post(vrrp::promote)),
        ("post", "/v1/vrrp/{group}/resume", post(vrrp::resume)),
        ("get", "/v1/explain", get(read::explain)),
        ("get", "/v1/l4", get(l4::status)),
        ("get", "/v1/l4/connections", get(l4::connections)),
        ("get", "/v1/l4/trace", get(l4::trace)),
        ("post", "/v1/l4/explain", post(l4::explain)),
        ("get", "/v1/ipvs", get(ipvs::table)),
        ("get", "/v1/ipvs/connections", get(ipvs::connections)),
        ("post", "/v1/ipvs/edits", post(ipvs::edit)),
        ("post", "/v1/apply", post(write::apply)),
        ("post", "/v1/reload", post(write::reload)),
        (
            "post",
            "/v1/pools/{pool}/backends/{address}/drain",
            post(write::drain),
        ),
        (
            "post",
            "/v1/pools/{pool}/backends/{address}/disable",
            post(write::disable),
        ),
        (
            "post",
            "/v1/pools/{pool}/backends/{address}/enable",
            post(write::enable),
        ),
        (
            "post",
            "/v1/pools/{pool}/backends/{address}/weight",
            post(write::weight),
        ),
        ("post", "/v1/upgrade", post(write::upgrade)),
        ("post", "/v1/stop", post(write::stop)),
        ("post", "/v1/logs/reopen", post(write::reopen_logs)),
        ("get", "/metrics", get(read::metrics)),
        ("get", "/openapi.json", get(read::openapi)),
        ("get", "/healthz", get(read::healthz)),
        ("get", "/readyz", get(read::readyz)),
    ]
}

/// Paths that need no token: they say no more than whether the node works.
pub(super) const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// All of the admin API.
pub(super) fn admin(api: Api) -> Router {
    let router = table()
        .into_iter()
        .fold(Router::new(), |router, (_, path, handler)| {
            router.route(path, handler)
        });
    finish(router, api)
}

/// What the metrics listener answers: metrics and nothing else.
pub(super) fn metrics(api: Api) -> Router {
    finish(Router::new().route("/metrics", get(read::metrics)), api)
}

fn finish(router: Router<Api>, api: Api) -> Router {
    router
        .fallback(async || {
            Problem::not_found("no-such-path", "see /openapi.json for what there is")
        })
        .method_not_allowed_fallback(async || {
            Problem::new(
                405,
                "method-not-allowed",
                "see /openapi.json for what there is",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(api)
}

/// The handlers with their documentation, for the OpenAPI document.
pub(super) mod doc {
    pub(in super::super) use super::{read::*, vrrp::*, write::*};
    pub(in super::super) mod l4 {
        pub(in super::super::super) use super::super::l4::*;
    }

    pub(in super::super) mod ipvs {
        pub(in super::super::super) use super::super::ipvs::*;
    }
}
