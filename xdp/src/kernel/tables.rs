//! The maps as [`Tables`].

use core::{ffi::c_void, ptr, ptr::NonNull};

use aya_ebpf::helpers::{
    bpf_get_prandom_u32, bpf_ktime_get_coarse_ns, bpf_map_lookup_elem, bpf_map_update_elem,
};
use xdp::{
    decide::{Entry, Inserted, Journey, Route, Table, Tables},
    flows::{self, Buckets, Place},
    packet::Frame,
    rewrite::Room,
};

use super::{act::Context, fib};
use crate::abi::{
    Addr6, Backend, Cookies, Counters, Endpoint, Family, Flow, Fragment, FragmentKey, Guard, Hop,
    Iface, LANES, Load, Locality, LocalityKey, QuicConfig, QuicId, QuicKey, RangeKey, Secret,
    Service, Settings, Template, TemplateKey, Tick, Tuple, V4, V6, Way,
};

/// In any case.
const ANY: u64 = 0;

/// The maps, and the packet's context for the helpers that want it.
pub(super) struct Kernel {
    /// The packet's context.
    pub(super) ctx: *mut c_void,
    /// The device the packet came in by.
    pub(super) ifindex: u32,
}

/// A map, as helpers want it.
macro_rules! map {
    ($name:ident) => {
        ::core::ptr::from_ref(&$crate::kernel::maps::$name)
            .cast_mut()
            .cast::<::core::ffi::c_void>()
    };
}

/// The value of a key.
#[inline(always)]
pub(super) fn lookup<K, V>(map: *mut c_void, key: &K) -> Option<Entry<V>> {
    // SAFETY: the key is as large as the map's, and lives through the call.
    let value = unsafe { bpf_map_lookup_elem(map, ptr::from_ref(key).cast()) };
    // SAFETY: a map's value is readable and writable until the program ends; all values are plain.
    NonNull::new(value.cast()).map(|value| unsafe { Entry::new(value) })
}

/// Puts a value in.
#[inline(always)]
pub(super) fn update<K, V>(map: *mut c_void, key: &K, value: &V, flags: u64) -> i64 {
    // SAFETY: key and value are as large as the map's, and live through the call.
    unsafe {
        bpf_map_update_elem(
            map,
            ptr::from_ref(key).cast(),
            ptr::from_ref(value).cast(),
            flags,
        )
    }
}

