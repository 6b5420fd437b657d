//! The table of nftables as netlink messages (`nf_tables.h`): one chain, a set of addresses for each family.

use std::{collections::BTreeSet, io, net::IpAddr};

use l4::net::{
    socket::Requests,
    wire::{Request, flags},
};

use super::super::hand::attribute;

/// What it is called in `nft list ruleset`.
const TABLE: &[u8] = b"aplomb\0";
const CHAIN: &[u8] = b"refuse\0";
const SET_V4: &[u8] = b"addresses4\0";
const SET_V6: &[u8] = b"addresses6\0";

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const DELETE_TABLE: u16 = SUBSYSTEM << 8 | 2;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
const NEW_SET: u16 = SUBSYSTEM << 8 | 9;
const NEW_ELEMENTS: u16 = SUBSYSTEM << 8 | 12;
/// `NFPROTO_INET`: both families.
const INET: u8 = 1;
const NESTED: u16 = 0x8000;
/// Elements of a message, whose attributes have at most 64 KiB.
const ELEMENTS: usize = 1000;

/// Replaces the table; without addresses there is none.
///
/// # Errors
/// What the kernel says.
pub(super) fn replace(addresses: &BTreeSet<IpAddr>) -> io::Result<()> {
    let mut requests = Requests::of_netfilter()?;
    if addresses.is_empty() {
        let gone = requests.perform_all(batch(vec![table(DELETE_TABLE, 0)]));
        return match gone {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            done => done,
        };
    }
    let (v4, v6): (Vec<_>, Vec<_>) = addresses.iter().partition(|ip| ip.is_ipv4());
    let mut messages = vec![
        // So that there is one to delete.
        table(NEW_TABLE, flags::CREATE),
        table(DELETE_TABLE, 0),
        table(NEW_TABLE, flags::CREATE),
        chain(),
        set(SET_V4, 1, 7, 4),
        set(SET_V6, 2, 8, 16),
        rule(&refused_v4()),
        rule(&discovery()),
        rule(&refused_v6()),
    ];
    let parts = |set, all: Vec<&IpAddr>| -> Vec<Request> {
        let chunks = all.chunks(ELEMENTS);
        chunks.map(|chunk| elements(set, chunk)).collect()
    };
    let mut more = parts(SET_V4, v4);
    more.extend(parts(SET_V6, v6));
    let mut more = more.into_iter();
    // What is too much for one message is too much for one transaction too.
    messages.extend(more.by_ref().take(2));
    requests.perform_all(batch(messages))?;
    more.try_for_each(|part| requests.perform_all(batch(vec![part])))
}

/// A transaction.
fn batch(messages: Vec<Request>) -> Vec<Request> {
    let edge = |kind| Request::new(kind, 0, &header(0, SUBSYSTEM));
    let mut all = vec![edge(BATCH_BEGIN)];
    all.extend(messages);
    all.push(edge(BATCH_END));
    all
}

/// `nfgenmsg`.
const fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

fn message(kind: u16, how: u16) -> Request {
    Request::new(kind, flags::ACK | how, &header(INET, 0))
}

fn table(kind: u16, how: u16) -> Request {
    const NAME: u16 = 1;
    message(kind, how).attribute(NAME, TABLE)
}

/// A chain of type `filter` at `input`, before others: what is refused here nobody has to look at.
fn chain() -> Request {
    const HOOK_NUMBER: u16 = 1;
    const HOOK_PRIORITY: u16 = 2;
    const LOCAL_IN: u32 = 1;
    let mut hook = number(HOOK_NUMBER, LOCAL_IN);
    hook.extend(attribute(HOOK_PRIORITY, &(-10_i32).to_be_bytes()));
    message(NEW_CHAIN, flags::CREATE)
        .attribute(1, TABLE)
        .attribute(3, CHAIN)
        .attribute(4 | NESTED, &hook)
        .attribute(7, b"filter\0")
}

/// A set of addresses of so many bytes; `kind` is what `nft` shows them as.
fn set(name: &[u8], id: u32, kind: u32, length: u32) -> Request {
    message(NEW_SET, flags::CREATE)
        .attribute(1, TABLE)
        .attribute(2, name)
        .attribute(3, &0_u32.to_be_bytes())
        .attribute(4, &kind.to_be_bytes())
        .attribute(5, &length.to_be_bytes())
        .attribute(10, &id.to_be_bytes())
}

