//! Rules as the kernel is asked for them, and as it tells of them (`fib_rules.h`).

use control::spec::{
    packets::{Ports, Protocol, Users},
    ways::{Mark, PROTOCOL, RuleAction, VirtualRule, everything},
};
use ipnet::IpNet;
use l4::net::wire::{Message, Request, address, flags, u32_at};
use proto::vrrp::terms::Family;

/// A rule came.
pub(super) const NEW: u16 = 32;
/// A rule went.
pub(super) const DELETE: u16 = 33;
/// The request for rules.
pub(super) const GET: u16 = 34;
/// Length of `fib_rule_hdr`.
const FIXED: usize = 12;
/// Where its flags are.
const FLAGS: usize = 8;
/// `FIB_RULE_INVERT`: all packets but those that are told.
const INVERT: u32 = 2;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_UID_RANGE: u16 = 20;
const FRA_PROTOCOL: u16 = 21;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;
const FRA_DPORT_RANGE: u16 = 24;
const TO_TABLE: u8 = 1;
const BLACKHOLE: u8 = 6;
const UNREACHABLE: u8 = 7;
const PROHIBIT: u8 = 8;

/// Asks for a rule to be made; one like it must not be there.
pub(super) fn add(rule: &VirtualRule) -> Request {
    request(NEW, flags::ACK | flags::CREATE | flags::EXCLUSIVE, rule)
}

/// Asks for a rule to be taken away, if it is ours.
pub(super) fn delete(rule: &VirtualRule) -> Request {
    request(DELETE, flags::ACK, rule)
}

fn request(kind: u16, how: u16, rule: &VirtualRule) -> Request {
    let length = |net: Option<IpNet>| net.map_or(0, |net| net.prefix_len());
    let (action, table) = match rule.action {
        RuleAction::Lookup(table) => (TO_TABLE, table),
        RuleAction::Blackhole => (BLACKHOLE, 0),
        RuleAction::Unreachable => (UNREACHABLE, 0),
        RuleAction::Prohibit => (PROHIBIT, 0),
    };
    let mut header = [0; FIXED];
    header[0] = number(rule.family);
    header[1] = length(rule.to);
    header[2] = length(rule.from);
    header[4] = u8::try_from(table).unwrap_or_default();
    header[7] = action;
    if rule.not {
        header[FLAGS..].copy_from_slice(&INVERT.to_ne_bytes());
    }
    let mut request = Request::new(kind, how, &header)
        .attribute(FRA_PRIORITY, &rule.priority.to_ne_bytes())
        .attribute(FRA_PROTOCOL, &[PROTOCOL]);
    if table != 0 {
        request = request.attribute(FRA_TABLE, &table.to_ne_bytes());
    }
    for (kind, net) in [(FRA_DST, rule.to), (FRA_SRC, rule.from)] {
        if let Some(net) = net {
            request = request.address(kind, net.addr());
        }
    }
    for (kind, device) in [(FRA_IIFNAME, &rule.iif), (FRA_OIFNAME, &rule.oif)] {
        if let Some(device) = device {
            let mut name = device.clone().into_bytes();
            name.push(0);
            request = request.attribute(kind, &name);
        }
    }
    if let Some(Mark { value, mask }) = rule.fwmark {
        request = request
            .attribute(FRA_FWMARK, &value.to_ne_bytes())
            .attribute(FRA_FWMASK, &mask.to_ne_bytes());
    }
    told_apart(rule, request)
}

/// With what tells packets apart above IP.
fn told_apart(rule: &VirtualRule, mut request: Request) -> Request {
    if let Some(Users { first, last }) = rule.uidrange {
        let range = [first.to_ne_bytes(), last.to_ne_bytes()];
        request = request.attribute(FRA_UID_RANGE, range.as_flattened());
    }
    if let Some(Protocol(number)) = rule.ipproto {
        request = request.attribute(FRA_IP_PROTO, &[number]);
    }
    for (kind, ports) in [(FRA_SPORT_RANGE, rule.sport), (FRA_DPORT_RANGE, rule.dport)] {
        if let Some(Ports { first, last }) = ports {
            let range = [first.to_ne_bytes(), last.to_ne_bytes()];
            request = request.attribute(kind, range.as_flattened());
        }
    }
    request
}

