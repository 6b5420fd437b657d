//! ipvsadm held against transcripts of the original (version 1.31 on Linux 6.1): every call of it, on a model of the
//! table, must print the same bytes to the same streams and end with the same code.
//!
//! What is counted by a kernel (packets, connections) is taken from the transcript, and so tests columns and order.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "ipvs/model.rs"]
mod model;
#[path = "ipvs/transcript.rs"]
mod transcript;

use std::path::Path;

use aplomb::ipvsadm::{IpvsSync, Output, SyncDaemon, run};
use control::{
    config::{self, Sources},
    ipvs::Seed,
};

use self::{
    model::{Hosts, Model},
    transcript::{Call, calls},
};

/// What of a transcript is not replayed, and why.
const EXCLUDED: [(&str, &str); 3] = [
    (
        " -f ",
        "services by firewall mark: marks are set by netfilter, which packets reach only after XDP",
    ),
    (
        "--start-daemon",
        "connection sync is set in the configuration; what is wrong with options is said all the same",
    ),
    ("--stop-daemon", "the same"),
];

/// Calls that were made, as what follows shows, but are not in the transcript: (before which call, what was called).
const UNRECORDED: [(&str, &str); 8] = [
    (
        "-A -t 192.168.1.100:83 -s rr -p 4000000",
        "-D -t 192.168.1.100:83",
    ),
    (
        "-A -t 192.168.1.100:88 -s rr -o",
        "-A -t 192.168.1.100:87 -s sh -b sh-fallback",
    ),
    (
        "-A -t 192.168.1.100:89 -s rr --pe sip -p 10",
        "-A -u 192.168.1.100:89 -s rr --pe sip",
    ),
    ("-A -t 224.0.0.1:80 -s rr", "-A -t 203.0.113.9:80 -s rr"),
    (
        "-a -t 192.168.1.100:80 -r 10.0.0.16:8080 -m -w 2147483648",
        "-a -t 192.168.1.100:80 -r 10.0.0.15:8080 -m -w 2147483647",
    ),
    (
        "-a -t 192.168.1.100:80 -r 10.0.0.19 -m -g",
        "-a -t 192.168.1.100:80 -r 10.0.0.18 -i",
    ),
    (
        "-a -t 192.168.1.100:80 -r 10.0.0.22 -m -x 10",
        "-a -t 192.168.1.100:80 -r 10.0.0.22 -m -x 10 -y 10",
    ),
    (
        "-a -t 192.168.1.100:80 -r [fd00:2::11]:8080 -m",
        "-a -t 192.168.1.100:80 -r 10.0.0.1:8080 -m",
    ),
];

struct Replay {
    model: Model,
    hosts: Hosts,
    seed: Seed,
    /// Whether counters are those of the transcript: until they are zeroed.
    counts: bool,
    failures: Vec<String>,
    replayed: usize,
}

impl Replay {
    fn new(seed: u8) -> Self {
        Self {
            model: Model::default(),
            hosts: Hosts::default(),
            seed: Seed(seed),
            counts: true,
            failures: Vec::new(),
            replayed: 0,
        }
    }

    fn call(&mut self, arguments: &[String], stdin: &str) -> Output {
        run(
            "ipvsadm",
            arguments,
            &mut stdin.as_bytes(),
            &self.hosts,
            &mut self.model,
            self.seed,
        )
    }

    fn file(&mut self, text: &str) {
        for call in calls(text) {
            let line = call.arguments.join(" ");
            for (before, unrecorded) in UNRECORDED {
                if before == line {
                    let words: Vec<String> = unrecorded.split(' ').map(str::to_owned).collect();
                    let output = self.call(&words, "");
                    assert_eq!(output.code, 0, "{unrecorded}: {}", output.stderr);
                }
            }
            let padded = format!(" {line} ");
            let excluded = EXCLUDED.iter().any(|(what, _)| padded.contains(what));
            // What is wrong with an argument is said before it is refused.
            let said = call.code == 2 && (!line.contains("-f ") || call.stderr.contains("fwmark"));
            if excluded && !said {
                continue;
            }
            self.replay(&line, &call);
        }
    }

    fn replay(&mut self, line: &str, call: &Call) {
        let expected = call.without_marks();
        if self.counts {
            self.model.count_as(&expected, line, &self.hosts);
        }
        self.model.connect_as(&expected, &self.hosts);
        if line.starts_with("-Z") {
            self.counts = false;
        }
        let output = self.call(&call.arguments, &call.stdin);
        self.replayed += 1;
        let ours = (&*output.stdout, &*output.stderr, output.code);
        let theirs = (&*expected.0, &*call.stderr, call.code);
        if ours != theirs {
            self.failures.push(format!(
                "$ ipvsadm {line}\n--- theirs [{}]\n{}{}--- ours [{}]\n{}{}",
                theirs.2, theirs.0, theirs.1, ours.2, ours.0, ours.1
            ));
        }
    }

