//! Two directors at one switch, the second beside the site's own; what they are configured with, and how one fails.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use e2e::{Crowd, Daemon, Site, Talk, program, wait_for};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    process::Signal,
};
use serde_json::Value;

/// Where the service is, and its servers.
pub(crate) const PORT: u16 = 9000;
/// The hosts of servers.
pub(crate) const SERVERS: [&str; 3] = ["server1", "server2", "server3"];

fn run(line: &str) {
    let done = Command::new("sh").args(["-c", line]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{line}: {said}");
}

/// How the two are set, where a test wants it otherwise than by unicast and with TCP alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// They hear each other by a multicast group of the service's family.
    pub(crate) group: bool,
    /// More keys of the service.
    pub(crate) service: &'static str,
    /// A service for UDP at the same port.
    pub(crate) datagrams: bool,
    /// VRRP moves the addresses.
    pub(crate) vrrp: bool,
    /// They tell each other by IPVS's protocol, and nothing else.
    pub(crate) ipvs: bool,
}

/// Two directors, client and servers.
pub(crate) struct Directors {
    pub(crate) site: Site,
    mode: &'static str,
    v6: bool,
    wanted: Wanted,
    /// The second's namespace.
    netns: String,
    pins: [String; 2],
    keys: tempfile::TempDir,
}

impl Directors {
    /// No daemon runs yet, and the site's own director has the service's address.
    pub(crate) fn new(mode: &'static str, family: u8, wanted: Wanted) -> Self {
        let site = Site::new(&format!("--mode {mode} --one-arm --family {family}"));
        let own = site.namespace("director");
        let own = own.file_name().unwrap().to_str().unwrap();
        let switch = own.replace("director", "switch");
        let netns = own.replace("director", "second");
        run(&format!(
            "ip netns add {netns} && ip -n {netns} link set lo up && \
             ip -n {switch} link add second type veth peer name eth0 netns {netns} && \
             ip -n {switch} link set second master br0 up && \
             ip netns exec {netns} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
                net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
                net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
                net.ipv4.conf.all.send_redirects=0 && \
             ip -n {netns} link set eth0 up && ip -n {netns} addr add 192.168.1.202/24 dev eth0 && \
             ip -n {netns} addr add fd00:1::202/64 dev eth0 nodad"
        ));
        let pin = site.config().split('"').nth(1).unwrap().to_owned();
        let keys = tempfile::tempdir().unwrap();
        let key = "a key that has more than 32 characters\n";
        std::fs::write(keys.path().join("key"), key).unwrap();
        let directors = Self {
            pins: [pin.clone(), format!("{pin}-second")],
            site,
            mode,
            v6: family == 6,
            wanted,
            netns,
            keys,
        };
        directors.own_addresses();
        if wanted.vrrp {
            directors.take_addresses();
        }
        directors
    }

    /// The first's, by which directors hear each other. With the first address of a network those after it go.
    fn own_addresses(&self) {
        let line =
            "ip addr add 192.168.1.201/24 dev eth0; ip addr add fd00:1::201/64 dev eth0 nodad";
        let _ = self.site.run("director", line);
    }

    /// Takes what moves off the first.
    fn take_addresses(&self) {
        for address in self.moving() {
            let _ = self
                .site
                .run("director", &format!("ip addr del {address} dev eth0"));
        }
        self.own_addresses();
    }

    /// Where the service is.
    pub(crate) fn service(&self) -> SocketAddr {
        SocketAddr::new(self.site.service_address().ip(), PORT)
    }

    /// The addresses that move: the service's, and the one that servers answer by.
    fn moving(&self) -> Vec<String> {
        match self.service().ip() {
            IpAddr::V4(ip) => vec![format!("{ip}/32"), "192.168.1.1/24".into()],
            IpAddr::V6(ip) => vec![format!("{ip}/128"), "fd00:1::1/64".into()],
        }
    }

