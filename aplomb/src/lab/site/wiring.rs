//! Cables, addresses, routes and kernel parameters of a site.

use std::{io, os::fd::OwnedFd};

use super::{
    CLIENT, CLIENTS, DIRECTOR, INNER, Mode, ROUTER, SERVERS, Site, Space, VIP, address, device,
};
use crate::system::server;

/// Both families: a site has both, whatever its service is offered by.
const FAMILIES: [bool; 2] = [false, true];

impl Site {
    /// Connects what has been made.
    pub(super) fn wire(&mut self) -> io::Result<()> {
        self.switch.ip("link add br0 type bridge")?;
        self.switch.ip("link set br0 up")?;
        for space in [&self.client, &self.director]
            .into_iter()
            .chain(&self.second)
            .chain(&self.servers)
        {
            quieten(space)?;
        }
        if self.plan.one_arm {
            self.wire_one_arm()?;
        } else {
            self.wire_two_arms()?;
        }
        for number in 1..=SERVERS {
            self.wire_server(number)?;
        }
        self.prepare_director()?;
        if self.plan.second {
            self.plug("second", "eth0")?;
        }
        self.second.iter().try_for_each(forward)
    }

    fn wire_one_arm(&mut self) -> io::Result<()> {
        self.plug("client", "eth0")?;
        self.plug("director", "eth0")?;
        give(&self.client, "eth0", CLIENTS, CLIENT)?;
        give(&self.director, "eth0", CLIENTS, DIRECTOR)
    }

    fn wire_two_arms(&mut self) -> io::Result<()> {
        let (client, director) = (&self.client, &self.director);
        client.ip(&format!(
            "link add eth0 type veth peer name eth0 netns {}",
            director.name()
        ))?;
        let far = client.inside(|| prepare("eth0"))?;
        director.inside(|| device::checksums_in_software("eth0"))?;
        client.ip("link set eth0 up")?;
        director.ip("link set eth0 up")?;
        give(client, "eth0", CLIENTS, CLIENT)?;
        give(director, "eth0", CLIENTS, DIRECTOR)?;
        self.programs.push(far);
        self.plug("director", "eth1")?;
        give(&self.director, "eth1", INNER, DIRECTOR)?;
        if self.plan.mode == Mode::Nat {
            return route_default(&self.client, CLIENTS, DIRECTOR);
        }
        self.plug("client", "eth1")?;
        give(&self.client, "eth1", INNER, ROUTER)
    }

    /// Connects a device of a host with the switch.
    fn plug(&mut self, host: &str, device: &str) -> io::Result<()> {
        let space = match host.strip_prefix("server").map(str::parse::<usize>) {
            Some(Ok(number)) => self.servers.get(number - 1),
            _ if host == "client" => Some(&self.client),
            _ if host == "second" => self.second.as_ref(),
            _ => Some(&self.director),
        };
        let space = space.ok_or(io::ErrorKind::NotFound)?;
        let port = format!("{host}-{device}");
        self.switch.ip(&format!(
            "link add {port} type veth peer name {device} netns {}",
            space.name()
        ))?;
        self.switch.ip(&format!("link set {port} master br0 up"))?;
        let far = self.switch.inside(|| prepare(&port))?;
        // The director's own cable ends get the daemon's program.
        space.inside(|| device::checksums_in_software(device))?;
        space.ip(&format!("link set {device} up"))?;
        self.programs.push(far);
        Ok(())
    }

    fn wire_server(&mut self, number: u8) -> io::Result<()> {
        self.plug(&format!("server{number}"), "eth0")?;
        let net = self.plan.servers_net();
        let space = &self.servers[usize::from(number) - 1];
        give(space, "eth0", net, 10 + number)?;
        match (self.plan.mode, self.plan.one_arm) {
            (Mode::Nat, false) => route_default(space, INNER, DIRECTOR)?,
            // Client and servers see each other: replies must be made to take the way through the director.
            (Mode::Nat, true) => route_client(space)?,
            (_, false) => route_default(space, INNER, ROUTER)?,
            (_, true) => {}
        }
        if self.plan.mode == Mode::Nat {
            return Ok(());
        }
        for v6 in FAMILIES {
            // The tunnel's far end is the lab's own: not every kernel has the devices.
            let (vip, tunnel) = (address(v6, CLIENTS, VIP), None);
            let steps = server::set_up(server::Wanted { vip, tunnel });
            space.inside(|| steps.iter().try_for_each(|step| step.action.perform()))?;
        }
        Ok(())
    }

    /// The director has the service's addresses, and forwards: XDP asks the kernel for routes as one that does.
    fn prepare_director(&self) -> io::Result<()> {
        forward(&self.director)?;
        for v6 in FAMILIES {
            // Deprecated: connections of the director's own (checks) do not come from it. Servers have it too, and
            // would answer themselves.
            let length = if v6 {
                "128 dev eth0 nodad preferred_lft 0"
            } else {
                "32 dev eth0"
            };
            let vip = address(v6, CLIENTS, VIP);
            self.director.ip(&format!("addr add {vip}/{length}"))?;
        }
        Ok(())
    }
}

/// Makes a cable's end one that takes in what XDP sends, and whose own packets are whole.
fn prepare(device: &str) -> io::Result<OwnedFd> {
    device::checksums_in_software(device)?;
    device::take_in(device)
}

/// Forwards what is not its own, and tells nobody of a shorter way.
fn forward(space: &Space) -> io::Result<()> {
    space.set("net.ipv4.ip_forward", "1")?;
    space.set("net.ipv6.conf.all.forwarding", "1")?;
    space.set("net.ipv4.conf.all.send_redirects", "0")?;
    space.set("net.ipv4.conf.eth0.send_redirects", "0")
}

/// No waiting for duplicate addresses, and no doubts about packets that come by another way than replies leave.
fn quieten(space: &Space) -> io::Result<()> {
    space.set("net.ipv6.conf.all.accept_dad", "0")?;
    space.set("net.ipv6.conf.default.accept_dad", "0")?;
    space.set("net.ipv4.conf.all.rp_filter", "0")?;
    space.set("net.ipv4.conf.default.rp_filter", "0")
}

/// Gives a device its addresses.
fn give(space: &Space, device: &str, net: u8, host: u8) -> io::Result<()> {
    for v6 in FAMILIES {
        let length = if v6 { "64" } else { "24" };
        let nodad = if v6 { " nodad" } else { "" };
        let address = address(v6, net, host);
        space.ip(&format!("addr add {address}/{length} dev {device}{nodad}"))?;
    }
    Ok(())
}

fn route_default(space: &Space, net: u8, gateway: u8) -> io::Result<()> {
    for v6 in FAMILIES {
        space.ip(&format!(
            "route add default via {}",
            address(v6, net, gateway)
        ))?;
    }
    Ok(())
}

fn route_client(space: &Space) -> io::Result<()> {
    for v6 in FAMILIES {
        let (client, director) = (address(v6, CLIENTS, CLIENT), address(v6, CLIENTS, DIRECTOR));
        space.ip(&format!("route add {client} via {director}"))?;
    }
    Ok(())
}
