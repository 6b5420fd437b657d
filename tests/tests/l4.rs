//! The kernel's forwarding, end to end: a client across a director, three servers, real TCP. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use e2e::{Daemon, Site, needs_root, wait_for};

/// Length of a download, bytes.
const LONG: usize = 20 << 20;

/// A site with aplomb on its director, when all servers are found to be up.
struct Running {
    // Ends first: the site takes its network away.
    daemon: Daemon,
    site: Site,
}

impl Running {
    fn start(shape: &str) -> Self {
        let site = Site::new(shape);
        let daemon = site.daemon(site.config());
        let running = Self { daemon, site };
        wait_for("the servers to be up", || running.count_up() == 3);
        running
    }

    fn count_up(&self) -> usize {
        let status = self.daemon.status().unwrap();
        let pools = status["pools"].as_array().unwrap();
        let backends = pools
            .iter()
            .flat_map(|pool| pool["backends"].as_array().unwrap());
        backends.filter(|backend| backend["state"] == "up").count()
    }

    /// Asks the service on a new connection.
    fn ask(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.site.service());
        let curl = format!("curl -sS --max-time 20 '{url}'");
        self.site.expect("client", &curl)
    }

    /// Downloads much, and compares every byte.
    fn download(&self) {
        let file = self.daemon.dir().join("download");
        let url = format!("http://{}/bytes/{LONG}", self.site.service());
        let curl = format!("curl -sS --max-time 60 -o '{}' '{url}'", file.display());
        let _ = self.site.expect("client", &curl);
        let got = std::fs::read(&file).unwrap();
        assert_eq!(got.len(), LONG);
        let wrong = got
            .chunks(4)
            .zip(0_u32..)
            .find(|(word, index)| *word != index.wrapping_mul(0x9e37_79b1).to_le_bytes());
        assert!(
            wrong.is_none(),
            "wrong after {:?} words",
            wrong.map(|w| w.1)
        );
    }
}

/// Connections are spread over the servers, and a long download comes whole.
fn carries(shape: &str) {
    let running = Running::start(shape);
    let mut answers = BTreeMap::new();
    for _ in 0..12 {
        let answer = running.ask("/");
        *answers.entry(answer).or_insert(0) += 1;
    }
    assert_eq!(answers.len(), 3, "{shape}: {answers:?}");
    running.download();
}

macro_rules! carried {
    ($($name:ident: $shape:literal),* $(,)?) => { $(
        #[test]
        fn $name() {
            if needs_root(stringify!($name)) {
                carries($shape);
            }
        }
    )* };
}

carried! {
    nat_over_ipv4: "--mode nat --family 4",
    nat_over_ipv6: "--mode nat --family 6",
    nat_with_one_arm: "--mode nat --family 4 --one-arm",
    nat_with_one_arm_over_ipv6: "--mode nat --family 6 --one-arm",
    direct_over_ipv4: "--mode direct --family 4",
    direct_over_ipv6: "--mode direct --family 6",
    direct_with_one_arm: "--mode direct --family 4 --one-arm",
    direct_with_one_arm_over_ipv6: "--mode direct --family 6 --one-arm",
    tunnel_over_ipv4: "--mode tunnel --family 4",
    tunnel_over_ipv6: "--mode tunnel --family 6",
    tunnel_with_one_arm: "--mode tunnel --family 4 --one-arm",
}

/// The other ways to wrap packets, and packets of one family in those of the other.
#[test]
fn tunnels_of_other_kinds() {
    if !needs_root("tunnels_of_other_kinds") {
        return;
    }
    let running = Running::start("--mode tunnel");
    let plain = running.site.config().to_owned();
    let with = |tunnel: &str| {
        plain.replace(
            "forward = \"tunnel\"",
            &format!("forward = \"tunnel\"\ntunnel = {tunnel}"),
        )
    };
    let other_family = plain
        .replace("10.0.0.1", "[fd00:2::1")
        .replace(":80\" }", "]:80\" }");
    for config in [
        with("\"gre\""),
        with("{ kind = \"gue\", port = 6080 }"),
        with("{ kind = \"gue\", port = 6080, checksum = true }"),
        other_family,
    ] {
        running.daemon.apply(&config);
        wait_for("the servers to be up", || running.count_up() == 3);
        let answers: Vec<String> = (0..12).map(|_| running.ask("/")).collect();
        for number in 1..=3 {
            let name = format!("backend {number} ");
            assert!(
                answers.iter().any(|a| a.starts_with(&name)),
                "{config}\n{answers:?}"
            );
        }
        running.download();
    }
}

/// The daemon is killed and started again: connections go on without it, and with its successor.
#[test]
fn connections_outlive_the_daemon() {
    if !needs_root("connections_outlive_the_daemon") {
        return;
    }
    let site = Site::new("--mode nat");
    let daemon = site.daemon(site.config());
    let running = Running { daemon, site };
    wait_for("the servers to be up", || running.count_up() == 3);
    let file = running.site.namespace("client");
    assert!(file.exists());
    let url = format!("http://{}/bytes/{LONG}", running.site.service());
    // 4 MiB/s: long enough to see the daemon die and come back.
    let slow = format!(
        "curl -sS --max-time 60 --limit-rate 4M -o /dev/null -w '%{{size_download}}' '{url}'"
    );
    let mut curl = running.site.command("client", "sh");
    let curl = curl
        .args(["-c", &slow])
        .stdout(std::process::Stdio::piped());
    let curl = curl.spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let Running { daemon, site } = running;
    drop(daemon);
    let answer = site.expect(
        "client",
        &format!("curl -sS --max-time 20 http://{}/", site.service()),
    );
    assert!(answer.starts_with("backend "), "without a daemon: {answer}");
    let daemon = site.daemon(site.config());
    let output = curl.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), LONG.to_string());
    drop(daemon);
}
