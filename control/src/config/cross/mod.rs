//! What no section can tell alone: names that must be there, and what a service and its pool ask of each other. Of
//! services that the kernel forwards that is in [`kernel`], addresses that must not clash are in [`mod@listeners`],
//! virtual ones in [`mod@vips`], and what comes with those in [`mod@ways`].

mod kernel;
mod listeners;
mod vips;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use self::{
    listeners::{OwnListeners, listeners},
    vips::vips,
    ways::{refused, ways},
};
use super::{
    diagnostic::{Problem, Span},
    limits,
    section::{backend::shown, pool::PlacedPool, service::PlacedService},
    walk::{Cx, quote},
};
use crate::{
    name::Name,
    route::Router,
    spec::{Balance, ServiceKind},
};

/// Every pool that a service names is there, and every pool is named; hash keys are of what the service sees.
/// `declared` are the names of all pools of the text, also of those that could not be read.
pub(super) fn pools(
    services: &[PlacedService],
    pools: &[PlacedPool],
    declared: &BTreeSet<String>,
    cx: &mut Cx<'_>,
) {
    let by_name: BTreeMap<&Name, &PlacedPool> = pools.iter().map(|p| (&p.spec.name, p)).collect();
    let mut used = BTreeSet::new();
    let mut by_kernel: BTreeMap<&Name, kernel::Uses<'_>> = BTreeMap::new();
    for service in services {
        for (name, span) in &service.pools {
            let _ = used.insert(name);
            if !declared.contains(name.as_str()) {
                missing_pool(name, *span, declared, cx);
            }
            let Some(pool) = by_name.get(name) else {
                continue;
            };
            hash_key(service, pool, *span, cx);
            let uses = by_kernel.entry(name).or_default();
            if let ServiceKind::Kernel(spec) = &service.spec.kind {
                kernel::service_and_pool(service, spec, pool, *span, cx);
                uses.kernel.push(spec);
            } else {
                // What is wrong with the pool is said once.
                if uses.user_space == 0 {
                    user_space(service, pool, *span, cx);
                }
                uses.user_space += 1;
            }
        }
    }
    for (name, uses) in &by_kernel {
        if let Some(pool) = by_name.get(name) {
            kernel::pool(pool, uses, cx);
        }
    }
    for pool in pools.iter().filter(|pool| !used.contains(&pool.spec.name)) {
        let message = format!("no service uses pool \"{}\"", pool.spec.name);
        cx.push(Problem::warning(pool.places.name, message));
    }
}

/// What only the kernel can do is not asked of a service that is carried in user space.
fn user_space(service: &PlacedService, pool: &PlacedPool, span: Span, cx: &mut Cx<'_>) {
    let name = &service.spec.name;
    if pool.spec.balance.is_of_kernel() {
        let message =
            format!("only the kernel balances so, and service \"{name}\" is carried in user space");
        let problem = Problem::error(pool.places.balance, message).related(span, "used here");
        cx.push(problem.help(match pool.spec.balance {
            Balance::Failover | Balance::Overflow => {
                "write \"first\", with max-connections at the backends"
            }
            Balance::DestinationHash => "write \"maglev\"",
            _ => "write \"maglev\" or \"wlc\"",
        }));
    }
    for (backend, places) in pool.spec.backends.iter().zip(&pool.backends) {
        if backend.address.port() == 0 {
            let at = shown(backend.address);
            let mut with_port = backend.address;
            with_port.set_port(80);
            let message =
                format!("\"{at}\" has no port, and service \"{name}\" is carried in user space");
            let problem = Problem::error(places.address, message).related(span, "used here");
            cx.push(problem.help(format!("write \"{with_port}\", with the port you mean")));
        }
    }
}

fn missing_pool(name: &Name, span: Span, declared: &BTreeSet<String>, cx: &mut Cx<'_>) {
    let mut problem = Problem::error(span, format!("there is no pool \"{name}\""));
    if !cx.report.is_full() {
        let meant = super::suggest::nearest(name.as_str(), declared.iter().map(|s| &**s));
        problem = problem.help(match meant {
            Some(meant) => format!("did you mean \"{}\"?", quote(meant)),
            None => format!("write [[pool]] with name = \"{name}\" and its backends"),
        });
    }
    cx.push(problem);
}

fn hash_key(service: &PlacedService, pool: &PlacedPool, span: Span, cx: &mut Cx<'_>) {
    let (Balance::Hash(key) | Balance::Maglev(key)) = &pool.spec.balance else {
        return;
    };
    if matches!(service.spec.kind, ServiceKind::Http(_)) || key.is_of_connection() {
        return;
    }
    let message = format!(
        "pool \"{}\" balances by what HTTP requests say, which service \"{}\" does not see",
        pool.spec.name, service.spec.name
    );
    let problem = Problem::error(span, message).related(pool.places.name, "this pool");
    cx.push(problem.help("balance that pool by \"source\", or make the service listen for http"));
}

/// Connection sync has connections to tell of.
pub(super) fn sync(services: &[PlacedService], at: Option<Span>, cx: &mut Cx<'_>) {
    let kernel = |s: &PlacedService| matches!(s.spec.kind, ServiceKind::Kernel(_));
    if let Some(at) = at
        && !services.iter().any(kernel)
    {
        let message = "no service is forwarded by the kernel: there are no connections to tell of";
        cx.push(Problem::warning(at, message));
    }
}

/// Routes compile, and something is left to each by those before it.
pub(super) fn routes(services: &[PlacedService], cx: &mut Cx<'_>) {
    for service in services {
        let ServiceKind::Http(http) = &service.spec.kind else {
            continue;
        };
        let place = |route: usize| service.routes.get(route).copied().unwrap_or_default();
        let router = match Router::new(&http.routes) {
            Ok(router) => router,
            Err(bad) => {
                let message = format!("not a regular expression: {}", quote(&bad.to_string()));
                cx.push(Problem::error(place(bad.route), message));
                continue;
            }
        };
        if http.routes.len() > limits::ROUTES_COMPARED {
            continue;
        }
        for shadowed in router.shadowed(&http.routes) {
            let problem = Problem::warning(
                place(shadowed.route),
                "nothing is left to this route: an earlier one takes all that it would",
            );
            cx.push(
                problem
                    .related(place(shadowed.by), "this one")
                    .help("put the narrower route first"),
            );
        }
    }
}
