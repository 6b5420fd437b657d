//! Why an advert is not obeyed: one reason each, to be counted ([`Cause`]) and explained ([`Refusal`]).

use std::{fmt, net::IpAddr, time::Duration};

use super::terms::{Family, Interval, Version, Vrid};

/// What is wrong with an advert, with what was found and what should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Shorter than its header says, or than a header.
    Cut {
        /// Bytes that should be there.
        needed: usize,
        /// Bytes that are.
        found: usize,
    },
    /// No IPv4 header.
    NotIpv4,
    /// A piece of a packet.
    Fragment,
    /// Of another IP protocol.
    OtherProtocol(u8),
    /// Neither version 2 nor 3, or version 2 over IPv6.
    UnknownVersion(u8),
    /// Not an advert.
    Type(u8),
    /// The id is 0.
    NoVrid,
    /// It names no address.
    NoAddresses,
    /// Its interval is 0.
    NoInterval,
    /// Not as long as the number of its addresses says.
    Length {
        /// Bytes that it should have.
        expected: usize,
        /// Bytes that it has.
        found: usize,
    },
    /// Its checksum is wrong, with the pseudo-header and without.
    Checksum,
    /// Version 2's authentication type is not known.
    UnknownAuth(u8),
    /// It has an authentication header (RFC 2338; keepalived's `auth_type AH`), which is not spoken here.
    AuthHeader,
    /// It came from further away than is allowed.
    HopLimit {
        /// As it arrived.
        found: u8,
        /// What it must be at least.
        least: u8,
    },
    /// The other version is configured.
    WrongVersion {
        /// The message's.
        found: Version,
        /// Ours.
        ours: Version,
    },
    /// Of another virtual router.
    WrongVrid {
        /// The message's.
        found: Vrid,
        /// Ours.
        ours: Vrid,
    },
    /// Of the other address family.
    WrongFamily(Family),
    /// By multicast where unicast is configured, or the other way round.
    WrongCast {
        /// It came by multicast.
        multicast: bool,
    },
    /// From an address that is none of the configured peers.
    NotAPeer(IpAddr),
    /// From our own address: our own advert came back, or somebody has our address.
    OwnSource,
    /// Version 2's authentication is of another type than configured.
    WrongAuth {
        /// The message's type.
        found: u8,
        /// Ours.
        ours: u8,
    },
    /// Not our password.
    Password,
    /// Keys are configured and must be used, and it is not authenticated.
    NoTrailer,
    /// It is authenticated, and no key is configured.
    UnexpectedTrailer,
    /// Its trailer is of another scheme, or is not as the scheme has it.
    Trailer,
    /// Authenticated with a key that is not configured.
    UnknownKey(u8),
    /// The code is not of its key: it was forged, or the keys differ.
    Code,
    /// Too old, or from the future: the clocks differ, or it is an old one sent again.
    Stale {
        /// How far its time is from ours.
        skew: Duration,
        /// How far it may be.
        window: Duration,
    },
    /// Not newer than the last of its sender.
    Replayed,
    /// Version 2's interval is not ours.
    WrongInterval {
        /// The message's.
        found: Interval,
        /// Ours.
        ours: Interval,
    },
    /// Its addresses are not ours.
    WrongAddresses {
        /// How many it names.
        found: usize,
        /// How many are ours.
        ours: usize,
    },
    /// We own the addresses: nobody else's advert counts.
    Owned,
}

macro_rules! causes {
    ($($cause:ident = $name:literal,)*) => {
        /// The reason for a refusal without its details: what is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause {
            $(#[doc = concat!("`", $name, "`")] $cause,)*
        }

        impl Cause {
            /// All of them, in the order in which they are checked.
            pub const ALL: &[Self] = &[$(Self::$cause,)*];

            /// Its name in metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$cause => $name,)*
                }
            }
        }
    };
}

