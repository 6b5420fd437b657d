//! Two directors of one kind, of whom one is master: it is taken away again and again, and comes back as backup.

use super::super::peer::Peer;
use super::case::{Case, Event};
use super::director::{Director, State};
use super::place::{CLIENT, Place};
use super::watch::{Watch, now};
use crate::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a round is begun again because the backup took over before anything had happened.
const TRIES: u32 = 20;

/// Between what a director says and what is done to it: what was under way is done by then.
const CALM: Duration = Duration::from_millis(300);

/// What came of a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    /// From the event to the announcement.
    pub(super) all: Duration,
    /// From the master's last advert to it, beyond what is due, seconds: what the director itself is good for.
    pub(super) late: f64,
}

/// A pair in its place.
pub(super) struct Pair<'a> {
    peer: &'a Peer,
    case: Case,
    folder: PathBuf,
    // Directors end before the place does: fields are dropped in this order.
    directors: [Option<Director>; 2],
    watch: Watch,
    place: Place,
    master: usize,
    started: u32,
    /// How often the backup took over though nothing had happened.
    pub(super) unasked: u32,
}

impl<'a> Pair<'a> {
    /// Makes the place, starts both and waits until one is master and the other backup.
    pub(super) fn start(
        peer: &'a Peer,
        index: usize,
        case: Case,
        folder: &Path,
    ) -> Result<Pair<'a>> {
        let place = Place::make(&index.to_string())?;
        let mut pair = Pair {
            peer,
            case,
            folder: folder.join(format!("{}-{}", case.name(), peer.name)),
            directors: [None, None],
            watch: place.on(CLIENT, Watch::open)?,
            place,
            master: 0,
            started: 0,
            unasked: 0,
        };
        pair.anew()?;
        Ok(pair)
    }

    /// Starts both again.
    fn anew(&mut self) -> Result {
        self.directors = [None, None];
        self.master = 0;
        self.begin(0, State::Master)?;
        self.begin(1, State::Backup)
    }

    fn begin(&mut self, host: usize, state: State) -> Result {
        self.directors[host] = None;
        self.place.forget(host);
        self.started += 1;
        let folder = self.folder.join(self.started.to_string());
        let director = Director::start(self.peer, &self.place, host, &self.case, &folder, "")?;
        self.directors[host].insert(director).wait(state, 0)
    }

    fn director(&mut self, host: usize) -> Result<&mut Director> {
        self.directors[host]
            .as_mut()
            .ok_or_else(|| "no director".to_owned())
    }

    /// Takes the master away; how long it took until the other announced itself. `phase`, 0 to 1, is where between two
    /// adverts that is, more or less.
    pub(super) fn round(&mut self, phase: f64) -> Result<Took> {
        let interval = self.case.pace.interval;
        for _ in 0..TRIES {
            let backup = 1 - self.master;
            self.watch.drain(Place::mac(backup))?;
            std::thread::sleep(CALM + interval.mul_f64(1.0 + phase));
            if !self.watch.drain(Place::mac(backup))? {
                let faults = self.director(self.master)?.times(State::Fault);
                let at = self.event()?;
                let limit = Duration::from_secs(5) + interval * 10;
                let heard = self.watch.announced(Place::mac(backup), limit)?;
                let heard = heard.ok_or_else(|| self.silence())?;
                if let Some(all) = heard.checked_sub(at) {
                    let last = self.watch.advert(Place::mac(self.master));
                    let last = last.ok_or("no advert of the master was heard")?;
                    let late = heard.as_secs_f64() - last.as_secs_f64();
                    self.restore(faults)?;
                    let late = late - self.case.due().as_secs_f64();
                    return Ok(Took { all, late });
                }
            }
            self.unasked += 1;
            self.place.cable(self.master, true)?;
            self.anew()?;
        }
        Err(format!(
            "{TRIES} times in a row the backup took over though nothing had happened"
        ))
    }

    /// Has it happen; when it did.
    fn event(&mut self) -> Result<Duration> {
        let master = self.master;
        match self.case.event {
            Event::Kill => self.director(master)?.kill(),
            Event::Stop => self.director(master)?.stop(),
            Event::Link => {
                let at = now();
                self.place.cable(master, false)?;
                Ok(at)
            }
        }
    }

    /// The old master, which was at fault so often before, comes back as backup.
    fn restore(&mut self, faults: usize) -> Result {
        let old = self.master;
        self.master = 1 - old;
        if self.case.event != Event::Link {
            return self.begin(old, State::Backup);
        }
        let director = self.director(old)?;
        let before = director.times(State::Backup);
        director.wait(State::Fault, faults)?;
        self.place.cable(old, true)?;
        self.director(old)?.wait(State::Backup, before)
    }

    fn silence(&self) -> String {
        let logs: Vec<String> = self
            .directors
            .iter()
            .flatten()
            .map(Director::said)
            .collect();
        format!("nobody took over:\n{}", logs.join("---\n"))
    }
}
