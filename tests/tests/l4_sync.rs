//! Connection sync: two directors; connections through one go on through the other when the first fails, and it catches up
//! when it is back. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    process::Command,
};

use e2e::{Daemon, Site, Talk, needs_root, program, wait_for};
use rustix::process::Signal;
use serde_json::Value;

/// Connections of each site.
const MANY: usize = 200;
/// Where the service is, and its servers.
const PORT: u16 = 9000;
/// Where directors hear each other.
const SYNC: [&str; 2] = ["192.168.1.201:8849", "192.168.1.202:8849"];

fn run(line: &str) {
    let done = Command::new("sh").args(["-c", line]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{line}: {said}");
}

/// A director beside the site's own, at the same switch.
struct Second {
    netns: String,
}

impl Second {
    fn new(site: &Site) -> Self {
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
             ip -n {netns} link set eth0 up"
        ));
        Self { netns }
    }

    fn run(&self, line: &str) {
        run(&format!(
            "nsenter --net=/run/netns/{} sh -c '{line}'",
            self.netns
        ));
    }

    fn daemon(&self, config: &str) -> Daemon {
        let mut command = Command::new("nsenter");
        let net = format!("--net=/run/netns/{}", self.netns);
        Daemon::start_by(command.arg(net).arg(program()), config)
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.netns])
            .status();
    }
}

/// What one director is configured with; `pin` is its own.
fn config(site: &Site, mode: &str, pin: &str, which: usize, key: &Path) -> String {
    let vip = SocketAddr::new(site.service_address().ip(), PORT);
    let backends: Vec<String> = site
        .backends()
        .iter()
        .map(|backend| {
            let ip = backend.parse::<SocketAddr>().unwrap().ip();
            format!("\"{}\"", SocketAddr::new(ip, PORT))
        })
        .collect();
    // The list's order is another one, so that slots are too.
    let backends = if which == 0 {
        backends.join(", ")
    } else {
        backends.into_iter().rev().collect::<Vec<_>>().join(", ")
    };
    let (listen, peer) = (SYNC[which], SYNC[1 - which]);
    let attach = ["auto", "generic"][which];
    format!(
        "[l4]\npin = \"{pin}\"\nmode = \"{attach}\"\nmax-flows = 65536\n\
         [sync]\nlisten = \"{listen}\"\npeers = [\"{peer}\"]\nwait = \"1s\"\n\
         keys = [{{ id = 1, secret = {{ file = \"{}\" }} }}]\n\
         [[pool]]\nname = \"echo\"\nbackends = [{backends}]\n\
         [[service]]\nname = \"echo\"\nlisten = \"tcp://{vip}\"\nforward = \"{mode}\"\npool = \"echo\"\n",
        key.display()
    )
}

/// Connection sync as a daemon sees it.
fn sync(daemon: &Daemon) -> Value {
    let socket = daemon.dir().join("admin.sock");
    let asked = Command::new("curl")
        .args(["-sS", "--unix-socket"])
        .arg(socket)
        .arg("http://localhost/v1/l4")
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&asked.stdout).unwrap_or_default();
    answer["sync"].clone()
}

fn stored(status: &Value, what: &str) -> u64 {
    let all = status["stored"].as_array().cloned().unwrap_or_default();
    let found = all.iter().find(|count| count["reason"] == what);
    found.map_or(0, |count| count["packets"].as_u64().unwrap())
}

fn wait_for_sync(daemon: &Daemon, added: usize) {
    wait_for(&format!("{added} connections to be told"), || {
        let status = sync(daemon);
        status["in_sync"] == true && stored(&status, "added") >= added as u64
    });
}

/// The addresses that move: the service's, and the one that servers answer by.
fn moving(site: &Site) -> Vec<String> {
    match site.service_address().ip() {
        IpAddr::V4(ip) => vec![format!("{ip}/32"), "192.168.1.1/24".into()],
        IpAddr::V6(ip) => vec![format!("{ip}/128 preferred_lft 0"), "fd00:1::1/64".into()],
    }
}

/// Clients and servers forget where the addresses were.
fn forget(site: &Site) {
    for host in ["client", "server1", "server2", "server3"] {
        let _ = site.run(host, "ip neigh flush dev eth0; ip -6 neigh flush dev eth0");
    }
}

fn all_go_on(talks: &mut [Talk], when: &str) {
    let mut broken = Vec::new();
    for (at, talk) in talks.iter_mut().enumerate() {
        if let Err(error) = talk.say(when) {
            broken.push((at, error.to_string()));
        }
    }
    assert!(
        broken.is_empty(),
        "{when}: {} of {}: {broken:?}",
        broken.len(),
        talks.len()
    );
}

