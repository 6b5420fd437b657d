//! Every limit of this protocol, with the reason for its size.

use std::time::Duration;

/// IP protocol number of VRRP (RFC 9568, section 5.1.1.4).
pub const PROTOCOL: u8 = 112;

/// IP protocol number of the authentication header that version 2 once could have (RFC 2338, section 5.3.6.3).
pub(super) const PROTOCOL_AH: u8 = 51;

/// Addresses that one advert can name: their count is a byte.
pub const MAX_ADDRESSES: usize = 255;

/// What is before the addresses, in both versions.
pub(super) const HEADER: usize = 8;

/// Authentication data after the addresses of version 2 (RFC 3768, section 5.3.10).
pub(super) const AUTH_DATA: usize = 8;

/// The authentication trailer of draft-cassen-vrrp-auth-hmac.
pub(super) const TRAILER: usize = 28;

/// The longest message: a receive buffer of this size cuts nothing off that would be accepted.
pub const MAX_MESSAGE: usize = HEADER + MAX_ADDRESSES * 16 + AUTH_DATA + TRAILER;

/// The longest interval of version 3: twelve bits of centiseconds.
pub(super) const MAX_CENTIS: u16 = 4095;

/// The longest interval of version 2: a byte of seconds.
pub(super) const MAX_SECONDS: u16 = 255;

/// Senders whose sequence is remembered beside the configured peers. Only nodes that are master, or were just now,
/// send: a few are enough, and only who has the key gets in.
pub(super) const MAX_SENDERS: usize = 16;

/// Keys at a time: the one in use, and those before and after it; two would do.
pub const MAX_KEYS: usize = 16;

/// A key's least length in bytes: a search, even a quantum one, takes 2^128 steps.
pub const MIN_KEY: usize = 32;

/// A key's greatest length in bytes: longer ones are hashed by HMAC, and are worth no more.
pub const MAX_KEY: usize = 64;

/// How far clocks may be apart at most: longer, and a captured advert can be used for minutes.
pub const MAX_WINDOW: Duration = Duration::from_secs(300);

/// How far clocks may be apart at least to be of use: the wire's sequence is compared in seconds.
pub const MIN_WINDOW: Duration = Duration::from_secs(1);

/// The longest of the delays that a configuration can ask for; longer is a mistake of units.
pub const MAX_DELAY: Duration = Duration::from_secs(24 * 3600);

/// Members of a group that moves together; each is a virtual router with its own adverts.
pub const MAX_MEMBERS: usize = 256;

/// Announcements of one address in a burst, and repeats of a burst.
pub const MAX_REPEATS: u16 = 1000;

const _: () = assert!(MAX_MESSAGE < 65_515, "it fits into an IPv4 packet");
