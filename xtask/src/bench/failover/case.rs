//! What happens to the master, and how often it says that it is there.

use crate::Result;
use std::time::Duration;

/// Of both directors.
pub(super) const PRIORITY: u32 = 100;

/// What ends the master.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Event {
    /// It is killed, and has no time for a word.
    Kill,
    /// The cable is out: it runs, and nobody hears it.
    Link,
    /// It is asked to end, and says that it leaves.
    Stop,
}

/// How often the master says that it is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    pub(super) name: &'static str,
    pub(super) interval: Duration,
    /// keepalived's `advert_int`.
    pub(super) seconds: &'static str,
    /// The protocol's: 2 where it can, as most have it that have not chosen.
    pub(super) version: u8,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Case {
    pub(super) event: Event,
    pub(super) pace: Pace,
}

pub(super) const PACES: [Pace; 3] = [
    Pace::new("1s", 1000, "1", 2),
    Pace::new("100ms", 100, "0.1", 3),
    Pace::new("10ms", 10, "0.01", 3),
];

const EVENTS: [Event; 3] = [Event::Kill, Event::Link, Event::Stop];

impl Pace {
    const fn new(name: &'static str, millis: u64, seconds: &'static str, version: u8) -> Pace {
        Pace {
            name,
            interval: Duration::from_millis(millis),
            seconds,
            version,
        }
    }
}

impl Event {
    fn name(self) -> &'static str {
        match self {
            Event::Kill => "kill",
            Event::Link => "link",
            Event::Stop => "stop",
        }
    }
}

impl Case {
    /// From the master's last advert to when the backup is to take over: its `Master_Down_Interval`, and after a release its
    /// `Skew_Time` (RFC 3768 section 6.1, RFC 9568 section 6.1).
    pub(super) fn due(&self) -> Duration {
        let interval = self.pace.interval;
        let skew = interval * (256 - PRIORITY) / 256;
        match self.event {
            Event::Kill | Event::Link => interval * 3 + skew,
            Event::Stop => skew,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{}-{}", self.pace.name, self.event.name())
    }

    /// Whether `word` is its name, its pace's or its event's.
    fn is(&self, word: &str) -> bool {
        word == self.name() || word == self.pace.name || word == self.event.name()
    }
}

/// The cases that `words` name; all without words.
pub(super) fn chosen(words: &[String]) -> Result<Vec<Case>> {
    let all = PACES
        .iter()
        .flat_map(|pace| EVENTS.map(|event| Case { event, pace: *pace }));
    let all: Vec<Case> = all.collect();
    if let Some(unknown) = words.iter().find(|w| all.iter().all(|case| !case.is(w))) {
        let known: Vec<String> = all.iter().map(Case::name).collect();
        return Err(format!(
            "no case {unknown}; there are {}, each half of these names, and stress alone",
            known.join(", ")
        ));
    }
    let wanted = |case: &Case| words.is_empty() || words.iter().any(|word| case.is(word));
    Ok(all.into_iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::chosen;

    #[test]
    fn what_is_due_is_the_protocols() {
        let due = |name: &str| chosen(&[name.to_owned()]).unwrap()[0].due().as_micros();
        assert_eq!(due("1s-kill"), 3_609_375);
        assert_eq!(due("10ms-link"), 36_093);
        assert_eq!(due("10ms-stop"), 6093);
    }

    #[test]
    fn a_case_is_chosen_by_name_pace_or_event() {
        let names = |words: &[&str]| -> Vec<String> {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            chosen(&words).unwrap().iter().map(|c| c.name()).collect()
        };
        assert_eq!(names(&[]).len(), 9);
        assert_eq!(names(&["10ms"]), ["10ms-kill", "10ms-link", "10ms-stop"]);
        assert_eq!(names(&["stop", "1s-kill"]).len(), 4);
        assert!(chosen(&["2s".to_owned()]).unwrap_err().contains("1s-kill"));
    }
}
