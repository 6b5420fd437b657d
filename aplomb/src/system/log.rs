//! The daemon's own log: to the journal if standard error is one, else to standard error.

use std::io::IsTerminal;

use control::spec::{LogFormat, LogSpec};
use rustix::fs::fstat;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt,
    layer::SubscriberExt,
    reload::{self, Handle},
    util::SubscriberInitExt,
};

type Output = Box<dyn Layer<Registry> + Send + Sync>;
type Filtered =
    tracing_subscriber::layer::Layered<reload::Layer<Output, Registry>, Registry, Registry>;

/// The log, to change it by a later configuration.
pub struct Log {
    output: Handle<Output, Registry>,
    filter: Handle<EnvFilter, Filtered>,
    spec: LogSpec,
}

impl Log {
    /// Begins to log as `spec` says.
    ///
    /// # Errors
    /// Logging has begun already.
    pub fn start(spec: &LogSpec) -> Result<Self, String> {
        let (output, output_handle) = reload::Layer::new(output(spec.format));
        let (filter, filter_handle) = reload::Layer::new(filter(&spec.level));
        tracing_subscriber::registry()
            .with(output)
            .with(filter)
            .try_init()
            .map_err(|e| e.to_string())?;
        Ok(Self {
            output: output_handle,
            filter: filter_handle,
            spec: spec.clone(),
        })
    }

    /// Goes on as `spec` says.
    pub fn change(&mut self, spec: &LogSpec) {
        if spec.level != self.spec.level
            && let Err(error) = self.filter.reload(filter(&spec.level))
        {
            tracing::warn!(%error, "the log level stays as it was");
        }
        if spec.format != self.spec.format
            && let Err(error) = self.output.reload(output(spec.format))
        {
            tracing::warn!(%error, "the log's format stays as it was");
        }
        self.spec = spec.clone();
    }
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(level)
}

fn output(format: LogFormat) -> Output {
    if is_journal()
        && let Ok(journal) = tracing_journald::layer()
    {
        return Box::new(journal.with_syslog_identifier("aplomb".into()));
    }
    let layer = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => Box::new(layer.with_ansi(std::io::stderr().is_terminal())),
        LogFormat::Json => Box::new(layer.json().flatten_event(true)),
    }
}

/// Whether standard error is the journal: systemd says of which device and inode it is (systemd.exec(5)).
fn is_journal() -> bool {
    let Ok(said) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    fstat(std::io::stderr()).is_ok_and(|stat| said == format!("{}:{}", stat.st_dev, stat.st_ino))
}
