//! How the daemon comes up: what was there before is found, the configuration bound, then it serves and says so.
//!
//! Until it serves, nothing that runs is touched: a predecessor goes on if any of this fails.

use std::{fmt, os::unix::net::UnixStream, path::PathBuf, sync::Arc};

use control::{engine::Engine, spec::Spec};
use proxy::plane::{self, Plane};
use tokio::sync::mpsc;

use super::{
    about::About,
    apply::{self, Ready},
    clock,
    conductor::{Conductor, status_line},
    engine::{self, EVENTS, Inputs},
    handle::{Handle, Phase, Rejected},
    ipvs::Ipvs,
    kernel::Kernel,
    reports::Reports,
    signals::Signals,
    succession::{self, Succession},
    vips::Vips,
};
use crate::{
    api::{Place, Server},
    handoff::{self, Goods, Taken, door_beside},
    probe::Prober,
    system::{limits, log::Log, panic, privileges, systemd::Systemd},
};

/// What `aplomb run` takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Take over from the aplomb that runs with the same admin socket, if there is one
    #[arg(long)]
    pub takeover: bool,
    /// Run as this user, who may still bind low ports
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Run as this group; without it, as the user's
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
}

/// Why the daemon does not run, for people.
#[derive(Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Error {
    fn new(what: &str) -> impl Fn(std::io::Error) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }
}

impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Config(problems) => Self(problems.to_string()),
            other => Self(other.to_string()),
        }
    }
}

/// Runs the daemon until it has ended.
///
/// # Errors
/// Why it cannot run.
pub fn run(options: &Options) -> Result<(), Error> {
    let mut before = Before::of_parent()?;
    let outcome = start(options, &mut before);
    if let (Err(error), Some(predecessor)) = (&outcome, before.predecessor) {
        predecessor.failed(&error.0);
    }
    outcome
}

/// What was there before.
#[derive(Default)]
struct Before {
    /// The process that this one takes over from, as long as it waits for us.
    predecessor: Option<Taken>,
    goods: Goods,
}

impl Before {
    /// That of the parent, if this process was started by it to take over.
    fn of_parent() -> Result<Self, Error> {
        succession::parent().map_or(Ok(Self::default()), Self::over)
    }

    fn over(stream: UnixStream) -> Result<Self, Error> {
        let (taken, goods) = handoff::take(stream).map_err(|e| Error(e.to_string()))?;
        Ok(Self {
            predecessor: Some(taken),
            goods,
        })
    }

    /// What else there is: a process to take over from if that is asked for, and sockets that the service manager
    /// kept.
    fn look_around(&mut self, options: &Options, spec: &Spec) -> Result<(), Error> {
        // Always asked for, so that sockets nobody wants are closed.
        let kept = Systemd::sockets();
        if self.predecessor.is_some() {
            return Ok(());
        }
        let door = door_beside(&spec.admin);
        if options.takeover {
            match UnixStream::connect(&door) {
                Ok(stream) => {
                    *self = Self::over(stream)?;
                    return Ok(());
                }
                Err(error) => {
                    tracing::info!(%error, path = %door.display(), "nobody to take over from");
                }
            }
        }
        self.goods.sockets = kept;
        Ok(())
    }
}

fn start(options: &Options, before: &mut Before) -> Result<(), Error> {
    let config = apply::read(&options.config)?;
    let admitted = apply::admit(&config)?;
    let spec = admitted.spec;
    let log = Log::start(&spec.log).map_err(Error)?;
    panic::abort_on_panic();
    apply::warn(&admitted.warnings);
    let descriptors = limits::raise_descriptors();
    before.look_around(options, &spec)?;
    // What `ipvsadm` changed is in force again, over the file as it is now.
    let ipvs = Ipvs::restore(spec);
    let spec = ipvs.effective();
    let without_kernel =
        privileges::give_up(&spec, options.user.as_deref(), options.group.as_deref())
            .map_err(|e| Error(e.to_string()))?;
    // From here on there are other threads.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::new("no event loop"))?;
    runtime.block_on(serve(
        options,
        before,
        (spec, ipvs, config.directory),
        log,
        (descriptors, without_kernel),
    ))
}