fn elements(set: &[u8], addresses: &[&IpAddr]) -> Request {
    const KEY: u16 = 1;
    let each = addresses.iter().flat_map(|address| {
        let value = match address {
            IpAddr::V4(ip) => data(&ip.octets()),
            IpAddr::V6(ip) => data(&ip.octets()),
        };
        entry(&attribute(KEY | NESTED, &value))
    });
    let list: Vec<u8> = each.collect();
    message(NEW_ELEMENTS, flags::CREATE)
        .attribute(1, TABLE)
        .attribute(2, set)
        .attribute(3 | NESTED, &list)
}

fn rule(expressions: &[Vec<u8>]) -> Request {
    /// At the end of the chain.
    const APPEND: u16 = 0x800;
    message(NEW_RULE, flags::CREATE | APPEND)
        .attribute(1, TABLE)
        .attribute(2, CHAIN)
        .attribute(4 | NESTED, &expressions.concat())
}

/// `ip daddr @addresses4 counter drop`
fn refused_v4() -> Vec<Vec<u8>> {
    let (offset, length) = (16, 4);
    let family = libc::NFPROTO_IPV4 as u8;
    [
        of_family(family),
        vec![payload(NETWORK, offset, length), lookup(SET_V4)],
        vec![counter(), verdict(DROP)],
    ]
    .concat()
}

/// `icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept`
fn discovery() -> Vec<Vec<u8>> {
    const L4_PROTOCOL: u32 = 16;
    let icmp = libc::IPPROTO_ICMPV6 as u8;
    let (solicitation, advertisement) = (135, 136);
    [
        of_family(libc::NFPROTO_IPV6 as u8),
        vec![meta(L4_PROTOCOL), compare(EQUAL, icmp)],
        vec![payload(TRANSPORT, 0, 1)],
        vec![
            compare(AT_LEAST, solicitation),
            compare(AT_MOST, advertisement),
        ],
        vec![verdict(ACCEPT)],
    ]
    .concat()
}

/// `ip6 daddr @addresses6 counter drop`
fn refused_v6() -> Vec<Vec<u8>> {
    let (offset, length) = (24, 16);
    [
        of_family(libc::NFPROTO_IPV6 as u8),
        vec![payload(NETWORK, offset, length), lookup(SET_V6)],
        vec![counter(), verdict(DROP)],
    ]
    .concat()
}

const REGISTER: u32 = 1;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
const EQUAL: u32 = 0;
const AT_MOST: u32 = 3;
const AT_LEAST: u32 = 5;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;

fn of_family(family: u8) -> Vec<Vec<u8>> {
    const PROTOCOL: u32 = 15;
    vec![meta(PROTOCOL), compare(EQUAL, family)]
}

/// Takes a property of the packet into the register.
fn meta(key: u32) -> Vec<u8> {
    let data = [number(1, REGISTER), number(2, key)].concat();
    expression(b"meta\0", &data)
}

/// Takes bytes of the packet into the register.
fn payload(base: u32, offset: u32, length: u32) -> Vec<u8> {
    let place = [number(2, base), number(3, offset), number(4, length)].concat();
    expression(b"payload\0", &[number(1, REGISTER), place].concat())
}

/// Goes on if the register's byte is so.
fn compare(how: u32, with: u8) -> Vec<u8> {
    let with = attribute(3 | NESTED, &data(&[with]));
    expression(
        b"cmp\0",
        &[number(1, REGISTER), number(2, how), with].concat(),
    )
}

/// Goes on if the register is in the set.
fn lookup(set: &[u8]) -> Vec<u8> {
    expression(
        b"lookup\0",
        &[attribute(1, set), number(2, REGISTER)].concat(),
    )
}

fn counter() -> Vec<u8> {
    expression(b"counter\0", &[])
}

fn verdict(code: u32) -> Vec<u8> {
    const VERDICT: u16 = 2;
    const REGISTER_OF_VERDICTS: u32 = 0;
    let verdict = attribute(VERDICT | NESTED, &number(1, code));
    let data = attribute(2 | NESTED, &verdict);
    expression(
        b"immediate\0",
        &[number(1, REGISTER_OF_VERDICTS), data].concat(),
    )
}

fn expression(name: &[u8], data: &[u8]) -> Vec<u8> {
    entry(&[attribute(1, name), attribute(2 | NESTED, data)].concat())
}

/// An entry of a list.
fn entry(value: &[u8]) -> Vec<u8> {
    attribute(1 | NESTED, value)
}

fn data(value: &[u8]) -> Vec<u8> {
    attribute(1, value)
}

/// Numbers of netfilter are in network order.
fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}
