//! What one virtual router is asked to be. A [`Config`] that exists is valid.

use std::{fmt, net::IpAddr, ops::Deref, time::Duration};

use crate::vrrp::{
    codec::{Checksum, V2Auth},
    limits::MAX_DELAY,
    terms::{Addresses, Family, Interval, Priority, Version, Vrid},
    wire::Keys,
};

/// All that can be set for one virtual router: one id, one family, one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its id.
    pub vrid: Vrid,
    /// Which version is spoken; adverts of the other are refused.
    pub version: Version,
    /// Its priority when nothing tracked takes any away; 255 if the addresses are this node's own.
    pub priority: Priority,
    /// Between its adverts. In version 3 others learn it, in version 2 all must have the same.
    pub interval: Interval,
    /// What is held together and named in adverts. RFC 9568 (section 5.2.9) wants a link-local one first over IPv6.
    pub addresses: Addresses,
    /// Whether to take over from a master of lower priority.
    pub preempt: Preempt,
    /// Whether the master takes packets to the addresses themselves, and not only passes packets on (RFC 9568, 6.1).
    /// It is for who holds the addresses to do; the owner always does.
    pub accept: bool,
    /// How long after its start it stays out of it, so that links and tables can come up.
    pub start_delay: Duration,
    /// Who hears its adverts, and whose it hears.
    pub cast: Cast,
    /// The form of the checksum that is sent in version 3 over IPv4; both are taken.
    pub checksum: Checksum,
    /// What adverts are authenticated with.
    pub auth: Auth,
    /// What becomes of adverts that name other addresses.
    pub address_check: AddressCheck,
}

/// Whether to take over from a master of lower priority. The owner always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preempt {
    /// Never; only from one that is gone, or that leaves.
    Never,
    /// As soon as its adverts have been passed over for the master-down interval (RFC 9568, 6.4.2).
    AtOnce,
    /// Once it has been there for so long.
    After(Duration),
}

/// How adverts travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cast {
    /// To a group of the link, with a hop limit of 255 which is checked: none but neighbours are heard.
    Multicast {
        /// [`Family::group`], unless all nodes are set otherwise.
        group: IpAddr,
    },
    /// To each of these, and from these alone.
    Unicast {
        /// The other nodes.
        peers: Vec<IpAddr>,
        /// What TTL or hop limit must be left. 255 where all are on one link; keepalived sends IPv6 with 64.
        least_hop_limit: u8,
    },
}

impl Cast {
    /// By multicast to the usual group.
    #[must_use]
    pub const fn multicast(family: Family) -> Self {
        Self::Multicast {
            group: family.group(),
        }
    }

    /// To `peers`, from however far.
    #[must_use]
    pub const fn unicast(peers: Vec<IpAddr>) -> Self {
        Self::Unicast {
            peers,
            least_hop_limit: 0,
        }
    }
}

/// What adverts are authenticated with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Nothing: who can send to the link, or from a peer's address, is believed.
    None,
    /// Version 2's password: see [`V2Auth`] for what it is worth.
    Password(V2Auth),
    /// A code with each advert, and protection against replay.
    Keys(Keys),
}

/// What becomes of adverts that name other addresses than ours. It shows a mistake in one of the configurations; both
/// are counted and said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AddressCheck {
    /// They are not obeyed, but for the owner's, as RFC 3768 (section 7.1) has it: each of two nodes with different
    /// lists is master of its own.
    #[default]
    Refuse,
    /// They are obeyed, as RFC 9568 (section 7.1) allows: one master, while lists are being changed node by node.
    Note,
}