    fn done(self, at_least: usize) {
        let Self {
            failures, replayed, ..
        } = self;
        assert!(
            failures.is_empty(),
            "{} of {replayed} calls differ:\n{}",
            failures.len(),
            failures.join("\n")
        );
        assert!(replayed >= at_least, "only {replayed} calls were replayed");
    }
}

#[test]
fn an_empty_table() {
    let mut replay = Replay::new(0);
    replay.file(include_str!("ipvs/01-empty.txt"));
    replay.done(16);
}

#[test]
fn services_are_added_and_listed() {
    let mut replay = Replay::new(36);
    replay.file(include_str!("ipvs/03-add.txt"));
    replay.file(include_str!("ipvs/04-list-notraffic.txt"));
    replay.done(40);
}

#[test]
fn counters_and_connections_are_listed() {
    let mut replay = Replay::new(36);
    replay.file(include_str!("ipvs/03-add.txt"));
    replay.file(include_str!("ipvs/05-list-traffic.txt"));
    replay.done(40);
}

#[test]
fn what_is_wrong_is_said() {
    // The seed of that system's hash, which decides where 224.0.0.1 is listed.
    let mut replay = Replay::new(80);
    replay.file(include_str!("ipvs/07-errors.txt"));
    replay.done(90);
}

#[test]
fn options_have_many_forms() {
    let mut replay = Replay::new(64);
    replay.file(include_str!("ipvs/08-forms.txt"));
    replay.done(200);
}

#[test]
fn checks_come_in_order_and_restore_goes_on() {
    let mut replay = Replay::new(0);
    replay.file(include_str!("ipvs/09-order.txt"));
    replay.done(80);
}

#[test]
fn names_and_the_order_of_the_table() {
    let mut replay = Replay::new(80);
    replay.hosts.add("fd00:1::100", "vip6.test");
    replay
        .hosts
        .add("fd00:2::99", "a-very-long-real-server6-name.example.test");
    replay.file(include_str!("ipvs/10-names.txt"));
    replay.done(25);
}

#[test]
fn what_does_not_go_together() {
    let hosts = Hosts::default();
    let mut model = Model::default();
    let mut checked = 0;
    for row in include_str!("ipvs/matrix.txt").lines() {
        let Some((line, message)) = row.split_once(" | ").filter(|_| !row.starts_with('#')) else {
            continue;
        };
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        // Marks and what goes with them are refused for another reason.
        if words.iter().any(|word| word == "-6") {
            continue;
        }
        let output = run(
            "ipvsadm",
            &words,
            &mut "".as_bytes(),
            &hosts,
            &mut model,
            Seed(0),
        );
        assert_eq!(output.stderr, format!("{message}\n"), "{line}");
        assert_eq!((output.stdout.as_str(), output.code), ("", 2), "{line}");
        checked += 1;
    }
    assert!(checked > 300, "only {checked} rows were checked");
}

/// A keeper's secret is somewhere else.
struct Secrets;

impl Sources for Secrets {
    fn env(&self, name: &str) -> Result<String, String> {
        Err(format!("{name} is not asked for"))
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Ok("a key that has more than 32 characters".into())
    }
}

