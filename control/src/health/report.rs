//! What a backend tells of itself: to people, and to the process that takes over.

use super::{active::Stage, agent::Agent, backend::Backend, operator::Operator};
use crate::{
    status::{
        AgentStatus, BackendStatus, CheckStatus, EjectionStatus, LastCheck, OperatorStatus,
        SavedBackend, SavedCheck, SavedEjection, Seconds, TrafficStatus, WeightStatus,
    },
    time::Instant,
};

impl Backend {
    /// What is known of it.
    pub(crate) fn status(&self, now: Instant) -> BackendStatus {
        BackendStatus {
            pool: self.key.pool.clone(),
            address: self.key.address,
            state: self.state(),
            since: ago(self.since, now),
            why: self.why.clone(),
            weight: WeightStatus {
                configured: self.spec.weight,
                effective: self.weight(),
                operator: self.operator.weight,
                agent_percent: self.agent.as_ref().and_then(|a| a.word.percent),
            },
            backup: self.spec.backup,
            max_connections: self.max_connections(),
            operator: OperatorStatus {
                state: self.operator.state,
                drain_left: self.operator.drain_until.map(|until| left(until, now)),
            },
            checks: self.stages.iter().map(|s| check_status(s, now)).collect(),
            agent: self.agent.as_ref().map(|a| agent_status(a, now)),
            traffic: self.traffic_status(now),
            flaps: self.flaps,
            removed: self.removed.is_some(),
            drained: self.is_drained(),
        }
    }

    fn traffic_status(&self, now: Instant) -> TrafficStatus {
        TrafficStatus {
            passed: self.passive.passed,
            failed: self.passive.failed,
            failed_in_a_row: self.passive.failures_in_a_row(),
            ejections: self.passive.ejections,
            ejected: self.passive.ejection().map(|e| EjectionStatus {
                why: e.why.clone(),
                left: left(e.until, now),
                repeat: self.passive.repeats(),
            }),
        }
    }

    /// What the process that takes over must know of it.
    pub(crate) fn save(&self, now: Instant) -> SavedBackend {
        SavedBackend {
            key: self.key.clone(),
            since: ago(self.since, now),
            operator: self.operator.state,
            drain_left: self.operator.drain_until.map(|until| left(until, now)),
            weight: self.operator.weight,
            checks: self.stages.iter().map(|s| save_check(s, now)).collect(),
            agent: self.agent.as_ref().map(|a| a.word.clone()),
            repeats: self.passive.repeats(),
            ejection: self.passive.ejection().map(|e| SavedEjection {
                left: left(e.until, now),
                why: e.why.clone(),
            }),
            rising: self.rising_since.map(|since| ago(since, now)),
            trusted: self.trusted,
            flaps: self.flaps,
        }
    }

    /// Takes over what the process before had found of a backend that is new here; its checks go on at `due`.
    pub(crate) fn restore(&mut self, saved: &SavedBackend, due: Instant, now: Instant) {
        self.operator = Operator {
            state: saved.operator,
            drain_until: saved.drain_left.map(|left| now + left.0),
            weight: saved.weight,
        };
        for (stage, saved) in self.stages.iter_mut().zip(&saved.checks) {
            stage.verdict = saved.passing;
            if let Some(held) = saved.held {
                stage.damping.hold_until(now + held.0);
            }
            stage.resume(due);
        }
        if let (Some(agent), Some(word)) = (&mut self.agent, &saved.agent) {
            agent.word = word.clone();
        }
        let ejection = saved.ejection.as_ref();
        self.passive.restore(
            saved.repeats,
            ejection.map(|e| (now + e.left.0, e.why.clone())),
        );
        self.trusted = saved.trusted;
        self.take_first_verdict(now);
        self.since = now - saved.since.0;
        self.rising_since = saved.rising.map(|ago| now - ago.0);
        self.flaps = saved.flaps;
    }
}

fn check_status(stage: &Stage, now: Instant) -> CheckStatus {
    CheckStatus {
        kind: stage.spec.probe.kind().into(),
        passing: stage.verdict,
        in_a_row: stage.in_a_row(),
        last: stage.last.as_ref().map(|last| LastCheck {
            ago: ago(last.at, now),
            took: Seconds(last.result.took),
            failure: last.result.outcome.clone().err(),
        }),
        passed: stage.passed,
        failed: stage.failed,
        falls: stage.falls,
        held: stage.damping.held_until(now).map(|until| left(until, now)),
    }
}

fn save_check(stage: &Stage, now: Instant) -> SavedCheck {
    SavedCheck {
        passing: stage.verdict,
        held: stage.damping.held_until(now).map(|until| left(until, now)),
    }
}

fn agent_status(agent: &Agent, now: Instant) -> AgentStatus {
    AgentStatus {
        word: agent.word.clone(),
        ago: agent.last.as_ref().map(|(at, _)| ago(*at, now)),
        ignored: agent.last.as_ref().and_then(|(_, said)| said.clone().err()),
    }
}

fn ago(then: Instant, now: Instant) -> Seconds {
    Seconds(now.saturating_since(then))
}

fn left(until: Instant, now: Instant) -> Seconds {
    Seconds(until.saturating_since(now))
}