causes! {
    Malformed = "malformed",
    Version = "version",
    Type = "type",
    Vrid = "vrid",
    Addresses = "addresses",
    Interval = "interval",
    Length = "length",
    Checksum = "checksum",
    AuthType = "auth-type",
    HopLimit = "hop-limit",
    Cast = "cast",
    Peer = "peer",
    OwnSource = "own-source",
    Password = "password",
    NoTrailer = "auth-missing",
    Trailer = "auth-malformed",
    UnknownKey = "auth-unknown-key",
    Code = "auth-invalid",
    Stale = "auth-stale",
    Replayed = "auth-replayed",
    Owned = "owned",
}

impl Refusal {
    /// What it is counted as.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Cut { .. } | Self::NotIpv4 | Self::Fragment | Self::OtherProtocol(_) => {
                Cause::Malformed
            }
            Self::UnknownVersion(_) | Self::WrongVersion { .. } => Cause::Version,
            Self::Type(_) => Cause::Type,
            Self::NoVrid | Self::WrongVrid { .. } => Cause::Vrid,
            Self::NoAddresses | Self::WrongFamily(_) | Self::WrongAddresses { .. } => {
                Cause::Addresses
            }
            Self::NoInterval | Self::WrongInterval { .. } => Cause::Interval,
            Self::Length { .. } => Cause::Length,
            Self::Checksum => Cause::Checksum,
            Self::UnknownAuth(_) | Self::AuthHeader | Self::WrongAuth { .. } => Cause::AuthType,
            Self::HopLimit { .. } => Cause::HopLimit,
            Self::WrongCast { .. } => Cause::Cast,
            Self::NotAPeer(_) => Cause::Peer,
            Self::OwnSource => Cause::OwnSource,
            Self::Password => Cause::Password,
            Self::NoTrailer => Cause::NoTrailer,
            Self::UnexpectedTrailer | Self::Trailer => Cause::Trailer,
            Self::UnknownKey(_) => Cause::UnknownKey,
            Self::Code => Cause::Code,
            Self::Stale { .. } => Cause::Stale,
            Self::Replayed => Cause::Replayed,
            Self::Owned => Cause::Owned,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { needed, found } => {
                write!(f, "cut off: {found} bytes where {needed} should be")
            }
            Self::NotIpv4 => f.write_str("no IPv4 header"),
            Self::Fragment => f.write_str("a piece of a packet"),
            Self::OtherProtocol(protocol) => write!(f, "IP protocol {protocol}, not VRRP"),
            Self::UnknownVersion(version) => write!(f, "version {version} is not known here"),
            Self::Type(kind) => write!(f, "type {kind} is not an advert"),
            Self::NoVrid => f.write_str("virtual router id 0"),
            Self::NoAddresses => f.write_str("it names no address"),
            Self::NoInterval => f.write_str("its interval is 0 or too long"),
            Self::Length { expected, found } => {
                write!(f, "{found} bytes where its addresses make {expected}")
            }
            Self::Checksum => f.write_str("wrong checksum, with pseudo-header and without"),
            Self::UnknownAuth(kind) => write!(f, "authentication type {kind} is not known"),
            Self::AuthHeader => {
                f.write_str("an IPsec authentication header, which is not spoken here: use keys")
            }
            _ => self.explain_mismatch(f),
        }
    }
}

impl Refusal {
    /// The second half of the sentences: what depends on a configuration.
    fn explain_mismatch(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HopLimit { found, least } => {
                write!(f, "TTL or hop limit {found}, must be at least {least}")
            }
            Self::WrongVersion { found, ours } => {
                write!(f, "version {}, ours is {}", found.number(), ours.number())
            }
            Self::WrongVrid { found, ours } => {
                write!(f, "virtual router id {found}, ours is {ours}")
            }
            Self::WrongFamily(family) => write!(f, "addresses of the other family ({family:?})"),
            Self::WrongCast { multicast: true } => f.write_str("by multicast, ours is unicast"),
            Self::WrongCast { multicast: false } => f.write_str("by unicast, ours is multicast"),
            Self::NotAPeer(source) => write!(f, "{source} is none of the peers"),
            Self::OwnSource => f.write_str("from our own address"),
            Self::WrongAuth { found, ours } => {
                write!(f, "authentication type {found}, ours is {ours}")
            }
            Self::Password => f.write_str("another password than ours"),
            Self::NoTrailer => f.write_str("not authenticated"),
            Self::UnexpectedTrailer => {
                f.write_str("authenticated with a key, and none is configured here")
            }
            Self::Trailer => f.write_str("its authentication trailer is not understood"),
            Self::UnknownKey(id) => write!(f, "authenticated with key {id}, which is not here"),
            Self::Code => f.write_str("its authentication code is wrong: forged, or keys differ"),
            Self::Stale { skew, window } => write!(
                f,
                "its time is {skew:?} off ours, more than {window:?}: clocks differ, or it is an old one"
            ),
            Self::Replayed => f.write_str("not newer than the last one of its sender"),
            Self::WrongInterval { found, ours } => {
                write!(f, "interval {found}, ours is {ours}")
            }
            Self::WrongAddresses { found, ours } => {
                write!(f, "its {found} addresses are not our {ours}")
            }
            Self::Owned => f.write_str("we own the addresses"),
            _ => f.write_str("refused"),
        }
    }
}

