//! Backends of the kernel's that leave: drained, removed, found to be down, and back again. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use e2e::{Daemon, Site, Talk, needs_root, states, wait_for, wait_for_up};

/// Where the echo is, on both sides.
const PORT: u16 = 7000;

/// A site whose service is the servers' echo.
struct Echoes {
    daemon: Daemon,
    site: Site,
    service: SocketAddr,
    plain: String,
}

impl Echoes {
    fn start(mode: &str) -> Self {
        let site = Site::new(&format!("--mode {mode}"));
        let any = SocketAddr::from(([0; 4], PORT));
        for host in ["server1", "server2", "server3"] {
            site.echo(host, any);
        }
        let plain = format!(
            "{}\n[[pool]]\nname = \"echo\"\nbalance = \"rr\"\n\
             check = {{ tcp = true, interval = \"200ms\", timeout = \"200ms\", rise = 1, fall = 2 }}\n\
             backends = [\n{}\n]\n\n[[service]]\nname = \"talk\"\nlisten = \"tcp://192.168.1.100:{PORT}\"\n\
             forward = \"{mode}\"\npool = \"echo\"\n",
            site.l4(),
            (1..4).map(line).collect::<String>(),
        );
        let daemon = site.daemon(&plain);
        wait_for_up(&daemon, 3);
        let service = SocketAddr::from(([192, 168, 1, 100], PORT));
        Self {
            daemon,
            site,
            service,
            plain,
        }
    }

    /// One connection to each server.
    fn talks(&self) -> Vec<Talk> {
        let mut talks: Vec<Talk> = Vec::new();
        for _ in 0..30 {
            let talk = Talk::begin(&self.site, self.service).unwrap();
            if talks.iter().all(|t| t.who != talk.who) {
                talks.push(talk);
            } else {
                talk.reset();
            }
        }
        talks.sort_by(|a, b| a.who.cmp(&b.who));
        assert_eq!(talks.len(), 3);
        talks
    }

    /// Who takes new connections.
    fn takers(&self) -> BTreeSet<String> {
        let taken = (0..9).map(|_| {
            let talk = Talk::begin(&self.site, self.service).unwrap();
            let who = talk.who.clone();
            // Nobody remembers it for long.
            talk.reset();
            who
        });
        taken.collect()
    }

    /// What `status` says of a backend that drains: how many connections are left.
    fn left(&self) -> Option<u64> {
        let status = self.daemon.status().unwrap();
        let draining = status["l4"]["draining"].as_array().unwrap();
        draining.first().map(|d| d["left"].as_u64().unwrap())
    }
}

fn line(number: u8) -> String {
    format!("  {{ address = \"10.0.0.1{number}:{PORT}\" }},\n")
}

fn two() -> BTreeSet<String> {
    ["server2", "server3"].map(String::from).into()
}

fn drains(mode: &str) {
    let echoes = Echoes::start(mode);
    let mut talks = echoes.talks();
    let _ = echoes
        .daemon
        .expect_cli(&["backend", "drain", &format!("echo/10.0.0.11:{PORT}")]);
    assert_eq!(echoes.takers(), two());
    talks[0].say("still here").unwrap();
    wait_for("the progress", || {
        echoes.left().is_some_and(|left| left > 0)
    });
    let text = echoes.daemon.expect_cli(&["status"]);
    assert!(text.contains("draining"), "{text}");
    // Taken out of the configuration, it drains on.
    echoes.daemon.apply(&echoes.plain.replace(&line(1), ""));
    talks[0].say("and now").unwrap();
    assert_eq!(echoes.takers(), two());
    // The flow ends with a reset, since it would else be remembered for two minutes.
    let last = talks.remove(0);
    last.reset();
    wait_for("the drain to end", || states(&echoes.daemon).len() == 2);
    for mut talk in talks {
        talk.say("as before").unwrap();
    }
    echoes.daemon.apply(&echoes.plain);
    wait_for_up(&echoes.daemon, 3);
    wait_for("all to take", || echoes.takers().len() == 3);
}

#[test]
fn nat_drains() {
    if needs_root("nat_drains") {
        drains("nat");
    }
}

#[test]
fn direct_drains() {
    if needs_root("direct_drains") {
        drains("direct");
    }
}

