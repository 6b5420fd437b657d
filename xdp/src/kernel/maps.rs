//! The maps. Names, types and sizes are what user space finds them by; sizes of the flow tables are set at load.

use aya_ebpf::{
    btf_maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};

use xdp::{decide::Verdict, packet::Packet};

use crate::abi::{
    self, Backend, Bucket, Cookies, Counters, Endpoint, Family, Flow, Fragment, FragmentKey, Guard,
    Iface, Load, Locality, LocalityKey, QuicConfig, QuicId, QuicKey, RangeKey, ResolveKey, Secret,
    Service, Settings, Template, TemplateKey, Tuple, V4, V6, Way,
};

/// What is known and decided of a packet.
#[repr(C)]
pub(crate) struct Work<F: Family> {
    /// What it is.
    pub(crate) packet: Packet<F>,
    /// What becomes of it.
    pub(crate) verdict: Verdict<F>,
    /// A flow that is put into a table.
    pub(crate) flow: Flow<F>,
    /// The key of one in whose favour another gives way.
    pub(crate) key: Tuple<F>,
}

/// User space maps it into its memory.
const MMAPABLE: usize = 1 << 10;
/// Memory as entries come, not beforehand.
const NO_PREALLOC: usize = 1;
/// Reasons, with room for more.
const REASONS: usize = 64;
/// Neighbours to be resolved at a time.
const NEIGHBOURS: usize = 4096;

/// What follows the prefix length in a [`RangeKey`].
type RangeBits4 = [u32; (size_of::<RangeKey<V4>>() - 4) / 4];
type RangeBits6 = [u32; (size_of::<RangeKey<V6>>() - 4) / 4];

const FLOW_BUCKETS: usize = abi::buckets(abi::FLOWS) as usize;
const PENDING_BUCKETS: usize = abi::buckets(abi::PENDING) as usize;
const ENDPOINT_ENTRIES: usize = abi::ENDPOINTS as usize;
const TEMPLATE_ENTRIES: usize = abi::TEMPLATES as usize;
const FRAGMENT_ENTRIES: usize = abi::FRAGMENTS as usize;
const LOCALITY_ENTRIES: usize = abi::LOCALITIES as usize;
const SERVICE_SLOTS: usize = abi::SERVICES as usize;
const BACKEND_SLOTS: usize = abi::BACKENDS as usize;
const SCHEDULE_ENTRIES: usize = abi::SCHEDULE as usize;
const QUIC_CONFIG_ENTRIES: usize = abi::QUIC_CONFIGS as usize;
const QUIC_ID_ENTRIES: usize = abi::QUIC_IDS as usize;
const DEVICES: usize = abi::IFACES as usize;
const TRACE_BYTES: usize = abi::TRACE_RING as usize;

#[btf_map]
pub(crate) static FLOWS4: Array<Bucket<V4>, FLOW_BUCKETS, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static FLOWS6: Array<Bucket<V6>, FLOW_BUCKETS, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static PENDING4: Array<Bucket<V4>, PENDING_BUCKETS, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static PENDING6: Array<Bucket<V6>, PENDING_BUCKETS, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static ENDPOINTS4: HashMap<Endpoint<V4>, u32, ENDPOINT_ENTRIES, NO_PREALLOC> =
    HashMap::new();
#[btf_map]
pub(crate) static ENDPOINTS6: HashMap<Endpoint<V6>, u32, ENDPOINT_ENTRIES, NO_PREALLOC> =
    HashMap::new();
#[btf_map]
pub(crate) static RANGES4: LpmTrie<RangeBits4, u32, ENDPOINT_ENTRIES, NO_PREALLOC> = LpmTrie::new();
#[btf_map]
pub(crate) static RANGES6: LpmTrie<RangeBits6, u32, ENDPOINT_ENTRIES, NO_PREALLOC> = LpmTrie::new();
#[btf_map]
pub(crate) static TEMPLATES4: LruHashMap<TemplateKey<V4>, Template, TEMPLATE_ENTRIES> =
    LruHashMap::new();
#[btf_map]
pub(crate) static TEMPLATES6: LruHashMap<TemplateKey<V6>, Template, TEMPLATE_ENTRIES> =
    LruHashMap::new();
#[btf_map]
pub(crate) static FRAGMENTS4: LruHashMap<FragmentKey<V4>, Fragment, FRAGMENT_ENTRIES> =
    LruHashMap::new();
#[btf_map]
pub(crate) static FRAGMENTS6: LruHashMap<FragmentKey<V6>, Fragment, FRAGMENT_ENTRIES> =
    LruHashMap::new();
#[btf_map]
pub(crate) static LOCALITY4: LruHashMap<LocalityKey<V4>, Locality, LOCALITY_ENTRIES> =
    LruHashMap::new();
#[btf_map]
pub(crate) static LOCALITY6: LruHashMap<LocalityKey<V6>, Locality, LOCALITY_ENTRIES> =
    LruHashMap::new();

#[btf_map]
pub(crate) static QUIC_CONFIGS: HashMap<QuicKey, QuicConfig, QUIC_CONFIG_ENTRIES, NO_PREALLOC> =
    HashMap::new();
#[btf_map]
pub(crate) static QUIC_IDS: HashMap<QuicId, u32, QUIC_ID_ENTRIES, NO_PREALLOC> = HashMap::new();

#[btf_map]
pub(crate) static SERVICES: Array<Service, SERVICE_SLOTS> = Array::new();
#[btf_map]
pub(crate) static BACKENDS: Array<Backend, BACKEND_SLOTS> = Array::new();
#[btf_map]
pub(crate) static LOADS: Array<Load, BACKEND_SLOTS, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static SCHEDULE: Array<u32, SCHEDULE_ENTRIES, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static CURSORS: Array<u32, SERVICE_SLOTS, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static SETTINGS: Array<Settings, 1> = Array::new();
#[btf_map]
pub(crate) static COUNTERS: PerCpuArray<Counters, BACKEND_SLOTS> = PerCpuArray::new();
#[btf_map]
pub(crate) static DROPS: PerCpuArray<u64, REASONS> = PerCpuArray::new();
#[btf_map]
pub(crate) static PASSES: PerCpuArray<u64, REASONS> = PerCpuArray::new();
/// What SYN cookies are made with.
#[btf_map]
pub(crate) static SECRET: Array<Secret, 1> = Array::new();
#[btf_map]
pub(crate) static GUARDS: Array<Guard, SERVICE_SLOTS, MMAPABLE> = Array::new();
#[btf_map]
pub(crate) static COOKIES: PerCpuArray<Cookies, SERVICE_SLOTS> = PerCpuArray::new();
/// Each processor's own: one that is written is never read half.
#[btf_map]
pub(crate) static WAYS: PerCpuArray<Way, BACKEND_SLOTS> = PerCpuArray::new();
/// The packet that this processor works on, off the short road: the stack is too small, and functions that the verifier
/// looks at once may not share it.
#[btf_map]
pub(crate) static WORK4: PerCpuArray<Work<V4>, 1> = PerCpuArray::new();
#[btf_map]
pub(crate) static WORK6: PerCpuArray<Work<V6>, 1> = PerCpuArray::new();
#[btf_map]
pub(crate) static IFACES: HashMap<u32, Iface, DEVICES> = HashMap::new();
#[btf_map]
pub(crate) static RESOLVE: LruHashMap<ResolveKey, u32, NEIGHBOURS> = LruHashMap::new();
#[btf_map]
pub(crate) static TRACE: RingBuf<(), TRACE_BYTES> = RingBuf::new();
