//! IPVS's own connection sync, version 1, as Linux speaks it: so that a director that runs LVS and one that runs aplomb can
//! take over from each other.
//!
//! A master tells a multicast group of its connections, a backup listens; a node may be both. Nothing is acknowledged, asked
//! for or authenticated: who can send to the group can invent connections. [`mod@read`] and [`mod@write`] are the codec of messages,
//! [`record`] is what they tell, [`Machine`] packs and paces what a master tells and sorts what a backup hears.
//!
//! Version 0 of the protocol (before Linux 2.6.39, or `net.ipv4.vs.sync_version=0`) has neither IPv6 nor timeouts, and any
//! datagram passes for it: it is refused and counted.
//!
//! ```
//! use proto::{sync::ipvs::*, time::Instant};
//! let settings = Settings { master: true, backup: true, id: 7, ..Settings::default() };
//! let mut node = Machine::new(settings, Instant::ZERO);
//! // Version 1, of the sync id 7, without connections.
//! node.handle(Input::Datagram(&[0, 7, 0, 8, 0, 1, 0, 0]), Instant::ZERO);
//! assert_eq!(node.counters().messages_received, 1);
//! ```

mod machine;
pub mod read;
pub mod record;
mod refusal;
pub mod write;

#[cfg(test)]
mod tests;

use std::{net::Ipv4Addr, time::Duration};

pub use self::{
    machine::{Counters, Input, Machine, Output, Settings},
    record::{Engine, Flags, Record, Sequence},
    refusal::Refusal,
};

/// The group that Linux's directors speak to unless told otherwise.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 81);

/// The port that they do.
pub const PORT: u16 = 8848;

/// The longest message that a director listens to unless told otherwise: what fits an Ethernet's MTU of 1500 over IPv4.
pub const LONGEST_V4: usize = 1500 - 20 - 8;

/// The same over IPv6.
pub const LONGEST_V6: usize = 1500 - 40 - 8;

/// The longest that can be: what fits UDP over IPv4.
pub const LONGEST: usize = 65_535 - 20 - 8;

/// The shortest that a director can be told to listen to; the longest record fits.
pub const SHORTEST: usize = 1024;

/// How old what a director tells may be: it gathers for so long.
pub const STALE: Duration = Duration::from_secs(2);

/// What stands before the records of a message.
const HEADER: usize = 8;

/// A record over IPv4 without options.
const RECORD_V4: usize = 36;

/// The same over IPv6.
const RECORD_V6: usize = 72;

/// The option with sequence numbers, its type and length included.
const SEQUENCES: usize = 2 + 24;

/// The longest data of a persistence engine.
const ENGINE_DATA: usize = 255;

/// The longest name of one.
const ENGINE_NAME: usize = 16;

/// Records in a message: their count is a byte.
const MAX_RECORDS: u8 = u8::MAX;

/// Records that wait to be sent: more are not taken ([`Machine::room`]).
const MAX_WAITING: usize = 8192;

/// How long a record waits for others to share its message.
const GATHER: Duration = Duration::from_millis(20);

const _: () = assert!(
    HEADER + RECORD_V6 + SEQUENCES + 2 + ENGINE_DATA + 2 + ENGINE_NAME <= SHORTEST,
    "a record always fits"
);
