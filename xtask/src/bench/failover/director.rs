//! A director: aplomb or keepalived, set the same way, and ended in all the ways there are.

use super::super::peer::Peer;
use super::super::process::{Cores, Process};
use super::case::{Case, PRIORITY};
use super::place::{Place, VIP};
use super::watch::now;
use crate::Result;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a director may take to be what it is waited for, beside what its interval takes.
const START: Duration = Duration::from_secs(10);

/// What it takes itself for.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Backup,
    Master,
    Fault,
}

impl State {
    pub(super) const ALL: [State; 3] = [State::Backup, State::Master, State::Fault];
}

/// A running one; ended when dropped.
pub(super) struct Director {
    process: Process,
    log: PathBuf,
    keepalived: bool,
    patience: Duration,
}

impl Director {
    /// Starts `peer` on a host, with its files in `folder`. An aplomb has `more` in its configuration.
    pub(super) fn start(
        peer: &Peer,
        place: &Place,
        host: usize,
        case: &Case,
        folder: &Path,
        more: &str,
    ) -> Result<Director> {
        let file = |name: &str| folder.join(name);
        let fail = |e: std::io::Error| format!("{}: {e}", folder.display());
        fs::create_dir_all(folder).map_err(fail)?;
        let log = File::create(file("log")).map_err(fail)?;
        let keepalived = peer.is_keepalived();
        let mut command = place.command(host, peer.program());
        if keepalived {
            fs::write(file("conf"), keepalived_config(case)).map_err(fail)?;
            command.args(["-n", "-l", "-D"]);
            for (flag, name) in [
                ("-f", "conf"),
                ("-p", "pid"),
                ("-r", "vrrp"),
                ("-c", "checks"),
            ] {
                command.arg(flag).arg(file(name));
            }
        } else {
            fs::write(file("conf"), aplomb_config(case, folder) + more).map_err(fail)?;
            command.args(["run", "-c"]).arg(file("conf"));
        }
        command.stdout(log.try_clone().map_err(fail)?).stderr(log);
        Ok(Director {
            process: Process::start(&mut command, Cores::Any)?,
            log: file("log"),
            keepalived,
            patience: START + case.pace.interval * 10,
        })
    }

    /// How often it has said that it is in this state now.
    pub(super) fn times(&self, state: State) -> usize {
        let words = match (self.keepalived, state) {
            (true, State::Backup) => "Entering BACKUP STATE",
            (true, State::Master) => "Entering MASTER STATE",
            (true, State::Fault) => "Entering FAULT STATE",
            (false, State::Backup) => "(ipv4) is backup:",
            (false, State::Master) => "(ipv4) is master:",
            (false, State::Fault) => "(ipv4) is fault:",
        };
        self.said().matches(words).count()
    }

    /// Waits until it has said so more than `before` times.
    pub(super) fn wait(&mut self, state: State, before: usize) -> Result {
        let until = Instant::now() + self.patience;
        while self.times(state) <= before {
            if Instant::now() > until || !self.process.is_running() {
                return Err(format!("it is not {state:?}:\n{}", self.said()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Whether it is still there.
    pub(super) fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// CPU time of all its threads and descendants so far.
    pub(super) fn cpu(&self) -> Duration {
        self.process.cpu()
    }

    /// Everything it has said.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Has it vanish without a word; when that was.
    pub(super) fn kill(&self) -> Result<Duration> {
        let tree = self.process.tree();
        let (parent, children) = tree.split_first().ok_or("no process")?;
        // The parent would have an orderly end made of it, or the child started again.
        send(*parent, Signal::STOP)?;
        let at = now();
        for child in children {
            send(*child, Signal::KILL)?;
        }
        send(*parent, Signal::KILL)?;
        Ok(at)
    }

    /// Asks it to end; when that was.
    pub(super) fn stop(&self) -> Result<Duration> {
        let tree = self.process.tree();
        let parent = tree.first().ok_or("no process")?;
        let at = now();
        send(*parent, Signal::TERM)?;
        Ok(at)
    }
}

fn send(id: u32, signal: Signal) -> Result {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or("no such process")?;
    kill_process(pid, signal).map_err(|e| format!("process {id}: {e}"))
}

fn aplomb_config(case: &Case, folder: &Path) -> String {
    format!(
        "[admin]\nlisten = \"unix:{}/admin.sock\"\n[[vip]]\nname = \"edge\"\naddresses = [\"{VIP}/24\"]\ninterface = \"eth0\"\n\
         vrrp = {{ id = 51, priority = {PRIORITY}, version = {}, interval = \"{}\", preempt = false }}\n",
        folder.display(),
        case.pace.version,
        case.pace.name
    )
}

/// With real-time priority, which aplomb has by itself; without the limit on it, which kills at its default of 10 ms.
fn keepalived_config(case: &Case) -> String {
    format!(
        "global_defs {{\n router_id director\n vrrp_rt_priority 50\n vrrp_rlimit_rttime 1000000\n vrrp_no_swap\n}}\n\
         vrrp_instance edge {{\n interface eth0\n state BACKUP\n nopreempt\n virtual_router_id 51\n priority {PRIORITY}\n version {}\n \
         advert_int {}\n virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n",
        case.pace.version, case.pace.seconds
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::case::chosen;
    use super::*;

    #[test]
    fn both_are_set_to_the_same_pace() {
        let cases = chosen(&["10ms-kill".to_owned(), "1s-stop".to_owned()]).unwrap();
        let ours = aplomb_config(&cases[1], Path::new("/run/x"));
        assert!(ours.contains("version = 3, interval = \"10ms\""), "{ours}");
        let theirs = keepalived_config(&cases[1]);
        assert!(theirs.contains("version 3\n advert_int 0.01\n"), "{theirs}");
        assert!(keepalived_config(&cases[0]).contains("version 2\n advert_int 1\n"));
        let _: toml::Table = ours.parse().unwrap();
    }
}
