//! `[log]`: the daemon's log and access logs.

use std::path::PathBuf;

use crate::{
    config::{
        form::{
            many::{Either, Off},
            text::{FilePath, LogLevel},
            words::words,
        },
        kind::section,
    },
    spec::{AccessLogSpec, AccessLogTarget, LogFormat, LogSpec},
};

section! {
    /// What is logged, and where.
    pub(in crate::config) struct LogKeys = "[log]" {
        /// The least severe level that is logged, or directives: `info,aplomb::probe=debug`.
        level: LogLevel, default "\"info\"";
        /// How the daemon's own log looks.
        format: LogFormat, default "\"text\"";
        /// The access log of services that do not say otherwise.
        access: AccessLog, absent "none";
    }
}

words!(LogFormat {
    "text" => LogFormat::Text, "for people";
    "json" => LogFormat::Json, "one JSON object a line";
});

section! {
    /// One line for each request or connection that ended.
    pub(in crate::config) struct AccessLogKeys = "an access log" {
        /// Where lines go: a file, which is opened again on SIGUSR1, or `stdout`.
        to: FilePath, required;
        /// How lines look.
        format: LogFormat, default "\"text\"";
    }
}

/// An access log, its target alone, or `false`.
pub(in crate::config) type AccessLog = Either<FilePath, Either<AccessLogKeys, Off>>;

/// The access log asked for; none if it is switched off.
pub(in crate::config) fn access_log(log: AccessLog) -> Option<AccessLogSpec> {
    let (to, format) = match log {
        Either::One(to) => (to, LogFormat::Text),
        Either::Other(Either::One(keys)) => (keys.to.value, keys.format.value),
        Either::Other(Either::Other(Off)) => return None,
    };
    Some(AccessLogSpec {
        to: target(to.0),
        json: format == LogFormat::Json,
    })
}

fn target(path: PathBuf) -> AccessLogTarget {
    if path.as_os_str() == "stdout" {
        AccessLogTarget::Stdout
    } else {
        AccessLogTarget::File(path)
    }
}

impl LogKeys {
    pub(in crate::config) fn admit(self) -> LogSpec {
        LogSpec {
            level: self.level.value.0,
            format: self.format.value,
            access: self.access.and_then(|log| access_log(log.value)),
        }
    }
}
