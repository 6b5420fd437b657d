//! How a command ends: what it prints when it fails, and the exit code that scripts see.

use std::{fmt, process::ExitCode};

/// What `--help` says of exit codes.
pub(crate) const EXIT_CODES: &str = "Exit codes:
  0  done
  1  refused, or not in order: what was wrong is on standard error
  2  the command line was not understood
  3  the daemon cannot be reached";

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked was refused, or what was looked at is not in order. Says all there is to say.
    Refused(String),
    /// The same, and it has been said already.
    Said,
    /// The command line makes no sense.
    Usage(String),
    /// The daemon cannot be reached.
    Unreachable(String),
}

impl Failure {
    /// Refused because of `error`, in doing `what`.
    pub(crate) fn refused(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::Refused(format!("{what}: {error}"))
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Said => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) | Self::Usage(text) | Self::Unreachable(text) => f.write_str(text),
            Self::Said => Ok(()),
        }
    }
}

/// What a command comes to.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Prints a failure and gives its exit code.
pub(crate) fn report(outcome: Outcome) -> ExitCode {
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    let text = failure.to_string();
    if !text.is_empty() {
        eprintln!("aplomb: {}", text.trim_end());
    }
    ExitCode::from(failure.code())
}

/// Writes to standard output. A reader that has gone (`aplomb status | head -1`) is no error: the command just ends.
pub(crate) fn print(text: &str) -> Outcome {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::Said),
        Err(error) => Err(Failure::refused("cannot write to standard output", error)),
        Ok(()) => Ok(()),
    }
}