#[test]
fn a_sync_daemon_runs_as_asked_for_or_the_answer_says_what_to_write() {
    let mut replay = Replay::new(0);
    let mut call = |line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        replay.call(&words, "")
    };
    for (line, group) in [
        (
            "--start-daemon master --mcast-interface eth1 --syncid 7",
            "239.77.0.1:8849",
        ),
        (
            "--start-daemon backup --mcast-interface eth1 --mcast-group ff12::5 --mcast-port 99",
            "[ff12::5]:99",
        ),
    ] {
        let refused = call(line);
        assert_eq!((refused.code, &*refused.stdout), (255, ""));
        let (_, section) = refused.stderr.split_once('\n').unwrap();
        let admitted = config::parse(&format!("[l4]\n{section}"), "advice", &Secrets).unwrap();
        let sync = admitted.spec.sync.clone().unwrap();
        assert_eq!(sync.group().unwrap().to_string(), group);
        assert_eq!(sync.interface.as_deref(), Some("eth1"));
        let ipvs = admitted.spec.ipvs_sync.clone().unwrap();
        let is_first = line.contains("master");
        assert_eq!((ipvs.master, ipvs.backup), (is_first, !is_first));
        assert_eq!(ipvs.interface, "eth1");
        let expected = if is_first {
            (7, "224.0.0.81", 8848)
        } else {
            (0, "ff12::5", 99)
        };
        assert_eq!((ipvs.id, &*ipvs.group.to_string(), ipvs.port), expected);
    }
    let none = call("-L --daemon");
    assert_eq!((none.code, &*none.stdout), (0, ""));
    assert_eq!(
        call("--stop-daemon master").stderr,
        "No daemon is running\n"
    );

    replay.model.sync = vec![SyncDaemon {
        interface: "eth1".into(),
        group: "239.77.0.1".into(),
        port: 8849,
        ipvs: None,
    }];
    let mut call = |line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        replay.call(&words, "")
    };
    for line in [
        "--start-daemon master",
        "--start-daemon backup --syncid 7 --mcast-interface eth1 --mcast-group 239.77.0.1 --mcast-ttl 1",
    ] {
        assert_eq!(call(line), Output::default(), "{line}");
    }
    let refused = call("--start-daemon master --mcast-interface eth0");
    assert_eq!(refused.code, 255);
    assert!(
        refused
            .stderr
            .contains("--mcast-interface eth0 (it is eth1)"),
        "{}",
        refused.stderr
    );
    let listed = call("-Ln --daemon");
    assert_eq!(
        listed.stdout,
        "master sync daemon (mcast=eth1, syncid=0, maxlen=1400, group=239.77.0.1, port=8849, ttl=1)\n\
         backup sync daemon (mcast=eth1, syncid=0, maxlen=1400, group=239.77.0.1, port=8849, ttl=1)\n"
    );
    assert_eq!(call("--stop-daemon backup").code, 255);

    // With directors of Linux's own as well: that one is as wanted is enough.
    replay.model.sync.push(SyncDaemon {
        interface: "eth2".into(),
        group: "224.0.0.81".into(),
        port: 8848,
        ipvs: Some(IpvsSync {
            id: 7,
            ttl: 1,
            longest: 1472,
            master: false,
            backup: true,
        }),
    });
    let mut call = |line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        replay.call(&words, "")
    };
    let wanted = "--start-daemon backup --mcast-interface eth2 --syncid 7";
    assert_eq!(call(wanted), Output::default());
    let wanted = "--start-daemon master --mcast-interface eth2 --syncid 7";
    assert_eq!(call(wanted).code, 255);
    let listed = call("-Ln --daemon").stdout;
    assert!(
        listed.ends_with(
            "\nbackup sync daemon (mcast=eth2, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n"
        ),
        "{listed}"
    );
}

/// Lines of a restore made of pieces at random: whatever they are, there is an answer, and what is saved of the table
/// makes the same table.
#[test]
fn whatever_is_restored_can_be_saved_and_restored() {
    const PIECES: [&str; 40] = [
        "-A",
        "-a",
        "-E",
        "-e",
        "-D",
        "-d",
        "-C",
        "-Z",
        "-L",
        "-Ln",
        "-S",
        "--set",
        "-t",
        "-u",
        "--sctp-service",
        "-r",
        "192.168.1.100:80",
        "vip.test:http",
        "[fd00:1::100]:80",
        "0:0",
        "10.0.0.11",
        "10.0.0.12:8080",
        "[fd00:2::11]:0",
        "-m",
        "-g",
        "-i",
        "-p",
        "300",
        "-s",
        "mh",
        "-b",
        "mh-port,flag-1",
        "-M",
        "64",
        "--tun-type",
        "gue",
        "--tun-port=6080",
        "-w",
        "-x",
        "\n",
    ];
    let hosts = Hosts::default();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let mut made = 0;
    for _ in 0..2000 {
        let mut text = String::from("-A -t 192.168.1.100:80\n-A -u [fd00:1::100]:80 -p\n");
        for _ in 0..next(60) {
            // Often what makes sense, so that not every line ends at its first word.
            text.push_str(match next(12) {
                0 => "\n-a -t 192.168.1.100:80 -r 10.0.0.11 -m -w 3",
                1 => "\n-a -u [fd00:1::100]:80 -r [fd00:2::11]:53",
                2 => "\n-A -t vip.test:http-alt -s sh -p 3 -M 255.255.0.0",
                _ => PIECES[next(PIECES.len())],
            });
            text.push(' ');
        }
        let restored = |text: &str| {
            let mut model = Model::default();
            let all = ["-R".to_owned()];
            let _ = run(
                "ipvsadm",
                &all,
                &mut text.as_bytes(),
                &hosts,
                &mut model,
                Seed(0),
            );
            let all = ["-S".to_owned(), "-n".to_owned()];
            let saved = run(
                "ipvsadm",
                &all,
                &mut "".as_bytes(),
                &hosts,
                &mut model,
                Seed(0),
            );
            let mut lines: Vec<String> = saved.stdout.lines().map(str::to_owned).collect();
            // The order of equals depends on which was added last.
            lines.sort_unstable();
            lines
        };
        let saved = restored(&text);
        made += saved.len();
        let again = {
            let services = saved.iter().filter(|line| line.starts_with("-A"));
            let servers = saved.iter().filter(|line| line.starts_with("-a"));
            let lines: Vec<&str> = services.chain(servers).map(String::as_str).collect();
            restored(&lines.join("\n"))
        };
        assert_eq!(saved, again, "{text}");
    }
    assert!(made > 4000, "only {made} lines were made");
}
