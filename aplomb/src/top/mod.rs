//! The live view: what happens on a node, second by second.
//!
//! [`poller`] asks the daemon, [`frame`] makes figures of two answers, and they are shown by [`screen`] on a
//! terminal or by [`plain`] as a line per second. `aplomb top` and the labs look through the same view.

mod frame;
mod plain;
mod poller;
mod screen;
mod sort;

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use crate::cli::{client::Client, exit::Outcome};

/// How the view is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// From one look to the next.
    pub interval: Duration,
    /// Ends by itself after this time.
    pub for_time: Option<Duration>,
    /// One line per look even on a terminal.
    pub plain: bool,
}

/// What somebody adds to the view: the labs their keys and their story.
pub(crate) trait Extras {
    /// Lines above the figures.
    fn lines(&self) -> Vec<String>;
    /// Keys and what they do, for the last line.
    fn keys(&self) -> &'static str;
    /// A key was pressed that the view has no use for.
    fn key(&mut self, key: char);
    /// Somebody else wants it to end.
    fn is_over(&self) -> bool;
}

/// No extras.
pub(crate) struct Nothing;

impl Extras for Nothing {
    fn lines(&self) -> Vec<String> {
        Vec::new()
    }

    fn keys(&self) -> &'static str {
        ""
    }

    fn key(&mut self, _key: char) {}

    fn is_over(&self) -> bool {
        false
    }
}

/// Shows what happens on the node until the user, `extras` or the time says that it is enough.
pub(crate) fn watch(client: Client, options: Options, extras: &mut dyn Extras) -> Outcome {
    let mut poller = poller::Poller::new(client)?;
    // The first look has nothing to compare with; and if nobody is there, it says so before a screen is made.
    let first = poller.look()?;
    let end = options.for_time.map(|time| Instant::now() + time);
    if options.plain || !std::io::stdout().is_terminal() {
        plain::run(&mut poller, options.interval, end, extras)
    } else {
        screen::run(&mut poller, first, options.interval, end, extras)
    }
}
