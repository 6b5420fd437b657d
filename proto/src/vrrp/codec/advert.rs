//! What an advert says.

use crate::vrrp::terms::{Addresses, Interval, Priority, Version, Vrid};

/// An advert: "I hold these addresses, with this priority, and say so every interval".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Of the message.
    pub version: Version,
    /// Which virtual router.
    pub vrid: Vrid,
    /// The sender's; [`Priority::RELEASE`] when it leaves.
    pub priority: Priority,
    /// The sender's. Fits the version.
    pub interval: Interval,
    /// The virtual router's, without those that the sender keeps to itself.
    pub addresses: Addresses,
    /// Version 2's authentication; [`V2Auth::None`] in version 3, which has none.
    pub auth: V2Auth,
}

/// Authentication in the message of version 2 (RFC 2338, section 5.3.6). RFC 3768 took it out: a password that anybody
/// on the link can read proves nothing, and one mistyped makes two masters. It keeps apart groups that got the
/// same id by mistake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum V2Auth {
    /// Type 0; the field is not looked at.
    None,
    /// Type 1: the same eight bytes in clear in every message, filled up with zeros.
    Password([u8; 8]),
}

impl std::fmt::Debug for V2Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It is in clear on the wire, and yet no log should have it.
        f.write_str(match self {
            Self::None => "None",
            Self::Password(_) => "Password(..)",
        })
    }
}

impl V2Auth {
    /// A password of at most eight bytes, zeros after it; `None` if it is empty or longer. Keepalived cuts a longer one
    /// off, which is the same password as its first eight bytes.
    #[must_use]
    pub fn password(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 8];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        (!text.is_empty()).then_some(Self::Password(bytes))
    }

    /// As in the message.
    pub(in crate::vrrp) const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Password(_) => 1,
        }
    }
}

/// What the checksum of version 3 over IPv4 covers. Over IPv6 it is always with the pseudo-header, and in version 2
/// never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Checksum {
    /// The pseudo-header too, as RFC 5798 was read by keepalived and others.
    #[default]
    WithPseudoHeader,
    /// The message alone, as RFC 9568 (section 5.2.8) has it for IPv4; keepalived's `v3_checksum_as_v2`.
    MessageOnly,
}
