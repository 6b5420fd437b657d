//! TLS for the TCP listener of the admin API.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use control::spec::TlsFiles;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use super::BindError;

/// What takes TLS connections with this certificate; with `client_ca`, only from clients whose certificate it issued.
pub(super) fn acceptor(
    directory: &Path,
    files: &TlsFiles,
    client_ca: Option<&PathBuf>,
) -> Result<TlsAcceptor, BindError> {
    let (chain, key_path) = (
        directory.join(&files.certificate),
        directory.join(&files.key),
    );
    let client_ca = client_ca.map(|ca| directory.join(ca));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| BindError::new("TLS", e))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(&ca)? {
                roots
                    .add(certificate)
                    .map_err(|e| BindError::new(ca.display(), e))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|e| BindError::new(ca.display(), e))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&key_path)
        .map_err(|e| BindError::new(key_path.display(), e))?;
    let config = builder
        .with_single_cert(certificates(&chain)?, key)
        .map_err(|e| BindError::new(chain.display(), e))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BindError> {
    let all = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| BindError::new(path.display(), e))?;
    if all.is_empty() {
        return Err(BindError::new(path.display(), "no certificate in it"));
    }
    Ok(all)
}
