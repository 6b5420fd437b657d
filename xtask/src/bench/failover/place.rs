//! Where directors and client are: namespaces of the benchmark's own, around a bridge.

use super::super::l4::called;
use crate::Result;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::process::{Command, Stdio};

/// The address that directors hold.
pub(in super::super) const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);

/// An Ethernet address.
pub(in super::super) type Mac = [u8; 6];

/// The directors are 0 and 1.
pub(in super::super) const CLIENT: usize = 2;

/// With the number of the process after it, how namespaces are called.
const PREFIX: &str = "failover-";

/// Two directors and a client on one link. It is gone when this is.
pub(in super::super) struct Place {
    name: String,
    /// Made among the bridge's ports: by it they go up and down.
    ports: Option<UdpSocket>,
}

impl Place {
    /// Makes it; `name` tells it from others of this run.
    pub(in super::super) fn make(name: &str) -> Result<Place> {
        let mut place = Place {
            name: format!("{PREFIX}{}-{name}", std::process::id()),
            ports: None,
        };
        let bridge = place.bridge();
        ip(&format!("netns add {bridge}"))?;
        ip(&format!(
            "-n {bridge} link add br0 up type bridge mcast_snooping 0"
        ))?;
        for host in 0..=CLIENT {
            place.join(host)?;
        }
        let socket = || UdpSocket::bind("0.0.0.0:0").map_err(|e| format!("a socket: {e}"));
        place.ports = Some(within(&bridge, socket)?);
        Ok(place)
    }

    fn join(&self, host: usize) -> Result {
        let (bridge, space) = (self.bridge(), self.namespace(host));
        ip(&format!("netns add {space}"))?;
        let mac = Place::mac(host).map(|byte| format!("{byte:02x}")).join(":");
        ip(&format!(
            "-n {bridge} link add p{host} type veth peer name eth0 netns {space} address {mac}"
        ))?;
        ip(&format!("-n {bridge} link set p{host} master br0 up"))?;
        ip(&format!("-n {space} link set lo up"))?;
        ip(&format!(
            "-n {space} addr add 10.77.0.{}/24 dev eth0",
            host + 1
        ))?;
        ip(&format!("-n {space} link set eth0 up"))
    }

    fn bridge(&self) -> String {
        format!("{}-bridge", self.name)
    }

    /// How a host is called, and nothing else on this machine.
    pub(super) fn namespace(&self, host: usize) -> String {
        format!("{}-{host}", self.name)
    }

    /// What a host's frames come from.
    pub(in super::super) fn mac(host: usize) -> Mac {
        [2, 0, 0, 0, 0, host as u8 + 1]
    }

    /// A command to be run on a host: it becomes the program, there is no process between. Only its network is the host's:
    /// `ip netns exec` would hide `/sys`, and where programs are pinned with it.
    pub(super) fn command(&self, host: usize, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.namespace(host)))
            .arg(program)
            .stdin(Stdio::null());
        command
    }

    /// The same, with this machine's `/sys`: the kernel data plane keeps its pins there.
    pub(in super::super) fn enter(&self, host: usize, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.namespace(host)))
            .arg(program)
            .stdin(Stdio::null());
        command
    }

    /// Has directors be routers, and all hosts have addresses of IPv6 too: fd77::1 and so on.
    pub(in super::super) fn route(&self) -> Result {
        for host in 0..=CLIENT {
            let space = self.namespace(host);
            ip(&format!(
                "-n {space} addr add fd77::{}/64 dev eth0 nodad",
                host + 1
            ))?;
            if host == CLIENT {
                continue;
            }
            for name in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                let path = format!("/proc/sys/net/{name}");
                self.on(host, || {
                    fs::write(&path, "1").map_err(|e| format!("{path}: {e}"))
                })?;
            }
        }
        Ok(())
    }

    /// Does `work` on a host.
    pub(in super::super) fn on<T: Send>(
        &self,
        host: usize,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        within(&self.namespace(host), work)
    }

    /// Takes the virtual address off a host, as its machine would lose it by a crash.
    pub(super) fn forget(&self, host: usize) {
        // It may have been taken off already.
        let space = self.namespace(host);
        let _ = ip(&format!("-n {space} addr del {VIP}/24 dev eth0"));
    }

    /// Takes a host's cable out, or puts it back.
    pub(super) fn cable(&self, host: usize, plugged: bool) -> Result {
        let socket = self.ports.as_ref().ok_or("the place is not complete")?;
        // SAFETY: zeroes are a request without name and flags.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        let name = format!("p{host}");
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()).take(15) {
            *to = from.cast_signed();
        }
        let up = if plugged { libc::IFF_UP } else { 0 };
        request.ifr_ifru.ifru_flags = (libc::IFF_MULTICAST | up) as i16;
        // SAFETY: the request outlives the call, and its name ends with a zero.
        let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request) };
        if done < 0 {
            return Err(format!("{name}: {}", io::Error::last_os_error()));
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let spaces = (0..=CLIENT).map(|host| self.namespace(host));
        for space in spaces.chain([self.bridge()]) {
            // It may never have been made.
            let _ = ip(&format!("netns del {space}"));
        }
    }
}

/// Removes what runs that were killed left.
pub(in super::super) fn sweep() {
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Another run may be doing the same.
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

/// Does `work` in a namespace, on a thread that ends with it.
fn within<T: Send>(space: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let path = format!("/run/netns/{space}");
    let inside = || {
        let file = File::open(&path).map_err(|e| format!("{path}: {e}"))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|e| format!("{path}: {e}"))?;
        work()
    };
    let done = std::thread::scope(|scope| scope.spawn(inside).join());
    done.unwrap_or_else(|_| Err(format!("{path}: the work there failed")))
}

fn ip(line: &str) -> Result {
    let mut words = vec!["ip"];
    words.extend(line.split(' '));
    called(&words)
}
