//! `aplomb lab http`: three backends and a balancer on loopback, with the live view.

use std::{
    fmt::Write,
    io::IsTerminal,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    aside,
    backend::Backend,
    balancer::{self, Balancer},
    load::Load,
};
use crate::{
    cli::exit::{Failure, Outcome, print},
    top,
};

/// How many backends there are.
const BACKENDS: usize = 3;

/// What the user may choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Ends by itself after this time.
    pub(crate) for_time: Option<Duration>,
    /// Requests per second that the lab makes itself.
    pub(crate) load: u32,
    /// One line per second even on a terminal.
    pub(crate) plain: bool,
}

/// Runs the lab until the user has seen enough.
pub(crate) fn run(options: Options) -> Outcome {
    let cannot = |error: std::io::Error| Failure::refused("cannot set up the lab", error);
    let aside = aside::runtime(None).map_err(cannot)?;
    let _in_runtime = aside.enter();
    let directory = tempfile::Builder::new()
        .prefix("aplomb-lab-")
        .tempdir()
        .map_err(cannot)?;
    let backends = (1..=BACKENDS)
        .map(Backend::start)
        .collect::<Result<Vec<_>, _>>()
        .map_err(cannot)?;
    let front = free_address().map_err(cannot)?;
    let config = config(directory.path(), front, &backends);
    let over = Arc::new(AtomicBool::new(false));
    aside::notice_signals(Arc::clone(&over));
    let balancer = Balancer::start(directory.path(), &config)?;
    print(&introduction(directory.path(), &config, front))?;
    let mut lab = Lab {
        front,
        admin: format!("unix:{}", balancer::socket(directory.path()).display()),
        load: Load::start(front, options.load, true),
        load_rate: options.load,
        backends,
        over,
    };
    let view = top::Options {
        interval: Duration::from_secs(1),
        for_time: options.for_time,
        plain: options.plain,
    };
    let outcome = top::watch(balancer.client(), view, &mut lab);
    // Before the balancer ends: requests that come too late for it are no failures.
    let tally = lab.load.tally().line();
    drop(balancer);
    outcome.and_then(|()| print(&format!("The lab is over. Its own requests: {tally}.\n")))
}

/// A port of loopback that nobody has at the moment.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn config(directory: &Path, front: SocketAddr, backends: &[Backend]) -> String {
    let mut config = format!(
        r#"[admin]
listen = "unix:{}"

[[pool]]
name = "web"
balance = "wlc"
check = {{ http = "/healthz", interval = "1s", timeout = "500ms", rise = 2, fall = 2 }}
backends = [
"#,
        balancer::socket(directory).display()
    );
    for backend in backends {
        // Writing to a string cannot fail.
        let _ = writeln!(config, "  {{ address = \"{}\" }},", backend.address);
    }
    let _ = write!(
        config,
        r#"]

[[service]]
name = "shop"
listen = "http://{front}"
routes = [{{ pool = "web" }}]
"#
    );
    config
}

fn introduction(directory: &Path, config: &str, front: SocketAddr) -> String {
    let file = balancer::config_file(directory);
    let quoted: String = config.lines().map(|line| format!("    {line}\n")).collect();
    let keys = if std::io::stdout().is_terminal() {
        "Keys: 1 2 3 switch a backend off and on, q ends."
    } else {
        "Ctrl-C ends."
    };
    format!(
        "Three backends and aplomb in front of them, on loopback. {keys}\n\nIts configuration, {}:\n\n{quoted}\nTry in another terminal:\n\n    curl http://{front}/\n    {} --admin unix:{} status\n\n",
        file.display(),
        aside::program(),
        balancer::socket(directory).display(),
    )
}

/// What the lab adds to the live view.
struct Lab {
    front: SocketAddr,
    admin: String,
    backends: Vec<Backend>,
    load: Load,
    load_rate: u32,
    over: Arc<AtomicBool>,
}

impl top::Extras for Lab {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "try:  curl http://{}/     {} --admin {} status",
            self.front,
            aside::program(),
            self.admin
        )];
        if self.load_rate > 0 {
            let tally = self.load.tally().line();
            lines.push(format!("load: {} requests/s, {tally}", self.load_rate));
        }
        let off: Vec<String> = self
            .backends
            .iter()
            .filter(|b| !b.is_on())
            .map(|b| format!("{} ({})", b.number, b.address))
            .collect();
        if !off.is_empty() {
            lines.push(format!("switched off: backend {}", off.join(", ")));
        }
        lines
    }

    fn keys(&self) -> &'static str {
        "1 2 3 switch a backend off and on"
    }

    fn key(&mut self, key: char) {
        let number = key.to_digit(10).map(|digit| digit as usize);
        if let Some(backend) = self.backends.iter().find(|b| Some(b.number) == number) {
            backend.switch();
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[tokio::test]
    async fn its_configuration_is_in_order() {
        let backends: Vec<Backend> = (1..=3).map(|n| Backend::start(n).unwrap()).collect();
        let front = free_address().unwrap();
        let text = config(Path::new("/tmp/lab"), front, &backends);
        let admitted = crate::config::admit(&text, Path::new("lab.toml")).unwrap();
        assert!(admitted.warnings.is_empty(), "{}", admitted.warnings);
        assert_eq!(admitted.spec.pools[0].backends.len(), 3);
        assert_eq!(admitted.spec.services[0].listen[0].address, front);
    }
}
