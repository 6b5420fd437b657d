//! From arguments to a [`Command`], with ipvsadm's messages and in its order of looking: the command first, each
//! option as it comes ([`entry`]), then what must, may and must not go together ([`mod@command`]).

mod command;
mod entry;

use control::ipvs::{Edit, ServiceId, Timeouts};

use self::entry::Entry;
use super::{
    Names,
    number::bounded,
    options::{DEFINITIONS, Meaning, Verb},
    popt::Scanner,
    sync::{Role, Wanted},
};

/// The longest timeout, seconds: 31 days.
const MAX_TIMEOUT: u32 = 86_400 * 31;
/// How long a client is remembered by `-p` alone, seconds.
const DEFAULT_PERSISTENCE: u32 = 360;
/// The longest name of a scheduler or persistence engine, bytes; what is beyond is cut off.
const NAME: usize = 15;
/// The largest number of weights and thresholds.
const MAX: u32 = i32::MAX as u32;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The table is changed.
    Edit(Edit),
    /// Something is shown.
    List(What, Format),
    /// The table is written as arguments.
    Save {
        /// Without names.
        numeric: bool,
    },
    /// Arguments are read, a line each.
    Restore,
    /// A daemon of connection sync is started, so.
    StartDaemon(Wanted),
    /// It is stopped.
    StopDaemon,
    /// The version is shown.
    Version,
    /// What there is is shown.
    Help,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// All services.
    Table,
    /// One.
    Service(ServiceId),
    /// Connections.
    Connections,
    /// Timeouts.
    Timeouts,
    /// Daemons of connection sync.
    Daemons,
}

/// How it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// Without names.
    pub numeric: bool,
    /// All digits.
    pub exact: bool,
    /// In IPVS's order.
    pub unsorted: bool,
    /// Counters.
    pub stats: bool,
    /// Rates.
    pub rate: bool,
    /// Thresholds.
    pub thresholds: bool,
    /// Remembered clients; of connections, persistence engines.
    pub persistent: bool,
    /// Encapsulation.
    pub tunnel: bool,
}

/// Why there is no command in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It ends the program at once, a restore in the middle included.
    Fatal(u8, String),
    /// A restore goes on with the next line; else it ends with code 255.
    Line(String),
}

fn fatal<T>(message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong::Fatal(2, message.into()))
}

/// What is said of a command that begins with no command.
fn try_help<T>(program: &str) -> Result<T, Wrong> {
    let message = format!("Try `{program} -h' or '{program} --help' for more information.");
    Err(Wrong::Fatal(255, message))
}

/// The command in these arguments; `program` is what it was called as, `restoring` whether they are of a restore.
///
/// # Errors
/// What is wrong with them.
pub fn parse(
    program: &str,
    arguments: &[String],
    restoring: bool,
    names: &dyn Names,
) -> Result<Command, Wrong> {
    if arguments.is_empty() {
        return Ok(Command::List(What::Table, Format::default()));
    }
    let mut scanner = Scanner::new(&DEFINITIONS, arguments);
    let (verb, argument) = match scanner.option() {
        Ok(Some((Meaning::Verb(verb), argument))) => (verb, argument),
        _ => return try_help(program),
    };
    match verb {
        Verb::Version => return Ok(Command::Version),
        Verb::Help => return Ok(Command::Help),
        Verb::Restore if restoring => return try_help(program),
        Verb::StartDaemon if !matches!(argument, Some("master" | "backup")) => {
            return fatal("illegal start-daemon parameter specified");
        }
        Verb::StopDaemon if !matches!(argument, Some("master" | "backup")) => {
            return fatal("illegal start_daemon specified");
        }
        _ => {}
    }
    let mut entry = Entry::new(names);
    if verb == Verb::StartDaemon && argument == Some("backup") {
        entry.sync.role = Role::Backup;
    }
    loop {
        match scanner.option() {
            Ok(None) => break,
            Ok(Some((Meaning::Verb(_), _))) => {
                return fatal(format!("invalid option `{}'", scanner.last()));
            }
            Ok(Some((meaning, argument))) => {
                entry.take(meaning, argument.unwrap_or_default(), argument.is_some())?
            }
            Err(fault) => return Err(Wrong::Line(format!("{}: {fault}", scanner.last()))),
        }
    }
    let mut words = scanner.words().iter();
    let mut timeouts = None;
    if verb == Verb::Set {
        timeouts = Some(set(&mut words)?);
    }
    if let Some(word) = words.next() {
        return fatal(format!("unexpected argument {word}"));
    }
    entry.command(verb, timeouts)
}

fn set<'a>(words: &mut impl Iterator<Item = &'a &'a str>) -> Result<Timeouts, Wrong> {
    let (Some(tcp), Some(tcp_fin), Some(udp)) = (words.next(), words.next(), words.next()) else {
        return fatal("--set option requires 3 timeout values");
    };
    Ok(Timeouts {
        tcp: timeout(tcp, 0)?,
        tcp_fin: timeout(tcp_fin, 0)?,
        udp: timeout(udp, 0)?,
    })
}

fn timeout(text: &str, least: u32) -> Result<u32, Wrong> {
    match bounded(text, least, MAX_TIMEOUT) {
        Some(seconds) => Ok(seconds),
        None => fatal(format!("invalid timeout value `{text}' specified")),
    }
}

fn number(text: &str, least: u32, most: u32, what: &str) -> Result<u32, Wrong> {
    match bounded(text, least, most) {
        Some(number) => Ok(number),
        None => fatal(format!("illegal {what} specified")),
    }
}

/// A name as long as IPVS keeps one.
fn name(text: &str) -> String {
    let end = (0..=NAME.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
