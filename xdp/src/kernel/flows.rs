//! The tables of flows in the kernel. Off the short roads what is done with them are functions of their own: the verifier
//! looks at each once. They take a key as numbers, two or five, the last of which names the table too; what is long, and seldom done,
//! takes it from the map of work in hand.

use core::ptr::NonNull;

use xdp::{
    abi::{Bucket, LANES},
    decide::{self, Entry, Inserted, Table},
    flows::{self, Buckets},
};

use super::{
    stages::{Staged, apart},
    tables::{Kernel, lookup, map},
};
use crate::abi::{Addr6, Flow, Tuple, V4, V6};

/// No place.
pub(super) const NOWHERE: u32 = u32::MAX;

/// What hashes depend on. The loader puts a secret here, always the same for the same tables.
#[unsafe(no_mangle)]
static FLOW_SECRET: u64 = 0;
/// How many buckets there are for established flows, in each family, and how many of them are near; the loader's too.
#[unsafe(no_mangle)]
static FLOW_BUCKETS: u32 = crate::abi::buckets(crate::abi::FLOWS);
#[unsafe(no_mangle)]
static FLOW_NEAR: u32 = crate::abi::near(crate::abi::buckets(crate::abi::FLOWS));
/// The same for handshakes.
#[unsafe(no_mangle)]
static PENDING_BUCKETS: u32 = crate::abi::buckets(crate::abi::PENDING);
#[unsafe(no_mangle)]
static PENDING_NEAR: u32 = crate::abi::near(crate::abi::buckets(crate::abi::PENDING));

macro_rules! buckets {
    ($family:ident, $flows:ident, $pending:ident) => {
        impl Buckets<$family> for Kernel {
            #[inline(always)]
            fn secret(&self) -> u64 {
                // SAFETY: a number in read-only memory. Volatile: the loader has put another there.
                unsafe { core::ptr::read_volatile(&raw const FLOW_SECRET) }
            }

            #[inline(always)]
            fn count(&self, table: Table) -> u32 {
                // SAFETY: as above.
                unsafe {
                    core::ptr::read_volatile(match table {
                        Table::Established => &raw const FLOW_BUCKETS,
                        Table::Pending => &raw const PENDING_BUCKETS,
                    })
                }
            }

            #[inline(always)]
            fn near(&self, table: Table) -> u32 {
                // SAFETY: as above.
                unsafe {
                    core::ptr::read_volatile(match table {
                        Table::Established => &raw const FLOW_NEAR,
                        Table::Pending => &raw const PENDING_NEAR,
                    })
                }
            }

            #[inline(always)]
            fn bucket(&self, table: Table, index: u32) -> Option<Entry<Bucket<$family>>> {
                match table {
                    Table::Established => lookup(map!($flows), &index),
                    Table::Pending => lookup(map!($pending), &index),
                }
            }
        }
    };
}

buckets!(V4, FLOWS4, PENDING4);
buckets!(V6, FLOWS6, PENDING6);

/// The part of a key that is no address, and the table.
#[inline(always)]
fn last(sport: u16, dport: u16, proto: u8, table: Table) -> u64 {
    let table = match table {
        Table::Established => 0,
        Table::Pending => 1_u64 << 40,
    };
    u64::from(sport) | u64::from(dport) << 16 | u64::from(proto) << 32 | table
}

/// The table that it names.
#[inline(always)]
fn table(last: u64) -> Table {
    if last >> 40 == 0 {
        Table::Established
    } else {
        Table::Pending
    }
}

#[inline(always)]
fn words4(key: &Tuple<V4>, table: Table) -> (u64, u64) {
    (
        u64::from(key.src) | u64::from(key.dst) << 32,
        last(key.sport, key.dport, key.proto, table),
    )
}

#[inline(always)]
fn key4(addresses: u64, last: u64) -> Tuple<V4> {
    Tuple::new(
        addresses as u32,
        (addresses >> 32) as u32,
        last as u16,
        (last >> 16) as u16,
        (last >> 32) as u8,
    )
}

#[inline(always)]
fn words6(key: &Tuple<V6>, table: Table) -> (u64, u64, u64, u64, u64) {
    let both = |a: u32, b: u32| u64::from(a) | u64::from(b) << 32;
    let (src, dst) = (key.src, key.dst);
    (
        both(src.a, src.b),
        both(src.c, src.d),
        both(dst.a, dst.b),
        both(dst.c, dst.d),
        last(key.sport, key.dport, key.proto, table),
    )
}

#[inline(always)]
fn key6(src: (u64, u64), dst: (u64, u64), last: u64) -> Tuple<V6> {
    let address = |(high, low): (u64, u64)| Addr6 {
        a: high as u32,
        b: (high >> 32) as u32,
        c: low as u32,
        d: (low >> 32) as u32,
    };
    Tuple::new(
        address(src),
        address(dst),
        last as u16,
        (last >> 16) as u16,
        (last >> 32) as u8,
    )
}

/// Where a key is: its bucket's index times eight, and the place in it.
#[inline(always)]
fn locate<F: Staged>(key: &Tuple<F>, table: Table) -> u32
where
    Kernel: Buckets<F>,
{
    flows::place(&apart(), table, key).map_or(NOWHERE, |(bucket, slot)| {
        bucket.wrapping_mul(LANES as u32) + slot
    })
}

