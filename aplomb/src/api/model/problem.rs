//! What applying a configuration answers, and how anything is refused.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was not done; nothing has changed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Problem {
    /// The HTTP status, once more.
    pub status: u16,
    /// A word for programs: `invalid-config`, `no-such-backend`, `unauthorized` …
    pub reason: String,
    /// A sentence for people.
    pub detail: String,
    /// What is wrong with a configuration, each with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// The same as text for people, with the lines in question.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rendered: String,
}

impl Problem {
    /// A problem without diagnostics.
    pub(crate) fn new(status: u16, reason: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            detail: detail.into(),
            ..Self::default()
        }
    }
}

/// What applying a configuration did, or would do.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Applied {
    /// Whether it was applied; a dry run never is.
    pub applied: bool,
    /// The plan in force after it.
    pub generation: u64,
    /// What differs from the configuration that was in force; empty: nothing.
    pub changes: Vec<Change>,
    /// What becomes of changes that `ipvsadm` made, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Warnings; the configuration is good all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// The warnings as text for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rendered: String,
}

/// One difference between two configurations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Change {
    /// Where: `pool.web.backends.10.0.0.1:80.weight`.
    pub path: String,
    /// The same for people: `service shop: timeouts.response: 60s -> 5s`.
    pub text: String,
    /// What was there; none: it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// What is there now; none: it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is good, but probably not what was meant.
    Warning,
}

/// Something about a configuration, and where.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The line, from 1; 0 if it is of no line.
    pub line: usize,
    /// The column in characters, from 1; 0 if it is of no line.
    pub column: usize,
    /// What was probably meant, or what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// What an upgrade came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Upgraded {
    /// The process that serves now.
    pub successor: u32,
    /// The process that finishes what it has and leaves.
    pub predecessor: u32,
}

/// Which binary is to take over.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UpgradeRequest {
    /// An absolute path; without it, the binary the daemon was started from, as it is on disk now.
    #[schema(value_type = Option<String>)]
    pub binary: Option<std::path::PathBuf>,
}

/// How the daemon is to end.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StopRequest {
    /// What goes on is cut, instead of finishing.
    pub now: bool,
}

/// How a backend is to be drained.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DrainRequest {
    /// What still goes on after this many seconds is cut; without it, it may go on.
    pub timeout_seconds: Option<f64>,
}

/// Which weight a backend is to have.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WeightRequest {
    /// 0 to 65535; null: the configured one again.
    pub weight: Option<u16>,
}

/// That something was done which has no other answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Done {}
