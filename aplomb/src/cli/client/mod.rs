//! The command line's way to the daemon: one request at a time over the admin API.

mod address;
mod transport;

use std::{path::PathBuf, time::Duration};

use axum::http::{Method, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, body::Incoming};
use serde::de::DeserializeOwned;

pub(crate) use self::address::AdminAddress;
use super::exit::{Failure, Outcome};
use crate::api::model::Problem;

/// The longest answer that is read: a status of 10,000 backends is about 5 MiB.
const MAX_ANSWER: usize = 64 << 20;

/// The longest line of an answer that goes on.
const LONGEST_LINE: usize = 1 << 20;

/// How long an answer may take. An upgrade waits for the successor to serve, which is the longest.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the daemon is, and how one proves oneself to it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "The daemon")]
pub(crate) struct AdminArgs {
    /// Where the daemon's admin API is: unix:/path, http://host:port or https://host:port
    #[arg(long, global = true, value_name = "ADDRESS", env = "APLOMB_ADMIN")]
    #[arg(default_value_t = AdminAddress::Unix(control::spec::AdminSpec::DEFAULT_SOCKET.into()))]
    admin: AdminAddress,
    /// A file that holds the token for a TCP admin API (or the token itself in APLOMB_TOKEN)
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The authority that issued the daemon's certificate, a PEM file; without it, the usual ones of the web
    #[arg(long, global = true, value_name = "FILE")]
    admin_ca: Option<PathBuf>,
    /// The certificate to show to the daemon, a PEM file
    #[arg(long, global = true, value_name = "FILE", requires = "admin_key")]
    admin_cert: Option<PathBuf>,
    /// The key of that certificate, a PEM file
    #[arg(long, global = true, value_name = "FILE", requires = "admin_cert")]
    admin_key: Option<PathBuf>,
}

/// Speaks to the daemon.
pub(crate) struct Client {
    address: AdminAddress,
    token: Option<String>,
    tls: Option<tokio_rustls::TlsConnector>,
}

impl Client {
    /// A client as the command line says; nothing is connected yet.
    pub(crate) fn new(args: &AdminArgs) -> Outcome<Self> {
        let tls = match args.admin {
            AdminAddress::Tcp { tls: true, .. } => Some(transport::tls(
                args.admin_ca.as_deref(),
                args.admin_cert.as_deref().zip(args.admin_key.as_deref()),
            )?),
            _ => None,
        };
        Ok(Self {
            address: args.admin.clone(),
            token: token(args)?,
            tls,
        })
    }

    /// A client of the daemon at this unix socket.
    pub(crate) fn unix(path: PathBuf) -> Self {
        Self {
            address: AdminAddress::Unix(path),
            token: None,
            tls: None,
        }
    }

    /// What is at `path`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Outcome<T> {
        self.answer(Method::GET, path, Bytes::new()).await
    }

    /// Asks for something to be done.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Outcome<T> {
        self.answer(Method::POST, path, body.into()).await
    }

    /// Asks for something that takes as long as it takes.
    pub(crate) async fn post_patiently<T: DeserializeOwned>(
        &self,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Outcome<T> {
        self.answer_within(Duration::MAX, Method::POST, path, body.into())
            .await
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Outcome<T> {
        self.answer_within(PATIENCE, method, path, body).await
    }

    async fn answer_within<T: DeserializeOwned>(
        &self,
        patience: Duration,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Outcome<T> {
        let (status, body) = tokio::time::timeout(patience, self.exchange(method, path, body))
            .await
            .map_err(|_| self.unreachable("it does not answer"))??;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| {
            Failure::Refused(format!(
                "what {} answers is not understood ({error}); is it another version of aplomb?",
                self.address
            ))
        })
    }

    /// The lines of an answer that goes on, as they come, until `each` says that it is enough or the answer ends.
    pub(crate) async fn lines(
        &self,
        path: &str,
        each: &mut (dyn FnMut(&[u8]) -> bool + Send),
    ) -> Outcome {
        let sent = self.send(Method::GET, path, Bytes::new());
        let response = tokio::time::timeout(PATIENCE, sent)
            .await
            .map_err(|_| self.unreachable("it does not answer"))??;
        let (parts, mut body) = response.into_parts();
        if !parts.status.is_success() {
            let body = self.collect(body).await?;
            return Err(refusal(parts.status, &body));
        }
        let mut line: Vec<u8> = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|e| self.unreachable(&format!("its answer broke off: {e}")))?;
            for piece in frame
                .data_ref()
                .iter()
                .flat_map(|data| data.split_inclusive(|b| *b == b'\n'))
            {
                if line.len() + piece.len() > LONGEST_LINE {
                    return Err(Failure::Refused("the daemon's answer has no end".into()));
                }
                line.extend_from_slice(piece);
                if piece.ends_with(b"\n") {
                    if !each(&line) {
                        return Ok(());
                    }
                    line.clear();
                }
            }
        }
        Ok(())
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Outcome<(StatusCode, Bytes)> {
        let response = self.send(method, path, body).await?;
        let status = response.status();
        Ok((status, self.collect(response.into_body()).await?))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Outcome<Response<Incoming>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "aplomb");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| Failure::refused("cannot ask this", error))?;
        transport::send(&self.address, self.tls.as_ref(), request)
            .await
            .map_err(|error| self.unreachable(&error))
    }

    async fn collect(&self, body: Incoming) -> Outcome<Bytes> {
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| self.unreachable(&format!("its answer broke off: {error}")))?;
        Ok(body.to_bytes())
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::Unreachable(format!(
            "cannot reach the daemon at {}: {why}",
            self.address
        ))
    }
}

fn token(args: &AdminArgs) -> Outcome<Option<String>> {
    if let Some(path) = &args.token_file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::Usage(format!(
                "cannot read --token-file {}: {error}",
                path.display()
            ))
        })?;
        return Ok(Some(text.trim().to_owned()));
    }
    Ok(std::env::var("APLOMB_TOKEN")
        .ok()
        .filter(|token| !token.is_empty()))
}

/// What the daemon said in refusing.
fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        return Failure::Refused(format!("the daemon answers {status}"));
    };
    let hint = match status {
        StatusCode::UNAUTHORIZED => "; give the token with --token-file or APLOMB_TOKEN",
        _ => "",
    };
    if problem.rendered.is_empty() {
        Failure::Refused(format!("{}{hint}", problem.detail))
    } else {
        Failure::Refused(format!("{}\n\n{}", problem.detail, problem.rendered))
    }
}

/// Runs what a command does with the daemon, on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::refused("cannot start", error))?
        .block_on(work)
}

/// Percent-encodes `text` for use as one piece of a path or a query (RFC 3986 section 2.3: all but unreserved).
pub(crate) fn escape(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_url_are_escaped() {
        assert_eq!(escape("[::1]:80"), "%5B%3A%3A1%5D%3A80");
        assert_eq!(escape("a b/ä"), "a%20b%2F%C3%A4");
    }

    #[test]
    fn a_refusal_is_said_in_the_daemons_words() {
        let body = br#"{"status":404,"reason":"no-such-pool","detail":"there is no pool \"x\""}"#;
        let failure = refusal(StatusCode::NOT_FOUND, body);
        assert_eq!(failure.to_string(), "there is no pool \"x\"");
        assert_eq!(failure.code(), 1);
        assert!(
            refusal(StatusCode::BAD_GATEWAY, b"<html>")
                .to_string()
                .contains("502")
        );
    }
}
