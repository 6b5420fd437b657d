//! How a request gets to the daemon: unix socket, TCP or TLS, one connection per request.

use std::{io, path::Path, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;

use super::{
    super::exit::{Failure, Outcome},
    AdminAddress,
};

/// Sends one request on a connection of its own; an error says what to do.
pub(super) async fn send(
    address: &AdminAddress,
    tls: Option<&TlsConnector>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, String> {
    match address {
        AdminAddress::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(unix_hint)?;
            exchange(stream, request).await
        }
        AdminAddress::Tcp { host, port, .. } => {
            let stream = TcpStream::connect((host.as_str(), *port))
                .await
                .map_err(tcp_hint)?;
            let Some(tls) = tls else {
                return exchange(stream, request).await;
            };
            let name = ServerName::try_from(host.clone()).map_err(|e| e.to_string())?;
            let stream = tls
                .connect(name, stream)
                .await
                .map_err(|e| format!("no TLS with it: {e}"))?;
            exchange(stream, request).await
        }
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let lost = |error: hyper::Error| format!("the connection was lost: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(lost)?;
    // What goes wrong on the connection shows in the answer too.
    drop(tokio::spawn(connection));
    sender.send_request(request).await.map_err(lost)
}

fn unix_hint(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "no such file. Is it running? Try `systemctl status aplomb`, or name another place with --admin".into()
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied. Run this as root, or as a member of the group that the socket belongs to ([admin] group)".into()
        }
        io::ErrorKind::ConnectionRefused => {
            "the socket is there, but nobody listens. It has ended or was killed; start it with `aplomb run -c FILE`".into()
        }
        _ => error.to_string(),
    }
}

fn tcp_hint(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "connection refused. Is it running, and is [admin] listen this address?".into()
        }
        _ => error.to_string(),
    }
}

/// How to speak TLS to the daemon.
pub(super) fn tls(ca: Option<&Path>, identity: Option<(&Path, &Path)>) -> Outcome<TlsConnector> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| unusable(path, &e))?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Failure::refused("cannot speak TLS", e))?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key_path)) => {
            let key = PrivateKeyDer::from_pem_file(key_path).map_err(|e| unusable(key_path, &e))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, key)
                .map_err(|e| unusable(certificate, &e))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Outcome<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|e| unusable(path, &e))?
        .collect();
    let all = all.map_err(|e| unusable(path, &e))?;
    if all.is_empty() {
        return Err(unusable(path, &"no certificate in it"));
    }
    Ok(all)
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::Usage(format!("cannot use {}: {why}", path.display()))
}
