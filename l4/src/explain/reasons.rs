//! Why a packet is dropped or passed, in a sentence.

use xdp::abi::{PassReason, Reason};

/// Why it is dropped.
pub(super) fn dropped(reason: Reason) -> &'static str {
    match reason {
        Reason::NoBackend => "no backend of the service takes new connections",
        Reason::BackendGone => {
            "the connection's backend was removed; it is dropped until that is back"
        }
        Reason::NoRoute => "this machine has no route to where it must go",
        Reason::NoNeighbour => {
            "the next hop's link-layer address is not known yet; the program has it asked for"
        }
        Reason::NoDevice => "the way leads out of a device that the program cannot send by",
        Reason::TooBig => {
            "it is larger than the way carries and must not be fragmented; the client is told what fits"
        }
        Reason::TooBigSilent => "it is larger than the way carries, and the client cannot be told",
        Reason::TtlExceeded => "its time to live ends here; the client is told",
        Reason::EarlyFragment => {
            "it is a fragment whose first one, which has the ports, has not come"
        }
        Reason::TableFull => "the table of connections takes no more",
        Reason::TupleTaken => "the backend's replies would be those of another connection",
        Reason::NoPort => "full NAT finds no free source port",
        Reason::Malformed => "its headers contradict each other",
        Reason::BadCookie => {
            "it acknowledges no SYN cookie of ours, though the service begins connections with them"
        }
        Reason::NoRoom => "it cannot be made longer",
        Reason::Carrying => {
            "connections are on their way, from other tables or another node, and its own is not here yet, or another node is about to take over; it will be sent again"
        }
    }
}

/// Why it is left to this machine.
pub(super) fn passed(reason: PassReason) -> &'static str {
    match reason {
        PassReason::NotIp => "it is not IP",
        PassReason::NotOurs => "no service and no connection is meant",
        PassReason::NoFlow => {
            "it begins no connection and belongs to none: this machine answers with a reset"
        }
        PassReason::Local => "the backend is this machine",
        PassReason::Protocol => "its IP protocol is not balanced",
        PassReason::Unparsed => "it has a header that is not followed",
    }
}
