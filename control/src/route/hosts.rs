//! The index by host: from a request's host to the routes that take it, in config order.
//!
//! Each host that the config names, exact or as a wildcard, has its routes merged at compile time: those that
//! name it, and those of all wildcards above it. Routes for any host are kept apart, and merged in as they
//! are walked: copied to each host they would be hosts × routes. So a look-up is one hash of the host, and
//! one more for each of its labels if there are wildcards and the host itself is not named.

use std::{collections::HashMap, iter::Peekable};

use crate::spec::http::HostMatch;

/// Hosts to the places of the routes that take them.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: HashMap<Box<str>, Box<[u32]>>,
    below: HashMap<Box<str>, Box<[u32]>>,
    any: Box<[u32]>,
}

impl Hosts {
    /// The index over each route's hosts; no hosts: any.
    pub(super) fn new<'a>(routes: impl Iterator<Item = &'a [HostMatch]>) -> Self {
        let mut exact: HashMap<&str, Vec<u32>> = HashMap::new();
        let mut below: HashMap<&str, Vec<u32>> = HashMap::new();
        let mut any = Vec::new();
        for (place, hosts) in (0..).zip(routes) {
            if hosts.is_empty() {
                any.push(place);
            }
            for host in hosts {
                match host {
                    HostMatch::Exact(name) => exact.entry(name).or_default().push(place),
                    HostMatch::Below(parent) => below.entry(parent).or_default().push(place),
                }
            }
        }
        let merged = |name: &str, own: &[u32]| -> Box<[u32]> {
            let above = parents(name).filter_map(|parent| below.get(parent));
            let mut places: Vec<u32> = own.iter().chain(above.flatten()).copied().collect();
            places.sort_unstable();
            places.dedup();
            places.into()
        };
        let merged_all = |hosts: &HashMap<&str, Vec<u32>>| {
            let merge = |(&name, own): (&&str, &Vec<u32>)| (name.into(), merged(name, own));
            hosts.iter().map(merge).collect()
        };
        Self {
            exact: merged_all(&exact),
            below: merged_all(&below),
            any: any.into(),
        }
    }

    /// The places of the routes that take `host`, in config order.
    pub(super) fn routes_for<'h>(&'h self, host: &str) -> impl Iterator<Item = u32> + use<'h> {
        let mut buffer = [0; MAX_HOST];
        let named = lower(host, &mut buffer).and_then(|host| match self.exact.get(host) {
            Some(places) => Some(&**places),
            None => self.wildcard(host),
        });
        merge(named.unwrap_or(&[]), &self.any)
    }

    /// The routes of the narrowest wildcard that takes the host; those of wider ones are merged into it.
    fn wildcard(&self, host: &str) -> Option<&[u32]> {
        if self.below.is_empty() {
            return None;
        }
        parents(host).find_map(|parent| self.below.get(parent).map(|places| &**places))
    }
}

/// Whether a route with these hosts takes `host`.
pub(super) fn take(hosts: &[HostMatch], host: &str) -> bool {
    let mut buffer = [0; MAX_HOST];
    let host = lower(host, &mut buffer);
    let takes = |wanted: &HostMatch| match (wanted, host) {
        (HostMatch::Exact(name), Some(host)) => name == host,
        (HostMatch::Below(parent), Some(host)) => parents(host).any(|p| p == parent),
        (_, None) => false,
    };
    hosts.is_empty() || hosts.iter().any(takes)
}

/// The names above a host: `a.b.c` is below `b.c` and `c`. The empty label is no name: `.b` is not below `b`.
pub(super) fn parents(host: &str) -> impl Iterator<Item = &str> {
    let dots = host
        .bytes()
        .enumerate()
        .filter(|&(at, b)| b == b'.' && at > 0);
    dots.map(|(at, _)| &host[at + 1..])
}

/// The longest name of the DNS, with its last dot.
pub(super) const MAX_HOST: usize = 254;

/// The host in lower case and without the root's dot; none if it is longer than any name.
pub(super) fn lower<'b>(host: &str, buffer: &'b mut [u8; MAX_HOST]) -> Option<&'b str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let copy = buffer.get_mut(..host.len())?;
    copy.copy_from_slice(host.as_bytes());
    copy.make_ascii_lowercase();
    std::str::from_utf8(copy).ok()
}

/// Two ascending lists as one; no place is in both.
fn merge<'a>(a: &'a [u32], b: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    let mut lists: [Peekable<_>; 2] = [a.iter().copied().peekable(), b.iter().copied().peekable()];
    std::iter::from_fn(move || {
        let [a, b] = &mut lists;
        match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if y < x => b.next(),
            (Some(_), _) => a.next(),
            (None, _) => b.next(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_whole_labels() {
        let list = |host| parents(host).collect::<Vec<_>>();
        assert_eq!(list("a.b.c"), ["b.c", "c"]);
        assert_eq!(list("localhost"), [""; 0]);
        assert_eq!(list(".b"), [""; 0]);
        assert_eq!(list("a..b"), [".b", "b"]);
    }

    #[test]
    fn lower_case_without_allocating() {
        let mut buffer = [0; MAX_HOST];
        assert_eq!(lower("Shop.EXAMPLE.", &mut buffer), Some("shop.example"));
        assert_eq!(lower("[2001:DB8::1]", &mut buffer), Some("[2001:db8::1]"));
        assert_eq!(lower(&"x".repeat(255), &mut buffer), None);
    }

    #[test]
    fn two_lists_are_walked_in_order() {
        let walk = |a: &[u32], b: &[u32]| merge(a, b).collect::<Vec<_>>();
        assert_eq!(walk(&[1, 4, 9], &[0, 5]), [0, 1, 4, 5, 9]);
        assert_eq!(walk(&[], &[2, 3]), [2, 3]);
        assert_eq!(walk(&[2, 3], &[]), [2, 3]);
    }
}
