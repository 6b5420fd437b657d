//! What a real server needs so that it takes packets for a service's address that a director sends it (`direct`,
//! `tunnel`): the address, silently; and the far end of the tunnel.
//!
//! `aplomb backend-setup` shows these steps or takes them; the labs' servers are set up by them too.

use std::{
    io,
    net::IpAddr,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

/// What a server is to be set up for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The service's address.
    pub(crate) vip: IpAddr,
    /// Packets come through a tunnel whose outer packets are of IPv6, or (`Some(false)`) of IPv4.
    pub(crate) tunnel: Option<bool>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Why.
    pub(crate) reason: &'static str,
    /// What is done.
    pub(crate) action: Action,
}

/// What is done in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A command with its arguments. Repeating it does no harm.
    Run(String),
    /// A kernel parameter is set.
    Set(String, &'static str),
}

impl Action {
    /// As a line for a shell.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Run(line) => line.clone(),
            Self::Set(parameter, value) => format!("sysctl -w {parameter}={value}"),
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// What went wrong, with the line.
    pub(crate) fn perform(&self) -> io::Result<()> {
        let done = match self {
            Self::Run(line) => run(line),
            Self::Set(parameter, value) => {
                std::fs::write(format!("/proc/sys/{}", parameter.replace('.', "/")), value)
            }
        };
        done.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.line())))
    }
}

fn run(line: &str) -> io::Result<()> {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap_or_default())
        .args(words)
        .stdin(Stdio::null())
        // Ctrl-C on the terminal must not leave half of it.
        .process_group(0)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(said.trim_end().to_owned()))
}

/// The steps that set a server up, in their order: the address comes last, when nobody will be told of it.
pub(crate) fn set_up(wanted: Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut step = |reason, action| steps.push(Step { reason, action });
    if wanted.vip.is_ipv4() {
        step(
            "answer ARP only for addresses of the interface that is asked",
            Action::Set("net.ipv4.conf.all.arp_ignore".into(), "1"),
        );
        step(
            "and name none but those when asking",
            Action::Set("net.ipv4.conf.all.arp_announce".into(), "2"),
        );
    }
    if let Some(outer_v6) = wanted.tunnel {
        let device = tunnel_device(wanted.vip, outer_v6);
        step(
            "the far end of the tunnel",
            Action::Run(format!("modprobe {}", device.module)),
        );
        if outer_v6 {
            step(
                "for packets of either family",
                Action::Run(format!("ip -6 tunnel change {} mode any", device.name)),
            );
        }
        step(
            "which takes packets from any director",
            Action::Run(format!("ip link set {} up", device.name)),
        );
        if wanted.vip.is_ipv4() {
            step(
                "clients' packets come by it, replies leave elsewhere",
                Action::Set(format!("net.ipv4.conf.{}.rp_filter", device.name), "2"),
            );
        }
    }
    let reason = if wanted.vip.is_ipv4() {
        "the service's address, where nobody asks for it"
    } else {
        // Of IPv6, only the interface that has an address answers for it.
        "the service's address: on loopback nobody answers for it"
    };
    let nodad = if wanted.vip.is_ipv4() { "" } else { " nodad" };
    let address = format!("ip addr replace {} dev lo{nodad}", host(wanted.vip));
    step(reason, Action::Run(address));
    steps
}

/// The steps that undo it. Kernel parameters stay: other addresses may need them, and they harm nobody.
pub(crate) fn undo(wanted: Wanted) -> Vec<Step> {
    let mut steps = vec![Step {
        reason: "packets for the service are no longer taken",
        action: Action::Run(format!("ip addr del {} dev lo", host(wanted.vip))),
    }];
    if let Some(outer_v6) = wanted.tunnel {
        let device = tunnel_device(wanted.vip, outer_v6).name;
        steps.push(Step {
            reason: "nor any that come through the tunnel",
            action: Action::Run(format!("ip link set {device} down")),
        });
    }
    steps
}

/// The address alone, as `ip` wants it.
fn host(address: IpAddr) -> String {
    let length = if address.is_ipv4() { 32 } else { 128 };
    format!("{address}/{length}")
}

struct TunnelDevice {
    module: &'static str,
    name: &'static str,
}

/// The device that the kernel makes by itself for tunnels from anywhere.
fn tunnel_device(vip: IpAddr, outer_v6: bool) -> TunnelDevice {
    let (module, name) = match (outer_v6, vip.is_ipv4()) {
        (false, true) => ("ipip", "tunl0"),
        (false, false) => ("sit", "sit0"),
        (true, _) => ("ip6_tunnel", "ip6tnl0"),
    };
    TunnelDevice { module, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(steps: &[Step]) -> Vec<String> {
        steps.iter().map(|step| step.action.line()).collect()
    }

    #[test]
    fn the_address_comes_last_and_in_silence() {
        let direct = Wanted {
            vip: IpAddr::from([192, 0, 2, 1]),
            tunnel: None,
        };
        assert_eq!(
            lines(&set_up(direct)),
            [
                "sysctl -w net.ipv4.conf.all.arp_ignore=1",
                "sysctl -w net.ipv4.conf.all.arp_announce=2",
                "ip addr replace 192.0.2.1/32 dev lo",
            ]
        );
        assert_eq!(lines(&undo(direct)), ["ip addr del 192.0.2.1/32 dev lo"]);
    }

    #[test]
    fn each_tunnel_has_its_device() {
        let v4 = IpAddr::from([192, 0, 2, 1]);
        let v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
        for (vip, outer_v6, device) in [
            (v4, false, "tunl0"),
            (v6, false, "sit0"),
            (v4, true, "ip6tnl0"),
            (v6, true, "ip6tnl0"),
        ] {
            let tunnel = Some(outer_v6);
            let steps = lines(&set_up(Wanted { vip, tunnel }));
            assert!(
                steps.contains(&format!("ip link set {device} up")),
                "{steps:?}"
            );
            let any = "ip -6 tunnel change ip6tnl0 mode any".to_owned();
            assert_eq!(steps.contains(&any), outer_v6, "{steps:?}");
            assert!(
                steps
                    .last()
                    .is_some_and(|last| last.contains(&vip.to_string()))
            );
        }
    }
}
