//! Client, director and servers: the director is the guest itself, the others are namespaces on cables of their own.

use crate::Result;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the daemon is asked.
const SOCKET: &str = "/run/admin.sock";
/// That the plane is spoken of keeps the rights to it, though the file has no service for it. Its tables are small: all of
/// them are gone through every second, of which there are many.
const CONFIG: &str =
    "[admin]\nlisten = \"unix:/run/admin.sock\"\n[l4]\nmax-flows = 4096\nmax-handshakes = 1024\n";
/// A server's port where nobody answers.
const SILENT: u16 = 81;

/// The site, with the daemon.
pub(super) struct Site {
    program: PathBuf,
    daemon: Child,
}

impl Site {
    /// Makes it. The calling thread is on the client's side after that.
    pub(super) fn make(program: &Path) -> Result<Site> {
        wire()?;
        for number in 1..=3 {
            serve(number)?;
        }
        fs::write("/run/aplomb.toml", CONFIG).map_err(|e| e.to_string())?;
        let log = File::create("/run/log").map_err(|e| e.to_string())?;
        let daemon = Command::new(program)
            .args(["run", "-c", "/run/aplomb.toml"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|e| e.to_string())?;
        let site = Site {
            program: program.to_path_buf(),
            daemon,
        };
        for _ in 0..200 {
            if site.ipvsadm("-L -n").is_ok() {
                enter("cl")?;
                return Ok(site);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!("the daemon does not come\n{}", site.log()))
    }

    /// What the daemon said.
    pub(super) fn log(&self) -> String {
        fs::read_to_string("/run/log").unwrap_or_default()
    }

    /// Calls ipvsadm; what it printed.
    pub(super) fn ipvsadm(&self, words: &str) -> Result<String> {
        let output = Command::new(&self.program)
            .arg("ipvsadm")
            .args(words.split_whitespace())
            .env("APLOMB_ADMIN", format!("unix:{SOCKET}"))
            .output()
            .map_err(|e| e.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("ipvsadm {words}: {said}"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The guest ends next.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Namespaces, cables, addresses, routes. What leaves a cable's end has whole checksums, and each end takes in what XDP
/// sends.
fn wire() -> Result {
    let mut lines: Vec<String> = Vec::new();
    let mut add = |line: String| lines.push(line);
    add("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0".into());
    add("sysctl -qw net.ipv6.conf.default.disable_ipv6=1".into());
    for (space, device) in [("cl", "c0"), ("r1", "s1"), ("r2", "s2"), ("r3", "s3")] {
        add(format!("ip netns add {space}"));
        add(format!(
            "ip link add {device} type veth peer name eth0 netns {space}"
        ));
        add(format!("ethtool -K {device} tx off gro on"));
        add(format!(
            "ip netns exec {space} ethtool -K eth0 tx off gro on"
        ));
        add(format!("ip -n {space} link set lo up"));
        add(format!("ip -n {space} link set eth0 up"));
        add(format!("ip link set {device} up"));
    }
    add("ip addr add 192.168.1.1/24 dev c0".into());
    add("ip addr add 192.168.1.100/32 dev lo".into());
    add("ip -n cl addr add 192.168.1.10/24 dev eth0".into());
    add("ip -n cl route add default via 192.168.1.1".into());
    add("ip netns exec cl sysctl -qw net.ipv4.tcp_tw_reuse=1".into());
    // The director answers for the service's address itself.
    add("ip -n cl route add 192.168.1.100 via 192.168.1.1".into());
    add("ip route add 172.16.0.0/16 via 192.168.1.10".into());
    for last in 1..=9 {
        add(format!("ip -n cl addr add 172.16.0.{last}/32 dev lo"));
    }
    for n in 1..=3 {
        add(format!("ip addr add 10.0.0.1/32 dev s{n}"));
        add(format!("ip route add 10.0.0.1{n}/32 dev s{n}"));
        add(format!("ip -n r{n} addr add 10.0.0.1{n}/24 dev eth0"));
        add(format!("ip -n r{n} route add default via 10.0.0.1"));
    }
    for line in lines {
        let mut words = line.split_whitespace();
        let output = Command::new(words.next().unwrap_or_default())
            .args(words)
            .output()
            .map_err(|e| format!("{line}: {e}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("{line}: {said}"));
        }
    }
    Ok(())
}

/// Brings the calling thread into a namespace.
pub(in crate::guest) fn enter(space: &str) -> Result {
    let file = File::open(format!("/run/netns/{space}")).map_err(|e| format!("{space}: {e}"))?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|e| format!("{space}: {e}"))
}

/// Starts a server: it says its number to everybody, and what it is told after that, it says back.
fn serve(number: u8) -> Result {
    let (ready, started) = std::sync::mpsc::channel();
    let _detached = std::thread::spawn(move || {
        let made = listen(number);
        let _ = ready.send(made.as_ref().map(drop).map_err(String::clone));
        let Ok((listener, datagrams, _silent)) = made else {
            return;
        };
        let _detached = std::thread::spawn(move || answer(number, &datagrams));
        for stream in listener.incoming().flatten() {
            let _detached = std::thread::Builder::new()
                .stack_size(64 << 10)
                .spawn(move || converse(number, stream));
        }
    });
    started.recv().map_err(|e| e.to_string())?
}

type Listening = (TcpListener, UdpSocket, Vec<rustix::fd::OwnedFd>);

fn listen(number: u8) -> Result<Listening> {
    enter(&format!("r{number}"))?;
    let own = Ipv4Addr::new(10, 0, 0, 10 + number);
    let fail = |e: std::io::Error| format!("server {number}: {e}");
    let listener = TcpListener::bind((own, 80)).map_err(fail)?;
    let datagrams = UdpSocket::bind((own, 53)).map_err(fail)?;
    let silent = silence(SocketAddrV4::new(own, SILENT)).map_err(|e| fail(e.into()))?;
    Ok((listener, datagrams, silent))
}

/// A port whose queue is full: SYNs get no answer.
fn silence(at: SocketAddrV4) -> rustix::io::Result<Vec<rustix::fd::OwnedFd>> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};
    let socket = |flags| socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
    let full = socket(SocketFlags::empty())?;
    bind(&full, &at)?;
    listen(&full, 0)?;
    let mut kept = vec![full];
    for _ in 0..2 {
        let filler = socket(SocketFlags::NONBLOCK)?;
        // It is in progress, or done at once.
        let _ = connect(&filler, &at);
        kept.push(filler);
    }
    Ok(kept)
}

/// Says a number to whom connects, and again to each line.
pub(in crate::guest) fn converse(number: u8, mut stream: TcpStream) {
    let Ok(reading) = stream.try_clone() else {
        return;
    };
    // In one piece, which the client takes in whole.
    let line = format!("{number}\n");
    if stream.write_all(line.as_bytes()).is_err() {
        return;
    }
    for _ in BufReader::new(reading)
        .lines()
        .map_while(std::io::Result::ok)
    {
        if stream.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

/// Says a number to each datagram.
pub(in crate::guest) fn answer(number: u8, socket: &UdpSocket) {
    let mut space = [0; 64];
    while let Ok((_, from)) = socket.recv_from(&mut space) {
        let _ = socket.send_to(format!("{number}\n").as_bytes(), from);
    }
}
