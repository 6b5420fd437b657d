//! What a backend's own agent says: HAProxy's text protocol, so that existing agents go on working.
//!
//! An answer is one line of words separated by spaces, tabs or commas; each changes one thing and leaves the
//! rest as it was. `#` begins a comment, which `status` shows. An answer with a word that is none of these is
//! ignored as a whole, and an agent that cannot be reached changes nothing.
//!
//! | word | meaning |
//! |---|---|
//! | `up` | takes work again, if its checks agree |
//! | `down`, `failed`, `fail`, `stopped` | cannot take work |
//! | `ready` | ends `drain` and `maint` |
//! | `drain` | no new work, what goes on may finish |
//! | `maint` | no work and no checks |
//! | `75%` | its weight, as a share of the configured one; may be above 100 |
//! | `maxconn:30` | its most connections at a time; 0: no limit |

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{MIN_INTERVAL, PROBE_GRACE};
use crate::{engine::ProbeFailure, spec::AgentSpec, time::Instant};

/// The largest share of the configured weight that an agent can ask for, in percent.
const MAX_PERCENT: u32 = 10_000;

/// How much of what an agent says is shown to people, in characters.
const MAX_SHOWN: usize = 80;

/// All that an agent has said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentWord {
    /// It cannot take work, and the word it used: `down`, `failed`, `stopped`.
    pub down: Option<String>,
    /// Whether it asked for no new work, or for none at all.
    pub wish: AgentWish,
    /// Its weight in percent of the configured one.
    pub percent: Option<u32>,
    /// Its most connections at a time; 0: no limit.
    pub max_connections: Option<u32>,
    /// What it said after `#`.
    pub comment: Option<String>,
}

/// What an agent asks for beside its health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentWish {
    /// Work.
    #[default]
    Ready,
    /// No new work.
    Drain,
    /// No work and no checks.
    Maint,
}

impl AgentWord {
    /// What holds after `line` was said on top of what had been said.
    ///
    /// # Errors
    /// Why the line is ignored, for people.
    pub fn after(&self, line: &str) -> Result<Self, String> {
        let line = line.lines().next().unwrap_or_default();
        let (words, comment) = match line.split_once('#') {
            Some((words, comment)) => (words, Some(comment.trim())),
            None => (line, None),
        };
        let mut after = Self {
            comment: comment.map(shown).filter(|c| !c.is_empty()),
            ..self.clone()
        };
        let mut any = false;
        for word in words.split([' ', '\t', ',']).filter(|w| !w.is_empty()) {
            after.take(&word.to_ascii_lowercase())?;
            any = true;
        }
        if any {
            Ok(after)
        } else {
            Err("an empty answer".into())
        }
    }

    fn take(&mut self, word: &str) -> Result<(), String> {
        match word {
            "up" => self.down = None,
            "down" | "fail" | "failed" | "stopped" => self.down = Some(word.into()),
            "ready" => self.wish = AgentWish::Ready,
            "drain" => self.wish = AgentWish::Drain,
            "maint" => self.wish = AgentWish::Maint,
            _ => return self.take_number(word),
        }
        Ok(())
    }

    fn take_number(&mut self, word: &str) -> Result<(), String> {
        let number = |digits: &str, most: u32| {
            let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|n| whole && *n <= most)
        };
        if let Some(digits) = word.strip_suffix('%') {
            let percent = number(digits, MAX_PERCENT).ok_or_else(|| unknown(word))?;
            self.percent = Some(percent);
        } else if let Some(digits) = word.strip_prefix("maxconn:") {
            let most = number(digits, u32::MAX).ok_or_else(|| unknown(word))?;
            self.max_connections = Some(most);
        } else {
            return Err(unknown(word));
        }
        Ok(())
    }
}

/// Words from the network are shown without what a terminal would obey, and not at any length.
fn shown(text: &str) -> String {
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(MAX_SHOWN).collect()
}

fn unknown(word: &str) -> String {
    format!("not a word of the agent protocol: {}", shown(word))
}

/// The agent of one backend: when it is asked, and what it has said.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(super) spec: Arc<AgentSpec>,
    pub(super) word: AgentWord,
    next: Next,
    /// When the last query ended, and why its answer did not count, if it did not.
    pub(super) last: Option<(Instant, Result<(), String>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    Ask(Instant),
    Answer { id: u64, until: Instant },
}

