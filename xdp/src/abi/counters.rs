//! What is counted: traffic by backend, and why packets were dropped or passed.

use super::Plain;

/// Traffic of one backend on one CPU. A service's is the sum of its backends'.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Connections given to it.
    pub connections: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Their bytes, IP header included.
    pub in_bytes: u64,
    /// Packets of the backend that passed us (`nat` alone).
    pub out_packets: u64,
    /// Their bytes.
    pub out_bytes: u64,
}

// SAFETY: five numbers.
unsafe impl Plain for Counters {}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its word in metrics and traces.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

reasons! {
    /// Why a packet of a service was dropped. Counted per CPU.
    Reason {
        /// The service has no backend that takes new work.
        NoBackend = "no-backend",
        /// Its flow's backend was removed.
        BackendGone = "backend-gone",
        /// No route to where it goes.
        NoRoute = "no-route",
        /// The neighbour's link-layer address is not known yet; it was asked for.
        NoNeighbour = "no-neighbour",
        /// The device has no XDP transmission or the program does not know it.
        NoDevice = "no-device",
        /// Too big for the way to the backend, and may not be fragmented; the client was told.
        TooBig = "too-big",
        /// Too big, and the client could not be told.
        TooBigSilent = "too-big-silent",
        /// Its time to live ended here.
        TtlExceeded = "ttl-exceeded",
        /// A fragment came before the first one, which alone says where it goes.
        EarlyFragment = "early-fragment",
        /// The flow table refused an entry.
        TableFull = "table-full",
        /// The reply direction's tuple belongs to another flow already.
        TupleTaken = "tuple-taken",
        /// Full NAT found no free source port.
        NoPort = "no-port",
        /// A header says what cannot be (lengths that contradict each other).
        Malformed = "malformed",
        /// An acknowledgement brought back no SYN cookie of ours, where nothing else can be acknowledged.
        BadCookie = "bad-cookie",
        /// The program could not change the packet's size.
        NoRoom = "no-room",
        /// It belongs to no flow that is known yet: flows are on their way from other tables or another node.
        Carrying = "carrying",
    }
}

reasons! {
    /// Why a packet was left to the machine's own network stack.
    PassReason {
        /// Not IP.
        NotIp = "not-ip",
        /// No flow and no service is meant.
        NotOurs = "not-ours",
        /// A TCP packet to a service that begins nothing and belongs to nothing: the stack answers with RST.
        NoFlow = "no-flow",
        /// The backend is this machine.
        Local = "local",
        /// An IP protocol that is not balanced.
        Protocol = "protocol",
        /// A header that the program does not follow.
        Unparsed = "unparsed",
    }
}

/// A sampled decision, in the trace ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceEvent {
    /// CLOCK_MONOTONIC, nanoseconds.
    pub nanos: u64,
    /// The tuple: source, as [`super::Family::widen`] makes it.
    pub src: super::Addr6,
    /// Destination.
    pub dst: super::Addr6,
    /// Source port, network byte order.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// IP protocol.
    pub proto: u8,
    /// 4 or 6.
    pub family: u8,
    /// What was decided: see [`TraceEvent::VERDICTS`].
    pub verdict: u8,
    /// A [`Reason`] or [`PassReason`], by the verdict.
    pub reason: u8,
    /// Slot of the backend, `u32::MAX` for none.
    pub backend: u32,
    /// Slot of the service, `u32::MAX` for none.
    pub service: u32,
    /// The device it came in by.
    pub ifindex: u32,
    /// Length of the frame.
    pub length: u32,
}

// SAFETY: 8 + 16 + 16 + 8 + 16 = 64 bytes.
unsafe impl Plain for TraceEvent {}

impl TraceEvent {
    /// The words of `verdict`, by its number.
    pub const VERDICTS: [&'static str; 6] =
        ["pass", "drop", "established", "new", "reply", "cookie"];
}
