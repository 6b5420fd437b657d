//! Adverts of others: whether to mind them, and what is wrong with them.

use std::net::IpAddr;

use super::{AddressCheck, Output, Phase, Router, State};
use crate::{
    time::Instant,
    vrrp::{
        codec::Advert,
        refusal::Refusal,
        terms::{Priority, Version},
    },
};

impl Router {
    /// What came from another node; [`Self::check_advert`] says whether to mind it.
    pub(super) fn hear(&mut self, from: IpAddr, advert: &Advert, now: Instant) {
        if !matches!(self.phase, Phase::Backup(_) | Phase::Master(_)) {
            return;
        }
        if let Err(refusal) = self.check_advert(advert) {
            self.counters.refused.count(refusal.cause());
            self.push(Output::Refused(refusal));
            self.meet_rival(from, advert.priority, now);
            return;
        }
        self.counters.received += 1;
        self.counters.received_releases += u64::from(advert.priority == Priority::RELEASE);
        match self.phase {
            Phase::Master(_) => self.master_hears(from, advert, now),
            _ => self.backup_hears(from, advert, now),
        }
    }

    /// RFC 3768, 7.1 and RFC 9568, 7.1: the checks that are left after the wire's.
    fn check_advert(&mut self, advert: &Advert) -> Result<(), Refusal> {
        if self.state() == State::Master && self.is_owner() {
            return Err(Refusal::Owned);
        }
        let interval =
            (advert.interval != self.config.interval).then_some(Refusal::WrongInterval {
                found: advert.interval,
                ours: self.config.interval,
            });
        let addresses = &self.config.addresses;
        let addresses = (!advert.addresses.same_set(addresses)).then(|| Refusal::WrongAddresses {
            found: advert.addresses.list().len(),
            ours: addresses.list().len(),
        });
        match (interval, addresses) {
            (Some(wrong), _) if self.config.version == Version::V2 => Err(wrong),
            (_, Some(wrong))
                if self.config.address_check == AddressCheck::Refuse
                    && advert.priority != Priority::OWNER =>
            {
                Err(wrong)
            }
            (interval, addresses) => {
                self.note(interval.into_iter().chain(addresses));
                Ok(())
            }
        }
    }

    /// Counts what is wrong with an advert that is obeyed, and says it when it is something else than before.
    fn note(&mut self, wrong: impl Iterator<Item = Refusal>) {
        let mut worst = None;
        for refusal in wrong {
            self.counters.noted.count(refusal.cause());
            worst = Some(refusal);
        }
        if self.noted != worst {
            self.outputs.extend(worst.clone().map(Output::Noted));
            self.noted = worst;
        }
    }
}
