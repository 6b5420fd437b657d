//! Goes through stories, and says where something else came of a step than with IPVS.

use super::client::{self, Open};
use super::site::Site;
use super::story::{Step, Story, rows, same_connections};
use crate::Result;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread::sleep;
use std::time::Duration;

const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 100);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);
/// What an expiry may differ by, seconds: commands take time here, and took some where this was recorded.
const SLACK: u64 = 8;
/// Between connections.
const PAUSE: Duration = Duration::from_millis(30);

pub(super) struct Teller {
    site: Site,
    open: BTreeMap<String, Open>,
    failures: u32,
    told: u32,
}

impl Teller {
    pub(super) fn new(site: Site) -> Self {
        Self {
            site,
            open: BTreeMap::new(),
            failures: 0,
            told: 0,
        }
    }

    /// Tells a story, if all of it can be done here: IPVS's sysctls are settings of a service in the file.
    pub(super) fn tell(&mut self, story: &Story) -> Result {
        if story.steps.iter().any(|step| step.verb == "sysctl") {
            println!("not here: {}", story.title);
            return Ok(());
        }
        println!("{}", story.title);
        self.told += 1;
        let ports: Vec<&str> = (story.steps.iter())
            .filter(|step| step.verb == "$")
            .filter_map(|step| step.words.get(2).map(String::as_str))
            .collect();
        for step in &story.steps {
            let (expected, found) = match step.verb.as_str() {
                "list" | "connections" => match self.listed(step, &ports) {
                    Ok(None) => continue,
                    Ok(Some(found)) => (step.rows.join("\n    "), found.join("\n    ")),
                    Err(why) => {
                        return Err(format!("line {}: {why}\n{}", step.line, self.site.log()));
                    }
                },
                _ => match self.act(step) {
                    Ok(found) if same(&step.answers, &found) => continue,
                    Ok(found) => (step.answers.join(" "), found.join(" ")),
                    Err(why) => {
                        return Err(format!("line {}: {why}\n{}", step.line, self.site.log()));
                    }
                },
            };
            let what = step.words.join(" ");
            println!(
                "  line {}: {} {what}\n    with IPVS: {expected}\n    here:      {found}",
                step.line, step.verb
            );
            self.failures += 1;
        }
        self.clear()
    }

    /// Ends everything. What is still remembered of it is of ports that no other story has.
    fn clear(&mut self) -> Result {
        for (_, open) in std::mem::take(&mut self.open) {
            open.reset().map_err(|e| e.to_string())?;
        }
        sleep(PAUSE);
        let _ = self.site.ipvsadm("-C")?;
        Ok(())
    }

    /// Lists until it is right, for a few seconds: some of it is counted once a second. What was listed, if it did not
    /// become so.
    fn listed(&self, step: &Step, ports: &[&str]) -> Result<Option<Vec<String>>> {
        let mut tries = 0;
        loop {
            let found = if step.verb == "list" {
                rows(&self.site.ipvsadm(&step.words.join(" "))?)
            } else {
                let all = rows(&self.site.ipvsadm("-Lnc")?);
                let own = |row: &String| {
                    let service = row.split(' ').nth(4);
                    service.is_some_and(|service| ports.contains(&service))
                };
                all.into_iter().filter(own).collect()
            };
            let right = if step.verb == "list" {
                found == step.rows
            } else {
                same_connections(&step.rows, &found, SLACK)
            };
            if right {
                return Ok(None);
            }
            tries += 1;
            if tries > 3 {
                return Ok(Some(found));
            }
            sleep(Duration::from_secs(1));
        }
    }

    /// Does a step; what the client saw of it.
    fn act(&mut self, step: &Step) -> Result<Vec<String>> {
        let line = step.words.join(" ");
        let first = step.words.first().map_or("", String::as_str);
        match step.verb.as_str() {
            "$" => {
                let _ = self.site.ipvsadm(&line)?;
                return Ok(Vec::new());
            }
            "sleep" => {
                let seconds = first.parse().map_err(|_| line)?;
                sleep(Duration::from_secs_f64(seconds));
                return Ok(Vec::new());
            }
            _ => {}
        }
        if let [what, client, port] = step.words.as_slice() {
            let to = SocketAddrV4::new(VIP, port.parse().map_err(|_| line.clone())?);
            let times = what.parse().unwrap_or_else(|_| what.split(',').count());
            let names = what.split(',').chain(std::iter::repeat(""));
            let mut seen = Vec::new();
            for name in names.take(times) {
                let name = if step.verb == "visit" { "" } else { name };
                seen.push(self.connect(&step.verb, name, client, to)?);
                sleep(PAUSE);
            }
            return Ok(seen);
        }
        let mut seen = Vec::new();
        for name in first.split(',') {
            let error = || format!("{line}: nothing is open");
            match step.verb.as_str() {
                "talk" => seen.push(self.open.get_mut(name).ok_or_else(error)?.talk()),
                "close" => drop(self.open.remove(name).ok_or_else(error)?),
                "reset" => {
                    let open = self.open.remove(name).ok_or_else(error)?;
                    open.reset().map_err(|e| e.to_string())?;
                }
                // The server did so by itself.
                "refuse" => {}
                other => return Err(format!("{other}: what is that?")),
            }
            sleep(PAUSE);
        }
        Ok(seen)
    }

