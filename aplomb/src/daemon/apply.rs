//! How a configuration comes into force: read, bound, planned, carried out; or rejected, and nothing has changed.
//!
//! SIGHUP, the admin API and the first start take the same way.

use std::{path::Path, sync::Arc};

use control::{
    config::{Admitted, Diagnostics, diff, parse},
    spec::Spec,
};
use proxy::plane::{Plane, Prepared};
use tokio::sync::mpsc;

use super::{
    engine::{self, Ask},
    handle::{Applied, ConfigText, Rejected, ask},
};
use crate::{
    api::{Listeners, Place},
    config::{self, Surroundings},
};

/// A configuration that can be served, with the sockets for it.
pub(super) struct Ready {
    pub(super) spec: Arc<Spec>,
    pub(super) prepared: Prepared,
    pub(super) listeners: Listeners,
}

/// The text of the file at `path`.
pub(super) fn read(path: &Path) -> Result<ConfigText, Rejected> {
    let text = config::read(path).map_err(Rejected::Plane)?;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
    Ok(ConfigText {
        name: path.display().to_string(),
        text,
        directory: absolute.parent().unwrap_or(&absolute).into(),
    })
}

/// Makes a configuration of text.
pub(super) fn admit(config: &ConfigText) -> Result<Admitted, Rejected> {
    let surroundings = Surroundings::at(&config.directory);
    parse(&config.text, &config.name, &surroundings).map_err(|e| Rejected::Config(Box::new(e)))
}

/// What a configuration would change.
pub(super) fn compare(now: &Spec, next: &Spec, warnings: &Diagnostics, generation: u64) -> Applied {
    Applied {
        generation,
        changes: diff(now, next),
        notes: Vec::new(),
        warnings: warnings.clone(),
    }
}

/// Binds what a configuration listens on; relative paths in it begin at `directory`.
pub(super) fn prepare(
    plane: &Plane,
    spec: Spec,
    directory: &Path,
    place: Place<'_>,
) -> Result<Ready, Rejected> {
    let prepared = plane
        .prepare(&spec)
        .map_err(|e| Rejected::Plane(e.to_string()))?;
    let listeners = Listeners::bind(&spec.admin, directory, place)
        .map_err(|e| Rejected::Plane(e.to_string()))?;
    Ok(Ready {
        spec: Arc::new(spec),
        prepared,
        listeners,
    })
}

/// Has the engine go by a configuration, and waits until every worker does. Gives the plan's generation.
pub(super) async fn put_in_force(
    engine: &mpsc::Sender<Ask>,
    spec: Arc<Spec>,
    prepared: Prepared,
) -> Result<u64, Rejected> {
    let applied = ask(engine, |reply| Ask::Apply {
        spec,
        prepared,
        reply,
    });
    let engine::Applied {
        generation,
        workers,
    } = applied.await.map_err(|_| Rejected::Stopping)?;
    workers.wait().await;
    Ok(generation)
}

/// Logs warnings, each on a line of its own.
pub(super) fn warn(warnings: &Diagnostics) {
    for problem in &warnings.problems {
        tracing::warn!(
            file = warnings.file,
            line = problem.start.line,
            column = problem.start.column,
            "{}",
            problem.message
        );
    }
}