/// Why settings make no virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// Version 2 holds IPv4 addresses only.
    V2OverIpv6,
    /// Version 2 says whole seconds up to 255, version 3 hundredths up to 40.95 s.
    Interval,
    /// 0 is said by a master that leaves.
    Priority,
    /// An address is there twice.
    DuplicateAddress(IpAddr),
    /// Version 3 has no password.
    PasswordInV3,
    /// A password of no bytes.
    NoPassword,
    /// Unicast to nobody.
    NoPeers,
    /// A peer, or a group, of the other family.
    PeerFamily(IpAddr),
    /// A peer that is there twice, or that no single node can have.
    Peer(IpAddr),
    /// Not a multicast address.
    Group(IpAddr),
    /// A delay of more than a day.
    Delay(Duration),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V2OverIpv6 => f.write_str("version 2 holds IPv4 addresses only: use version 3"),
            Self::Interval => f.write_str(
                "the interval is none that a message can say: whole seconds up to 255 s in version 2, \
                 hundredths of a second from 10 ms to 40.95 s in version 3",
            ),
            Self::Priority => f.write_str("priority 0 is for a master that leaves: 1 to 255"),
            Self::DuplicateAddress(address) => write!(f, "{address} is there twice"),
            Self::PasswordInV3 => f.write_str("version 3 has no password: use keys"),
            Self::NoPassword => f.write_str("the password is empty"),
            Self::NoPeers => f.write_str("unicast needs peers"),
            Self::PeerFamily(address) => write!(f, "{address} is not of the addresses' family"),
            Self::Peer(address) => write!(f, "{address} cannot be a peer, or is there twice"),
            Self::Group(address) => write!(f, "{address} is no multicast address"),
            Self::Delay(delay) => write!(f, "a delay of {delay:?} is more than a day"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Settings that make a virtual router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config(Settings);

impl Deref for Config {
    type Target = Settings;
    fn deref(&self) -> &Settings {
        &self.0
    }
}

impl Settings {
    /// What is usual: version 3, priority 100, one second, preempting, multicast.
    #[must_use]
    pub fn new(vrid: Vrid, addresses: Addresses) -> Self {
        Self {
            vrid,
            version: Version::V3,
            priority: Priority::DEFAULT,
            interval: Interval::DEFAULT,
            cast: Cast::multicast(addresses.family()),
            addresses,
            preempt: Preempt::AtOnce,
            accept: true,
            start_delay: Duration::ZERO,
            checksum: Checksum::default(),
            auth: Auth::None,
            address_check: AddressCheck::default(),
        }
    }
}

impl Config {
    /// The settings, if they make a virtual router.
    ///
    /// # Errors
    /// Says what does not fit together.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let family = settings.addresses.family();
        if settings.version == Version::V2 && family == Family::V6 {
            return Err(ConfigError::V2OverIpv6);
        }
        if !settings.interval.fits(settings.version) {
            return Err(ConfigError::Interval);
        }
        if settings.priority == Priority::RELEASE {
            return Err(ConfigError::Priority);
        }
        match settings.auth {
            Auth::Password(_) if settings.version == Version::V3 => {
                return Err(ConfigError::PasswordInV3);
            }
            Auth::Password(V2Auth::None) => return Err(ConfigError::NoPassword),
            _ => {}
        }
        let delays = [settings.start_delay, settings.preempt.delay()];
        if let Some(delay) = delays.into_iter().find(|delay| *delay > MAX_DELAY) {
            return Err(ConfigError::Delay(delay));
        }
        if let Some(twice) = duplicate(settings.addresses.list()) {
            return Err(ConfigError::DuplicateAddress(twice));
        }
        check_cast(&settings.cast, family)?;
        Ok(Self(settings))
    }

    /// The family of its addresses and packets.
    #[must_use]
    pub fn family(&self) -> Family {
        self.addresses.family()
    }

    /// Whether `other` is another virtual router, rather than this one with other settings.
    pub(super) fn is_another(&self, other: &Self) -> bool {
        self.vrid != other.vrid || self.version != other.version || self.family() != other.family()
    }
}

impl Preempt {
    pub(super) const fn delay(self) -> Duration {
        match self {
            Self::Never | Self::AtOnce => Duration::ZERO,
            Self::After(delay) => delay,
        }
    }
}

fn check_cast(cast: &Cast, family: Family) -> Result<(), ConfigError> {
    match cast {
        Cast::Multicast { group } if Family::of(*group) != family => {
            Err(ConfigError::PeerFamily(*group))
        }
        Cast::Multicast { group } if !group.is_multicast() => Err(ConfigError::Group(*group)),
        Cast::Multicast { .. } => Ok(()),
        Cast::Unicast { peers, .. } => check_peers(peers, family),
    }
}

fn check_peers(peers: &[IpAddr], family: Family) -> Result<(), ConfigError> {
    if peers.is_empty() {
        return Err(ConfigError::NoPeers);
    }
    if let Some(other) = peers.iter().find(|peer| Family::of(**peer) != family) {
        return Err(ConfigError::PeerFamily(*other));
    }
    let nobody = |peer: &&IpAddr| peer.is_multicast() || peer.is_unspecified();
    let odd = peers.iter().find(nobody).copied();
    odd.or_else(|| duplicate(peers))
        .map_or(Ok(()), |peer| Err(ConfigError::Peer(peer)))
}

fn duplicate(list: &[IpAddr]) -> Option<IpAddr> {
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).find(|w| w[0] == w[1]).map(|w| w[0])
}
