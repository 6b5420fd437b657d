//! The daemon as the admin API sees it: its handle for facts and orders, the plane for what is counted.
//!
//! [`status`], [`stats`], [`kernel`] and [`explain`] turn the types of `control`, `proxy` and `l4` into the words of the
//! API.

mod explain;
mod ipvs;
mod kernel;
mod stats;
mod status;

use std::{path::PathBuf, sync::Arc, time::Instant};

use control::{
    config::{Diagnostics, Style},
    engine::{Operation, Refusal},
    ipvs::{
        Edit, Error, ServiceId,
        listing::{Connection, Listing},
    },
};
use l4::{
    explain::Question as Packet,
    filter::Filter,
    trace::{Listener, Refused},
};
use proxy::plane::Plane;

use super::{
    kernel::Kernel,
    model::{
        Applied, Change, Connections, Diagnostic, Explanation, PacketExplanation, Problem,
        Question, Severity, Stats,
    },
    node::{Answer, ConfigText, Node, Snapshot},
    routes::no_kernel,
};
use crate::{
    daemon::{
        handle::{self, Gone, Handle, Rejected},
        vips::Vips,
    },
    metrics::process,
    vrrp::Order,
};

/// A running daemon.
pub(super) struct Daemon {
    handle: Handle,
    plane: Arc<Plane>,
    kernel: Option<Arc<dyn Kernel>>,
    vips: Arc<Vips>,
    began: Instant,
}

impl Daemon {
    /// The daemon that is spoken to by `handle` and whose traffic `plane` and `kernel` carry.
    pub(super) fn new(
        handle: Handle,
        plane: Arc<Plane>,
        kernel: Option<Arc<dyn Kernel>>,
        vips: Arc<Vips>,
    ) -> Self {
        Self {
            handle,
            plane,
            kernel,
            vips,
            began: Instant::now(),
        }
    }
}

impl Node for Daemon {
    fn snapshot(&self) -> Answer<'_, Snapshot> {
        Box::pin(async {
            let known = self.handle.status().await.map_err(ending)?;
            let mut counted = self.counters();
            let mut status = status::of(&known, counted.daemon.worker_connections.len());
            if let Some(l4) = &counted.l4 {
                kernel::show(&mut status, l4);
            }
            status.vips = self.vips.status().await;
            stats::complete(&mut counted, &known);
            process::read(&mut counted.daemon);
            Ok(Snapshot {
                status,
                stats: counted,
            })
        })
    }

    fn counters(&self) -> Stats {
        let mut counted = stats::of(&self.plane.stats(), self.began.elapsed());
        if let Some(kernel) = self.kernel.as_ref().filter(|k| k.runs()) {
            kernel::count(&mut counted, &kernel.status(), &kernel.services());
            if let Some(l4) = &mut counted.l4 {
                (l4.status.sync, l4.status.ipvs_sync) = kernel.sync();
            }
        }
        counted
    }

    fn apply(&self, config: ConfigText, dry_run: bool) -> Answer<'_, Applied> {
        Box::pin(async move {
            let config = handle::ConfigText {
                name: config.name,
                text: config.text,
                directory: config.directory,
            };
            let applied = self.handle.apply(config, dry_run).await;
            applied.map(|a| done(&a, !dry_run)).map_err(rejected)
        })
    }

    fn reload(&self) -> Answer<'_, Applied> {
        Box::pin(async {
            let applied = self.handle.reload().await;
            applied.map(|a| done(&a, true)).map_err(rejected)
        })
    }

    fn operate(&self, operation: Operation) -> Answer<'_, ()> {
        Box::pin(async {
            let key = operation.backend().clone();
            let answer = self.handle.operate(operation).await.map_err(ending)?;
            answer.map_err(|refusal| match refusal {
                Refusal::NoSuchPool => {
                    let detail = format!("there is no pool {:?}", key.pool.as_str());
                    Problem::not_found("no-such-pool", detail)
                }
                Refusal::NoSuchBackend => {
                    let detail = format!("pool {} has no backend {}", key.pool, key.address);
                    Problem::not_found("no-such-backend", detail)
                }
            })
        })
    }

    fn order(&self, group: String, order: Order) -> Answer<'_, ()> {
        Box::pin(async move {
            let missing = || {
                let detail = format!("there is no group and no vip {group:?} that moves alone");
                Problem::not_found("no-such-group", detail)
            };
            let name = group.parse().map_err(|_| missing())?;
            let done = self.vips.order(name, order).await.ok_or_else(missing)?;
            done.map_err(|why| Problem::new(409, "declined", format!("{group}: {why}")))
        })
    }

    fn explain(&self, question: Question) -> Answer<'_, Explanation> {
        Box::pin(async move {
            let known = self.handle.status().await.map_err(ending)?;
            explain::explain(&question, &known, &|pool, key| {
                self.plane.explain(pool, key)
            })
        })
    }

    fn connections(&self, filter: Filter, limit: usize) -> Answer<'_, Connections> {
        let kernel = self
            .kernel
            .clone()
            .filter(|k| k.runs())
            .ok_or_else(no_kernel);
        Box::pin(async move {
            let kernel = kernel?;
            // With millions of connections this takes longer than others shall wait.
            let look = move || kernel::connections(&*kernel, &filter, limit);
            tokio::task::spawn_blocking(look)
                .await
                .map_err(|_| ending(Gone))
        })
    }

    fn explain_packets(&self, packets: Vec<Packet>) -> Answer<'_, Vec<PacketExplanation>> {
        let kernel = self
            .kernel
            .clone()
            .filter(|k| k.runs())
            .ok_or_else(no_kernel);
        Box::pin(async move {
            let kernel = kernel?;
            let told = tokio::task::spawn_blocking(move || kernel.explain(&packets)).await;
            let told = told.map_err(|_| ending(Gone))?;
            Ok(told.into_iter().map(kernel::explanation).collect())
        })
    }

    fn trace(&self, filter: Filter, per_second: u32) -> Result<Listener, Problem> {
        let kernel = self.kernel.as_ref().ok_or_else(no_kernel)?;
        let listener = kernel.trace(filter, per_second);
        listener.map_err(|refused| match refused {
            Refused::TooMany => Problem::new(429, "too-many-listeners", refused.to_string()),
            Refused::Broken(_) => Problem::new(503, "no-trace", refused.to_string()),
        })
    }

    fn ipvs(&self) -> Answer<'_, Listing> {
        Box::pin(async {
            let (table, size) = self.handle.ipvs_table().await.map_err(ending)?;
            let counted = self.kernel.as_ref().map(|kernel| kernel.services());
            Ok(ipvs::listing(&table, size, &counted.unwrap_or_default()))
        })
    }

    fn ipvs_connections(&self, limit: usize) -> Answer<'_, Vec<Connection>> {
        let kernel = self.kernel.clone();
        Box::pin(async move {
            // Without a plane there are none.
            let Some(kernel) = kernel else {
                return Ok(Vec::new());
            };
            let look = move || {
                let all = kernel.connections(limit).into_iter();
                all.filter_map(ipvs::connection).collect()
            };
            tokio::task::spawn_blocking(look)
                .await
                .map_err(|_| ending(Gone))
        })
    }

    fn ipvs_edit(&self, edits: Vec<Edit>) -> Answer<'_, Vec<Option<Error>>> {
        Box::pin(async move {
            let outcomes = self.handle.ipvs_edit(edits.clone()).await;
            let outcomes = outcomes.map_err(rejected)?;
            if let Some(kernel) = &self.kernel {
                for (edit, outcome) in edits.iter().zip(&outcomes) {
                    if let (Edit::Zero(id), None) = (edit, outcome) {
                        zero(&**kernel, *id);
                    }
                }
            }
            Ok(outcomes)
        })
    }

    fn upgrade(&self, binary: Option<PathBuf>) -> Answer<'_, u32> {
        Box::pin(async {
            let successor = self.handle.upgrade(binary).await;
            successor.map_err(|why| {
                let detail = format!("the successor does not serve, so all is as it was: {why}");
                Problem::new(409, "upgrade-failed", detail)
            })
        })
    }

    fn stop(&self, now: bool) -> Answer<'_, ()> {
        let how = if now {
            handle::Shutdown::Now
        } else {
            handle::Shutdown::Graceful
        };
        Box::pin(async move { self.handle.shutdown(how).await.map_err(ending) })
    }

    fn reopen_logs(&self) -> Answer<'_, ()> {
        Box::pin(async { self.handle.reopen_logs().await.map_err(ending) })
    }
}

