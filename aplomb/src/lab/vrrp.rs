//! `aplomb lab vrrp`: two directors that hold an address together, a client that asks it all the time, two servers, each in
//! a network namespace. One director is killed, comes back and ends in order, while a line a second says what is seen.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

use super::{
    aside,
    backend::Backend,
    balancer::{self, Balancer},
    load::Load,
    site::{Space, space},
};
use crate::{
    api::model::Status,
    cli::{
        client::block_on,
        exit::{Failure, Outcome, print},
    },
};

const DIRECTORS: [(&str, u8, u8); 2] = [("one", 1, 150), ("two", 2, 100)];
const SERVERS: [(&str, u8); 2] = [("server1", 11), ("server2", 12)];
const CLIENT: u8 = 10;
const VIP: u8 = 100;
/// What happens, and after how many seconds.
const STORY: [(u64, Act); 3] = [(5, Act::Kill), (10, Act::Return), (15, Act::Stop)];

/// What the user may choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Ends by itself after this time.
    pub(crate) for_time: Option<Duration>,
    /// Requests per second of the client.
    pub(crate) load: u32,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Kill,
    Return,
    Stop,
}

/// Runs the lab until its time is over, or Ctrl-C.
pub(crate) fn run(options: Options) -> Outcome {
    let cannot = |error: io::Error| Failure::refused("cannot set up the lab", error);
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::refused(
            "cannot set up the lab",
            "network namespaces need root",
        ));
    }
    let aside = aside::runtime(None).map_err(cannot)?;
    let _in_runtime = aside.enter();
    let over = Arc::new(AtomicBool::new(false));
    aside::notice_signals(Arc::clone(&over));
    let mut lab = Lab::new().map_err(cannot)?;
    for at in 0..DIRECTORS.len() {
        lab.start(at)?;
    }
    print(&lab.introduction())?;
    let load = {
        let _on_it = lab.client.enter();
        Load::start(SocketAddr::new(address(VIP), 80), options.load, false)
    };
    let began = Instant::now();
    let mut second = 0;
    while !over.load(Ordering::Relaxed) && options.for_time.is_none_or(|t| began.elapsed() < t) {
        let due = Duration::from_secs(second);
        if began.elapsed() < due {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        }
        for (_, act) in STORY.iter().filter(|(at, _)| *at == second) {
            lab.perform(*act)?;
        }
        let states: Vec<_> = (0..DIRECTORS.len()).map(|at| lab.state(at)).collect();
        print(&format!(
            "{second:>4} s  {}  client: {}\n",
            states.join("  "),
            load.tally().line()
        ))?;
        second += 1;
    }
    let tally = load.tally().line();
    drop(lab);
    print(&format!(
        "The lab is over. The client's requests: {tally}.\n"
    ))
}

/// The whole; what it made is gone when it is dropped, daemons first.
struct Lab {
    balancers: [Option<Balancer>; 2],
    directories: Vec<tempfile::TempDir>,
    directors: Vec<Space>,
    _servers: Vec<(Backend, Space)>,
    client: Handle,
    client_space: Space,
    _switch: Space,
}

impl Lab {
    fn new() -> io::Result<Self> {
        let switch = space("switch")?;
        switch.ip("link add br0 type bridge")?;
        switch.ip("link set br0 up")?;
        let client_space = plug(&switch, "client", CLIENT)?;
        let mut directors = Vec::new();
        let mut directories = Vec::new();
        for (name, number, _) in DIRECTORS {
            directors.push(plug(&switch, name, number)?);
            directories.push(tempfile::Builder::new().prefix("aplomb-lab-").tempdir()?);
        }
        let mut servers = Vec::new();
        for (name, number) in SERVERS {
            let space = plug(&switch, name, number)?;
            let runtime = aside::runtime(Some(&space))?;
            let _on_it = runtime.enter();
            let listens = SocketAddr::new(address(number), 8080);
            servers.push((Backend::start_on(number.into(), listens), space));
        }
        Ok(Self {
            balancers: [None, None],
            directories,
            directors,
            _servers: servers,
            client: aside::runtime(Some(&client_space))?,
            client_space,
            _switch: switch,
        })
    }