impl std::error::Error for Refusal {}

/// How often each cause came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals([u64; Cause::ALL.len()]);

impl Default for Refusals {
    fn default() -> Self {
        Self([0; Cause::ALL.len()])
    }
}

impl Refusals {
    /// Counts one.
    pub fn count(&mut self, cause: Cause) {
        self.0[cause as usize] += 1;
    }

    /// How often `cause` came.
    #[must_use]
    pub const fn of(&self, cause: Cause) -> u64 {
        self.0[cause as usize]
    }

    /// All of them, with how often they came.
    pub fn iter(&self) -> impl Iterator<Item = (Cause, u64)> + '_ {
        Cause::ALL.iter().map(|cause| (*cause, self.of(*cause)))
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn one_of_each() -> Vec<Refusal> {
        let (version, interval) = (Version::V2, Interval::DEFAULT);
        let vrid = Vrid::new(51).unwrap();
        let (second, five) = (Duration::from_secs(6), Duration::from_secs(5));
        vec![
            Refusal::Cut {
                needed: 8,
                found: 7,
            },
            Refusal::NotIpv4,
            Refusal::Fragment,
            Refusal::OtherProtocol(17),
            Refusal::UnknownVersion(4),
            Refusal::WrongVersion {
                found: version,
                ours: Version::V3,
            },
            Refusal::Type(2),
            Refusal::NoVrid,
            Refusal::WrongVrid {
                found: vrid,
                ours: vrid,
            },
            Refusal::NoAddresses,
            Refusal::NoInterval,
            Refusal::Length {
                expected: 12,
                found: 13,
            },
            Refusal::Checksum,
            Refusal::UnknownAuth(3),
            Refusal::AuthHeader,
            Refusal::HopLimit {
                found: 64,
                least: 255,
            },
            Refusal::WrongFamily(Family::V6),
            Refusal::WrongCast { multicast: true },
            Refusal::NotAPeer(IpAddr::from([10, 0, 0, 1])),
            Refusal::OwnSource,
            Refusal::WrongAuth { found: 0, ours: 1 },
            Refusal::Password,
            Refusal::NoTrailer,
            Refusal::UnexpectedTrailer,
            Refusal::Trailer,
            Refusal::UnknownKey(3),
            Refusal::Code,
            Refusal::Stale {
                skew: second,
                window: five,
            },
            Refusal::Replayed,
            Refusal::WrongInterval {
                found: interval,
                ours: interval,
            },
            Refusal::WrongAddresses { found: 2, ours: 1 },
            Refusal::Owned,
        ]
    }

    #[test]
    fn each_has_words_of_its_own_and_is_counted() {
        let mut refusals = Refusals::default();
        let mut words = std::collections::BTreeSet::new();
        for refusal in one_of_each() {
            refusals.count(refusal.cause());
            assert!(words.insert(refusal.to_string()), "{refusal}");
        }
        assert!(!words.contains("refused"), "a mismatch without words");
        assert_eq!(refusals.total(), words.len() as u64);
        let missing = refusals.iter().find(|(_, count)| *count == 0);
        assert_eq!(missing, None);
    }
}
