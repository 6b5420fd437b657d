//! Why a message or a record of it is not taken.

use std::fmt;

/// Why a message, what is left of one, or one record is not taken. Each is counted; none has any other consequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The message is shorter than a header, or not as long as it says.
    Length,
    /// It is of another sync id.
    Id,
    /// It is of version 0, or of none.
    Version,
    /// A record ends behind the message, or before its own addresses. What follows is not looked at; so with the next four.
    Truncated,
    /// A record is of a version that is not known.
    RecordVersion,
    /// It is neither of IPv4 nor of IPv6.
    Family,
    /// An option ends behind its record, or is empty.
    Option,
    /// An option is there twice, or longer than it can be.
    OptionTwice,
    /// A record has an option that must be understood, and is not.
    OptionUnknown,
    /// It is of a protocol that is not balanced.
    Protocol,
    /// It is in a state that its protocol has not.
    State,
    /// Data of a persistence engine without its name.
    Engine,
}

impl Refusal {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Length,
        Self::Id,
        Self::Version,
        Self::Truncated,
        Self::RecordVersion,
        Self::Family,
        Self::Option,
        Self::OptionTwice,
        Self::OptionUnknown,
        Self::Protocol,
        Self::State,
        Self::Engine,
    ];

    /// The word for it in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Id => "id",
            Self::Version => "version",
            Self::Truncated => "truncated",
            Self::RecordVersion => "record-version",
            Self::Family => "family",
            Self::Option => "option",
            Self::OptionTwice => "option-twice",
            Self::OptionUnknown => "option-unknown",
            Self::Protocol => "protocol",
            Self::State => "state",
            Self::Engine => "engine",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "it is not as long as it says",
            Self::Id => "it is of another sync id",
            Self::Version => "it is not of version 1",
            Self::Truncated => "a record is cut off",
            Self::RecordVersion => "a record is of an unknown version",
            Self::Family => "a record is neither of IPv4 nor of IPv6",
            Self::Option => "an option is cut off, or empty",
            Self::OptionTwice => "an option is there twice, or too long",
            Self::OptionUnknown => "an option must be understood, and is not",
            Self::Protocol => "a record is of a protocol that is not balanced",
            Self::State => "a record is in an unknown state",
            Self::Engine => "a persistence engine has no name",
        })
    }
}
