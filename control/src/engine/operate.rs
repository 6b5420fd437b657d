//! What operators ask for.

use super::{Engine, Operation, Refusal, event::Answer};
use crate::{health::Override, name::BackendKey, time::Instant};

impl Engine {
    pub(super) fn operate(&mut self, operation: Operation, now: Instant) -> Answer {
        let id = self.find_configured(operation.backend())?;
        let Some(backend) = self.ward.backend_mut(id) else {
            return Err(Refusal::NoSuchBackend);
        };
        match operation {
            Operation::Drain(_, lasting) => backend.override_state(Override::Drain, lasting, now),
            Operation::Disable(_) => backend.override_state(Override::Disable, None, now),
            Operation::Enable(_) => backend.override_state(Override::Enable, None, now),
            Operation::Weight(_, weight) => backend.override_weight(weight),
        }
        self.settle(id, now);
        Ok(())
    }

    /// A backend that was removed is no longer the operator's, though it still drains.
    fn find_configured(&self, key: &BackendKey) -> Result<super::BackendId, Refusal> {
        let pool = self.ward.pools.get(&key.pool).filter(|pool| !pool.removed);
        let _pool = pool.ok_or(Refusal::NoSuchPool)?;
        let id = self.ward.find(key).ok_or(Refusal::NoSuchBackend)?;
        match self.ward.backend(id) {
            Some(backend) if !backend.is_removed() => Ok(id),
            _ => Err(Refusal::NoSuchBackend),
        }
    }
}