/// The flow in hand.
#[inline(always)]
pub(super) fn draft<F: Staged>() -> Option<Entry<Flow<F>>> {
    let work = F::work()?.as_ptr();
    // SAFETY: this processor's value, which lies at no null address.
    Some(unsafe { Entry::new(NonNull::new_unchecked(&raw mut (*work).flow)) })
}

/// Takes a key in hand.
#[inline(always)]
fn hold<'a, F: Staged>(key: Tuple<F>) -> Option<&'a Tuple<F>> {
    let work = F::work()?.as_ptr();
    // SAFETY: this processor's value, which nobody else uses while the program runs.
    unsafe {
        (*work).key = key;
        Some(&(*work).key)
    }
}

/// Puts it in. The key is in hand then, for [`replace`].
#[inline(always)]
fn insert<F: Staged>(key: Tuple<F>, table: Table) -> u32
where
    Kernel: Buckets<F>,
{
    let (Some(key), Some(draft)) = (hold(key), draft()) else {
        return FULL;
    };
    number(flows::insert(&apart(), table, key, draft))
}

/// Puts it, by the key in hand, in the place of another. (As numbers the key would take of the stack what the short road
/// does not have.)
#[inline(always)]
fn replace<F: Staged>(table: Table) -> u32
where
    Kernel: decide::Tables<F> + Buckets<F>,
{
    let now = decide::Tables::<F>::now(&apart());
    let (Some(work), Some(draft)) = (F::work(), draft()) else {
        return FULL;
    };
    // SAFETY: this processor's value, which nobody changes while this runs.
    let key = unsafe { &(*work.as_ptr()).key };
    number(flows::replace(&apart(), table, key, draft, now))
}

#[inline(always)]
fn number(inserted: Inserted) -> u32 {
    match inserted {
        Inserted::Yes => YES,
        Inserted::Taken => TAKEN,
        Inserted::Full => FULL,
    }
}

const YES: u32 = 0;
const TAKEN: u32 = 1;
const FULL: u32 = 2;

#[inline(always)]
fn inserted(number: u32) -> Inserted {
    match number {
        YES => Inserted::Yes,
        TAKEN => Inserted::Taken,
        _ => Inserted::Full,
    }
}

/// The functions of IPv4: a key is two numbers.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_at4(addresses: u64, last: u64) -> u32 {
    locate(&key4(addresses, last), table(last))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_in4(addresses: u64, last: u64) -> u32 {
    insert(key4(addresses, last), table(last))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_over4(last: u64) -> u32 {
    replace::<V4>(table(last))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_out4(addresses: u64, last: u64) -> u32 {
    u32::from(flows::remove(&apart(), table(last), &key4(addresses, last)))
}

/// Those of IPv6: a key is five.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_at6(s: u64, t: u64, d: u64, e: u64, last: u64) -> u32 {
    locate(&key6((s, t), (d, e), last), table(last))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_in6(s: u64, t: u64, d: u64, e: u64, last: u64) -> u32 {
    insert(key6((s, t), (d, e), last), table(last))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_over6(last: u64) -> u32 {
    replace::<V6>(table(last))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_out6(s: u64, t: u64, d: u64, e: u64, last: u64) -> u32 {
    u32::from(flows::remove(
        &apart(),
        table(last),
        &key6((s, t), (d, e), last),
    ))
}

/// Where a key is, as `locate` says it.
#[inline(always)]
pub(super) fn locate4(key: &Tuple<V4>, table: Table) -> u32 {
    let (addresses, last) = words4(key, table);
    flow_at4(addresses, last)
}

/// Puts the flow in hand in; another gives way if there is no room.
#[inline(always)]
pub(super) fn insert4(key: &Tuple<V4>, table: Table) -> Inserted {
    let (addresses, last) = words4(key, table);
    match flow_in4(addresses, last) {
        FULL => inserted(flow_over4(last)),
        done => inserted(done),
    }
}

/// Puts the flow in hand, whose key has none, in the place of another.
#[inline(always)]
pub(super) fn replace4(key: &Tuple<V4>, table: Table) -> Inserted {
    let _ = hold(*key);
    inserted(flow_over4(last(0, 0, 0, table)))
}

/// Takes a key out.
#[inline(always)]
pub(super) fn remove4(key: &Tuple<V4>, table: Table) -> bool {
    let (addresses, last) = words4(key, table);
    flow_out4(addresses, last) != 0
}

/// As [`locate4`].
#[inline(always)]
pub(super) fn locate6(key: &Tuple<V6>, table: Table) -> u32 {
    let (s, t, d, e, last) = words6(key, table);
    flow_at6(s, t, d, e, last)
}

/// As [`insert4`].
#[inline(always)]
pub(super) fn insert6(key: &Tuple<V6>, table: Table) -> Inserted {
    let (s, t, d, e, last) = words6(key, table);
    match flow_in6(s, t, d, e, last) {
        FULL => inserted(flow_over6(last)),
        done => inserted(done),
    }
}

/// As [`replace4`].
#[inline(always)]
pub(super) fn replace6(key: &Tuple<V6>, table: Table) -> Inserted {
    let _ = hold(*key);
    inserted(flow_over6(last(0, 0, 0, table)))
}

/// As [`remove4`].
#[inline(always)]
pub(super) fn remove6(key: &Tuple<V6>, table: Table) -> bool {
    let (s, t, d, e, last) = words6(key, table);
    flow_out6(s, t, d, e, last) != 0
}
