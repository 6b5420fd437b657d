//! How much a configuration may hold, and how far its numbers may go. Each with the reason for its size.

use std::time::Duration;

/// The longest text, in bytes: 65,536 backends at a generous 120 bytes each.
pub const TEXT: usize = 8 << 20;
/// Above this many bytes a text that is not TOML is answered with its first error only: what the parser keeps
/// for each error would add up to a multiple of the text.
pub const TEXT_WITH_ALL_SYNTAX_ERRORS: usize = 1 << 20;
/// Problems that are kept and shown; the rest is counted. Nobody reads more, and one typo in a generated file
/// may stand in it ten thousand times.
pub const PROBLEMS: usize = 200;

/// Pools of a configuration: a plan is made for each, and `status` lists them.
pub const POOLS: usize = 4096;
/// Services of a configuration: each has listeners in each worker, and file descriptors are finite.
pub const SERVICES: usize = 4096;
/// Virtual addresses of a configuration: VRRP has 255 groups an interface.
pub const VIPS: usize = 4096;
/// Backends of all pools: six times the 10,000 that are probed once a second.
pub const BACKENDS: usize = 65_536;
/// Routes of one service: they are tried in order.
pub const ROUTES: usize = 10_000;
/// Routes of one service up to which each is compared with all before it, to warn of those that can never
/// match: the work grows with the square.
pub const ROUTES_COMPARED: usize = 1000;
/// Addresses of one service: each is a socket in each worker.
pub const LISTENS: usize = 256;
/// Checks of one pool: each is a probe of each backend.
pub const CHECKS: usize = 8;
/// Entries of a list or a table that has no limit of its own: hosts, methods, headers, networks.
pub const ENTRIES: usize = 1024;

/// The longest text of a single value, in bytes: a response's body, a datagram to send.
pub const VALUE: usize = 64 << 10;
/// The longest regular expression, in bytes.
pub const REGEX: usize = 1024;
/// What a compiled regular expression may take, in bytes: `\w{1000}` is short, yet large.
pub const REGEX_COMPILED: usize = 1 << 20;
/// The longest path of a unix socket: `sun_path` has 108 bytes, one of them the terminating zero (unix(7)).
pub const UNIX_PATH: usize = 107;
/// The longest name of an interface (`IFNAMSIZ` less the terminating zero, netdevice(7)).
pub const INTERFACE: usize = 15;
/// The shortest token of the admin API: 16 characters of base64 are 96 bits.
pub const TOKEN: usize = 16;

/// One day, in milliseconds: the longest that anything waits.
pub const DAY: u64 = 86_400_000;
/// The shortest interval of a check, in milliseconds: 10,000 backends at 10 ms are a million probes a second.
pub const INTERVAL: u64 = 10;

const _: () = assert!(REGEX <= VALUE && VALUE <= TEXT_WITH_ALL_SYNTAX_ERRORS);
const _: () = assert!(TEXT_WITH_ALL_SYNTAX_ERRORS <= TEXT);
const _: () = assert!(Duration::from_millis(INTERVAL).as_millis() > 0);
