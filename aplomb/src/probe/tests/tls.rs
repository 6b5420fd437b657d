//! TLS probes, and HTTP over TLS.

use std::{fs, path::PathBuf};

use control::spec::check::{Expect, HttpProbe, TlsProbe};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;

use super::*;

/// A server with a certificate for `www.test` by an authority of its own, valid for some 30 days more.
struct Site {
    address: SocketAddr,
    ca: PathBuf,
    _files: TempDir,
}

fn site() -> Site {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["www.test".into()]).unwrap();
    let now = std::time::SystemTime::now();
    leaf.not_before = (now - Duration::from_secs(86_400)).into();
    leaf.not_after = (now + Duration::from_secs(30 * 86_400 + 3600)).into();
    let leaf = leaf.signed_by(&key, &authority).unwrap();

    let files = tempfile::tempdir().unwrap();
    let ca = files.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(leaf.der().to_vec())],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let config = Arc::new(config);
    let address = serve(move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(session, stream);
        let _ = stream.read(&mut [0; 2048]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    Site {
        address,
        ca,
        _files: files,
    }
}

fn tls(site: &Site) -> TlsProbe {
    TlsProbe {
        server_name: Some("www.test".into()),
        verify: true,
        ca: Some(site.ca.clone()),
        min_days: None,
    }
}

fn shake(site: &Site, probe: TlsProbe) -> Result<(), ProbeFailure> {
    check(ProbeKind::Tls(probe), site.address, PATIENCE)
}

#[test]
fn a_good_certificate_passes() {
    let site = site();
    assert_eq!(shake(&site, tls(&site)), Ok(()));
    let nameless = TlsProbe {
        server_name: None,
        ..tls(&site)
    };
    assert_eq!(shake(&site, nameless), Ok(()), "the chain alone");
}

#[test]
fn a_wrong_name_or_authority_fails_unless_nobody_asks() {
    let site = site();
    let wrong_name = TlsProbe {
        server_name: Some("other.test".into()),
        ..tls(&site)
    };
    let (kind, detail) = failure(shake(&site, wrong_name.clone()));
    assert_eq!(kind, Failure::Tls, "{detail}");
    let unknown = TlsProbe {
        ca: Some(super::tls::site().ca),
        ..tls(&site)
    };
    // The other authority's file went with its site, which is this node's fault.
    assert_eq!(failure(shake(&site, unknown)).0, Failure::Local);
    let other = super::tls::site();
    let untrusted = TlsProbe {
        ca: Some(other.ca.clone()),
        ..tls(&site)
    };
    assert_eq!(failure(shake(&site, untrusted)).0, Failure::Tls);
    let careless = TlsProbe {
        verify: false,
        ..wrong_name
    };
    assert_eq!(shake(&site, careless), Ok(()));
}

#[test]
fn days_are_counted() {
    let site = site();
    let days = |days| TlsProbe {
        min_days: Some(days),
        ..tls(&site)
    };
    assert_eq!(shake(&site, days(30)), Ok(()));
    let (kind, detail) = failure(shake(&site, days(31)));
    assert_eq!(kind, Failure::Tls);
    assert_eq!(
        detail,
        "the certificate is valid for 30 more days, of at least 31"
    );
}

#[test]
fn what_does_not_speak_tls_fails() {
    let site = site();
    let plain = answer(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let closed = serve(drop);
    for target in [plain, closed] {
        let (kind, detail) = failure(check(ProbeKind::Tls(tls(&site)), target, PATIENCE));
        assert_eq!(kind, Failure::Tls, "{detail}");
    }
}

#[test]
fn http_is_asked_over_tls() {
    let site = site();
    let probe = HttpProbe {
        method: "GET".into(),
        path: "/".into(),
        host: Some("www.test".into()),
        headers: Vec::new(),
        statuses: vec![(200, 200)],
        body: Some(Expect::Contains(b"ok".to_vec())),
        header: None,
        latency: None,
        tls: Some(tls(&site)),
    };
    assert_eq!(
        check(ProbeKind::Http(probe), site.address, PATIENCE),
        Ok(())
    );
}
