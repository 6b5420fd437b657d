//! Failures of probes: whose fault they are, in words for `status` and logs.

use std::io;

use control::engine::{Failure, ProbeFailure};

/// The most characters of an answer, or of an operator's script, that a failure quotes.
const QUOTED: usize = 120;

/// A failure of this kind.
pub(super) fn fail(kind: Failure, detail: impl Into<String>) -> ProbeFailure {
    ProbeFailure {
        kind,
        detail: detail.into(),
    }
}

/// A failure of a socket while `doing` something.
pub(super) fn of_io(doing: &str, error: &io::Error) -> ProbeFailure {
    let kind = match error.kind() {
        _ if is_local(error) => Failure::Local,
        io::ErrorKind::TimedOut => Failure::Timeout,
        _ => Failure::Connect,
    };
    fail(kind, format!("{doing}: {}", describe(error)))
}

/// Whether the fault is this node's, so that it says nothing of the backend: no descriptors, no memory, no such
/// source address, a local filter's veto.
pub(super) fn is_local(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EMFILE
                | libc::ENFILE
                | libc::ENOMEM
                | libc::ENOBUFS
                | libc::EADDRNOTAVAIL
                | libc::EADDRINUSE
                | libc::EAFNOSUPPORT
                | libc::EACCES
                | libc::EPERM
                | libc::EINVAL
                | libc::EAGAIN
        )
    )
}

/// The error without Rust's ` (os error N)`, which says nothing to an operator.
pub(super) fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    let mut text = text[..end].to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

/// The beginning of `bytes` on one line, safe to show on a terminal.
pub(super) fn quote(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(QUOTED * 4)];
    let text = String::from_utf8_lossy(start);
    let mut quoted: String = text
        .trim()
        .chars()
        .take(QUOTED)
        .map(|c| if c.is_control() { '.' } else { c })
        .collect();
    if quoted.len() < text.trim().len() || start.len() < bytes.len() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_faults_are_told_from_the_backends() {
        let emfile = io::Error::from_raw_os_error(libc::EMFILE);
        assert_eq!(of_io("connecting", &emfile).kind, Failure::Local);
        let refused = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let failure = of_io("connecting", &refused);
        assert_eq!(failure.kind, Failure::Connect);
        assert_eq!(failure.detail, "connecting: connection refused");
    }

    #[test]
    fn quotes_are_short_and_harmless() {
        assert_eq!(quote(b" ok\x1b[31m\r\n"), "ok.[31m");
        let long = quote(&[b'x'; 5000]);
        assert_eq!(long.chars().count(), QUOTED + 1);
        assert_eq!(quote(&[0xff]), "\u{fffd}");
    }
}
