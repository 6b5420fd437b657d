//! Routes and rules that come and go with virtual addresses: what `ip-route(8)` and `ip-rule(8)` add by hand.

use std::{fmt, net::IpAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proto::vrrp::terms::Family;
use serde::{Serialize, Serializer};

use super::{
    packets::{Ports, Protocol, Users},
    vip::Scope,
};

/// Who made a route or rule, as the kernel keeps it (`rtm_protocol`, `FRA_PROTOCOL`): what a process that died left behind is
/// known by it. Nobody else has this number (`rtnetlink.h`, `rt_protos` of iproute2, FRR, bird).
pub const PROTOCOL: u8 = 97;

/// The main routing table.
pub const MAIN: u32 = 254;

/// The metric that the kernel gives a route of IPv6 without one (`IP6_RT_PRIO_USER`).
const METRIC_V6: u32 = 1024;

/// A route that is there while the addresses are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct VirtualRoute {
    /// Where it leads.
    pub to: IpNet,
    /// What becomes of packets.
    pub kind: RouteKind,
    /// The address that this node sends from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src: Option<IpAddr>,
    /// The table it is in.
    pub table: u32,
    /// What it costs: of several routes the least is taken. None: the kernel's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    /// How far it reaches; none: what follows from the rest. IPv4 alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The largest packet, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The largest segment that TCP offers, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advmss: Option<u32>,
    /// TCP's first congestion window, segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initcwnd: Option<u32>,
    /// TCP's first receive window, segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initrwnd: Option<u32>,
    /// Who made it, for others to see.
    pub proto: u8,
}

/// What becomes of packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteKind {
    /// They leave by one of these, at least one.
    Unicast(Vec<Hop>),
    /// They vanish.
    Blackhole,
    /// They are refused: the host is unreachable.
    Unreachable,
    /// They are refused: it is forbidden.
    Prohibit,
    /// This table has no route; rules go on.
    Throw,
}

/// A way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// The gateway; none: on the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
    /// The device.
    pub dev: HopDevice,
    /// The gateway is on the link, though no address of the device says so.
    pub onlink: bool,
    /// Its share beside others, 1 to 256.
    pub weight: u16,
}

/// The device of a hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HopDevice {
    /// The one that leads to the gateway.
    OfGateway,
    /// The one that has the vip's addresses.
    OfVip,
    /// This one.
    Named(String),
}

/// What tells a route apart from others: where it leads, its table, its metric. The kernel has one of each.
pub type RouteKey = (IpNet, u32, u32);

impl VirtualRoute {
    /// What tells it apart.
    #[must_use]
    pub fn key(&self) -> RouteKey {
        (self.to, self.table, self.effective_metric())
    }

    /// Its metric as the kernel has it.
    #[must_use]
    pub fn effective_metric(&self) -> u32 {
        let default = if self.to.addr().is_ipv6() {
            METRIC_V6
        } else {
            0
        };
        match self.metric {
            // As IPv6's default is written too.
            None | Some(0) => default,
            Some(metric) => metric,
        }
    }

    /// Its family.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.to.addr())
    }
}

/// As `ip route` has it.
impl fmt::Display for VirtualRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, hops): (_, &[Hop]) = match &self.kind {
            RouteKind::Unicast(hops) => ("", hops),
            RouteKind::Blackhole => ("blackhole ", &[]),
            RouteKind::Unreachable => ("unreachable ", &[]),
            RouteKind::Prohibit => ("prohibit ", &[]),
            RouteKind::Throw => ("throw ", &[]),
        };
        write!(f, "{word}{}", Short(self.to))?;
        for hop in hops {
            if hops.len() > 1 {
                f.write_str(" nexthop")?;
            }
            if let Some(via) = hop.via {
                write!(f, " via {via}")?;
            }
            if let HopDevice::Named(dev) = &hop.dev {
                write!(f, " dev {dev}")?;
            }
        }
        if self.table != MAIN {
            write!(f, " table {}", self.table)?;
        }
        match self.metric {
            Some(metric) => write!(f, " metric {metric}"),
            None => Ok(()),
        }
    }
}

