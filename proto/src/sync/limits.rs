//! Every limit of this protocol, with the reason for its size.

use std::time::Duration;

/// The longest datagram, bytes of UDP's payload: it fits an Ethernet's MTU of 1500 with room for a tunnel or two.
pub const MAX_DATAGRAM: usize = 1400;

/// What stands before the encrypted part.
pub(super) const HEADER: usize = 28;

/// The authentication tag behind it.
pub(super) const TAG: usize = 16;

/// What is left for a message.
pub(super) const MAX_BODY: usize = MAX_DATAGRAM - HEADER - TAG;

/// What stands before the records of a message of connections.
pub(super) const FLOWS_HEADER: usize = 1 + 8 + 8 + 1;

/// The longest record: IPv6 throughout, a source of ours, a sequence offset.
pub(super) const MAX_RECORD: usize = 2 + 1 + 4 + 4 + 3 * 18 + 19 + 4;

/// Records in one message: their count is a byte, and no more of the shortest fit.
pub const MAX_RECORDS: usize = 120;

/// Peers at a time. Who has the key may be heard; a group of directors is two to four.
pub const MAX_PEERS: usize = 16;

/// Sessions of peers that ended, whose recordings are known.
pub(super) const MAX_GONE: usize = 256;

/// Messages of a peer that are missed and asked for one by one; if it is more, everything is asked for anew.
pub(super) const MAX_MISSING: usize = 1024;

/// Numbers in one request for what is missing.
pub(super) const MAX_ASKED: usize = 64;

/// How often one message is asked for before everything is.
pub(super) const MAX_TRIES: u32 = 8;

/// Messages sent whose connections are remembered, to tell them again.
pub(super) const MAX_SENT: usize = 4096;

/// Names of connections in all of them: at about 70 bytes, 4.5 MB.
pub(super) const MAX_SENT_KEYS: usize = 65_536;

/// Messages that are being looked up to be told again.
pub(super) const MAX_REPAIRS: usize = 256;

/// Records that wait to be sent: more are not taken ([`super::Machine::room`]).
pub(super) const MAX_WAITING: usize = 8192;

/// Keys at a time: that in use and those before and after it.
pub const MAX_KEYS: usize = 16;

/// A key's least length in bytes.
pub const MIN_KEY: usize = 32;

/// A key's greatest length in bytes.
pub const MAX_KEY: usize = 1024;

/// Between two heartbeats.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// At least between two answers to nodes that do not know us yet.
pub(super) const GREETING: Duration = Duration::from_millis(50);

/// A peer that was not heard for so long is gone.
pub const DEAD: Duration = Duration::from_secs(5);

/// How long a record waits for others to share its datagram.
pub(super) const GATHER: Duration = Duration::from_millis(10);

/// How long a message is waited for that others have overtaken.
pub(super) const HOLD: Duration = Duration::from_millis(20);

/// Messages that wait for one that they have overtaken: with more, it is waited for no longer.
pub(super) const MAX_HELD: usize = 128;

/// Between two requests for a message that is missing; longer with each.
pub(super) const ASK: Duration = Duration::from_millis(20);

/// Between requests for everything that are not followed.
pub(super) const ASK_ALL: Duration = Duration::from_secs(1);

/// The lowest rate that can be asked for, bytes a second: a heartbeat and some connections.
pub const MIN_RATE: u64 = 10_000;

const _: () = assert!(FLOWS_HEADER + MAX_RECORD < MAX_BODY, "a record always fits");
const _: () = assert!(1 + 8 + 8 + 1 + 1 + 16 * MAX_PEERS <= MAX_BODY);
const _: () = assert!(1 + 16 + 1 + 8 * MAX_ASKED <= MAX_BODY);