pub(super) const fn number(family: Family) -> u8 {
    match family {
        Family::V4 => libc::AF_INET as u8,
        Family::V6 => libc::AF_INET6 as u8,
    }
}

/// What a dump's header says to have the rules of one family.
pub(super) const fn filter(family: Family) -> [u8; FIXED] {
    let mut header = [0; FIXED];
    header[0] = number(family);
    header
}

/// The rule of ours that a message is about; none if it is somebody else's.
pub(super) fn read(message: &Message<'_>) -> Option<VirtualRule> {
    let body = message.body;
    let family = match i32::from(*body.first()?) {
        libc::AF_INET => Family::V4,
        libc::AF_INET6 => Family::V6,
        _ => return None,
    };
    let (to, from, action) = (*body.get(1)?, *body.get(2)?, *body.get(7)?);
    let mut rule = VirtualRule {
        family,
        not: u32_at(body, FLAGS)? & INVERT != 0,
        from: None,
        to: None,
        iif: None,
        oif: None,
        fwmark: None,
        uidrange: None,
        ipproto: None,
        sport: None,
        dport: None,
        priority: 0,
        action: RuleAction::Blackhole,
    };
    let mut table = u32::from(*body.get(4)?);
    let (mut maker, mut mark, mut mask) = (0, 0, None);
    for (attribute, value) in message.attributes(FIXED) {
        let net = |length| address(value).and_then(|ip| IpNet::new(ip, length).ok());
        match attribute {
            FRA_DST => rule.to = net(to),
            FRA_SRC => rule.from = net(from),
            FRA_IIFNAME => rule.iif = Some(text(value)),
            FRA_OIFNAME => rule.oif = Some(text(value)),
            FRA_PRIORITY => rule.priority = u32_at(value, 0)?,
            FRA_FWMARK => mark = u32_at(value, 0)?,
            FRA_FWMASK => mask = u32_at(value, 0),
            FRA_TABLE => table = u32_at(value, 0)?,
            FRA_PROTOCOL => maker = *value.first()?,
            FRA_UID_RANGE => rule.uidrange = Some(users(value)?),
            FRA_IP_PROTO => rule.ipproto = Some(Protocol(*value.first()?)),
            FRA_SPORT_RANGE => rule.sport = Some(ports(value)?),
            FRA_DPORT_RANGE => rule.dport = Some(ports(value)?),
            _ => {}
        }
    }
    rule.fwmark = mask.map(|mask| Mark { value: mark, mask });
    rule.action = match action {
        TO_TABLE => RuleAction::Lookup(table),
        BLACKHOLE => RuleAction::Blackhole,
        UNREACHABLE => RuleAction::Unreachable,
        PROHIBIT => RuleAction::Prohibit,
        _ => return None,
    };
    let all = everything(family);
    rule.from = rule.from.filter(|net| *net != all);
    rule.to = rule.to.filter(|net| *net != all);
    (maker == PROTOCOL).then_some(rule)
}

fn users(value: &[u8]) -> Option<Users> {
    let (first, last) = (u32_at(value, 0)?, u32_at(value, 4)?);
    Some(Users { first, last })
}

fn ports(value: &[u8]) -> Option<Ports> {
    let (first, rest) = value.split_first_chunk()?;
    let (first, last) = (u16::from_ne_bytes(*first), rest.first_chunk()?);
    let last = u16::from_ne_bytes(*last);
    Some(Ports { first, last })
}

fn text(value: &[u8]) -> String {
    let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
