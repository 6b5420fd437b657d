//! What was asked: the admitted configuration.
//!
//! A [`Spec`] that exists is valid: names are unique, every pool that a route names is there, numbers are
//! within their limits. Only [`crate::config`] makes one. Nothing here does anything; [`crate::plan`] turns it,
//! with health, into what the planes shall be. Everything compares by value, so that a reload can tell what
//! did not change, and serialises, so that a dry run can say what did.

pub mod check;
pub mod http;
pub mod kernel;
pub mod l4;
pub mod packets;
pub mod pool;
pub mod service;
pub mod sync;
mod value;
pub mod vip;
pub mod ways;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use serde::Serialize;

pub use self::{
    check::{AgentSpec, CheckSpec, ProbeKind, ScriptSpec},
    http::{HttpSpec, RouteSpec},
    kernel::{
        KernelSpec, NatSource, PersistenceSpec, QuicLbConfig, QuicLbKey, QuicLbSpec, ServerId,
        SynCookies, TunnelKind, TunnelSpec,
    },
    l4::{Interfaces, L4Spec, TimeoutsSpec, XdpMode},
    pool::{BackendSpec, Balance, HashKey, PoolSpec},
    service::{Forward, Listen, Scheme, ServiceKind, ServiceSpec},
    sync::{IpvsSyncSpec, SyncKey, SyncSpec},
    value::{Bytes, Secret, Share, format_duration},
    vip::{VipSpec, VrrpSpec},
};
use crate::name::Name;

/// The whole of a node's configuration, cross-checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Spec {
    /// Where operators and metrics come in.
    pub admin: AdminSpec,
    /// What is logged, and where.
    pub log: LogSpec,
    /// The user-space plane as a whole.
    pub proxy: ProxySpec,
    /// The kernel data plane as a whole.
    pub l4: L4Spec,
    /// Whom connections are told; none: nobody.
    pub sync: Option<SyncSpec>,
    /// How that is done in IPVS's words; none: not at all.
    #[serde(rename = "sync.ipvs")]
    pub ipvs_sync: Option<IpvsSyncSpec>,
    /// Pools in config order.
    pub pools: Vec<Arc<PoolSpec>>,
    /// Services in config order.
    pub services: Vec<Arc<ServiceSpec>>,
    /// Virtual addresses in config order.
    pub vips: Vec<Arc<VipSpec>>,
}

impl Spec {
    /// The pool of that name.
    #[must_use]
    pub fn pool(&self, name: &Name) -> Option<&Arc<PoolSpec>> {
        self.pools.iter().find(|p| p.name == *name)
    }

    /// Whether an address is virtual: it may be another node's now.
    #[must_use]
    pub fn is_vip(&self, address: std::net::IpAddr) -> bool {
        let addresses = |vip: &Arc<VipSpec>| {
            let all = vip.addresses.iter().chain(&vip.excluded);
            all.map(|vip| vip.address.addr()).any(|vip| vip == address)
        };
        self.vips.iter().any(addresses)
    }

    /// The service of that name.
    #[must_use]
    pub fn service(&self, name: &Name) -> Option<&Arc<ServiceSpec>> {
        self.services.iter().find(|s| s.name == *name)
    }
}

/// `[admin]`: the ways in for operators.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdminSpec {
    /// Where the admin API listens.
    pub listen: AdminListen,
    /// Where Prometheus text is served at `/metrics`, beside the admin API which serves it too.
    pub metrics: Option<SocketAddr>,
}

impl AdminSpec {
    /// The socket that the daemon and the command line agree on when nothing else is said.
    pub const DEFAULT_SOCKET: &'static str = "/run/aplomb/admin.sock";
}

impl Default for AdminSpec {
    fn default() -> Self {
        Self {
            listen: AdminListen::Unix {
                path: Self::DEFAULT_SOCKET.into(),
                mode: 0o660,
                group: None,
            },
            metrics: None,
        }
    }
}

/// Where the admin API listens and who may use it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminListen {
    /// A unix socket; the file's permissions decide.
    Unix {
        /// The socket's path.
        path: PathBuf,
        /// Its permission bits.
        #[serde(serialize_with = "value::octal")]
        mode: u32,
        /// The group that owns it, by name; the daemon's own if none.
        group: Option<String>,
    },
    /// TCP; without one of the two ways to prove oneself there is no such listener.
    Tcp {
        /// The address to listen on.
        address: SocketAddr,
        /// Who may use it.
        auth: AdminAuth,
    },
}

/// How a client of the TCP admin listener proves itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdminAuth {
    /// `Authorization: Bearer TOKEN`, over plain TCP on loopback, or over TLS if `tls` is given.
    Token {
        /// The token.
        token: Secret,
        /// The server's certificate and key, PEM files.
        tls: Option<TlsFiles>,
    },
    /// A client certificate issued by `client_ca` (PEM file).
    Mtls {
        /// The server's certificate and key, PEM files.
        tls: TlsFiles,
        /// The authority that issues clients' certificates, a PEM file.
        client_ca: PathBuf,
    },
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// `[log]`: the daemon's log and the access log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogSpec {
    /// The least severe level logged, or a `tracing` filter directive (`info,aplomb::probe=debug`).
    pub level: String,
    /// How the daemon's own log looks.
    pub format: LogFormat,
    /// The access log of services that do not say otherwise; none if absent.
    pub access: Option<AccessLogSpec>,
}

impl Default for LogSpec {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::Text,
            access: None,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// An access log: one line for each request or connection that ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct AccessLogSpec {
    /// Where lines go.
    pub to: AccessLogTarget,
    /// Whether lines are JSON rather than text.
    pub json: bool,
}

/// Where an access log's lines go.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessLogTarget {
    /// Appended to a file, which is opened again on SIGUSR1 (log rotation).
    File(PathBuf),
    /// Standard output.
    Stdout,
}

/// `[proxy]`: the user-space plane as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProxySpec {
    /// Worker threads, one event loop each; none: one for each core this process may run on.
    pub workers: Option<u16>,
    /// The most client connections of one worker over all services; past it, connections wait in the kernel's
    /// accept queue.
    pub max_connections: u32,
    /// How long connections may go on after their listener or the process was told to stop.
    #[serde(serialize_with = "value::duration")]
    pub drain: Duration,
}

impl Default for ProxySpec {
    fn default() -> Self {
        Self {
            workers: None,
            max_connections: 100_000,
            drain: Duration::from_secs(30),
        }
    }
}