fn fails_over(mode: &str, family: u8) {
    let site = Site::new(&format!("--mode {mode} --one-arm --family {family}"));
    let second = Second::new(&site);
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("key");
    std::fs::write(&key, "a key that has more than 32 characters\n").unwrap();
    let own = site.config().split('"').nth(1).unwrap().to_owned();
    let other = format!("{own}-second");
    let pins = [own.clone(), other];
    let config = |which: usize| config(&site, mode, &pins[which], which, &key);
    site.expect("director", "ip addr add 192.168.1.201/24 dev eth0");
    second.run("ip addr add 192.168.1.202/24 dev eth0; ip addr add fd00:1::202/64 dev eth0 nodad");
    for host in ["server1", "server2", "server3"] {
        let any: IpAddr = if family == 4 {
            [0; 4].into()
        } else {
            [0; 16].into()
        };
        site.echo(host, SocketAddr::new(any, PORT));
    }
    let first = site.daemon(&config(0));
    let standby = second.daemon(&config(1));
    let service = SocketAddr::new(site.service_address().ip(), PORT);
    let mut talks = Talk::begin_many(&site, service, MANY).unwrap();
    all_go_on(&mut talks, "before");
    wait_for_sync(&standby, MANY);

    // The first fails: its program stops, and its cable is out.
    first.signal(Signal::KILL);
    site.expect("director", "ip link set eth0 down");
    let addresses = moving(&site);
    for address in &addresses {
        let nodad = if family == 6 { "nodad" } else { "" };
        second.run(&format!("ip addr add {address} dev eth0 {nodad}"));
    }
    forget(&site);
    all_go_on(&mut talks, "through the second");

    // It comes back, knows nothing, and is told everything.
    drop(first);
    std::fs::remove_dir_all(&own).unwrap();
    for address in &addresses {
        let bare = address.split(' ').next().unwrap();
        let _ = site.run("director", &format!("ip addr del {bare} dev eth0"));
    }
    // With the first address of a network, those after it go.
    let _ = site.run("director", "ip addr add 192.168.1.201/24 dev eth0");
    site.expect("director", "ip link set eth0 up");
    if family == 6 {
        site.expect("director", "ip addr add fd00:1::201/64 dev eth0 nodad");
    }
    let first = site.daemon(&config(0));
    wait_for_sync(&first, MANY);
    let mut more = Talk::begin_many(&site, service, 20).unwrap();
    wait_for_sync(&first, MANY + 20);

    // And takes over again.
    standby.signal(Signal::KILL);
    second.run("ip link set eth0 down");
    for address in &addresses {
        let nodad = if family == 6 { "nodad" } else { "" };
        site.expect(
            "director",
            &format!("ip addr add {address} dev eth0 {nodad}"),
        );
    }
    forget(&site);
    all_go_on(&mut talks, "through the first again");
    all_go_on(&mut more, "and the new ones");
}

/// The first virtual address's state, as a node sees itself.
fn state(daemon: &Daemon) -> String {
    let status = daemon.status().unwrap_or_default();
    status["vips"][0]["state"].as_str().unwrap_or("").to_owned()
}

/// Addresses that VRRP moves, beside connection sync: a node that returns takes over again when it knows what it must.
fn by_vrrp(mode: &str) {
    let site = Site::new(&format!("--mode {mode} --one-arm --family 4"));
    let second = Second::new(&site);
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("key");
    std::fs::write(&key, "a key that has more than 32 characters\n").unwrap();
    let own = site.config().split('"').nth(1).unwrap().to_owned();
    let pins = [own.clone(), format!("{own}-second")];
    let addresses = moving(&site);
    let config = |which: usize| {
        let priority = [150, 100][which];
        format!(
            "{}[[vip]]\nname = \"edge\"\naddresses = {addresses:?}\ninterface = \"eth0\"\n\
             vrrp = {{ id = 77, priority = {priority}, interval = \"100ms\" }}\n",
            config(&site, mode, &pins[which], which, &key)
        )
    };
    let bare = || {
        for address in &addresses {
            let _ = site.run("director", &format!("ip addr del {address} dev eth0"));
        }
        // With the first address of a network, those after it go.
        let _ = site.run("director", "ip addr add 192.168.1.201/24 dev eth0");
    };
    bare();
    second.run("ip addr add 192.168.1.202/24 dev eth0");
    for host in ["server1", "server2", "server3"] {
        site.echo(host, SocketAddr::new([0, 0, 0, 0].into(), PORT));
    }
    let first = site.daemon(&config(0));
    wait_for("the first to be master", || state(&first) == "master");
    let standby = second.daemon(&config(1));
    wait_for("the second to be backup", || state(&standby) == "backup");
    let service = SocketAddr::new(site.service_address().ip(), PORT);
    let mut talks = Talk::begin_many(&site, service, MANY).unwrap();
    wait_for_sync(&standby, MANY);

    first.signal(Signal::KILL);
    site.expect("director", "ip link set eth0 down");
    wait_for("the second to be master", || state(&standby) == "master");
    all_go_on(&mut talks, "through the second");

    drop(first);
    std::fs::remove_dir_all(&own).unwrap();
    bare();
    site.expect("director", "ip link set eth0 up");
    let first = site.daemon(&config(0));
    wait_for("the first to be master again", || state(&first) == "master");
    // It did not take over before it knew all of them.
    assert!(stored(&sync(&first), "added") >= MANY as u64);
    all_go_on(&mut talks, "through the first again");
    assert_eq!(state(&standby), "backup");
}

#[test]
fn nat_by_vrrp() {
    if needs_root("nat_by_vrrp") {
        by_vrrp("nat");
    }
}

#[test]
fn direct_by_vrrp() {
    if needs_root("direct_by_vrrp") {
        by_vrrp("direct");
    }
}

macro_rules! failed_over {
    ($($name:ident: $mode:literal $family:literal),* $(,)?) => { $(
        #[test]
        fn $name() {
            if needs_root(stringify!($name)) {
                fails_over($mode, $family);
            }
        }
    )* };
}

failed_over! {
    nat_over_ipv4: "nat" 4,
    nat_over_ipv6: "nat" 6,
    direct_over_ipv4: "direct" 4,
    direct_over_ipv6: "direct" 6,
    tunnel_over_ipv4: "tunnel" 4,
    tunnel_over_ipv6: "tunnel" 6,
}
