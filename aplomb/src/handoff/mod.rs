//! Hand-over: one process takes the place of another without a refused connection.
//!
//! The successor asks, the predecessor gives: its listening sockets (the very same ones, so that nothing in their
//! accept queues is lost) and what it knows of backends. Only when the successor says that it serves does the
//! predecessor stop accepting; if the successor fails before that, in whatever way, nothing has happened.
//!
//! ```text
//! successor                         predecessor
//!     Hello     ─────────────────→
//!               ←─────────────────  Offer, then the sockets (SCM_RIGHTS)
//!     (binds what is new, starts serving)
//!     Verdict   ─────────────────→
//!               ←─────────────────  Farewell; from here on it accepts nothing
//! ```
//!
//! They talk over a unix socket: one that the predecessor listens on ([`Door`]), or a pair of which a child is
//! given an end. [`give`](mod@give) and [`take`](mod@take) are the two sides, `wire` what travels, `descriptors` how sockets do.
//! All of it blocks, on threads that have nothing else to do, and each wait is bounded.

mod descriptors;
mod door;
mod give;
mod take;
#[cfg(test)]
mod tests;
mod wire;

use std::{fmt, io};

pub(crate) use self::wire::listen_of;
pub use self::{
    door::{Door, door_beside},
    give::{Goods, Successor, give},
    take::{Taken, take},
};

/// What both sides must agree on. A change that an older side could not understand raises it; one that only adds
/// fields does not.
pub const PROTOCOL: u32 = 1;

/// Why a hand-over was not made.
#[derive(Debug)]
pub enum Failure {
    /// The other side broke off, or took too long over something.
    Io {
        /// What.
        doing: &'static str,
        /// How.
        error: io::Error,
    },
    /// The other side says something that is not of this protocol.
    Protocol(String),
    /// The other side said no, and why.
    Refused(String),
}

impl Failure {
    fn io(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { doing, error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, error } => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    write!(f, "{doing}: it took too long")
                }
                io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
                    write!(f, "{doing}: the other process has ended")
                }
                _ => write!(f, "{doing}: {error}"),
            },
            Self::Protocol(what) | Self::Refused(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Failure {}
