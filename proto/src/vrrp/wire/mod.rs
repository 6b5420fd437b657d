//! Between adverts and bytes, for one virtual router: which adverts are for us and can be trusted, and what is sent is
//! sealed.
//!
//! [`Wire::read`] checks what RFC 9568 (section 7.1) and the configuration ask of an advert that
//! [`decode`](crate::vrrp::codec::decode()) took, cheap checks first; [`Wire::write`] makes packets. Authentication with keys
//! is in `hmac`, protection against replay in `replay`.

mod hmac;
mod keys;
mod replay;
mod seal;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, time::Duration};

pub use self::{
    keys::{AntiReplay, Key, Keys, KeysError, Mode},
    seal::Sealed,
};
use self::{replay::Senders, seal::Sequence};
use super::{
    codec::{Advert, Decoded, Trailer, V2Auth},
    machine::{Auth, Cast, Config},
    refusal::{Refusal, Refusals},
};
use crate::time::Utc;

/// The wire's end of one virtual router.
#[derive(Clone, Debug)]
pub struct Wire {
    config: Config,
    senders: Senders,
    sequence: Sequence,
    refusals: Refusals,
}

/// An advert that is for us and can be trusted as far as the configuration goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its sender.
    pub from: IpAddr,
    /// What it says.
    pub advert: Advert,
    /// The sender's clock is so far from ours, more than half of what is allowed: worth a warning.
    pub clock_skew: Option<Duration>,
}

impl Wire {
    /// For a virtual router with this configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            senders: Senders::new(&config.cast),
            config,
            sequence: Sequence::default(),
            refusals: Refusals::default(),
        }
    }

    /// Other settings; what senders have been heard, and our own sequence, go on.
    pub fn configure(&mut self, config: Config) {
        self.senders.resize(&config.cast);
        self.config = config;
    }

    /// What was refused here so far.
    #[must_use]
    pub const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Whether `decoded` is for us and can be trusted. `ours` is our primary address on the interface, if it has one.
    ///
    /// # Errors
    /// Says why it is not; it is counted.
    pub fn read(
        &mut self,
        decoded: Decoded<'_>,
        ours: Option<IpAddr>,
        now: Utc,
    ) -> Result<Accepted, Refusal> {
        let checked = self
            .check_header(&decoded, ours)
            .and_then(|()| self.check_auth(&decoded, now));
        match checked {
            Ok(clock_skew) => Ok(Accepted {
                from: decoded.packet.source,
                advert: decoded.advert,
                clock_skew,
            }),
            Err(refusal) => {
                self.refusals.count(refusal.cause());
                Err(refusal)
            }
        }
    }

    fn check_header(&self, decoded: &Decoded<'_>, ours: Option<IpAddr>) -> Result<(), Refusal> {
        let (advert, packet) = (&decoded.advert, &decoded.packet);
        if advert.addresses.family() != self.config.family() {
            return Err(Refusal::WrongFamily(advert.addresses.family()));
        }
        if advert.version != self.config.version {
            return Err(Refusal::WrongVersion {
                found: advert.version,
                ours: self.config.version,
            });
        }
        if advert.vrid != self.config.vrid {
            return Err(Refusal::WrongVrid {
                found: advert.vrid,
                ours: self.config.vrid,
            });
        }
        if ours == Some(packet.source) {
            return Err(Refusal::OwnSource);
        }
        let multicast = packet.destination.is_multicast();
        let least = match &self.config.cast {
            Cast::Multicast { .. } if !multicast => return Err(Refusal::WrongCast { multicast }),
            Cast::Unicast { .. } if multicast => return Err(Refusal::WrongCast { multicast }),
            Cast::Unicast { peers, .. } if !peers.contains(&packet.source) => {
                return Err(Refusal::NotAPeer(packet.source));
            }
            Cast::Multicast { .. } => u8::MAX,
            Cast::Unicast {
                least_hop_limit, ..
            } => *least_hop_limit,
        };
        let found = packet.hop_limit;
        if found < least {
            return Err(Refusal::HopLimit { found, least });
        }
        Ok(())
    }

    /// The sender's clock skew, if that is worth a warning.
    fn check_auth(&mut self, decoded: &Decoded<'_>, now: Utc) -> Result<Option<Duration>, Refusal> {
        let expected = match self.config.auth {
            Auth::Password(password) => password,
            Auth::None | Auth::Keys(_) => V2Auth::None,
        };
        check_v2(decoded.advert.auth, expected)?;
        match (&self.config.auth, &decoded.trailer) {
            (Auth::Keys(keys), Some(trailer)) => {
                Self::check_trailer(&mut self.senders, keys, decoded, trailer, now)
            }
            (Auth::Keys(keys), None) if keys.mode() == Mode::Enforce => Err(Refusal::NoTrailer),
            (_, None) => Ok(None),
            (_, Some(_)) => Err(Refusal::UnexpectedTrailer),
        }
    }

    /// What is cheap first: a flood of old adverts must not cost a hash each. The sequence moves last, and only for who
    /// has the key.
    fn check_trailer(
        senders: &mut Senders,
        keys: &Keys,
        decoded: &Decoded<'_>,
        trailer: &Trailer,
        now: Utc,
    ) -> Result<Option<Duration>, Refusal> {
        hmac::check_form(trailer)?;
        let skew = keys.anti_replay().check(trailer, now)?;
        let key = keys
            .key(trailer.key)
            .ok_or(Refusal::UnknownKey(trailer.key))?;
        hmac::verify(key, decoded, trailer)?;
        senders.advance(
            decoded.packet.source,
            trailer.sequence,
            keys.anti_replay(),
            now,
        )?;
        Ok(skew)
    }

    /// Seals `advert`, to be sent from `source`: one sequence number and code for all its receivers.
    #[must_use]
    pub fn write(&mut self, advert: &Advert, source: IpAddr, now: Utc) -> Sealed {
        let trailer = match &self.config.auth {
            Auth::Keys(keys) if keys.mode() != Mode::ReceiveOnly => {
                let sequence = self.sequence.next(keys.anti_replay(), now);
                Some(hmac::sign(keys, advert, source, sequence))
            }
            _ => None,
        };
        Sealed::new(advert.clone(), self.config.checksum, source, trailer)
    }
}

/// Version 2's authentication (RFC 2338, 7.1).
fn check_v2(found: V2Auth, ours: V2Auth) -> Result<(), Refusal> {
    match (found, ours) {
        (V2Auth::None, V2Auth::None) => Ok(()),
        (V2Auth::Password(theirs), V2Auth::Password(ours)) => {
            aws_lc_rs::constant_time::verify_slices_are_equal(&theirs, &ours)
                .map_err(|_| Refusal::Password)
        }
        (found, ours) => Err(Refusal::WrongAuth {
            found: found.number(),
            ours: ours.number(),
        }),
    }
}