impl Agent {
    pub(super) fn new(spec: Arc<AgentSpec>, word: AgentWord) -> Self {
        Self {
            spec,
            word,
            next: Next::Nothing,
            last: None,
        }
    }

    pub(super) fn suspend(&mut self) {
        self.next = Next::Nothing;
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.next == Next::Nothing
    }

    pub(super) fn resume(&mut self, due: Instant) {
        self.next = Next::Ask(due);
    }

    pub(super) fn respecify(&mut self, spec: Arc<AgentSpec>, due: Instant) {
        self.spec = spec;
        self.resume(due);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.next {
            Next::Nothing => None,
            Next::Ask(at) | Next::Answer { until: at, .. } => Some(at),
        }
    }

    /// Whether it is to be asked now, under the id that `new_id` gives.
    pub(super) fn poll_query(&mut self, now: Instant, new_id: impl FnOnce() -> u64) -> Option<u64> {
        if !matches!(self.next, Next::Ask(due) if due <= now) {
            return None;
        }
        let id = new_id();
        let until = now + self.spec.timeout + PROBE_GRACE;
        self.next = Next::Answer { id, until };
        Some(id)
    }

    /// Takes the answer to query `id`, if that is the one awaited.
    pub(super) fn handle_answer(
        &mut self,
        id: u64,
        reply: Result<String, ProbeFailure>,
        now: Instant,
    ) {
        if !matches!(self.next, Next::Answer { id: awaited, .. } if awaited == id) {
            return;
        }
        let said = match reply {
            Ok(line) => self.word.after(&line),
            Err(failure) => Err(failure.detail),
        };
        self.conclude(said, now);
    }

    /// Gives up a query whose answer is overdue.
    pub(super) fn handle_overdue(&mut self, now: Instant) {
        if matches!(self.next, Next::Answer { until, .. } if until <= now) {
            self.conclude(Err("no answer in time".into()), now);
        }
    }

    fn conclude(&mut self, said: Result<AgentWord, String>, now: Instant) {
        let outcome = said.map(|word| self.word = word);
        self.last = Some((now, outcome));
        self.next = Next::Ask(now + self.spec.interval.max(MIN_INTERVAL));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn words_change_one_thing_each() {
        let word = AgentWord::default()
            .after("drain, 75%\tmaxconn:30 #busy day\r\n")
            .unwrap();
        let expected = AgentWord {
            down: None,
            wish: AgentWish::Drain,
            percent: Some(75),
            max_connections: Some(30),
            comment: Some("busy day".into()),
        };
        assert_eq!(word, expected);
        let later = word.after("READY up").unwrap();
        let expected = AgentWord {
            wish: AgentWish::Ready,
            comment: None,
            ..expected
        };
        assert_eq!(later, expected);
    }

    #[test]
    fn down_until_up() {
        for text in ["down", "fail", "failed", "stopped", "Down # disk full"] {
            let word = AgentWord::default().after(text).unwrap();
            assert!(word.down.is_some(), "{text}");
            assert_eq!(word.after("50%").unwrap().down, word.down, "{text}");
            assert_eq!(word.after("up").unwrap().down, None, "{text}");
        }
    }

    #[test]
    fn a_bad_answer_is_ignored_as_a_whole() {
        for text in [
            "",
            " ,\t",
            "#only talk",
            "hello",
            "up 10001%",
            "-5%",
            "+5%",
            "%",
            "maxconn:",
            "maxconn:x",
            "maxconn:99999999999",
            "up down?",
            "\nup",
        ] {
            assert!(AgentWord::default().after(text).is_err(), "{text:?}");
        }
        let long = AgentWord::default().after(&"x".repeat(5000)).unwrap_err();
        assert!(long.len() < 150);
        let control = AgentWord::default().after("\u{1b}[2J").unwrap_err();
        assert!(!control.contains('\u{1b}'));
    }

    proptest::proptest! {
        #[test]
        fn nothing_an_agent_sends_is_too_much(line in "(\\PC|[ ,%#\t\r\n]|up|ready|maxconn:|[0-9]){0,300}") {
            match AgentWord::default().after(&line) {
                Ok(word) => {
                    let comment = word.comment.unwrap_or_default();
                    proptest::prop_assert!(comment.chars().count() <= MAX_SHOWN);
                    proptest::prop_assert!(word.percent.is_none_or(|p| p <= MAX_PERCENT));
                }
                Err(why) => proptest::prop_assert!(why.chars().count() <= MAX_SHOWN + 50),
            }
        }
    }
}