    /// What one director is configured with.
    fn config(&self, which: usize) -> String {
        let (vip, mode) = (self.service(), self.mode);
        let backends = self.site.backends().into_iter().map(|backend| {
            let ip = backend.parse::<SocketAddr>().unwrap().ip();
            format!("\"{}\"", SocketAddr::new(ip, PORT))
        });
        let mut backends: Vec<_> = backends.collect();
        if which == 1 {
            // The list's order is another one, so that slots are too.
            backends.reverse();
        }
        let address = |which: usize| match self.wanted.group && self.v6 {
            false => format!("192.168.1.20{}:8849", which + 1),
            true => format!("[fd00:1::20{}]:8849", which + 1),
        };
        let peer = match (self.wanted.group, self.v6) {
            (false, _) => address(1 - which),
            (true, false) => "239.77.0.1:8849".into(),
            (true, true) => "[ff12::77]:8849".into(),
        };
        let sync = if self.wanted.ipvs {
            let group = if self.v6 { "ff02::81" } else { "224.0.0.81" };
            format!(
                "[sync.ipvs]\ninterface = \"eth0\"\nid = 7\nrefresh = \"1s\"\ngroup = \"{group}\"\n"
            )
        } else {
            format!(
                "[sync]\nlisten = \"{}\"\npeers = [\"{peer}\"]\nwait = \"1s\"\n{}\
                 keys = [{{ id = 1, secret = {{ file = \"{}\" }} }}]\n",
                address(which),
                if self.wanted.group {
                    "interface = \"eth0\"\n"
                } else {
                    ""
                },
                self.keys.path().join("key").display(),
            )
        };
        let mut text = format!(
            "[l4]\npin = \"{}\"\nmode = \"{}\"\nmax-flows = 65536\n{sync}\
             [[pool]]\nname = \"echo\"\nbackends = [{}]\n\
             [[service]]\nname = \"echo\"\nlisten = \"tcp://{vip}\"\nforward = \"{mode}\"\npool = \"echo\"\n{}\n",
            self.pins[which],
            ["auto", "generic"][which],
            backends.join(", "),
            self.wanted.service,
        );
        if self.wanted.datagrams {
            text += &format!(
                "[[service]]\nname = \"udp\"\nlisten = \"udp://{vip}\"\nforward = \"{mode}\"\npool = \"echo\"\n"
            );
        }
        if self.wanted.vrrp {
            let mut addresses = self.moving();
            if self.v6 {
                addresses.insert(0, "fe80::100/64".into());
            }
            text += &format!(
                "[[vip]]\nname = \"edge\"\naddresses = {addresses:?}\ninterface = \"eth0\"\n\
                 vrrp = {{ id = 77, priority = {}, interval = \"100ms\" }}\n",
                [150, 100][which]
            );
        }
        text
    }

    /// Starts the first or the second.
    pub(crate) fn start(&self, which: usize) -> Daemon {
        let config = self.config(which);
        if which == 0 {
            return self.site.daemon(&config);
        }
        let mut command = Command::new("nsenter");
        let net = format!("--net=/run/netns/{}", self.netns);
        Daemon::start_by(command.arg(net).arg(program()), &config)
    }

    fn second(&self, line: &str) {
        run(&format!(
            "nsenter --net=/run/netns/{} sh -c '{line}'",
            self.netns
        ));
    }

    /// Servers that any number of connections may be to.
    pub(crate) fn crowds(&self) -> Vec<Crowd> {
        let program = Path::new(env!("CARGO_BIN_EXE_crowd"));
        let serve = |host: &&str| self.site.crowd(program, host, self.any());
        SERVERS.iter().map(serve).collect()
    }

    /// Where servers listen.
    pub(crate) fn any(&self) -> SocketAddr {
        let any: IpAddr = match self.v6 {
            false => [0; 4].into(),
            true => [0; 16].into(),
        };
        SocketAddr::new(any, PORT)
    }

    /// The first fails: its program stops, and its cable is out.
    pub(crate) fn first_fails(&self, first: &Daemon) {
        first.signal(Signal::KILL);
        self.site.expect("director", "ip link set eth0 down");
    }

    /// The first is there again, as after a boot: it knows nothing.
    pub(crate) fn first_returns(&self, first: Daemon) -> Daemon {
        drop(first);
        std::fs::remove_dir_all(PathBuf::from(&self.pins[0])).unwrap();
        self.take_addresses();
        self.site.expect("director", "ip link set eth0 up");
        // IPv6's went with the link.
        self.own_addresses();
        self.start(0)
    }

