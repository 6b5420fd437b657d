//! A fingerprint of all that an engine did, to compare two runs by.

use std::fmt::{self, Write};

use control::{engine::Action, time::Instant};

/// FNV-1a over what the actions say.
#[derive(Debug)]
pub(crate) struct Trace(u64);

impl Default for Trace {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        Ok(())
    }
}

impl Trace {
    pub(crate) fn note(&mut self, now: Instant, action: &Action) {
        let written = self.write(now, action);
        debug_assert!(written.is_ok(), "a hash takes everything");
    }

    fn write(&mut self, now: Instant, action: &Action) -> fmt::Result {
        write!(self, "{} ", now.nanos())?;
        match action {
            Action::Plan(plan) => {
                write!(self, "plan {} {:?}", plan.generation, plan.services.keys())?;
                for member in plan.pools.values().flat_map(|pool| &pool.members) {
                    write!(self, " {} {} {:?}", member.key, member.weight, member.duty)?;
                }
                Ok(())
            }
            Action::Probe {
                backend, check, id, ..
            } => write!(self, "probe {backend} {check} {id}"),
            Action::AskAgent { backend, id, .. } => write!(self, "ask {backend} {id}"),
            Action::Answer(answer) => write!(self, "answer {answer:?}"),
            Action::Transition(t) => write!(self, "{} {}>{} {}", t.backend, t.from, t.to, t.why),
        }
    }

    pub(crate) fn finish(&self) -> u64 {
        self.0
    }
}
