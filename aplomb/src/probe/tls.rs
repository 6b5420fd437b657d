//! TLS: a handshake, and how long the certificate is still valid.
//!
//! Sessions are never resumed: a probe is to see the certificate that a new client sees.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use control::{
    engine::{Failure, ProbeFailure},
    spec::check::TlsProbe,
};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Verdict,
    attempt::{Attempt, PASSED},
    failure::{describe, fail, is_local},
};

/// Where distributions keep the authorities that the system trusts, most common first.
const SYSTEM_ROOTS: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Connects and shakes hands.
pub(super) async fn probe(attempt: &Attempt, tls: &TlsProbe) -> Verdict {
    let stream = attempt.connect(true).await?;
    let _session = handshake(attempt, tls, stream).await?;
    PASSED
}

/// Shakes hands over `stream` and looks at the certificate.
pub(super) async fn handshake(
    attempt: &Attempt,
    tls: &TlsProbe,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, ProbeFailure> {
    let connector = TlsConnector::from(attempt.tools.tls_client(tls)?);
    let name = match &tls.server_name {
        Some(name) => ServerName::try_from(name.clone())
            .map_err(|_| fail(Failure::Local, format!("{name} is no server name")))?,
        None => ServerName::from(attempt.target.ip()),
    };
    attempt.now("TLS handshake");
    let session = connector
        .connect(name, stream)
        .await
        .map_err(|e| broken_handshake(&e))?;
    if let Some(days) = tls.min_days {
        valid_for(&session, days)?;
    }
    Ok(session)
}

fn broken_handshake(error: &std::io::Error) -> ProbeFailure {
    let kind = if is_local(error) {
        Failure::Local
    } else {
        Failure::Tls
    };
    fail(kind, format!("TLS handshake: {}", describe(error)))
}

/// Fails if the certificate ends within `days` days.
fn valid_for(session: &TlsStream<TcpStream>, days: u32) -> Verdict {
    let certificates = session.get_ref().1.peer_certificates().unwrap_or_default();
    let Some(leaf) = certificates.first() else {
        return Err(fail(Failure::Tls, "no certificate was sent"));
    };
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|_| fail(Failure::Tls, "the certificate cannot be read"))?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs() as i64);
    let left = (leaf.validity().not_after.timestamp() - now).div_euclid(86_400);
    if left < i64::from(days) {
        return Err(fail(
            Failure::Tls,
            format!("the certificate is valid for {left} more days, of at least {days}"),
        ));
    }
    PASSED
}

/// A client that trusts and checks what the probe says. Fails, as this node's fault, if the authorities cannot
/// be read.
pub(super) fn client(tls: &TlsProbe) -> Result<Arc<ClientConfig>, ProbeFailure> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier {
        roots: tls
            .verify
            .then(|| trusted(tls.ca.as_deref()))
            .transpose()
            .map_err(|detail| fail(Failure::Local, detail))?,
        check_name: tls.server_name.is_some(),
        provider: Arc::clone(&provider),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| fail(Failure::Local, e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_sni = tls.server_name.is_some();
    Ok(Arc::new(config))
}

/// The authorities of that file, or the system's.
fn trusted(ca: Option<&Path>) -> Result<RootCertStore, String> {
    let path = match ca {
        Some(path) => path.to_owned(),
        None => SYSTEM_ROOTS
            .iter()
            .map(PathBuf::from)
            .find(|p| p.exists())
            .ok_or("the system has no trusted authorities")?,
    };
    let unreadable = |e| format!("authorities of {}: {e}", path.display());
    let certificates: Vec<_> = CertificateDer::pem_file_iter(&path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(format!("{} holds no authority", path.display()));
    }
    Ok(roots)
}

/// Checks no more than a probe asks for: the chain if there are `roots`, the name if it is to be checked.
/// The signature of the handshake is checked always, since a peer that cannot make it has no such key.
#[derive(Debug)]
struct Verifier {
    roots: Option<RootCertStore>,
    check_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(roots) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let parsed = ParsedCertificate::try_from(leaf)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        if self.check_name {
            verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
