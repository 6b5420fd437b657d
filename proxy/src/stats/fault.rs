//! Whose fault an error was and what it was: the bounded set that metrics and logs use.

use std::fmt;

/// Whose fault an error was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Client,
    /// The backend's.
    Backend,
    /// Ours, or nobody's.
    Proxy,
}

impl Side {
    /// All sides, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Client, Self::Backend, Self::Proxy];

    /// The name in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Backend => "backend",
            Self::Proxy => "proxy",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The connection could not be made: refused, unreachable.
    Connect,
    /// The connection was not made in time.
    ConnectTimeout,
    /// The connection was reset, or ended before it could.
    Closed,
    /// Something did not come, or was not taken, in time.
    Timeout,
    /// Something came that is not of the protocol.
    Malformed,
    /// Something of the protocol came that is too large.
    TooLarge,
    /// No backend may be used.
    NoBackend,
    /// Every backend is full, and so is the queue.
    QueueFull,
    /// Every backend stayed full for the longest time that the queue allows.
    QueueTimeout,
    /// No route matches.
    NoRoute,
    /// We ran out of something: file descriptors, ports.
    Resource,
    /// A drain ended and cut it.
    Cut,
}

impl Reason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Connect,
        Self::ConnectTimeout,
        Self::Closed,
        Self::Timeout,
        Self::Malformed,
        Self::TooLarge,
        Self::NoBackend,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::NoRoute,
        Self::Resource,
        Self::Cut,
    ];

    /// The name in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect-timeout",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::TooLarge => "too-large",
            Self::NoBackend => "no-backend",
            Self::QueueFull => "queue-full",
            Self::QueueTimeout => "queue-timeout",
            Self::NoRoute => "no-route",
            Self::Resource => "resource",
            Self::Cut => "cut",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why something ended that should not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whose fault it was.
    pub side: Side,
    /// What it was.
    pub reason: Reason,
}

impl Fault {
    /// How many there can be.
    pub const COUNT: usize = Side::ALL.len() * Reason::ALL.len();

    /// This reason, on this side.
    #[must_use]
    pub const fn new(side: Side, reason: Reason) -> Self {
        Self { side, reason }
    }

    /// Its place in a table of all faults.
    #[must_use]
    pub const fn index(self) -> usize {
        self.side as usize * Reason::ALL.len() + self.reason as usize
    }

    /// The fault at a place in that table.
    #[must_use]
    pub fn at(index: usize) -> Option<Self> {
        let side = *Side::ALL.get(index / Reason::ALL.len())?;
        Some(Self::new(side, Reason::ALL[index % Reason::ALL.len()]))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.side, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_own_place() {
        for index in 0..Fault::COUNT {
            assert_eq!(Fault::at(index).map(Fault::index), Some(index));
        }
        assert_eq!(Fault::at(Fault::COUNT), None);
    }
}