/// Removed for good: packets vanish, and the flow goes on when the backend is there again; or it ends.
#[test]
fn removed() {
    if !needs_root("removed") {
        return;
    }
    let echoes = Echoes::start("nat");
    let bounded = echoes
        .plain
        .replace("name = \"echo\"\n", "name = \"echo\"\ndrain = \"300ms\"\n");
    echoes.daemon.apply(&bounded);
    let mut talks = echoes.talks();
    echoes.daemon.apply(&bounded.replace(&line(1), ""));
    wait_for("the backend to go", || states(&echoes.daemon).len() == 2);
    assert_eq!(echoes.takers(), two());
    talks[0].send(b"lost?").unwrap();
    assert!(
        talks[0].is_silent(Duration::from_millis(700)),
        "packets to a removed backend"
    );
    talks[1].say("as before").unwrap();
    echoes.daemon.apply(&bounded);
    talks[0].hear(b"lost?").unwrap();
    talks[0].say("back again").unwrap();

    let expiring = bounded.replace(
        "pool = \"echo\"\n",
        "pool = \"echo\"\nexpire-removed = true\n",
    );
    echoes.daemon.apply(&expiring);
    talks[0].say("still here").unwrap();
    echoes.daemon.apply(&expiring.replace(&line(1), ""));
    wait_for("the backend to go", || states(&echoes.daemon).len() == 2);
    let ended = talks[0].say("gone").unwrap_err();
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
    talks[1].say("as before").unwrap();
}

/// A server that is found to be down takes no new connections; those it has go on when it is back.
#[test]
fn down() {
    if !needs_root("down") {
        return;
    }
    let echoes = Echoes::start("nat");
    let mut talks = echoes.talks();
    let _ = echoes.site.expect("server1", "ip link set eth0 down");
    wait_for_up(&echoes.daemon, 2);
    assert_eq!(echoes.takers(), two());
    talks[0].send(b"patience").unwrap();
    // The address of IPv4 stays; the route does not.
    let _ = echoes.site.expect(
        "server1",
        "ip link set eth0 up; ip route add default via 10.0.0.1",
    );
    talks[0].hear(b"patience").unwrap();
    wait_for("all to take", || echoes.takers().len() == 3);
}

/// Taken out with ipvsadm: as IPVS does it, packets vanish at once, and the flow goes on when the server is back.
#[test]
fn removed_by_ipvsadm() {
    if !needs_root("removed_by_ipvsadm") {
        return;
    }
    let echoes = Echoes::start("nat");
    let mut talks = echoes.talks();
    let service = echoes.service.to_string();
    let server = format!("10.0.0.11:{PORT}");
    let name = ["ipvsadm", "-t", &service, "-r", &server];
    let edit = |command: &str, more: &[&str]| {
        let arguments = [&name[..1], &[command], &name[1..], more].concat();
        let _ = echoes.daemon.expect_cli(&arguments);
    };
    edit("-d", &[]);
    talks[0].send(b"lost?").unwrap();
    assert!(
        talks[0].is_silent(Duration::from_millis(700)),
        "packets to a removed server"
    );
    assert_eq!(echoes.takers(), two());
    edit("-a", &["-m", "-w", "1"]);
    talks[0].hear(b"lost?").unwrap();
    talks[0].say("back again").unwrap();
    wait_for("all to take", || echoes.takers().len() == 3);
    // Weight 0: what goes on does, nothing new comes.
    edit("-e", &["-m", "-w", "0"]);
    assert_eq!(echoes.takers(), two());
    talks[0].say("still here").unwrap();
}

/// `backend drain --wait` comes back when the last connection is forgotten, not before.
#[test]
fn a_drain_waits() {
    if !needs_root("a_drain_waits") {
        return;
    }
    let echoes = Echoes::start("nat");
    let mut talks = echoes.talks();
    let backend = format!("echo/10.0.0.11:{PORT}");
    let drain = ["backend", "drain", &backend, "--wait"];
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| echoes.daemon.expect_cli(&drain));
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(200));
            talks[0].say("still here").unwrap();
            assert!(!waiting.is_finished(), "it did not wait");
        }
        talks.remove(0).reset();
        let said = waiting.join().unwrap();
        assert!(said.contains("nothing goes on any more"), "{said}");
    });
}
