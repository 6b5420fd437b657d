//! Why a datagram is not taken.

use std::fmt;

/// Why a datagram is not taken. Each is counted; none has any other consequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It is too short, too long, or not of this protocol.
    NotSync,
    /// It is of another version.
    Version,
    /// It names a key that is not ours.
    UnknownKey,
    /// It was made with another key, or changed on its way.
    Forged,
    /// It was here before, or is far behind.
    Replayed,
    /// Its sender has not shown that it is alive now: it may be a recording.
    Unproven,
    /// What came after it was here before; it is asked for again.
    Late,
    /// There are peers enough.
    TooManyPeers,
    /// It is authentic, and makes no sense.
    Malformed,
}

impl Refusal {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::NotSync,
        Self::Version,
        Self::UnknownKey,
        Self::Forged,
        Self::Replayed,
        Self::Unproven,
        Self::Late,
        Self::TooManyPeers,
        Self::Malformed,
    ];

    /// The word for it in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotSync => "not-sync",
            Self::Version => "version",
            Self::UnknownKey => "unknown-key",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::Unproven => "unproven",
            Self::Late => "late",
            Self::TooManyPeers => "too-many-peers",
            Self::Malformed => "malformed",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSync => "no datagram of connection sync",
            Self::Version => "another version of connection sync",
            Self::UnknownKey => "a key that is not configured here",
            Self::Forged => "made with another key, or changed on its way",
            Self::Replayed => "it was here before",
            Self::Unproven => "its sender has not answered us yet",
            Self::Late => "overtaken",
            Self::TooManyPeers => "too many peers",
            Self::Malformed => "it makes no sense",
        })
    }
}