macro_rules! tables {
    ($family:ident, $locate:ident, $insert:ident, $replace:ident, $remove:ident, $endpoints:ident, $ranges:ident, $templates:ident, $fragments:ident,
     $locality:ident, $home:ident, $returned:ident) => {
        impl Tables<$family> for Kernel {
            #[inline(always)]
            fn now(&self) -> Tick {
                // SAFETY: no arguments.
                Tick::of_nanos(unsafe { bpf_ktime_get_coarse_ns() })
            }

            #[inline(always)]
            fn random(&self) -> u32 {
                // SAFETY: no arguments.
                unsafe { bpf_get_prandom_u32() }
            }

            #[inline(always)]
            fn settings(&self) -> Option<Entry<Settings>> {
                lookup(map!(SETTINGS), &0_u32)
            }

            #[inline(always)]
            fn flow(&self, table: Table, key: &Tuple<$family>) -> Option<Entry<Flow<$family>>> {
                let at = super::flows::$locate(key, table);
                if at == super::flows::NOWHERE {
                    return None;
                }
                let bucket = Buckets::<$family>::bucket(self, table, at / LANES as u32)?;
                Some(flows::flow(flows::slot(bucket, at as usize)))
            }

            #[inline(always)]
            fn place(&self, key: &Tuple<$family>) -> Place {
                Place::of(key, Buckets::<$family>::secret(self))
            }

            #[inline(always)]
            fn look(
                &self,
                table: Table,
                place: Place,
                key: &Tuple<$family>,
            ) -> Option<Entry<Flow<$family>>> {
                flows::find(self, table, place, key)
            }

            #[inline(always)]
            fn draft(&self) -> Option<Entry<Flow<$family>>> {
                super::flows::draft()
            }

            #[inline(always)]
            fn insert(&self, table: Table, key: &Tuple<$family>) -> Inserted {
                super::flows::$insert(key, table)
            }

            #[inline(always)]
            fn add(
                &self,
                table: Table,
                place: Place,
                key: &Tuple<$family>,
                draft: Entry<Flow<$family>>,
            ) -> Inserted {
                match flows::add(self, table, place, key, draft) {
                    Inserted::Full => super::flows::$replace(key, table),
                    done => done,
                }
            }

            #[inline(always)]
            fn remove(&self, table: Table, key: &Tuple<$family>) -> bool {
                super::flows::$remove(key, table)
            }

            #[inline(always)]
            fn endpoint(&self, key: &Endpoint<$family>) -> Option<u32> {
                let slot: Entry<u32> = lookup(map!($endpoints), key)?;
                // SAFETY: a map's value is readable.
                Some(unsafe { *slot.as_ptr() })
            }

            #[inline(always)]
            fn range(&self, key: &RangeKey<$family>) -> Option<u32> {
                let slot: Entry<u32> = lookup(map!($ranges), key)?;
                // SAFETY: a map's value is readable.
                Some(unsafe { *slot.as_ptr() })
            }

            #[inline(always)]
            fn service(&self, slot: u32) -> Option<Entry<Service>> {
                lookup(map!(SERVICES), &slot)
            }

            #[inline(always)]
            fn backend(&self, slot: u32) -> Option<Entry<Backend>> {
                lookup(map!(BACKENDS), &slot)
            }

            #[inline(always)]
            fn load(&self, slot: u32) -> Option<Entry<Load>> {
                lookup(map!(LOADS), &slot)
            }

            #[inline(always)]
            fn scheduled(&self, index: u32) -> Option<u32> {
                let slot: Entry<u32> = lookup(map!(SCHEDULE), &index)?;
                // SAFETY: a map's value is readable.
                Some(unsafe { *slot.as_ptr() })
            }

            #[inline(always)]
            fn turn(&self, service: u32) -> Option<u32> {
                let cursor: Entry<u32> = lookup(map!(CURSORS), &service)?;
                // SAFETY: a map's value is writable, and aligned.
                Some(unsafe { fetch_add(cursor.as_ptr(), 1) })
            }

            #[inline(always)]
            fn counters(&self, slot: u32) -> Option<Entry<Counters>> {
                lookup(map!(COUNTERS), &slot)
            }

            #[inline(always)]
            fn template(&self, key: &TemplateKey<$family>) -> Option<Entry<Template>> {
                lookup(map!($templates), key)
            }

            #[inline(always)]
            fn remember(&self, key: &TemplateKey<$family>, template: &Template) {
                let _ = update(map!($templates), key, template, ANY);
            }

            #[inline(always)]
            fn fragment(&self, key: &FragmentKey<$family>) -> Option<Entry<Fragment>> {
                lookup(map!($fragments), key)
            }

            #[inline(always)]
            fn keep_fragment(&self, key: &FragmentKey<$family>, fragment: &Fragment) {
                let _ = update(map!($fragments), key, fragment, ANY);
            }

            #[inline(always)]
            fn locality(&self, key: &LocalityKey<$family>) -> Option<Entry<Locality>> {
                lookup(map!($locality), key)
            }

            #[inline(always)]
            fn settle(&self, key: &LocalityKey<$family>, locality: &Locality) {
                let _ = update(map!($locality), key, locality, ANY);
            }

            #[inline(always)]
            fn frame(&self) -> Frame {
                Context(self.ctx.cast()).frame()
            }

            #[inline(always)]
            fn quic_config(&self, key: &QuicKey) -> Option<Entry<QuicConfig>> {
                lookup(map!(QUIC_CONFIGS), key)
            }

            #[inline(always)]
            fn quic_id(&self, key: &QuicId) -> Option<u32> {
                let slot: Entry<u32> = lookup(map!(QUIC_IDS), key)?;
                // SAFETY: a map's value is readable.
                Some(unsafe { *slot.as_ptr() })
            }

            #[inline(always)]
            fn route(&self, journey: &Journey<$family>, hop: &mut Hop) -> Route {
                fib::route::<$family>(self, journey, hop)
            }

            #[inline(always)]
            fn route_other(&self, dst: &Addr6, v6: bool, hop: &mut Hop) -> Route {
                fib::route_other(self, dst, v6, hop)
            }

            #[inline(always)]
            fn way(&self, backend: u32) -> Option<Entry<Way>> {
                lookup(map!(WAYS), &backend)
            }

            #[inline(always)]
            fn source(&self, ifindex: u32, v6: bool) -> Option<Addr6> {
                let iface: Entry<Iface> = lookup(map!(IFACES), &ifindex)?;
                // SAFETY: a map's value is readable.
                let iface = unsafe { &*iface.as_ptr() };
                Some(if v6 {
                    iface.source6
                } else {
                    V4::widen(iface.source4)
                })
            }

            #[inline(always)]
            fn pick(&self, service: u32, scheduler: u32, key: u32, more: u32) -> u32 {
                super::stages::pick(service, scheduler, key, more)
            }

            #[inline(always)]
            fn compare(
                &self,
                service: u32,
                scheduler: u32,
                offset: u32,
                from: u32,
                chosen: u32,
            ) -> u32 {
                super::stages::compare(service, scheduler, offset, from, chosen)
            }

            #[inline(always)]
            fn weigh(&self, slot: u32, scheduler: u32) -> u64 {
                super::stages::weigh(slot, scheduler)
            }

            #[inline(always)]
            fn home(&self, service: u32, _dst: <$family as Family>::Addr, replicated: bool) -> u32 {
                // The destination is that of the packet in hand.
                super::stages::$home(service, u32::from(replicated))
            }

            #[inline(always)]
            fn named(&self, service: u32, rotations: u32, begin: u32, end: u32) -> u32 {
                super::stages::named(self.ctx.cast(), service, rotations, begin, end)
            }

            #[inline(always)]
            fn secret(&self) -> Option<Entry<Secret>> {
                lookup(map!(SECRET), &0_u32)
            }

            #[inline(always)]
            fn guard(&self, service: u32) -> Option<Entry<Guard>> {
                lookup(map!(GUARDS), &service)
            }

            #[inline(always)]
            fn cookies(&self, service: u32) -> Option<Entry<Cookies>> {
                lookup(map!(COOKIES), &service)
            }

            #[inline(always)]
            fn returned(&self, _tuple: &Tuple<$family>, seq: u32, ack: u32) -> u32 {
                super::stages::$returned(seq, ack)
            }

            #[inline(always)]
            fn bump(&self, number: Entry<u32>, by: u32) {
                // SAFETY: a number in a map's value, aligned.
                let _ = unsafe { fetch_add(number.as_ptr(), by) };
            }
        }
    };
}

tables!(
    V4, locate4, insert4, replace4, remove4, ENDPOINTS4, RANGES4, TEMPLATES4, FRAGMENTS4,
    LOCALITY4, home4, returned4
);
tables!(
    V6, locate6, insert6, replace6, remove6, ENDPOINTS6, RANGES6, TEMPLATES6, FRAGMENTS6,
    LOCALITY6, home6, returned6
);

/// Adds atomically; what was there before. (`AtomicU32` has no such method on this target.)
///
/// # Safety
/// The number must be writable and aligned.
#[inline(always)]
unsafe fn fetch_add(number: *mut u32, by: u32) -> u32 {
    use core::intrinsics::{AtomicOrdering, atomic_xadd};
    // SAFETY: as the caller says.
    unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::SeqCst }>(number, by) }
}

pub(super) use map;
