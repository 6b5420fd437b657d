//! What a connection needs while it is served, and gives back while it is idle.

use std::cell::RefCell;

use control::balance::BackendId;

use super::{
    h1::{RequestHead, ResponseHead},
    lane::Lane,
    note::Note,
};

/// The most that a worker keeps for later, some 9 MiB: what is beyond that was a burst.
const KEPT: usize = 256;

/// Buffers and scratch for one request at a time.
#[derive(Default)]
pub(crate) struct Turn {
    /// From the client to the backend.
    pub(crate) up: Lane,
    /// From the backend to the client.
    pub(crate) down: Lane,
    /// The request's head; its spans lie in `up.buf`.
    pub(crate) request: RequestHead,
    /// The response's head; its spans lie in `down.buf`.
    pub(crate) response: ResponseHead,
    /// The target that backends are sent, if not the one received.
    pub(crate) target: Vec<u8>,
    /// The key that backends are chosen by.
    pub(crate) key: Option<u64>,
    /// The backends that were tried in vain.
    pub(crate) tried: Vec<BackendId>,
    pub(crate) note: Note,
}

/// Those that nobody uses now.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "lent and taken back without being moved")]
pub(crate) struct Turns(RefCell<Vec<Box<Turn>>>);

impl Turns {
    /// Lends one, empty.
    pub(crate) fn take(&self) -> Box<Turn> {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes one back.
    pub(crate) fn give(&self, mut turn: Box<Turn>) {
        let mut kept = self.0.borrow_mut();
        if kept.len() < KEPT {
            turn.up.reset();
            turn.down.reset();
            turn.note.backend = None;
            kept.push(turn);
        }
    }
}
