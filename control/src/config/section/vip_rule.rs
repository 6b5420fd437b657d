//! `rules` of a vip.

use ipnet::IpNet;
use proto::vrrp::terms::Family;

use crate::{
    config::{
        diagnostic::{Problem, Span},
        form::{
            many::List,
            number::Int,
            packets::{self, AnyPorts, AnyProtocol, AnyUsers},
            text::Interface,
            way::{self, AnyMark, Table},
            words::words,
        },
        kind::section,
        limits,
        walk::{At, Cx, too_many},
    },
    spec::ways::{RuleAction, VirtualRule},
};

section! {
    /// A rule that is there while the addresses are: which table is asked for which packets (`ip-rule(8)`). One without `from`
    /// and `to` is there for each family of the vip's addresses.
    pub(in crate::config) struct RuleKeys = "a virtual rule" {
        /// Its place among all rules: the least is looked at first. The kernel's own are 0 (local), 32766 (main) and 32767.
        priority: Int<1, { u32::MAX as i64 }>, required;
        /// It is about all packets but those that the other keys tell.
        not: bool, default "false";
        /// Packets from here.
        from: IpNet, absent "from anywhere";
        /// Packets to here.
        to: IpNet, absent "to anywhere";
        /// Packets that came by this device; `lo`: those of this host.
        iif: Interface, absent "by any";
        /// Packets of sockets that are bound to this device.
        oif: Interface, absent "of any";
        /// Packets with this mark.
        fwmark: AnyMark, absent "with any, or none";
        /// Packets of sockets of this user of this host, or of these.
        uidrange: AnyUsers, absent "of any";
        /// Packets of this protocol.
        ipproto: AnyProtocol, absent "of any";
        /// Packets from this port, or these.
        sport: AnyPorts, absent "from any";
        /// Packets to this port, or these.
        dport: AnyPorts, absent "to any";
        /// What becomes of them.
        action: ActionWord, default "\"lookup\"";
        /// The table that is asked.
        table: Table, absent "needed with `lookup`", only "lookup";
    }
}

/// What becomes of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum ActionWord {
    Lookup,
    Blackhole,
    Unreachable,
    Prohibit,
}

words!(ActionWord {
    "lookup" => ActionWord::Lookup, "a table is asked";
    "blackhole" => ActionWord::Blackhole, "they vanish";
    "unreachable" => ActionWord::Unreachable, "they are refused: network unreachable";
    "prohibit" => ActionWord::Prohibit, "they are refused: prohibited";
});

/// The rules that can be read, each with its place. `families` are those of the vip's addresses.
pub(super) fn read_rules(
    list: At<List<RuleKeys>>,
    families: &[Family],
    cx: &mut Cx<'_>,
) -> Vec<(VirtualRule, Span)> {
    if too_many(list.0.len(), limits::ENTRIES, "rules", list.span, cx) {
        return Vec::new();
    }
    let mut rules = Vec::new();
    for at in list.value.0 {
        rules.extend(at.value.admit(families, at.span, cx).unwrap_or_default());
    }
    rules
}

impl RuleKeys {
    fn admit(
        self,
        families: &[Family],
        span: Span,
        cx: &mut Cx<'_>,
    ) -> Option<Vec<(VirtualRule, Span)>> {
        let action = self.action(cx)?;
        let families = self.families(families, cx)?;
        self.check(cx);
        let ipproto = self.ipproto.as_ref().map(|at| packets::protocol(at));
        let rule = |family| VirtualRule {
            family,
            not: self.not.value,
            from: self.from.as_ref().and_then(|at| some(at.value)),
            to: self.to.as_ref().and_then(|at| some(at.value)),
            iif: self.iif.as_ref().map(|at| at.value.0.clone()),
            oif: self.oif.as_ref().map(|at| at.value.0.clone()),
            fwmark: self.fwmark.as_ref().map(|at| way::mark(at)),
            uidrange: self.uidrange.as_ref().map(|at| packets::users(at)),
            ipproto,
            sport: self.sport.as_ref().map(|at| packets::ports(at)),
            dport: self.dport.as_ref().map(|at| packets::ports(at)),
            priority: self.priority.to(),
            action,
        };
        let rules = families.iter().map(|family| (rule(*family), span));
        Some(rules.collect())
    }

    fn check(&self, cx: &mut Cx<'_>) {
        if self.not.value && !self.tells_apart() {
            let message = "`not` leaves no packet: the rule is about all of them";
            let problem = Problem::error(self.not.span, message);
            cx.push(problem.help("say which packets it is not about, by `from` or another key"));
        }
        let all_ports = [&self.sport, &self.dport].into_iter().flatten();
        for at in all_ports.clone() {
            let ports = packets::ports(at);
            if ports.last > packets::LAST_PORT {
                let message = "the kernel takes no rule about port 65535";
                let problem = Problem::error(at.span, message);
                cx.push(problem.help(format!(
                    "write \"{}-{}\"",
                    ports.first.min(packets::LAST_PORT),
                    packets::LAST_PORT
                )));
            }
        }
        let Some(at) = &self.ipproto else { return };
        let protocol = packets::protocol(at);
        for ports in all_ports {
            if !protocol.has_ports() {
                let message = format!("packets of ipproto {protocol} have no ports");
                cx.push(Problem::error(ports.span, message).related(at.span, "this"));
            }
        }
    }

    /// Whether it is about some packets alone. What cannot be read was complained of.
    fn tells_apart(&self) -> bool {
        let all = |net: &Option<At<IpNet>>| net.as_ref().is_some_and(|at| some(at.value).is_none());
        let mut others = [
            "iif", "oif", "fwmark", "uidrange", "ipproto", "sport", "dport",
        ]
        .iter();
        others.any(|key| self.given.has(key))
            || (self.given.has("from") && !all(&self.from))
            || (self.given.has("to") && !all(&self.to))
    }

    fn action(&self, cx: &mut Cx<'_>) -> Option<RuleAction> {
        let (word, action) = match self.action.value {
            ActionWord::Lookup => {
                let Some(table) = &self.table else {
                    // One that cannot be read was complained of.
                    if !self.given.has("table") {
                        let problem =
                            Problem::error(self.span, "nothing says which table is asked");
                        cx.push(problem.help("write table = 100, or table = \"main\""));
                    }
                    return None;
                };
                ("lookup", RuleAction::Lookup(way::number(table)))
            }
            ActionWord::Blackhole => ("blackhole", RuleAction::Blackhole),
            ActionWord::Unreachable => ("unreachable", RuleAction::Unreachable),
            ActionWord::Prohibit => ("prohibit", RuleAction::Prohibit),
        };
        let because = format!("this is action = \"{word}\"");
        self.given.only_of(word, |_| because.clone(), cx);
        Some(action)
    }

    /// Of `from` or `to`, else the vip's.
    fn families(&self, of_vip: &[Family], cx: &mut Cx<'_>) -> Option<Vec<Family>> {
        let of = |at: &At<IpNet>| Family::of(at.addr());
        match (&self.from, &self.to) {
            (Some(from), Some(to)) if of(from) != of(to) => {
                let message = format!("{} is not of the family of {}", to.value, from.value);
                cx.push(Problem::error(to.span, message).related(from.span, "this"));
                None
            }
            (Some(at), _) | (None, Some(at)) => Some(vec![of(at)]),
            (None, None) => Some(of_vip.to_vec()),
        }
    }
}

/// A network, unless it is everything.
fn some(net: IpNet) -> Option<IpNet> {
    (net.prefix_len() > 0).then_some(net)
}
