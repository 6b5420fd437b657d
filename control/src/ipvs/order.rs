//! The orders in which services and destinations are listed.
//!
//! IPVS lists services as its hash table has them. `ipvsadm` sorts them by comparisons that take the difference of
//! two addresses for a signed number. That is no order in the mathematical sense (10.0.0.1 < 127.0.0.1 <
//! 224.0.0.1 < 10.0.0.1), so what comes out depends on how it is sorted: by merging, as glibc's `qsort` does, from
//! the order in which IPVS lists. To list as it does means to do as it does.

use std::{
    cmp::Ordering,
    net::{IpAddr, SocketAddr},
};

use super::{Destination, Service, ServiceId};

/// In which order services and destinations are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As IPVS has them (`--nosort`): services by their hash, destinations last added first.
    Kernel(Seed),
    /// By protocol, address and port.
    Sorted(Seed),
}

/// What IPVS's hash table is salted with: with it a listing comes in the order of another system's. Any will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seed(pub u8);

impl Order {
    /// The services in this order; they come in the order of being added.
    pub fn services<T>(self, items: &mut [T], service: impl Fn(&T) -> &Service) {
        let (Self::Kernel(seed) | Self::Sorted(seed)) = self;
        // Within a bucket the one added last is the first.
        items.reverse();
        items.sort_by_key(|item| bucket(service(item).id, seed));
        if matches!(self, Self::Sorted(_)) {
            merge_sort(items, &|a, b| {
                compare_services(service(a).id, service(b).id)
            });
        }
    }

    /// The destinations in this order; they come last added first.
    pub fn destinations<T>(self, items: &mut [T], destination: impl Fn(&T) -> &Destination) {
        if matches!(self, Self::Sorted(_)) {
            merge_sort(items, &|a, b| {
                by_address(destination(a).address, destination(b).address)
            });
        }
    }
}

/// IPVS's hash: 256 buckets, by protocol, address and port.
fn bucket(id: ServiceId, seed: Seed) -> u8 {
    let ip = match id.address.ip() {
        IpAddr::V4(ip) => u32::from(ip),
        IpAddr::V6(ip) => words(IpAddr::V6(ip)).iter().fold(0, |all, word| all ^ word),
    };
    let [.., low] = ip.to_be_bytes();
    let [high_port, low_port] = id.address.port().to_be_bytes();
    id.protocol.number() ^ low ^ seed.0 ^ high_port ^ low_port
}

/// The four words of an address in IPVS's union, of which IPv4 has the first.
fn words(ip: IpAddr) -> [u32; 4] {
    match ip {
        IpAddr::V4(ip) => [u32::from(ip), 0, 0, 0],
        IpAddr::V6(ip) => {
            let bits = u128::from(ip);
            [96, 64, 32, 0].map(|shift| (bits >> shift) as u32)
        }
    }
}

/// The sign of the difference, taken for a signed number.
fn difference(a: u32, b: u32) -> Ordering {
    (a.wrapping_sub(b) as i32).cmp(&0)
}

fn compare_services(a: ServiceId, b: ServiceId) -> Ordering {
    a.address
        .is_ipv6()
        .cmp(&b.address.is_ipv6())
        .then_with(|| a.protocol.number().cmp(&b.protocol.number()))
        .then_with(|| by_address(a.address, b.address))
}

/// How `ipvsadm` compares addresses: of IPv6 word by word, else by the first word alone; then by port.
#[must_use]
pub fn by_address(a: SocketAddr, b: SocketAddr) -> Ordering {
    let (left, right) = (words(a.ip()), words(b.ip()));
    let compared = if a.is_ipv6() { 4 } else { 1 };
    left.iter()
        .zip(&right)
        .take(compared)
        .map(|(a, b)| difference(*a, *b))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.port().cmp(&b.port()))
}

/// Merge sort that halves as glibc's does: the smaller half first. The standard library's sort may notice that the
/// comparison is no order, and this one must not care.
fn merge_sort<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    if items.len() < 2 {
        return;
    }
    let middle = items.len() / 2;
    let (left, right) = items.split_at_mut(middle);
    merge_sort(left, compare);
    merge_sort(right, compare);
    // `left` and `right` in place: the next of the two is brought to the front by a rotation.
    let (mut at, mut second) = (0, middle);
    while at < second && second < items.len() {
        if compare(&items[at], &items[second]).is_gt() {
            items[at..=second].rotate_right(1);
            second += 1;
        }
        at += 1;
    }
}
