//! What probes share because it is costly to make anew: compiled patterns, trusted authorities, and the right to
//! start a program.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use control::{
    engine::{Failure, ProbeFailure},
    spec::check::TlsProbe,
};
use regex::bytes::Regex;
use rustls::ClientConfig;
use tokio::sync::Semaphore;

use super::{failure::fail, tls};

/// More patterns or authorities than this are not a configuration but a leak of old ones: begin anew.
const MANY: usize = 1024;

/// How long trusted authorities are believed before their file is read again.
const TRUST: Duration = Duration::from_secs(60);

/// Programs that run at a time. Each is a fork of a process with many threads, on cores that serve traffic.
const SCRIPTS: usize = 32;

/// What probes share.
pub(super) struct Tools {
    patterns: RefCell<HashMap<String, Rc<Regex>>>,
    clients: RefCell<HashMap<ClientKey, Client>>,
    /// A permit for each program that may run.
    pub(super) scripts: Semaphore,
}

/// What makes one TLS client differ from another.
#[derive(PartialEq, Eq, Hash)]
struct ClientKey {
    verify: bool,
    check_name: bool,
    ca: Option<std::path::PathBuf>,
}

struct Client {
    config: Arc<ClientConfig>,
    made: Instant,
}

impl Tools {
    pub(super) fn new() -> Self {
        Self {
            patterns: RefCell::default(),
            clients: RefCell::default(),
            scripts: Semaphore::new(SCRIPTS),
        }
    }

    /// The compiled pattern.
    pub(super) fn regex(&self, pattern: &str) -> Result<Rc<Regex>, ProbeFailure> {
        let mut patterns = self.patterns.borrow_mut();
        if let Some(regex) = patterns.get(pattern) {
            return Ok(Rc::clone(regex));
        }
        let regex = Regex::new(pattern)
            .map_err(|e| fail(Failure::Local, format!("bad pattern {pattern}: {e}")))?;
        let regex = Rc::new(regex);
        if patterns.len() >= MANY {
            patterns.clear();
        }
        let _ = patterns.insert(pattern.to_owned(), Rc::clone(&regex));
        Ok(regex)
    }

    /// The TLS client that a probe needs.
    pub(super) fn tls_client(&self, probe: &TlsProbe) -> Result<Arc<ClientConfig>, ProbeFailure> {
        let key = ClientKey {
            verify: probe.verify,
            check_name: probe.server_name.is_some(),
            ca: probe.ca.clone(),
        };
        let mut clients = self.clients.borrow_mut();
        if let Some(client) = clients.get(&key)
            && client.made.elapsed() < TRUST
        {
            return Ok(Arc::clone(&client.config));
        }
        let config = tls::client(probe)?;
        if clients.len() >= MANY {
            clients.clear();
        }
        let made = Instant::now();
        let _ = clients.insert(
            key,
            Client {
                config: Arc::clone(&config),
                made,
            },
        );
        Ok(config)
    }
}
