//! Every limit of the kernel data plane, and why it is that large.

/// Services: slots of the service table. 72 bytes each, always allocated.
pub const SERVICES: u32 = 16_384;
/// Endpoints (address, port, protocol) of each family.
pub const ENDPOINTS: u32 = 65_536;
/// Backends of all services together: slots, 44 bytes each, and a CPU 40 of counters and 64 of the way.
pub const BACKENDS: u32 = 131_072;
/// Entries of all rings, hash tables and member lists together, 4 bytes each (32 MiB).
pub const SCHEDULE: u32 = 8 * 1024 * 1024;
/// Members that the scanning schedulers (lc, wlc, sed, nq, fo, ovf, lblc) look at for one choice. A larger pool is
/// looked at from a place that moves on.
pub const SCAN: u32 = 1024;
/// Entries of a ring that are tried when those before it are full.
pub const RING_TRIES: u32 = 64;
/// Ports that full NAT tries before it gives up.
pub const PORT_TRIES: u32 = 16;
/// Handshakes (and UDP flows of one packet) remembered at a time, if nothing else is configured.
pub const PENDING: u32 = 262_144;
/// Established flows (entries: two for each flow of `nat`) remembered, if nothing else is configured.
pub const FLOWS: u32 = 1_048_576;
/// Persistence templates of each family.
pub const TEMPLATES: u32 = 262_144;
/// Fragmented packets of each family whose first fragment is remembered.
pub const FRAGMENTS: u32 = 16_384;
/// Destinations that `lblc` and `lblcr` remember.
pub const LOCALITIES: u32 = 65_536;
/// Configurations of QUIC connection IDs, of all services together: 240 bytes each, as they come.
pub const QUIC_CONFIGS: u32 = 8192;
/// Server ids of backends in QUIC connection IDs: one for each backend of each service.
pub const QUIC_IDS: u32 = BACKENDS;
/// Devices.
pub const IFACES: u32 = 4096;
/// IPv6 extension headers that are gone through before a packet is passed.
pub const EXTENSION_HEADERS: usize = 6;
/// Bytes of the trace ring.
pub const TRACE_RING: u32 = 1024 * 1024;
