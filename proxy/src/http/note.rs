//! What is noted of a request on its way: for its line in the access log and for what is counted.

use std::{net::SocketAddr, rc::Rc, time::Duration};

use control::time::Instant;

use super::{failure::Failure, h1::RequestHead, rules::Rules};
use crate::worker::Backend;

/// One request. Times that were not reached are none.
#[derive(Default)]
pub(crate) struct Note {
    /// When its first byte was here.
    pub(crate) started: Instant,
    /// Whether its head was understood, so that there is something to say of it.
    pub(crate) has_head: bool,
    /// The place of its route.
    pub(crate) route: Option<usize>,
    /// The backend that was tried last.
    pub(crate) backend: Option<Rc<Backend>>,
    /// How long it waited for a backend with room.
    pub(crate) queued: Option<Duration>,
    /// How long the last connection took to be made; none where one was kept.
    pub(crate) connected: Option<Duration>,
    /// From the start to the first byte of the response.
    pub(crate) first_byte: Option<Duration>,
    /// How often it was tried again.
    pub(crate) retries: u16,
    /// The status that the client was answered; 0: none.
    pub(crate) status: u16,
    /// What went wrong.
    pub(crate) failure: Option<Failure>,
    /// The request's id.
    pub(crate) id: Vec<u8>,
    /// Bytes from the client.
    pub(crate) bytes_in: u64,
    /// Bytes to the client.
    pub(crate) bytes_out: u64,
}

impl Note {
    /// Begins anew, keeping what was allocated.
    pub(crate) fn begin(&mut self, started: Instant) {
        let mut id = std::mem::take(&mut self.id);
        id.clear();
        *self = Self {
            started,
            id,
            ..Self::default()
        };
    }
}

/// What a line is made of.
pub(crate) struct Entry<'a> {
    pub(crate) note: &'a Note,
    pub(crate) head: &'a RequestHead,
    /// The buffer that the head was parsed from.
    pub(crate) buf: &'a [u8],
    pub(crate) rules: &'a Rules,
    pub(crate) service: &'a str,
    pub(crate) client: SocketAddr,
    /// From the first byte of the request to the last of the response.
    pub(crate) total: Duration,
}
