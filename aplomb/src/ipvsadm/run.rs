//! Commands carried out on a keeper of the table.

use std::io::BufRead;

use control::ipvs::{
    Edit, Error, Seed,
    listing::{Connection, Listing},
};

use super::{
    Names,
    arguments::{self, Command, Format, What, Wrong},
    connections, list, save,
    sync::SyncDaemon,
};

/// What is printed for `-v`, and before the help: scripts look for the version of the original in it.
const VERSION: &str = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n";
const HELP: &str = include_str!("help.txt");

/// Keeps the table: the daemon, or a model of it.
pub trait Keeper {
    /// Does these in order, each whether or not those before it were taken.
    ///
    /// # Errors
    /// It cannot be asked.
    fn edit(&mut self, edits: &[Edit]) -> Result<Vec<Result<(), Error>>, String>;
    /// The table with its counters.
    ///
    /// # Errors
    /// It cannot be asked.
    fn listing(&mut self) -> Result<Listing, String>;
    /// All connections.
    ///
    /// # Errors
    /// It cannot be asked.
    fn connections(&mut self) -> Result<Vec<Connection>, String>;
    /// Connection sync, if there is any.
    ///
    /// # Errors
    /// It cannot be asked.
    fn sync(&mut self) -> Result<Vec<SyncDaemon>, String> {
        Ok(Vec::new())
    }
}

/// What a call of the program came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// What it writes to standard output.
    pub stdout: String,
    /// And to standard error.
    pub stderr: String,
    /// Its exit code.
    pub code: u8,
}

/// Runs `program` with these arguments; `stdin` is read for a restore alone.
pub fn run(
    program: &str,
    arguments: &[String],
    stdin: &mut dyn BufRead,
    names: &dyn Names,
    keeper: &mut dyn Keeper,
    seed: Seed,
) -> Output {
    let mut runner = Runner {
        program,
        names,
        keeper,
        seed,
        waiting: Vec::new(),
        output: Output::default(),
    };
    let outcome = match arguments::parse(program, arguments, false, names) {
        Ok(Command::Restore) => runner.restore(stdin),
        Ok(command) => runner.carry_out(command).and_then(|()| runner.flush()),
        Err(wrong) => runner.wrong(wrong),
    };
    if let Err(End(code)) = outcome {
        runner.output.code = code;
    }
    runner.output
}

/// The program ends, with this code.
struct End(u8);

struct Runner<'a> {
    program: &'a str,
    names: &'a dyn Names,
    keeper: &'a mut dyn Keeper,
    seed: Seed,
    /// Edits of a restore that are yet to be done: all at once, as one change.
    waiting: Vec<Edit>,
    output: Output,
}

