//! Two directors of one kind under stress, and what became of them.

use super::super::super::peer::Peer;
use super::super::super::process::Process;
use super::super::case::{Case, Event, PACES};
use super::super::director::{Director, State};
use super::super::place::{CLIENT, Place, VIP};
use super::ear::{Ears, Tally};
use super::{own, source};
use crate::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Datagrams a second, to the virtual address and as many to the first director's own.
pub(super) const DATAGRAMS: u32 = 15_000;
/// Adverts a second that nobody may obey.
pub(super) const BOGUS: u32 = 200;
/// Requests a second.
pub(super) const REQUESTS: u32 = 100;
/// Where datagrams go that a director forwards.
const DATAGRAM_PORT: u16 = 9000;
const PAGE_PORT: u16 = 80;

/// A pair in its place, and what stresses it.
pub(super) struct Scene {
    peer: Peer,
    folder: PathBuf,
    // What is in the place ends before it: fields are dropped in this order.
    sources: Vec<(&'static str, Process)>,
    directors: [Director; 2],
    pins: Vec<PathBuf>,
    place: Place,
    began: Option<Begun>,
}

/// What was when the stress began.
struct Begun {
    at: Instant,
    ears: Ears,
    changes: [usize; 2],
    cpu: Duration,
}

/// What became of a pair.
pub(super) struct Outcome {
    pub(super) peer: String,
    pub(super) lasted: Duration,
    pub(super) tally: Tally,
    /// How often both said that they are something else.
    pub(super) changes: usize,
    pub(super) datagrams: u64,
    pub(super) bogus: u64,
    /// Adverts that both refused, if they tell.
    pub(super) refused: Option<u64>,
    /// Requests answered and failed.
    pub(super) requests: (u64, u64),
    /// Time on a core, of one director in the mean.
    pub(super) cpu: Duration,
}

impl Scene {
    /// Makes the place, starts both and waits until the first is master and the other backup.
    pub(super) fn start(peer: &Peer, index: usize, folder: &Path) -> Result<Scene> {
        let fail = |e: std::io::Error| format!("{}: {e}", folder.display());
        fs::create_dir_all(folder).map_err(fail)?;
        let place = Place::make(&format!("stress{index}"))?;
        fs::write(folder.join("key"), "thirty-two characters, and some more\n").map_err(fail)?;
        let pin = |host| PathBuf::from(format!("/sys/fs/bpf/{}", place.namespace(host)));
        let pins = vec![pin(0), pin(1)];
        let director = |host: usize, state: State| -> Result<Director> {
            let more = more(host, &pins[host], folder);
            let files = folder.join(host.to_string());
            let mut director = Director::start(peer, &place, host, &case(), &files, &more)?;
            director.wait(state, 0)?;
            Ok(director)
        };
        let directors = [director(0, State::Master)?, director(1, State::Backup)?];
        Ok(Scene {
            peer: peer.clone(),
            folder: folder.to_owned(),
            sources: Vec::new(),
            directors,
            pins,
            place,
            began: None,
        })
    }

    /// Begins to stress it, and to listen. `spare`: keepalived gets no adverts that nobody may obey.
    pub(super) fn begin(&mut self, nice: i32, spare: bool) -> Result {
        let vip = format!("{VIP}:{DATAGRAM_PORT}");
        let first = format!("10.77.0.1:{DATAGRAM_PORT}");
        let page = format!("{VIP}:{PAGE_PORT}");
        let (datagrams, bogus, requests) = (
            DATAGRAMS.to_string(),
            BOGUS.to_string(),
            REQUESTS.to_string(),
        );
        let mut all = vec![
            ("vip", ["datagrams", &vip, &datagrams].to_vec()),
            ("own", ["datagrams", &first, &datagrams].to_vec()),
        ];
        if !(spare && self.peer.is_keepalived()) {
            all.push(("bogus", ["adverts", &bogus].to_vec()));
        }
        if !self.peer.is_keepalived() {
            all.push(("requests", ["requests", &page, &requests].to_vec()));
        }
        self.began = Some(Begun {
            at: Instant::now(),
            ears: Ears::open(&self.place, case().pace.interval)?,
            changes: self.changes(),
            cpu: self.cpu(),
        });
        for (name, words) in all {
            let command: Command = self.place.command(CLIENT, &own()?);
            let source = source(command, &words, nice, &self.folder.join(name))?;
            self.sources.push((name, source));
        }
        Ok(())
    }

    fn changes(&self) -> [usize; 2] {
        let of = |director: &Director| State::ALL.map(|state| director.times(state)).iter().sum();
        [of(&self.directors[0]), of(&self.directors[1])]
    }

