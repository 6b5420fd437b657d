//! `[admin]`: the ways in for operators, and secrets.

use std::net::SocketAddr;

use toml::de::DeValue;

use crate::{
    config::{
        diagnostic::Problem,
        document::Value,
        form::{
            address::{AdminAddress, Local},
            text::{FilePath, Mode, Word},
        },
        kind::{Kind, section},
        limits,
        walk::{At, Cx, Read},
    },
    spec::{AdminAuth, AdminListen, AdminSpec, Secret, TlsFiles},
};

section! {
    /// The ways in for operators and metrics.
    pub(in crate::config) struct AdminKeys = "[admin]" {
        /// Where the admin API listens: a unix socket, or TCP, which needs `token` or `client-ca`.
        listen: AdminAddress, default "\"unix:/run/aplomb/admin.sock\"";
        /// Permissions of the unix socket.
        mode: Mode, default "\"0660\"", only "unix";
        /// The group that owns the unix socket.
        group: Word, absent "the daemon's own", only "unix";
        /// Where Prometheus text is served at `/metrics`, beside the admin API which serves it too.
        metrics: Local, absent "at the admin API only";
        /// What clients of the TCP listener send as `Authorization: Bearer TOKEN`.
        token: SecretText, absent "no token is taken", only "tcp";
        /// The TCP listener speaks TLS with this certificate.
        tls: TlsKeys, absent "plain TCP, on loopback only", only "tcp";
        /// The authority that issues clients' certificates, a PEM file: clients prove themselves with one of it instead of a token.
        client_ca: FilePath, absent "clients need no certificate", only "tcp";
    }
}

section! {
    /// A certificate and its key.
    pub(in crate::config) struct TlsKeys = "a certificate" {
        /// The certificate chain, leaf first, a PEM file.
        certificate: FilePath, required;
        /// The private key, a PEM file.
        key: FilePath, required;
    }
}

impl TlsKeys {
    pub(in crate::config) fn admit(self) -> TlsFiles {
        TlsFiles {
            certificate: self.certificate.value.0,
            key: self.key.value.0,
        }
    }
}

section! {
    /// Where a secret comes from: one of the two.
    pub(in crate::config) struct SecretKeys = "a secret" {
        /// The environment variable that holds it.
        env: Word, absent "not from the environment";
        /// The file that holds it, without the line's end.
        file: FilePath, absent "not from a file";
    }
}

/// A secret, read from where the config says.
#[derive(Clone, Debug)]
pub(in crate::config) struct SecretText(Secret);

impl SecretText {
    /// The secret itself.
    pub(in crate::config) fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// The secret, to be kept.
    pub(in crate::config) fn secret(&self) -> Secret {
        self.0.clone()
    }
}

impl Read for SecretText {
    fn kind() -> Kind {
        SecretKeys::kind()
    }

    fn accepts(value: &DeValue<'_>) -> bool {
        value.is_table()
    }

    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        if value.get_ref().is_str() {
            cx.report.hide(value.span().into());
            let problem =
                Problem::error(value.span(), "a secret does not stand in the configuration");
            cx.push(problem.help("write { env = \"NAME\" } or { file = \"/path\" }"));
            return None;
        }
        let keys = SecretKeys::read(value, cx)?;
        let read = match (&keys.env, &keys.file) {
            (Some(name), None) => cx.sources.env(&name.0),
            (None, Some(path)) => cx.sources.file(&path.0),
            _ => {
                let problem = Problem::error(value.span(), "a secret comes from one place");
                cx.push(problem.help("write either { env = \"NAME\" } or { file = \"/path\" }"));
                return None;
            }
        };
        match read {
            Ok(text) => Some(Self(Secret::new(text.trim_end_matches(['\n', '\r'])))),
            Err(reason) => {
                let message = format!("the secret cannot be read: {reason}");
                cx.push(Problem::error(value.span(), message));
                None
            }
        }
    }
}

impl AdminKeys {
    pub(in crate::config) fn admit(self, cx: &mut Cx<'_>) -> Option<AdminSpec> {
        let metrics = self.metrics.as_ref().map(|at| at.0);
        let listen = match &self.listen.value {
            AdminAddress::Unix(path) => {
                let because = |_: &_| "the permissions of a unix socket decide".into();
                self.given.only_of("unix", because, cx);
                AdminListen::Unix {
                    path: path.clone(),
                    mode: self.mode.0,
                    group: self.group.map(|group| group.value.0),
                }
            }
            AdminAddress::Tcp(address) => {
                let because = |_: &_| "this listener is not a file".into();
                self.given.only_of("tcp", because, cx);
                AdminListen::Tcp {
                    address: *address,
                    auth: self.auth(*address, cx)?,
                }
            }
        };
        Some(AdminSpec { listen, metrics })
    }

    /// How clients of the TCP listener prove themselves.
    fn auth(&self, address: SocketAddr, cx: &mut Cx<'_>) -> Option<AdminAuth> {
        let at = self.listen.span;
        let tls = self.tls.clone().map(|tls| tls.value.admit());
        match (&self.token, &self.client_ca, tls) {
            (Some(token), None, tls) => {
                self.check_token(token, cx);
                if tls.is_none() && !address.ip().is_loopback() {
                    let problem = Problem::error(at, "a token over plain TCP is only for loopback");
                    cx.push(problem.help(
                        "listen on 127.0.0.1, or write tls = { certificate = \"…\", key = \"…\" }",
                    ));
                }
                Some(AdminAuth::Token {
                    token: token.value.0.clone(),
                    tls,
                })
            }
            (None, Some(ca), Some(tls)) => Some(AdminAuth::Mtls {
                tls,
                client_ca: ca.value.0.clone(),
            }),
            (None, Some(ca), None) => {
                let problem = Problem::error(ca.key, "client certificates need TLS");
                cx.push(problem.help("write tls = { certificate = \"…\", key = \"…\" }"));
                None
            }
            (Some(token), Some(ca), _) => {
                let problem = Problem::error(token.key, "clients prove themselves in one way")
                    .related(ca.key, "the other way")
                    .help("keep either `token` or `client-ca`");
                cx.push(problem);
                None
            }
            // What is given and could not be read was complained of.
            (None, None, _) if self.given.has("token") || self.given.has("client_ca") => None,
            (None, None, _) => {
                let problem = Problem::error(
                    at,
                    "the admin API on TCP needs a way to tell who may use it",
                );
                cx.push(problem.help(
                    "write token = { env = \"NAME\" }, or tls and client-ca, or listen on a unix socket",
                ));
                None
            }
        }
    }

    fn check_token(&self, token: &At<SecretText>, cx: &mut Cx<'_>) {
        let text = token.value.0.reveal();
        if text.len() < limits::TOKEN || !text.bytes().all(|b| b.is_ascii_graphic()) {
            let message = format!(
                "a token has at least {} visible characters, without spaces",
                limits::TOKEN
            );
            let problem = Problem::error(token.span, message);
            cx.push(problem.help("make one with: openssl rand -base64 24"));
        }
    }
}
