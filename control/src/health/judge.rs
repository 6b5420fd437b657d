//! The verdict on a backend: which of all voices decides, and how that reads.

use super::{State, agent::AgentWish, backend::Backend, operator::Override};

/// The voice that decides a backend's state, the first of these that has something to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Removed,
    OperatorDisabled,
    OperatorDrains,
    ConfigDisabled,
    AgentMaint,
    AgentDrains,
    /// The check of this place fails.
    Check(usize),
    AgentDown,
    Ejected,
    /// Not all checks have told yet.
    Unchecked,
    /// Nothing speaks against it.
    Fine,
}

impl Reason {
    pub(super) fn state(self) -> State {
        match self {
            Self::OperatorDisabled | Self::ConfigDisabled | Self::AgentMaint => State::Disabled,
            Self::Removed | Self::OperatorDrains | Self::AgentDrains => State::Draining,
            Self::Check(_) | Self::AgentDown | Self::Ejected => State::Down,
            Self::Unchecked => State::Checking,
            Self::Fine => State::Up,
        }
    }
}

/// Who decides now.
pub(super) fn judge(backend: &Backend) -> Reason {
    if backend.removed.is_some() {
        return Reason::Removed;
    }
    match backend.operator.state {
        Some(Override::Disable) => return Reason::OperatorDisabled,
        Some(Override::Drain) => return Reason::OperatorDrains,
        Some(Override::Enable) => {}
        None if backend.spec.disabled => return Reason::ConfigDisabled,
        None => match backend.agent_wish() {
            AgentWish::Maint => return Reason::AgentMaint,
            AgentWish::Drain => return Reason::AgentDrains,
            AgentWish::Ready => {}
        },
    }
    if let Some(failing) = backend.stages.iter().position(|s| s.verdict == Some(false)) {
        return Reason::Check(failing);
    }
    if backend
        .agent
        .as_ref()
        .is_some_and(|a| a.word.down.is_some())
    {
        return Reason::AgentDown;
    }
    if backend.passive.ejection().is_some() {
        return Reason::Ejected;
    }
    if backend.stages.iter().any(|s| s.verdict.is_none()) {
        return Reason::Unchecked;
    }
    Reason::Fine
}

/// What `reason` says, for people; `before` is what decided until now.
pub(super) fn describe(backend: &Backend, reason: Reason, before: Reason) -> String {
    match reason {
        Reason::Removed => "removed from the configuration".into(),
        Reason::OperatorDisabled => "disabled by an operator".into(),
        Reason::OperatorDrains => "drained by an operator".into(),
        Reason::ConfigDisabled => "disabled in the configuration".into(),
        Reason::AgentMaint => agent_says(backend, "maint"),
        Reason::AgentDrains => agent_says(backend, "drain"),
        Reason::AgentDown => {
            let word = backend.agent.as_ref().and_then(|a| a.word.down.as_deref());
            agent_says(backend, word.unwrap_or("down"))
        }
        Reason::Ejected => match backend.passive.ejection() {
            Some(ejection) => format!("ejected: {}", ejection.why),
            None => "ejected".into(),
        },
        Reason::Check(stage) => check_failed(backend, stage),
        Reason::Unchecked => "not checked yet".into(),
        Reason::Fine => why_fine(backend, before),
    }
}

fn agent_says(backend: &Backend, word: &str) -> String {
    let comment = backend
        .agent
        .as_ref()
        .and_then(|a| a.word.comment.as_deref());
    match comment {
        Some(comment) => format!("its agent says {word}: {comment}"),
        None => format!("its agent says {word}"),
    }
}

fn check_failed(backend: &Backend, stage: usize) -> String {
    let Some(stage) = backend.stages.get(stage) else {
        return "a check failed".into();
    };
    let kind = stage.spec.probe.kind();
    let detail = stage
        .last
        .as_ref()
        .and_then(|l| l.result.outcome.as_ref().err());
    match (detail, stage.in_a_row()) {
        (Some(failure), 0 | 1) => format!("{kind} check failed: {}", failure.detail),
        (Some(failure), n) => format!("{kind} check failed {n} times in a row: {}", failure.detail),
        (None, _) => format!("{kind} check failed"),
    }
}

fn why_fine(backend: &Backend, before: Reason) -> String {
    match before {
        Reason::Check(stage) => match backend.stages.get(stage) {
            Some(stage) => format!(
                "{} check passed {} times in a row",
                stage.spec.probe.kind(),
                stage.in_a_row()
            ),
            None => "its failing check is gone".into(),
        },
        Reason::Unchecked => "checks passed".into(),
        Reason::Ejected => "its ejection is over".into(),
        Reason::AgentDown => "its agent says up".into(),
        Reason::AgentDrains | Reason::AgentMaint => "its agent says ready".into(),
        Reason::OperatorDisabled | Reason::OperatorDrains => "enabled by an operator".into(),
        Reason::ConfigDisabled => "enabled".into(),
        Reason::Removed => "back in the configuration".into(),
        Reason::Fine if backend.stages.is_empty() => "no checks".into(),
        Reason::Fine => "checks pass".into(),
    }
}