    fn start(&mut self, at: usize) -> Outcome {
        let directory = self.directories[at].path();
        let config = config(at, &balancer::socket(directory));
        let space = Some(&self.directors[at]);
        self.balancers[at] = Some(Balancer::start_in(space, directory, &config)?);
        Ok(())
    }

    fn perform(&mut self, act: Act) -> Outcome {
        match act {
            Act::Kill => {
                print(
                    "        director one is killed (SIGKILL): its address stays there, and nobody says goodbye\n",
                )?;
                if let Some(mut balancer) = self.balancers[0].take() {
                    balancer.kill();
                }
                Ok(())
            }
            Act::Return => {
                print(
                    "        director one is started again: it has more priority, and takes over\n",
                )?;
                self.start(0)
            }
            Act::Stop => {
                print("        director one ends in order: it says that it leaves\n")?;
                self.balancers[0] = None;
                Ok(())
            }
        }
    }

    fn state(&self, at: usize) -> String {
        let name = DIRECTORS[at].0;
        let Some(balancer) = &self.balancers[at] else {
            return format!("{name}: down      ");
        };
        let status: Outcome<Status> = block_on(balancer.client().get("/v1/status"));
        let vips = status.map(|status| status.vips).unwrap_or_default();
        let state = vips.first().map_or("unknown", |vip| &*vip.state);
        format!("{name}: {state:<10}")
    }

    fn introduction(&self) -> String {
        let config = config(0, &balancer::socket(self.directories[0].path()));
        let quoted: String = config.lines().map(|line| format!("    {line}\n")).collect();
        format!(
            "Two directors hold {vip} together, a client asks it, two servers answer; each in a network namespace.\n\n\
             The configuration of director one:\n\n{quoted}\nTry in another terminal, as root:\n\n    \
             ip netns exec {client} curl http://{vip}/\n    {program} --admin unix:{socket} vrrp status\n\n",
            vip = address(VIP),
            client = self.client_space.name(),
            program = aside::program(),
            socket = balancer::socket(self.directories[1].path()).display(),
        )
    }
}

fn address(host: u8) -> IpAddr {
    [192, 168, 77, host].into()
}

/// A namespace with a cable to the switch.
fn plug(switch: &Space, name: &str, host: u8) -> io::Result<Space> {
    let made = space(name)?;
    switch.ip(&format!(
        "link add {name} type veth peer name eth0 netns {}",
        made.name()
    ))?;
    switch.ip(&format!("link set {name} master br0 up"))?;
    made.ip("link set eth0 up")?;
    made.ip(&format!("addr add {}/24 dev eth0", address(host)))?;
    Ok(made)
}

fn config(at: usize, socket: &std::path::Path) -> String {
    let (_, _, priority) = DIRECTORS[at];
    let backends: Vec<String> = SERVERS
        .iter()
        .map(|(_, host)| format!("\"{}:8080\"", address(*host)))
        .collect();
    let vip = address(VIP);
    format!(
        "[admin]\nlisten = \"unix:{}\"\n\n[[pool]]\nname = \"web\"\ncheck = {{ http = \"/healthz\", interval = \"1s\" }}\n\
         backends = [{}]\n\n[[service]]\nname = \"shop\"\nlisten = \"http://{vip}:80\"\npool = \"web\"\n\n\
         [[vip]]\nname = \"edge\"\naddresses = [\"{vip}/24\"]\ninterface = \"eth0\"\n\
         vrrp = {{ id = 51, priority = {priority}, interval = \"100ms\", track = [{{ service = \"shop\" }}] }}\n",
        PathBuf::from(socket).display(),
        backends.join(", ")
    )
}