    /// A connection from a client: who answered.
    fn connect(
        &mut self,
        verb: &str,
        name: &str,
        client: &str,
        to: SocketAddrV4,
    ) -> Result<String> {
        let from: SocketAddrV4 = match client.parse() {
            Ok(from) => {
                // A port is free again a second after a connection of its.
                sleep(Duration::from_millis(1500));
                from
            }
            Err(_) => SocketAddrV4::new(client.parse().map_err(|_| client.to_owned())?, 0),
        };
        let fail = |e: std::io::Error| format!("{verb} {from}: {e}");
        let (seen, open) = match verb {
            "visit" | "hold" => client::open(from, to).map_err(fail)?,
            "ask" => client::ask(from, to).map_err(fail)?,
            _ => {
                let (port, open) = client::knock(from, to).map_err(fail)?;
                sleep(PAUSE);
                (self.destination(from.ip(), port)?, Some(open))
            }
        };
        if let Some(open) = open.filter(|_| !name.is_empty()) {
            self.open.insert(name.to_owned(), open);
        }
        Ok(seen)
    }

    /// Which server the connection of a client's port went to, as listed.
    fn destination(&self, ip: &Ipv4Addr, port: u16) -> Result<String> {
        let client = format!("{ip}:{port}");
        let listed = rows(&self.site.ipvsadm("-Lnc")?);
        let row = listed
            .iter()
            .find(|row| row.split(' ').nth(3) == Some(&client));
        let server = row.and_then(|row| row.rsplit(' ').next()?.split(':').next()?.chars().last());
        Ok(server.map_or_else(|| "-".into(), String::from))
    }

    /// The orders of schedulers, of one set of weights: the host has them all.
    pub(super) fn schedulers(&mut self, text: &str) -> Result {
        let mut port = 3000;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [scheduler, "5,1,1", how @ ("closed" | "held"), picks] = *words else {
                continue;
            };
            port += 1;
            self.told += 1;
            let mut lines = vec![format!("$ -A -t {VIP}:{port} -s {scheduler}")];
            for (n, weight) in [(1, 5), (2, 1), (3, 1)] {
                lines.push(format!(
                    "$ -a -t {VIP}:{port} -r 10.0.0.1{n}:80 -m -w {weight}"
                ));
            }
            for line in lines {
                let _ = self.site.ipvsadm(line.trim_start_matches("$ "))?;
            }
            let verb = if how == "held" { "hold" } else { "visit" };
            let mut found = Vec::new();
            for n in 0..picks.len() {
                let name = if how == "held" {
                    n.to_string()
                } else {
                    String::new()
                };
                let to = SocketAddrV4::new(VIP, port);
                found.push(self.connect(verb, &name, &CLIENT.to_string(), to)?);
                sleep(PAUSE);
            }
            let expected: Vec<String> = picks.chars().map(String::from).collect();
            if !same(&expected, &found) {
                println!("{line}\n    here: {}", found.concat());
                self.failures += 1;
            }
            for (_, open) in std::mem::take(&mut self.open) {
                open.reset().map_err(|e| e.to_string())?;
            }
            sleep(PAUSE);
            let _ = self.site.ipvsadm(&format!("-D -t {VIP}:{port}"))?;
        }
        Ok(())
    }

    /// What came of all; whether there must have been something to tell.
    pub(super) fn done(self, something: bool) -> Result {
        println!("{} replayed, {} differences", self.told, self.failures);
        if self.failures == 0 && (self.told > 0 || !something) {
            return Ok(());
        }
        Err("not all is as with IPVS".into())
    }
}

/// Whether a client saw the same. That nobody listens and that there is no server look alike to it, and it is not told
/// of everything: such answers are limited.
fn same(expected: &[String], found: &[String]) -> bool {
    let alike = |(expected, found): (&String, &String)| match expected.as_str() {
        "R" => matches!(found.as_str(), "X" | "-"),
        _ => expected == found,
    };
    expected.len() == found.len() && expected.iter().zip(found).all(alike)
}
