//! Ways that were found before: all flows to a backend take the same, as with IPVS, while nothing changes on it.

use super::{Entry, Tables, Verdict, depart, get, part};
use crate::abi::{Addr6, Backend, Encap, Family, Method, V4, V6, Way, backend_flags};

/// The way to the backend of `slot`, if it is known and still good.
#[inline(always)]
pub(super) fn recall<F: Family, T: Tables<F>>(
    tables: &T,
    backend: Entry<Backend>,
    generation: u32,
    slot: u32,
) -> Option<Entry<Way>> {
    let way = tables.way(slot)?;
    let hop = part!(way.hop);
    let v6 = (get!(backend.flags) / backend_flags::V6) & 1;
    // A slot may have become another backend's.
    let same = get!(way.v6) == v6 && is_same(part!(way.address), part!(backend.address));
    (generation != 0 && get!(hop.generation) == generation && same).then_some(way)
}

/// Whether two addresses in tables are the same. In the kernel in two steps: both are aligned to eight bytes there.
#[inline(always)]
fn is_same(one: Entry<Addr6>, other: Entry<Addr6>) -> bool {
    if cfg!(target_arch = "bpf") {
        let (one, other): (*const u64, *const u64) = (one.as_ptr().cast(), other.as_ptr().cast());
        // SAFETY: an address has sixteen bytes.
        return unsafe { one.read() == other.read() && one.add(1).read() == other.add(1).read() };
    }
    // SAFETY: entries are readable.
    unsafe { *one.as_ptr() == *other.as_ptr() }
}

/// Whether a packet of so many bytes fits a tunnel's way: with few instructions for IP in IP.
#[inline(always)]
pub(super) fn fits(way: Entry<Way>, backend: Entry<Backend>, length: u32) -> bool {
    if get!(backend.encap) != Encap::IpIp as u8 {
        return length <= depart::largest(Method::Tunnel as u8, mtu(way), backend);
    }
    let v6 = (get!(backend.flags) / backend_flags::V6) & 1;
    let (v4_header, more) = (V4::HEADER as u32, (V6::HEADER - V4::HEADER) as u32);
    let learned = u32::from(get!(backend.path_mtu));
    let mut mtu = u32::from(mtu(way));
    // 0 is none.
    if learned.wrapping_sub(1) < mtu {
        mtu = learned;
    }
    length + v4_header + v6 * more <= mtu
}

/// The MTU of a way.
#[inline(always)]
pub(super) fn mtu(way: Entry<Way>) -> u16 {
    let hop = part!(way.hop);
    get!(hop.mtu)
}

/// Remembers the way of a verdict, if that is not known.
#[inline(always)]
pub(super) fn keep<F: Family, T: Tables<F>>(
    tables: &T,
    backend: Entry<Backend>,
    generation: u32,
    verdict: &Verdict<F>,
) {
    if recall(tables, backend, generation, verdict.backend).is_some() {
        return;
    }
    let Some(way) = tables.way(verdict.backend) else {
        return;
    };
    let v6 = get!(backend.flags) & backend_flags::V6 != 0;
    let source = if Method::of(verdict.method) == Method::Tunnel {
        tables.source(verdict.hop.ifindex, v6)
    } else {
        None
    };
    let value = Way {
        hop: verdict.hop,
        address: get!(backend.address),
        source: source.unwrap_or_default(),
        v6: u32::from(v6),
        zero: 0,
    };
    // SAFETY: an entry is writable.
    unsafe { *way.as_ptr() = value };
}
