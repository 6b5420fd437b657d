//! A client (`cl`), servers (`r1`, `r2`) and directors (`d1` with IPVS, `d2` with aplomb). Everybody has a cable to each
//! director; a director is the active one if the client's route to the service and the servers' routes back lead over it.

use super::super::replay::site::{answer, converse, enter};
use crate::Result;
use std::fs::{self, File};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the service is, and by which ports: translated, direct, by tunnel, and translated with persistence.
pub(super) const VIP: &str = "192.168.1.100";
pub(super) const VIP6: &str = "fd01::100";
pub(super) const NAT: u16 = 80;
pub(super) const DIRECT: u16 = 81;
pub(super) const TUNNEL: u16 = 82;
pub(super) const STICKY: u16 = 83;
/// The port of datagrams, translated.
pub(super) const NAMES: u16 = 53;
/// Where the daemon is asked.
const SOCKET: &str = "unix:/run/admin.sock";

const CONFIG: &str = r#"
[admin]
listen = "unix:/run/admin.sock"
[l4]
max-flows = 4096
max-handshakes = 1024
[sync.ipvs]
interface = "y0"
id = 7
group = "GROUP"
refresh = "5s"

[[pool]]
name = "p80"
backends = ["10.0.0.11:80", "10.0.0.12:80"]
[[pool]]
name = "p81"
backends = ["10.0.0.11:81", "10.0.0.12:81"]
[[pool]]
name = "p82"
backends = ["10.0.0.11:82", "10.0.0.12:82"]
[[pool]]
name = "p6"
backends = ["[fd00::11]:80", "[fd00::12]:80"]
[[pool]]
name = "p53"
backends = ["10.0.0.11:53", "10.0.0.12:53"]
[[service]]
name = "names"
listen = "udp://192.168.1.100:53"
forward = "nat"
pool = "p53"
[[service]]
name = "nat"
listen = "tcp://192.168.1.100:80"
forward = "nat"
pool = "p80"
[[service]]
name = "direct"
listen = "tcp://192.168.1.100:81"
forward = "direct"
pool = "p81"
[[service]]
name = "tunnel"
listen = "tcp://192.168.1.100:82"
forward = "tunnel"
pool = "p82"
[[service]]
name = "sticky"
listen = "tcp://192.168.1.100:83"
forward = "nat"
pool = "p80"
persistence = "6min"
[[service]]
name = "nat6"
listen = "tcp://[fd01::100]:80"
forward = "nat"
pool = "p6"
"#;

/// The site, with IPVS set up; aplomb is started apart.
pub(super) struct Site {
    program: PathBuf,
    /// The group that directors speak to.
    group: String,
}

/// aplomb's daemon.
pub(super) struct Daemon(Child);

impl Site {
    /// Makes it. The calling thread is on the client's side after that.
    pub(super) fn make(program: &Path, group: &str) -> Result<Site> {
        wire()?;
        for number in 1..=2 {
            serve(number)?;
        }
        let site = Site {
            program: program.to_path_buf(),
            group: group.to_owned(),
        };
        site.ipvs()?;
        site.lead(1)?;
        enter("cl")?;
        Ok(site)
    }

    /// The services of the first director.
    fn ipvs(&self) -> Result {
        for (port, flag) in [(NAT, "-m"), (DIRECT, "-g"), (TUNNEL, "-i"), (STICKY, "-m")] {
            let sticky = if port == STICKY { " -p 360" } else { "" };
            let to = if port == STICKY { NAT } else { port };
            let _ = self.kernel(&format!("-A -t {VIP}:{port} -s rr{sticky}"))?;
            for n in 1..=2 {
                let _ = self.kernel(&format!("-a -t {VIP}:{port} -r 10.0.0.1{n}:{to} {flag}"))?;
            }
        }
        let _ = self.kernel(&format!("-A -u {VIP}:{NAMES} -s rr"))?;
        for n in 1..=2 {
            let _ = self.kernel(&format!("-a -u {VIP}:{NAMES} -r 10.0.0.1{n}:{NAMES} -m"))?;
        }
        let _ = self.kernel(&format!("-A -t [{VIP6}]:{NAT} -s rr"))?;
        for n in 1..=2 {
            let _ = self.kernel(&format!("-a -t [{VIP6}]:{NAT} -r [fd00::1{n}]:{NAT} -m"))?;
        }
        Ok(())
    }

