//! An HTTP service on one worker: its rules and what is counted against its budget for retries.

use std::{cell::OnceCell, rc::Rc, sync::Arc};

use control::spec::{ServiceKind, ServiceSpec};

use super::{budget::Budget, rules::Rules};
use crate::worker::Service;

/// One service under one configuration, on one worker.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) rules: Arc<Rules>,
    pub(crate) budget: Budget,
}

/// The site of a service, once it has been needed.
pub(crate) type SiteCell = OnceCell<Option<Rc<Site>>>;

/// The rules of a service, compiled once for all workers; none if it is no HTTP service.
pub(crate) fn compile(service: &ServiceSpec) -> Option<Arc<Rules>> {
    if !matches!(service.kind, ServiceKind::Http(_)) {
        return None;
    }
    match Rules::new(service) {
        Ok(rules) => Some(Arc::new(rules)),
        Err(error) => {
            // Admission compiles the same rules, so this is a fault of ours.
            tracing::error!(service = %service.name, %error, "a service cannot be served");
            None
        }
    }
}

impl Service {
    /// Its rules and budget; none if it is no HTTP service.
    pub(crate) fn http(&self) -> Option<Rc<Site>> {
        let new = || {
            let rules = Arc::clone(self.part.http.as_ref()?);
            Some(Rc::new(Site {
                rules,
                budget: Budget::default(),
            }))
        };
        self.site.get_or_init(new).clone()
    }
}
