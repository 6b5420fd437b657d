//! The protocol's words as types: what a version, a virtual router's id, a priority, an interval and an address list can be.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use super::limits::{MAX_ADDRESSES, MAX_CENTIS, MAX_SECONDS};

/// The version of the protocol that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// RFC 3768: IPv4, whole seconds, a password.
    V2,
    /// RFC 5798 and 9568: IPv4 and IPv6, centiseconds.
    V3,
}

impl Version {
    /// As in the message.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// The family of the addresses that are held, and of the packets that say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Bytes of an address.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    /// Where adverts go by multicast: 224.0.0.18 or ff02::12 (RFC 9568, sections 5.1.1.2 and 5.1.2.2).
    #[must_use]
    pub const fn group(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)),
            Self::V6 => IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12)),
        }
    }
}

/// A virtual router's id on its link: 1 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrid(std::num::NonZeroU8);

impl Vrid {
    /// `None` for 0, which is no id.
    #[must_use]
    pub const fn new(id: u8) -> Option<Self> {
        match std::num::NonZeroU8::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// As in the message.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who is preferred: 1 to 254; 255 for who owns the addresses; 0 in an advert says that the master leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(pub u8);

impl Priority {
    /// The master leaves.
    pub const RELEASE: Self = Self(0);
    /// Where nothing is said.
    pub const DEFAULT: Self = Self(100);
    /// The greatest that who does not own the addresses can have.
    pub const HIGHEST: Self = Self(254);
    /// Of the one whose own addresses they are.
    pub const OWNER: Self = Self(255);

    /// With `delta` added, as tracking does: never less than 1 nor, but for the owner whose priority stays, more than 254.
    #[must_use]
    pub fn adjusted(self, delta: i32) -> Self {
        if self == Self::OWNER {
            return self;
        }
        let sum = i32::from(self.0).saturating_add(delta).clamp(1, 254);
        Self(u8::try_from(sum).unwrap_or(1))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Time between two adverts, as a message can say it: whole seconds up to 255 in version 2, centiseconds up to
/// 40.95 s in version 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    centis: u16,
}

impl Interval {
    /// One second, which both versions can say.
    pub const DEFAULT: Self = Self { centis: 100 };

    /// The interval `every` of `version`; `None` if its messages cannot say it.
    #[must_use]
    pub fn new(version: Version, every: Duration) -> Option<Self> {
        let centis = u16::try_from(every.as_millis() / 10).ok()?;
        let exact = Duration::from_millis(u64::from(centis) * 10) == every;
        let interval = Self { centis };
        (exact && interval.fits(version)).then_some(interval)
    }

    /// From version 3's field; `None` for what it cannot be.
    pub(super) fn from_centis(centis: u16) -> Option<Self> {
        (1..=MAX_CENTIS)
            .contains(&centis)
            .then_some(Self { centis })
    }

    /// From version 2's field; `None` for 0.
    pub(super) fn from_seconds(seconds: u8) -> Option<Self> {
        let centis = u16::from(seconds) * 100;
        (seconds > 0).then_some(Self { centis })
    }

    /// In version 3's unit.
    pub(super) const fn centis(self) -> u16 {
        self.centis
    }

    /// In version 2's unit, rounded down.
    pub(super) fn seconds(self) -> u8 {
        u8::try_from(self.centis / 100).unwrap_or(u8::MAX)
    }

    /// Whether messages of `version` can say it.
    #[must_use]
    pub const fn fits(self, version: Version) -> bool {
        match version {
            Version::V2 => {
                self.centis >= 100
                    && self.centis.is_multiple_of(100)
                    && self.centis / 100 <= MAX_SECONDS
            }
            Version::V3 => self.centis >= 1 && self.centis <= MAX_CENTIS,
        }
    }

    /// As time.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.centis as u64 * 10)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.duration())
    }
}

/// The addresses of a virtual router in the order of the advert: one to 255, all of one family. Cheap to copy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Addresses(Arc<[IpAddr]>);

impl Addresses {
    /// `None` if there is none, are more than a message can name, or are some of either family.
    #[must_use]
    pub fn new(list: impl IntoIterator<Item = IpAddr>) -> Option<Self> {
        let list: Arc<[IpAddr]> = list.into_iter().take(MAX_ADDRESSES + 1).collect();
        let family = Family::of(*list.first()?);
        let alike = list.iter().all(|address| Family::of(*address) == family);
        (alike && list.len() <= MAX_ADDRESSES).then_some(Self(list))
    }

    /// The family of all.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.0[0])
    }

    /// In order.
    #[must_use]
    pub fn list(&self) -> &[IpAddr] {
        &self.0
    }

    /// Whether both name the same addresses, in whatever order.
    #[must_use]
    pub fn same_set(&self, other: &Self) -> bool {
        let sorted = |list: &[IpAddr]| {
            let mut list = list.to_vec();
            list.sort_unstable();
            list.dedup();
            list
        };
        self == other || sorted(&self.0) == sorted(&other.0)
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_interval_is_what_its_version_can_say() {
        let v2 = |ms| Interval::new(Version::V2, Duration::from_millis(ms));
        let v3 = |ms| Interval::new(Version::V3, Duration::from_millis(ms));
        assert_eq!(v2(1000), Some(Interval::DEFAULT));
        assert_eq!(v2(255_000).map(Interval::seconds), Some(255));
        assert_eq!([v2(0), v2(100), v2(1500), v2(256_000)], [None; 4]);
        assert_eq!(v3(10).map(Interval::centis), Some(1));
        assert_eq!(v3(40_950).map(Interval::centis), Some(4095));
        assert_eq!([v3(0), v3(15), v3(40_960)], [None; 3]);
        let fine = Duration::from_millis(10) + Duration::from_nanos(1);
        assert_eq!(Interval::new(Version::V3, fine), None);
    }

    #[test]
    fn tracking_never_makes_an_owner_nor_a_release() {
        assert_eq!(Priority(100).adjusted(-300), Priority(1));
        assert_eq!(Priority(100).adjusted(i32::MAX), Priority::HIGHEST);
        assert_eq!(Priority(100).adjusted(-20), Priority(80));
        assert_eq!(Priority::OWNER.adjusted(-20), Priority::OWNER);
    }

    #[test]
    fn a_list_is_of_one_family_and_not_empty() {
        let v4 = |last| IpAddr::from([192, 0, 2, last]);
        let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        assert_eq!(Addresses::new([]), None);
        assert_eq!(Addresses::new([v4(1), v6]), None);
        assert_eq!(Addresses::new((0..=255).map(v4)), None);
        let two = Addresses::new([v4(1), v4(2)]).unwrap();
        assert!(two.same_set(&Addresses::new([v4(2), v4(1)]).unwrap()));
        assert!(!two.same_set(&Addresses::new([v4(2), v4(2)]).unwrap()));
    }
}
