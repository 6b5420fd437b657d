//! The virtual routers that `vrrp` comes to, and where it stands if it comes to none.

use std::net::IpAddr;

use proto::vrrp::{
    codec::Checksum,
    machine::{AddressCheck, Auth, Cast, Config, ConfigError, Preempt, Settings},
    terms::{Addresses, Family, Interval, Priority, Version, Vrid},
};

use crate::{
    config::diagnostic::{Problem, Span},
    spec::{VrrpSpec, vip::PreemptSpec},
};

/// The virtual router of one family.
pub(super) fn router(spec: &VrrpSpec, auth: Auth, addresses: Vec<IpAddr>) -> Result<Config, Wrong> {
    let version = if spec.version == 2 {
        Version::V2
    } else {
        Version::V3
    };
    let vrid = Vrid::new(spec.id).ok_or(Wrong::TooMany)?;
    let addresses = Addresses::new(addresses).ok_or(Wrong::TooMany)?;
    let family = addresses.family();
    let settings = Settings {
        version,
        priority: Priority(spec.priority),
        interval: Interval::new(version, spec.interval)
            .ok_or(Wrong::Config(ConfigError::Interval))?,
        preempt: match spec.preempt {
            PreemptSpec::Never => Preempt::Never,
            PreemptSpec::AtOnce => Preempt::AtOnce,
            PreemptSpec::After(delay) => Preempt::After(delay),
        },
        start_delay: spec.start_delay,
        cast: if spec.peers.is_empty() {
            Cast::multicast(family)
        } else {
            let own = spec
                .peers
                .iter()
                .filter(|peer| Family::of(**peer) == family);
            Cast::unicast(own.copied().collect())
        },
        checksum: if spec.checksum_of_message {
            Checksum::MessageOnly
        } else {
            Checksum::WithPseudoHeader
        },
        accept: spec.accept,
        auth,
        address_check: if spec.obey_other_addresses {
            AddressCheck::Note
        } else {
            AddressCheck::Refuse
        },
        ..Settings::new(vrid, addresses)
    };
    Config::new(settings).map_err(Wrong::Config)
}

/// Why keys make no virtual router.
pub(super) enum Wrong {
    TooMany,
    Config(ConfigError),
}

/// Where the keys stand that may not fit together.
pub(super) struct Places {
    pub(super) addresses: Span,
    pub(super) interval: Span,
    pub(super) auth: Span,
    pub(super) peers: Span,
    pub(super) priority: Span,
    pub(super) all: Span,
}

impl Places {
    pub(super) fn problem(&self, wrong: Wrong, family: Family) -> Problem {
        let error = match wrong {
            Wrong::TooMany => {
                return Problem::error(self.addresses, "an advert names at most 255 addresses")
                    .help("put further ones under `excluded`");
            }
            Wrong::Config(error) => error,
        };
        let span = match error {
            ConfigError::V2OverIpv6 | ConfigError::DuplicateAddress(_) => self.addresses,
            ConfigError::Interval => self.interval,
            ConfigError::Priority => self.priority,
            ConfigError::PasswordInV3 | ConfigError::NoPassword => self.auth,
            ConfigError::NoPeers | ConfigError::PeerFamily(_) | ConfigError::Peer(_) => self.peers,
            ConfigError::Group(_) | ConfigError::Delay(_) => self.all,
        };
        if error == ConfigError::NoPeers {
            let other = if family == Family::V4 { "IPv4" } else { "IPv6" };
            let problem = Problem::error(
                span,
                format!("no peer has an {other} address, and some of the vip's are"),
            );
            return problem
                .help("name each peer by an address of either family, or write two vips");
        }
        Problem::error(span, error.to_string())
    }
}