    /// The second fails in its turn.
    pub(crate) fn second_fails(&self, standby: &Daemon) {
        standby.signal(Signal::KILL);
        self.second("ip link set eth0 down");
    }

    /// Gives one the addresses that move, where VRRP does not, and has the others forget where they were.
    pub(crate) fn give_addresses(&self, which: usize) {
        let more = if self.v6 { "preferred_lft 0 nodad" } else { "" };
        for address in self.moving() {
            let line = format!("ip addr add {address} dev eth0 {more}");
            match which {
                0 => drop(self.site.expect("director", &line)),
                _ => self.second(&line),
            }
        }
        for host in ["client"].into_iter().chain(SERVERS) {
            let line = "ip neigh flush dev eth0; ip -6 neigh flush dev eth0";
            let _ = self.site.run(host, line);
        }
    }
}

impl Drop for Directors {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.netns])
            .status();
    }
}

/// Connection sync as a daemon sees it.
pub(crate) fn sync(daemon: &Daemon) -> Value {
    l4(daemon)["sync"].clone()
}

/// That by IPVS's protocol.
pub(crate) fn ipvs_sync(daemon: &Daemon) -> Value {
    l4(daemon)["ipvs_sync"].clone()
}

fn l4(daemon: &Daemon) -> Value {
    let socket = daemon.dir().join("admin.sock");
    let asked = Command::new("curl")
        .args(["-sS", "--unix-socket"])
        .arg(socket)
        .arg("http://localhost/v1/l4")
        .output()
        .unwrap();
    serde_json::from_slice(&asked.stdout).unwrap_or_default()
}

/// How many things that a peer told came to this.
pub(crate) fn stored(status: &Value, what: &str) -> u64 {
    let all = status["stored"].as_array().cloned().unwrap_or_default();
    let found = all.iter().find(|count| count["reason"] == what);
    found.map_or(0, |count| count["packets"].as_u64().unwrap())
}

/// Waits until a node has so many from its peer.
pub(crate) fn wait_for_sync(daemon: &Daemon, added: usize) {
    wait_for(&format!("{added} connections to be told"), || {
        let status = sync(daemon);
        status["in_sync"] == true && stored(&status, "added") >= added as u64
    });
}

/// All say something at once, and have it said back. When each was, since `began`, in order.
#[track_caller]
pub(crate) fn all_go_on(talks: &mut [Talk], when: &str, began: Instant) -> Vec<Duration> {
    let mut broken = Vec::new();
    let all = &*talks;
    let times = thread::scope(|scope| {
        let times = scope.spawn(|| arrivals(all, began));
        for (at, talk) in all.iter().enumerate() {
            if let Err(error) = talk.send(when.as_bytes()) {
                broken.push((at, error.to_string()));
            }
        }
        times.join().unwrap()
    });
    for (at, talk) in talks.iter_mut().enumerate() {
        if let Err(error) = talk.hear(when.as_bytes()) {
            broken.push((at, error.to_string()));
        }
        if broken.len() > 20 {
            break;
        }
    }
    assert!(
        broken.is_empty(),
        "{when}: at least {} of {}: {broken:?}",
        broken.len(),
        talks.len()
    );
    times
}

/// When something came for each. Who waits too long is not waited for.
fn arrivals(talks: &[Talk], began: Instant) -> Vec<Duration> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let wanted = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
    for talk in talks {
        epoll::add(&epoll, talk, epoll::EventData::new_u64(0), wanted).unwrap();
    }
    let patience = Timespec {
        tv_sec: 30,
        tv_nsec: 0,
    };
    let (mut times, mut events) = (Vec::new(), Vec::with_capacity(1024));
    while times.len() < talks.len() {
        let into = spare_capacity(&mut events);
        if epoll::wait(&epoll, into, Some(&patience)).unwrap() == 0 {
            break;
        }
        times.extend(events.drain(..).map(|_| began.elapsed()));
    }
    times
}