/// Puts the counters of one virtual service to zero, or of all.
fn zero(kernel: &dyn Kernel, id: Option<ServiceId>) {
    let Some(id) = id else {
        return kernel.zero(None);
    };
    if let Some(name) = ipvs::name(&kernel.services(), id) {
        kernel.zero(Some(name));
    }
}

fn ending(gone: Gone) -> Problem {
    Problem::new(503, "ending", gone.to_string())
}

fn done(applied: &handle::Applied, really: bool) -> Applied {
    Applied {
        applied: really,
        generation: applied.generation,
        changes: applied
            .changes
            .iter()
            .map(|change| Change {
                path: change.path(),
                text: change.to_string(),
                before: change.before.clone(),
                after: change.after.clone(),
            })
            .collect(),
        notes: applied.notes.clone(),
        diagnostics: diagnostics(&applied.warnings),
        rendered: rendered(&applied.warnings),
    }
}

fn rejected(rejected: Rejected) -> Problem {
    match rejected {
        Rejected::Config(problems) => Problem {
            diagnostics: diagnostics(&problems),
            rendered: rendered(&problems),
            ..Problem::new(422, "invalid-config", problems.summary())
        },
        Rejected::Plane(why) => Problem::new(409, "cannot-be-carried-out", why),
        Rejected::Stopping => ending(Gone),
    }
}

fn rendered(problems: &Diagnostics) -> String {
    if problems.is_empty() {
        return String::new();
    }
    problems.render(Style::Plain)
}

fn diagnostics(problems: &Diagnostics) -> Vec<Diagnostic> {
    use control::config::Severity as Theirs;
    let one = |problem: &control::config::Diagnostic| Diagnostic {
        severity: match problem.severity {
            Theirs::Error => Severity::Error,
            Theirs::Warning => Severity::Warning,
        },
        message: problem.message.clone(),
        line: problem.start.line,
        column: problem.start.column,
        help: (!problem.help.is_empty()).then(|| problem.help.join("; ")),
    };
    problems.problems.iter().map(one).collect()
}