impl Runner<'_> {
    /// One command a line. What IPVS refuses is said, and the next is tried; the code is that of the last.
    fn restore(&mut self, stdin: &mut dyn BufRead) -> Result<(), End> {
        let mut line = Vec::new();
        loop {
            line.clear();
            match stdin.read_until(b'\n', &mut line) {
                Ok(0) => return self.flush(),
                Ok(_) => {}
                Err(error) => {
                    self.flush()?;
                    return self.unable(&format!("cannot read standard input: {error}"));
                }
            }
            let text = String::from_utf8_lossy(&line);
            let mut words: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
            // What was written as whole command lines is taken too.
            while words.first().is_some_and(|word| word == "ipvsadm") {
                words.remove(0);
            }
            if words.is_empty() {
                continue;
            }
            match arguments::parse(self.program, &words, true, self.names) {
                Ok(Command::Edit(edit)) => self.waiting.push(edit),
                Ok(command) => {
                    self.flush()?;
                    self.carry_out(command)?;
                }
                Err(wrong) => {
                    self.flush()?;
                    self.wrong(wrong)?;
                }
            }
        }
    }

    fn carry_out(&mut self, command: Command) -> Result<(), End> {
        self.output.code = 0;
        match command {
            Command::Edit(edit) => self.waiting.push(edit),
            Command::List(what, format) => self.list(what, format)?,
            Command::Save { numeric } => {
                let listing = self.listing()?;
                let written = save::table(
                    &mut self.output.stdout,
                    listing,
                    numeric,
                    self.names,
                    self.seed,
                );
                self.written(written)?;
            }
            Command::Version => {
                self.output.stdout.push_str(VERSION);
                return Err(End(0));
            }
            Command::Help => {
                self.output.stdout.push_str(HELP);
                return Err(End(0));
            }
            Command::StartDaemon(wanted) => {
                let runs = self.sync()?;
                let differ: Option<Vec<_>> = runs.iter().map(|one| wanted.differs(one)).collect();
                // None: one of them is as wanted.
                if let Some(differ) = differ {
                    let why = differ.into_iter().next();
                    self.refused(&why.unwrap_or_else(|| wanted.advice()));
                }
            }
            Command::StopDaemon => match self.sync()?.first() {
                Some(runs) => self.refused(&runs.stays()),
                None => self.refused("No daemon is running"),
            },
            // Only of a restore, which does not take it.
            Command::Restore => {}
        }
        Ok(())
    }

    fn list(&mut self, what: What, format: Format) -> Result<(), End> {
        let (names, seed) = (self.names, self.seed);
        let written = match what {
            What::Table => {
                let listing = self.listing()?;
                list::table(&mut self.output.stdout, listing, format, names, seed)
            }
            What::Service(id) => {
                let services = self.listing()?.services;
                let Some(found) = services.into_iter().find(|s| s.service.id == id) else {
                    self.refused(&Error::NoSuchService.to_string());
                    return Err(End(1));
                };
                list::one(&mut self.output.stdout, found, format, names, seed)
            }
            What::Connections => match self.keeper.connections() {
                Ok(all) => connections::table(&mut self.output.stdout, &all, format, names),
                Err(why) => return self.unable(&why),
            },
            What::Timeouts => {
                let timeouts = self.listing()?.timeouts;
                self.output.stdout += &format!(
                    "Timeout (tcp tcpfin udp): {} {} {}\n",
                    timeouts.tcp, timeouts.tcp_fin, timeouts.udp
                );
                Ok(())
            }
            What::Daemons => {
                for runs in self.sync()? {
                    self.output.stdout += &runs.lines();
                }
                Ok(())
            }
        };
        self.written(written)
    }

    fn sync(&mut self) -> Result<Vec<SyncDaemon>, End> {
        match self.keeper.sync() {
            Ok(sync) => Ok(sync),
            Err(why) => {
                self.unable(&why)?;
                Err(End(2))
            }
        }
    }

    fn listing(&mut self) -> Result<Listing, End> {
        match self.keeper.listing() {
            Ok(listing) => Ok(listing),
            Err(why) => {
                self.unable(&why)?;
                Err(End(2))
            }
        }
    }

    /// Does what waits.
    fn flush(&mut self) -> Result<(), End> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let edits = std::mem::take(&mut self.waiting);
        match self.keeper.edit(&edits) {
            Ok(outcomes) => {
                for outcome in outcomes {
                    self.output.code = 0;
                    if let Err(error) = outcome {
                        self.refused(&error.to_string());
                    }
                }
                Ok(())
            }
            Err(why) => self.unable(&why),
        }
    }

    fn refused(&mut self, why: &str) {
        self.output.stderr.push_str(why);
        self.output.stderr.push('\n');
        self.output.code = 255;
    }

    fn wrong(&mut self, wrong: Wrong) -> Result<(), End> {
        match wrong {
            Wrong::Fatal(code, message) => {
                self.refused(&message);
                Err(End(code))
            }
            Wrong::Line(message) => {
                self.refused(&message);
                Ok(())
            }
        }
    }

    fn unable(&mut self, why: &str) -> Result<(), End> {
        self.refused(&format!("Can't initialize ipvs: {why}"));
        Err(End(2))
    }

    fn written(&mut self, outcome: std::fmt::Result) -> Result<(), End> {
        // Writing to a string does not fail.
        outcome.map_err(|_| End(255))
    }
}
