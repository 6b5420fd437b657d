//! What travels: frames of JSON, each with a magic word and a bounded length.
//!
//! Fields that one side does not know are passed over, those that it misses have defaults; so processes of
//! different versions understand each other for as long as [`super::PROTOCOL`] is the same.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
};

use control::{
    spec::{Listen, Scheme},
    status::Saved,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Failure, PROTOCOL};

/// Begins each frame, so that a stranger is known by his first word.
const MAGIC: [u8; 4] = *b"aplm";

/// The longest frame, in bytes: what is known of 100,000 backends fits in many times over.
const LONGEST: u32 = 128 << 20;

/// What the successor begins with.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// [`PROTOCOL`].
    pub(super) protocol: u32,
    /// The program's version, for people.
    #[serde(default)]
    pub(super) version: String,
    /// Its process id.
    pub(super) pid: u32,
}

/// What the predecessor answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Offer {
    /// [`PROTOCOL`].
    pub(super) protocol: u32,
    /// The program's version, for people.
    #[serde(default)]
    pub(super) version: String,
    /// Its process id.
    #[serde(default)]
    pub(super) pid: u32,
    /// Why there is nothing to be had; then the rest means nothing.
    #[serde(default)]
    pub(super) refused: Option<String>,
    /// What each of the sockets that follow listens on, as configured.
    #[serde(default)]
    pub(super) sockets: Vec<String>,
    /// What is known of backends.
    #[serde(default)]
    pub(super) saved: Saved,
}

/// What became of the successor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// Why it does not serve; none: it does.
    #[serde(default)]
    pub(super) failed: Option<String>,
}

/// The predecessor leaves.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Farewell {}

/// Sends a frame.
pub(super) fn send<T: Serialize>(mut stream: &UnixStream, what: &T) -> io::Result<()> {
    let body = serde_json::to_vec(what)?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|length| *length <= LONGEST)
        .ok_or_else(|| io::Error::other("there is too much to hand over"))?;
    let mut frame = Vec::with_capacity(body.len() + 8);
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&body);
    stream.write_all(&frame)
}

/// Receives a frame while `doing` something.
pub(super) fn receive<T: DeserializeOwned>(
    mut stream: &UnixStream,
    doing: &'static str,
) -> Result<T, Failure> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).map_err(Failure::io(doing))?;
    let (magic, length) = head.split_at(4);
    if magic != MAGIC {
        return Err(Failure::Protocol("the other process is no aplomb".into()));
    }
    let length = length
        .try_into()
        .map(u32::from_be_bytes)
        .unwrap_or(u32::MAX);
    if length > LONGEST {
        return Err(Failure::Protocol(format!(
            "the other process announces {length} bytes"
        )));
    }
    // Grows with what really comes, not with what was announced.
    let mut body = Vec::new();
    let read = stream
        .take(u64::from(length))
        .read_to_end(&mut body)
        .map_err(Failure::io(doing))?;
    if read < length as usize {
        return Err(Failure::io(doing)(io::ErrorKind::UnexpectedEof.into()));
    }
    serde_json::from_slice(&body)
        .map_err(|e| Failure::Protocol(format!("the other process cannot be understood: {e}")))
}

/// Refuses a peer of another protocol, in words that say what to do.
pub(super) fn must_match(protocol: u32, version: &str) -> Result<(), String> {
    if protocol == PROTOCOL {
        return Ok(());
    }
    Err(format!(
        "aplomb {version} hands over by protocol {protocol}, aplomb {} by protocol {PROTOCOL}: stop the one, \
         then start the other",
        env!("CARGO_PKG_VERSION")
    ))
}

/// What a socket listens on, as [`Listen`] writes it.
pub(crate) fn listen_of(text: &str) -> Option<Listen> {
    let (scheme, address) = text.split_once("://")?;
    let known = [Scheme::Tcp, Scheme::Udp, Scheme::Http, Scheme::Https];
    let scheme = known.into_iter().find(|s| s.to_string() == scheme)?;
    Some(Listen::new(scheme, address.parse().ok()?))
}
