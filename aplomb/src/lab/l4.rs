//! `aplomb lab nat|direct|tunnel`: a site of layer 4 with the live view, and `aplomb lab site`, which only holds one for
//! others.

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    aside,
    balancer::{self, Balancer},
    load::Load,
    site::{Plan, Space},
    stage::Stage,
};
use crate::{
    cli::exit::{Failure, Outcome, print},
    top,
};

/// What the user may choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// The site.
    pub(crate) plan: Plan,
    /// Ends by itself after this time.
    pub(crate) for_time: Option<Duration>,
    /// Connections per second that the lab makes itself.
    pub(crate) load: u32,
    /// One line per second even on a terminal.
    pub(crate) plain: bool,
    /// The site stays after the view, until Ctrl-C.
    pub(crate) keep: bool,
}

/// Runs the lab until the user has seen enough.
pub(crate) fn run(options: Options) -> Outcome {
    let over = Arc::new(AtomicBool::new(false));
    let stage = set_up(options.plan, &over)?;
    let directory = stage.directory.path();
    let socket = balancer::socket(directory);
    let config = format!(
        "[admin]\nlisten = \"unix:{}\"\n\n{}",
        socket.display(),
        stage.config()
    );
    let balancer = Balancer::start_in(Some(&stage.site.director), directory, &config)?;
    print(&introduction(&stage, &config))?;
    let load = {
        let _on_it = stage.client.enter();
        Load::start(options.plan.service(), options.load, false)
    };
    let mut lab = Lab {
        stage,
        load,
        load_rate: options.load,
        over,
    };
    let view = top::Options {
        interval: Duration::from_secs(1),
        for_time: options.for_time,
        plain: options.plain,
    };
    let outcome = top::watch(balancer.client(), view, &mut lab);
    if options.keep && outcome.is_ok() {
        print("The site stays until Ctrl-C.\n")?;
        wait(&lab.over);
    }
    // Before the balancer ends: connections that come too late for it are no failures.
    let tally = lab.load.tally().line();
    drop(balancer);
    drop(lab);
    outcome.and_then(|()| print(&format!("The lab is over. Its own requests: {tally}.\n")))
}

/// Makes a site with servers, says what it is in one line of JSON, and holds it until standard input or the process is
/// ended: a caller that dies leaves nothing behind.
pub(crate) fn hold(plan: Plan) -> Outcome {
    let over = Arc::new(AtomicBool::new(false));
    let stage = set_up(plan, &over)?;
    let site = &stage.site;
    let names: Vec<&str> = site.servers.iter().map(Space::name).collect();
    let backends: Vec<String> = (stage.backends.iter())
        .map(|backend| backend.address.to_string())
        .collect();
    let told = serde_json::json!({
        "client": site.client.name(),
        "director": site.director.name(),
        "second": site.second.as_ref().map(Space::name),
        "servers": names,
        "service": plan.service().to_string(),
        "backends": backends,
        "config": stage.config(),
    });
    print(&format!("{told}\n"))?;
    let ended = Arc::clone(&over);
    drop(std::thread::spawn(move || {
        let mut nothing = [0; 64];
        while matches!(std::io::stdin().read(&mut nothing), Ok(1..)) {}
        ended.store(true, Ordering::Relaxed);
    }));
    wait(&over);
    drop(stage);
    Ok(())
}

/// The stage; signals only set `over` from here on, so that it is taken down in order.
fn set_up(plan: Plan, over: &Arc<AtomicBool>) -> Outcome<Stage> {
    let cannot = |error: std::io::Error| Failure::refused("cannot set up the lab", error);
    if !rustix::process::geteuid().is_root() {
        let why = "network namespaces and XDP need root";
        return Err(Failure::refused("cannot set up the lab", why));
    }
    let aside = aside::runtime(None).map_err(cannot)?;
    let _in_runtime = aside.enter();
    aside::notice_signals(Arc::clone(over));
    Stage::new(plan).map_err(cannot)
}

fn wait(over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn introduction(stage: &Stage, config: &str) -> String {
    let quoted: String = config.lines().map(|line| format!("    {line}\n")).collect();
    let site = &stage.site;
    let names: Vec<&str> = site.servers.iter().map(Space::name).collect();
    format!(
        "A client, aplomb as the director and three servers, each in a network namespace.\n\n\
         The director's configuration, {}:\n\n{quoted}\n\
         Try in another terminal, as root:\n\n    ip netns exec {} curl http://{}/\n    ip netns exec {} ip neigh\n    {}\n\n\
         The servers are {}.\n\n",
        balancer::config_file(stage.directory.path()).display(),
        site.client.name(),
        site.plan.service(),
        site.director.name(),
        status(stage),
        names.join(", "),
    )
}

fn status(stage: &Stage) -> String {
    let socket = balancer::socket(stage.directory.path());
    format!(
        "{} --admin unix:{} status",
        aside::program(),
        socket.display()
    )
}

/// What the lab adds to the live view.
struct Lab {
    stage: Stage,
    load: Load,
    load_rate: u32,
    over: Arc<AtomicBool>,
}

impl top::Extras for Lab {
    fn lines(&self) -> Vec<String> {
        let site = &self.stage.site;
        let (client, service) = (site.client.name(), site.plan.service());
        let mut lines = vec![
            format!("try:  ip netns exec {client} curl http://{service}/"),
            format!("      {}", status(&self.stage)),
        ];
        if self.load_rate > 0 {
            let tally = self.load.tally().line();
            lines.push(format!("load: {} connections/s, {tally}", self.load_rate));
        }
        let off: Vec<String> = (self.stage.backends.iter())
            .filter(|backend| !backend.is_on())
            .map(|backend| format!("{} ({})", backend.number, backend.address))
            .collect();
        if !off.is_empty() {
            lines.push(format!("switched off: server {}", off.join(", ")));
        }
        lines
    }

    fn keys(&self) -> &'static str {
        "1 2 3 switch a server off and on"
    }

    fn key(&mut self, key: char) {
        let number = key.to_digit(10).map(|digit| digit as usize);
        let backend = (self.stage.backends.iter()).find(|b| Some(b.number) == number);
        if let Some(backend) = backend {
            backend.switch();
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