    /// Has IPVS tell and listen. What was open before is told at its next packet.
    pub(super) fn start_daemons(&self) -> Result {
        self.start_daemon("master")?;
        self.start_daemon("backup")?;
        let sysctl = ["netns", "exec", "d1", "sysctl", "-qw"];
        for setting in ["sync_threshold=3 0", "sync_refresh_period=10"] {
            let setting = format!("net.ipv4.vs.{setting}");
            let _ = said(Command::new("ip").args(sysctl).arg(setting))?;
        }
        Ok(())
    }

    /// Has IPVS tell, or listen.
    pub(super) fn start_daemon(&self, role: &str) -> Result {
        let group = &self.group;
        self.kernel(&format!(
            "--start-daemon {role} --mcast-interface y0 --syncid 7 --mcast-group {group}"
        ))
        .map(drop)
    }

    /// Calls IPVS's ipvsadm on the first director.
    pub(super) fn kernel(&self, words: &str) -> Result<String> {
        said(
            Command::new("ip")
                .args(["netns", "exec", "d1", "ipvsadm"])
                .args(words.split_whitespace()),
        )
    }

    /// Calls aplomb's on the second.
    pub(super) fn aplomb(&self, words: &str) -> Result<String> {
        said(
            Command::new(&self.program)
                .args(words.split_whitespace())
                .env("APLOMB_ADMIN", SOCKET),
        )
    }