/// A rule that is there while the addresses are: which table is asked for which packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VirtualRule {
    /// Whose packets.
    #[serde(serialize_with = "family_name")]
    pub family: Family,
    /// It is about all packets but those that the rest tells.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not: bool,
    /// Where they come from; none: anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<IpNet>,
    /// Where they go; none: anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<IpNet>,
    /// The device they came by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iif: Option<String>,
    /// The device that their socket is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oif: Option<String>,
    /// Their mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fwmark: Option<Mark>,
    /// Whose sockets they are of, on this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uidrange: Option<Users>,
    /// Their protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipproto: Option<Protocol>,
    /// The ports that they come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sport: Option<Ports>,
    /// The ports that they go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dport: Option<Ports>,
    /// Its place: the least is looked at first.
    pub priority: u32,
    /// What becomes of them.
    pub action: RuleAction,
}

/// A packet's mark, as far as the mask goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// The mark.
    pub value: u32,
    /// The bits of it that count.
    pub mask: u32,
}

/// What becomes of packets that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleAction {
    /// This table is asked.
    Lookup(u32),
    /// They vanish.
    Blackhole,
    /// They are refused: the network is unreachable.
    Unreachable,
    /// They are refused: it is forbidden.
    Prohibit,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn family_name<S: Serializer>(family: &Family, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    })
}

/// As `ip rule` has it.
impl fmt::Display for VirtualRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.not { "not " } else { "" };
        write!(f, "{}: {not}from ", self.priority)?;
        match self.from {
            Some(from) => Short(from).fmt(f)?,
            None => f.write_str("all")?,
        }
        if let Some(to) = self.to {
            write!(f, " to {}", Short(to))?;
        }
        if let Some(mark) = self.fwmark {
            write!(f, " fwmark {:#x}/{:#x}", mark.value, mark.mask)?;
        }
        if let Some(iif) = &self.iif {
            write!(f, " iif {iif}")?;
        }
        if let Some(oif) = &self.oif {
            write!(f, " oif {oif}")?;
        }
        if let Some(users) = self.uidrange {
            write!(f, " uidrange {users}")?;
        }
        if let Some(protocol) = self.ipproto {
            write!(f, " ipproto {protocol}")?;
        }
        if let Some(ports) = self.sport {
            write!(f, " sport {ports}")?;
        }
        if let Some(ports) = self.dport {
            write!(f, " dport {ports}")?;
        }
        match self.action {
            RuleAction::Lookup(table) => write!(f, " lookup {table}"),
            RuleAction::Blackhole => f.write_str(" blackhole"),
            RuleAction::Unreachable => f.write_str(" unreachable"),
            RuleAction::Prohibit => f.write_str(" prohibit"),
        }
    }
}

/// A network as `ip` shows it: a single address without its length, everything by a word.
struct Short(IpNet);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.prefix_len() {
            0 => f.write_str("default"),
            length if length == self.0.max_prefix_len() => self.0.addr().fmt(f),
            _ => self.0.fmt(f),
        }
    }
}

/// All addresses of a family.
#[must_use]
pub fn everything(family: Family) -> IpNet {
    match family {
        // Networks without an address are the default of their types.
        Family::V4 => Ipv4Net::default().into(),
        Family::V6 => Ipv6Net::default().into(),
    }
}

/// A route that is watched for: it counts while the kernel has such a one that leads somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WatchedRoute {
    /// Where it leads, exactly.
    pub to: IpNet,
    /// The table it is in.
    pub table: u32,
    /// By this gateway; none: by any, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
    /// By this device; none: by any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
}

impl fmt::Display for WatchedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Short(self.to).fmt(f)?;
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        if let Some(dev) = &self.dev {
            write!(f, " dev {dev}")?;
        }
        if self.table != MAIN {
            write!(f, " table {}", self.table)?;
        }
        Ok(())
    }
}