async fn serve(
    options: &Options,
    before: &mut Before,
    (spec, ipvs, directory): (Spec, Ipvs, PathBuf),
    log: Log,
    (descriptors, without_kernel): (u64, bool),
) -> Result<(), Error> {
    let signals = Signals::listen().map_err(Error::new("no signals"))?;
    let about = About::new(options.config.clone());
    let (events, arriving) = mpsc::channel(EVENTS);
    let (drained, finished) = mpsc::unbounded_channel();
    let goods = std::mem::take(&mut before.goods);
    let plane = Plane::start(plane::Options {
        workers: spec.proxy.workers,
        inherited: goods.sockets,
        seed: seed(),
        reports: Arc::new(Reports::new(
            events.clone(),
            drained.clone(),
            Arc::clone(&about),
        )),
    });
    let plane = Arc::new(plane.map_err(Error::new("no workers"))?);
    warn_of_descriptors(descriptors, &spec, &plane);

    let place = if before.predecessor.is_some() {
        Place::Predecessor
    } else {
        Place::Free
    };
    let Ready {
        spec,
        prepared,
        listeners,
    } = apply::prepare(&plane, spec, &directory, place)?;
    let prober = Prober::start(events, limits::probes_at_once(descriptors))
        .map_err(Error::new("no prober"))?;
    let inputs = Inputs {
        events: arriving,
        drained: finished,
    };
    let given_up = without_kernel.then(|| options.config.clone());
    let drained_vips = drained.clone();
    let kernel = Arc::new(Kernel::new(drained, given_up));
    kernel.start(&spec)?;
    let engine = Engine::restore(seed(), clock::now(), goods.saved);
    let vips = Arc::new(Vips::new(
        drained_vips,
        Arc::clone(&kernel),
        Arc::clone(&plane),
    ));
    vips.try_out(&spec)?;
    let planes = (Arc::clone(&plane), Arc::clone(&kernel), Arc::clone(&vips));
    let (engine, thread) =
        engine::start(engine, planes, prober, inputs).map_err(Error::new("no engine"))?;
    let _ = apply::put_in_force(&engine, Arc::clone(&spec), prepared).await?;

    kernel.settle_sync(&spec);

    let (handle, requests) = Handle::new(Arc::clone(&about), engine.clone());
    let server = Server::start(
        handle,
        Arc::clone(&plane),
        Some(kernel.clone()),
        Arc::clone(&vips),
        listeners,
    )
    .map_err(Error::new("no admin API"))?;
    let mut conductor = Conductor {
        about,
        spec,
        ipvs,
        directory,
        engine,
        plane,
        kernel,
        vips,
        server,
        requests,
        signals,
        systemd: Systemd::default(),
        log,
        succession: Succession::new().map_err(Error::new("this binary cannot be found"))?,
        door: None,
    };
    take_place(&mut conductor, before.predecessor.take());
    let end = conductor.run().await;
    conductor.leave(end, thread).await;
    Ok(())
}

/// Says that this process serves: to the one it takes over from, and to the service manager.
fn take_place(conductor: &mut Conductor, predecessor: Option<Taken>) {
    let adopt = predecessor.is_some();
    if let Some(predecessor) = predecessor {
        let (pid, version) = (predecessor.pid, predecessor.version.clone());
        match predecessor.serving() {
            Ok(()) => tracing::info!(pid, version, "took over"),
            Err(error) => tracing::warn!(pid, "serves, though {error}"),
        }
        conductor.systemd.main_pid(std::process::id());
    }
    conductor.vips.begin(adopt);
    conductor.open_door();
    conductor.keep_sockets();
    conductor.about.applied(true);
    conductor.about.enter(Phase::Serving);
    for (listen, address) in conductor.plane.listening() {
        tracing::info!(%listen, %address, "listens");
    }
    let status = status_line(&conductor.spec);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "{status}");
    conductor.systemd.ready(&status);
}

fn warn_of_descriptors(descriptors: u64, spec: &Spec, plane: &Plane) {
    let workers = plane.stats().worker_connections.len();
    let needed = limits::needed(spec.proxy.max_connections, workers);
    if descriptors < needed {
        tracing::warn!(
            descriptors,
            needed,
            "too few file descriptors for [proxy] max_connections = {} on each of {workers} workers: raise \
             LimitNOFILE or lower it",
            spec.proxy.max_connections,
        );
    }
}

/// A number that nobody can guess.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    // Without the system's randomness a seed of the time and the process is still another than the last.
    if rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .is_err()
    {
        return clock::now().nanos() ^ u64::from(std::process::id());
    }
    u64::from_ne_bytes(bytes)
}