    /// Starts aplomb on the second director, and waits until it can be asked.
    pub(super) fn start(&self) -> Result<Daemon> {
        let config = CONFIG.replace("GROUP", &self.group);
        fs::write("/run/aplomb.toml", config).map_err(|e| e.to_string())?;
        let log = File::create("/run/log").map_err(|e| e.to_string())?;
        let program = self.program.clone();
        // What a thread starts is where the thread is.
        let started = std::thread::spawn(move || {
            enter("d2")?;
            Command::new(program)
                .args(["run", "-c", "/run/aplomb.toml"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .map_err(|e| e.to_string())
        });
        let child = started.join().map_err(|_| "a thread has ended")??;
        let daemon = Daemon(child);
        for _ in 0..200 {
            if self.aplomb("ipvsadm -L -n").is_ok() {
                return Ok(daemon);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!("the daemon does not come\n{}", self.log()))
    }

    /// What aplomb said.
    pub(super) fn log(&self) -> String {
        fs::read_to_string("/run/log").unwrap_or_default()
    }

    /// Has a director be the active one.
    pub(super) fn lead(&self, number: u8) -> Result {
        let dev = format!("dev e{number} onlink");
        let mut lines = vec![
            format!("ip -n cl route replace {VIP}/32 via 192.168.1.1 {dev} src 192.168.1.10"),
            format!("ip -n cl -6 route replace {VIP6}/128 via fd01::1 {dev} src fd01::10"),
        ];
        for n in 1..=2 {
            lines.push(format!(
                "ip -n r{n} route replace default via 10.0.0.1 {dev}"
            ));
            lines.push(format!(
                "ip -n r{n} -6 route replace default via fd00::1 {dev}"
            ));
        }
        all(lines)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The guest ends next.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a program printed, if it did well.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{command:?}: {said}"))
}

fn all(lines: Vec<String>) -> Result {
    for line in lines {
        let mut words = line.split_whitespace();
        let _ = said(Command::new(words.next().unwrap_or_default()).args(words))?;
    }
    Ok(())
}

/// A cable between two namespaces. What leaves its ends has whole checksums, and each takes in what XDP sends.
fn cable(lines: &mut Vec<String>, ends: [(&str, &str); 2]) {
    let [(from, a), (to, b)] = ends;
    lines.push(format!(
        "ip link add {a} netns {from} type veth peer name {b} netns {to}"
    ));
    for (space, device) in ends {
        lines.push(format!(
            "ip netns exec {space} ethtool -K {device} tx off gro on"
        ));
        lines.push(format!("ip -n {space} link set {device} up"));
    }
}

fn wire() -> Result {
    let mut lines = Vec::new();
    for space in ["cl", "r1", "r2", "d1", "d2"] {
        lines.push(format!("ip netns add {space}"));
        lines.push(format!("ip -n {space} link set lo up"));
        for setting in [
            "net.ipv4.ip_forward=1",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
            // What servers answer by themselves comes from an address that directors have as well.
            "net.ipv4.conf.all.accept_local=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv6.conf.default.accept_dad=0",
        ] {
            lines.push(format!("ip netns exec {space} sysctl -qw {setting}"));
        }
    }
    let spaces = ["d1", "d2"];
    cable(&mut lines, [("d1", "y0"), ("d2", "y0")]);
    for (n, space) in (1..).zip(spaces) {
        let end = format!("e{n}");
        cable(&mut lines, [(space, "c0"), ("cl", &end)]);
        let mut at = |words: String| lines.push(format!("ip -n {space} {words}"));
        at(format!("addr add 10.9.0.{n}/24 dev y0"));
        at("addr add 192.168.1.1/24 dev c0".into());
        at("addr add fd01::1/64 dev c0 nodad".into());
        at(format!("addr add {VIP}/32 dev lo"));
        at(format!("addr add {VIP6}/128 dev lo"));
        for k in 1..=2 {
            let (own, server) = (format!("s{k}"), format!("r{k}"));
            cable(&mut lines, [(space, &own), (&server, &end)]);
            let mut at = |words: String| lines.push(format!("ip -n {space} {words}"));
            at(format!("addr add 10.0.0.1/32 dev {own}"));
            at(format!("addr add fd00::1/128 dev {own} nodad"));
            at(format!("route add 10.0.0.1{k}/32 dev {own}"));
            at(format!("-6 route add fd00::1{k}/128 dev {own}"));
        }
    }
    // Each has its address on both cables; IPv6 answers for it only where it is. There is no network, or
    // gateways would be on one cable.
    lines.push("ip -n cl addr add 192.168.1.10/24 dev e1".into());
    lines.push("ip -n cl addr add fd01::10/128 dev e1 nodad".into());
    lines.push("ip -n cl addr add fd01::10/128 dev e2 nodad".into());
    for k in 1..=2 {
        for words in [
            format!("addr add 10.0.0.1{k}/24 dev e1"),
            format!("addr add fd00::1{k}/128 dev e1 nodad"),
            format!("addr add fd00::1{k}/128 dev e2 nodad"),
            format!("addr add {VIP}/32 dev lo"),
            "link set tunl0 up".into(),
        ] {
            lines.push(format!("ip -n r{k} {words}"));
        }
    }
    all(lines)
}

/// Starts a server on all ports: it says its number to everybody, and again to each line and datagram.
fn serve(number: u8) -> Result {
    let (ready, started) = std::sync::mpsc::channel();
    for port in [NAT, DIRECT, TUNNEL] {
        let ready = ready.clone();
        let _detached = std::thread::spawn(move || {
            let any = IpAddr::from([0_u16; 8]);
            let made = enter(&format!("r{number}"))
                .and_then(|()| TcpListener::bind((any, port)).map_err(|e| e.to_string()));
            let _ = ready.send(made.as_ref().map(drop).map_err(String::clone));
            for stream in made.iter().flat_map(TcpListener::incoming).flatten() {
                let _detached = std::thread::Builder::new()
                    .stack_size(64 << 10)
                    .spawn(move || converse(number, stream));
            }
        });
    }
    let _detached = std::thread::spawn(move || {
        let any = IpAddr::from([0_u16; 8]);
        let made = enter(&format!("r{number}"))
            .and_then(|()| UdpSocket::bind((any, NAMES)).map_err(|e| e.to_string()));
        let _ = ready.send(made.as_ref().map(drop).map_err(String::clone));
        if let Ok(socket) = made {
            answer(number, &socket);
        }
    });
    for _ in 0..4 {
        started.recv().map_err(|e| e.to_string())??;
    }
    Ok(())
}
