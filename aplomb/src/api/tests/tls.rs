//! The admin API over TLS: with a token, and with clients' certificates.

use std::path::Path;

use clap::Parser;
use control::spec::TlsFiles;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::*;
use crate::cli::client::AdminArgs;

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    admin: AdminArgs,
}

fn client(admin: SocketAddr, options: &[&str]) -> Client {
    let admin = format!("https://{admin}");
    let line = ["aplomb", "--admin", &admin]
        .into_iter()
        .chain(options.iter().copied());
    Client::new(&CommandLine::parse_from(line).admin).unwrap()
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a certificate of `authority` and its key; NAME.crt and NAME.key.
fn certificate(dir: &Path, name: &str, authority: &Authority) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let signed = params.signed_by(&key, authority).unwrap();
    std::fs::write(dir.join(format!("{name}.crt")), signed.pem()).unwrap();
    std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

fn serve(dir: &Path, auth: AdminAuth) -> (Server, SocketAddr) {
    let address = free_port();
    let spec = AdminSpec {
        listen: AdminListen::Tcp { address, auth },
        metrics: None,
    };
    // The files are named without their folder, as in a configuration beside them.
    let listeners = Listeners::bind(&spec, dir, Place::Free).unwrap();
    let node: Arc<Remembers> = Arc::default();
    (Server::start_for(node, listeners).unwrap(), address)
}

fn files() -> TlsFiles {
    TlsFiles {
        certificate: "server.crt".into(),
        key: "server.key".into(),
    }
}

fn status(client: &Client) -> Result<Status, Failure> {
    block_on(client.get("/v1/status"))
}

#[test]
fn a_token_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let ours = authority();
    std::fs::write(dir.join("ca.crt"), ours.pem()).unwrap();
    std::fs::write(dir.join("token"), "s3cret\n").unwrap();
    certificate(dir, "server", &ours);
    let auth = AdminAuth::Token {
        token: Secret::new("s3cret"),
        tls: Some(files()),
    };
    let (_server, address) = serve(dir, auth);

    let (ca, token) = (path(dir, "ca.crt"), path(dir, "token"));
    let good = client(address, &["--admin-ca", &ca, "--token-file", &token]);
    assert_eq!(status(&good).unwrap().pid, 7);

    let without_token = client(address, &["--admin-ca", &ca]);
    let refused = status(&without_token).unwrap_err();
    assert_eq!(refused.code(), 1);
    assert!(refused.to_string().contains("--token-file"), "{refused}");

    // The daemon's certificate is not one of the web's.
    let without_ca = client(address, &["--token-file", &token]);
    assert_eq!(status(&without_ca).unwrap_err().code(), 3);
    assert!(
        raw(address, "GET /v1/status HTTP/1.1\r\n\r\n")
            .find("200")
            .is_none()
    );
}

#[test]
fn only_certificates_of_the_clients_authority() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (ours, strange) = (authority(), authority());
    std::fs::write(dir.join("ca.crt"), ours.pem()).unwrap();
    certificate(dir, "server", &ours);
    certificate(dir, "operator", &ours);
    certificate(dir, "stranger", &strange);
    let auth = AdminAuth::Mtls {
        tls: files(),
        client_ca: "ca.crt".into(),
    };
    let (_server, address) = serve(dir, auth);

    let as_who = |name: &str| {
        let (ca, crt, key) = (
            path(dir, "ca.crt"),
            path(dir, &format!("{name}.crt")),
            path(dir, &format!("{name}.key")),
        );
        let options = ["--admin-ca", &ca, "--admin-cert", &crt, "--admin-key", &key];
        status(&client(address, &options))
    };
    assert_eq!(as_who("operator").unwrap().pid, 7);
    assert_eq!(as_who("stranger").unwrap_err().code(), 3);
    let ca = path(dir, "ca.crt");
    let nobody = status(&client(address, &["--admin-ca", &ca]));
    assert_eq!(nobody.unwrap_err().code(), 3);
}

#[test]
fn what_is_wrong_with_the_files_is_said_before_anything_changes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let spec = AdminSpec {
        listen: AdminListen::Tcp {
            address: free_port(),
            auth: AdminAuth::Token {
                token: Secret::new("x"),
                tls: Some(files()),
            },
        },
        metrics: None,
    };
    let refused = Listeners::bind(&spec, dir, Place::Free).unwrap_err();
    assert!(refused.to_string().contains("server."), "{refused}");
    std::fs::write(dir.join("server.key"), "nonsense").unwrap();
    std::fs::write(dir.join("server.crt"), "nonsense").unwrap();
    assert!(Listeners::bind(&spec, dir, Place::Free).is_err());
}
