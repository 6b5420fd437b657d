//! The sockets of the admin API, bound before anything else changes: what cannot be bound refuses the configuration.

mod tcp;
mod tls;
mod unix;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use control::spec::{AdminAuth, AdminListen, AdminSpec};
use tokio_rustls::TlsAcceptor;

use super::auth::Access;

/// The sockets that an `[admin]` asks for, bound and listening, but with nobody accepting yet.
#[derive(Debug)]
pub struct Listeners {
    /// The admin API; none if it is the one that is served already.
    pub(super) admin: Option<Admin>,
    /// Metrics; none within: there is no such listener; none at all: it is the one that is served already.
    pub(super) metrics: Option<Option<std::net::TcpListener>>,
    /// What they were made from.
    pub(super) spec: AdminSpec,
}

/// A bound admin socket, and who may use it.
#[derive(Debug)]
pub(super) struct Admin {
    pub(super) socket: Socket,
    pub(super) access: Access,
}

/// A bound socket.
pub(super) enum Socket {
    /// A unix socket and its file.
    Unix(std::os::unix::net::UnixListener, unix::SocketFile),
    /// TCP, and TLS if it is spoken.
    Tcp(std::net::TcpListener, Option<TlsAcceptor>),
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(listener, _) => write!(f, "Unix({listener:?})"),
            Self::Tcp(listener, tls) => write!(f, "Tcp({listener:?}, tls: {})", tls.is_some()),
        }
    }
}

/// Why there is no such listener, with what to do about it.
#[derive(Debug)]
pub struct BindError {
    what: String,
    why: String,
}

impl BindError {
    fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self {
            what: what.to_string(),
            why: why.to_string(),
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[admin] cannot listen on {}: {}", self.what, self.why)
    }
}

impl std::error::Error for BindError {}

/// Whose place new sockets take.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// Nobody's: an address where somebody answers is in use.
    Free,
    /// That of a predecessor, which this process takes over from.
    Predecessor,
    /// That of the sockets this process listens on already. What did not change is left as it is.
    Own(&'a AdminSpec),
}

impl Listeners {
    /// Binds what `spec` asks for; relative paths in it begin at `directory`. Blocks for no longer than it takes to
    /// read the certificates.
    ///
    /// # Errors
    /// What cannot be bound, and why; then nothing has changed.
    pub fn bind(spec: &AdminSpec, directory: &Path, place: Place<'_>) -> Result<Self, BindError> {
        let admin = match place {
            // Certificates are files, and may be others now under the same name.
            Place::Own(current) if current.listen == spec.listen && !has_files(&spec.listen) => {
                None
            }
            _ => Some(admin(&spec.listen, directory, place)?),
        };
        let metrics = match (place, spec.metrics) {
            (Place::Own(current), wanted) if current.metrics == wanted => None,
            (_, None) => Some(None),
            (_, Some(address)) => {
                let takes_over = matches!(place, Place::Predecessor);
                Some(Some(tcp::bind(address, takes_over)?))
            }
        };
        Ok(Self {
            admin,
            metrics,
            spec: spec.clone(),
        })
    }
}

fn has_files(listen: &AdminListen) -> bool {
    match listen {
        AdminListen::Unix { .. } => false,
        AdminListen::Tcp { auth, .. } => match auth {
            AdminAuth::Token { tls, .. } => tls.is_some(),
            AdminAuth::Mtls { .. } => true,
        },
    }
}

fn admin(listen: &AdminListen, directory: &Path, place: Place<'_>) -> Result<Admin, BindError> {
    match listen {
        AdminListen::Unix { path, mode, group } => {
            let takes_over = match place {
                Place::Free => false,
                Place::Predecessor => true,
                Place::Own(current) => unix_path(current) == Some(path),
            };
            let (listener, file) = unix::bind(path, *mode, group.as_deref(), takes_over)?;
            Ok(Admin {
                socket: Socket::Unix(listener, file),
                access: Access::Granted,
            })
        }
        AdminListen::Tcp { address, auth } => {
            let (acceptor, access) = match auth {
                AdminAuth::Token { token, tls } => {
                    let acceptor = tls
                        .as_ref()
                        .map(|files| tls::acceptor(directory, files, None));
                    (acceptor.transpose()?, Access::Token(token.clone()))
                }
                AdminAuth::Mtls { tls, client_ca } => (
                    Some(tls::acceptor(directory, tls, Some(client_ca))?),
                    Access::Granted,
                ),
            };
            let takes_over = match place {
                Place::Free => false,
                Place::Predecessor => true,
                Place::Own(current) => tcp_address(current) == Some(*address),
            };
            let listener = tcp::bind(*address, takes_over)?;
            Ok(Admin {
                socket: Socket::Tcp(listener, acceptor),
                access,
            })
        }
    }
}

fn unix_path(spec: &AdminSpec) -> Option<&PathBuf> {
    match &spec.listen {
        AdminListen::Unix { path, .. } => Some(path),
        AdminListen::Tcp { .. } => None,
    }
}

fn tcp_address(spec: &AdminSpec) -> Option<SocketAddr> {
    match &spec.listen {
        AdminListen::Tcp { address, .. } => Some(*address),
        AdminListen::Unix { .. } => None,
    }
}