    fn cpu(&self) -> Duration {
        self.directors.iter().map(Director::cpu).sum()
    }

    fn counted(&self, name: &str) -> (u64, u64) {
        source::counted(&self.folder.join(name))
    }

    /// How it is.
    pub(super) fn line(&self) -> String {
        let Some(begun) = &self.began else {
            return self.peer.name.clone();
        };
        let tally = begun.ears.tally();
        format!(
            "{}: {} takeovers, {} of {} adverts lost, longest gaps {:?} sent and {:?} heard",
            self.peer.name,
            tally.takeovers.len(),
            tally.lost(),
            tally.sent.adverts,
            tally.sent.longest,
            tally.arrived.longest
        )
    }

    /// Whether all goes on.
    pub(super) fn check(&mut self) -> Result {
        for director in &mut self.directors {
            if !director.is_running() {
                return Err(format!(
                    "{}: a director ended:\n{}",
                    self.peer.name,
                    director.said()
                ));
            }
        }
        let folder = &self.folder;
        for (name, source) in &mut self.sources {
            let name: &str = name;
            if !source.is_running() || source::counted(&folder.join(name)).0 == 0 {
                let what = format!("what is called {name} stresses nobody");
                return Err(format!("{}: {what}", self.peer.name));
            }
        }
        Ok(())
    }

    /// Ends it; what came of it.
    pub(super) fn end(mut self) -> Result<Outcome> {
        let begun = self.began.take().ok_or("it was not begun")?;
        let lasted = begun.at.elapsed();
        let tally = begun.ears.close()?;
        let cpu = self.cpu().saturating_sub(begun.cpu) / 2;
        let changes: usize = self.changes().iter().sum();
        let (datagrams, own) = (self.counted("vip").0, self.counted("own").0);
        Ok(Outcome {
            peer: self.peer.name.clone(),
            lasted,
            tally,
            changes: changes.saturating_sub(begun.changes.iter().sum()),
            datagrams: datagrams + own,
            bogus: self.counted("bogus").0,
            refused: self.refused(),
            requests: self.counted("requests"),
            cpu,
        })
    }

    /// Adverts that aplombs refused, as they tell.
    fn refused(&self) -> Option<u64> {
        if self.peer.is_keepalived() {
            return None;
        }
        let of = |host: usize| -> Option<u64> {
            let socket = self.folder.join(host.to_string()).join("admin.sock");
            let asked = Command::new(self.peer.program())
                .arg(format!("--admin=unix:{}", socket.display()))
                .args(["status", "--json"])
                .output();
            let status: serde_json::Value = serde_json::from_slice(&asked.ok()?.stdout).ok()?;
            let refused = status["vips"][0]["refused"].as_object()?;
            Some(refused.values().filter_map(serde_json::Value::as_u64).sum())
        };
        Some(of(0)? + of(1)?)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Programs that were pinned would outlive their namespaces.
        for pin in &self.pins {
            let _ = fs::remove_dir_all(pin);
        }
    }
}

fn case() -> Case {
    Case {
        event: Event::Kill,
        pace: PACES[2],
    }
}

/// What an aplomb does beside: the kernel forwards, the proxy answers, connections are synced.
fn more(host: usize, pin: &Path, folder: &Path) -> String {
    format!(
        "[l4]\npin = \"{}\"\nmode = \"generic\"\nmax-flows = 65536\n\
         [sync]\nlisten = \"10.77.0.{}:8849\"\npeers = [\"10.77.0.{}:8849\"]\n\
         keys = [{{ id = 1, secret = {{ file = \"{}\" }} }}]\n\
         [[pool]]\nname = \"far\"\nbackends = [\"10.77.0.3:{DATAGRAM_PORT}\"]\n\
         [[service]]\nname = \"datagrams\"\nlisten = \"udp://{VIP}:{DATAGRAM_PORT}\"\nforward = \"direct\"\npool = \"far\"\n\
         [[service]]\nname = \"pages\"\nlisten = \"http://{VIP}:{PAGE_PORT}\"\n\
         routes = [{{ respond = {{ body = \"here\" }} }}]\n",
        pin.display(),
        host + 1,
        2 - host,
        folder.join("key").display()
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_it_does_beside_is_a_configuration_of_each() {
        let one: toml::Table = more(0, Path::new("/p"), Path::new("/f")).parse().unwrap();
        assert_eq!(one["sync"]["listen"].as_str(), Some("10.77.0.1:8849"));
        assert_eq!(one["sync"]["peers"][0].as_str(), Some("10.77.0.2:8849"));
        assert_eq!(case().name(), "10ms-kill");
    }
}
