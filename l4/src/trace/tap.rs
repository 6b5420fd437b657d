//! What the trace needs of the kernel program: its ring, its switch, and who its numbers are.

use std::{io, net::SocketAddr};

use control::name::Name;
use xdp::abi::TraceEvent;

/// Who the numbers of an event are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The service.
    pub service: Option<String>,
    /// The backend.
    pub backend: Option<SocketAddr>,
    /// The interface.
    pub interface: Option<String>,
}

/// The program's trace: its ring and its switch.
pub trait Tap: Send {
    /// Has the program sample one in `every` decisions about packets of these services; of all if none are named.
    ///
    /// # Errors
    /// The tables cannot be written.
    fn open(&mut self, every: u32, services: Option<&[Name]>) -> io::Result<()>;
    /// Has it go on for as long again: nobody needs to switch off what a daemon that was killed left on.
    fn renew(&mut self);
    /// Has it sample none. What cannot be done now is done later.
    fn close(&mut self);
    /// The next event of the ring, if there is one now.
    fn next(&mut self) -> Option<TraceEvent>;
    /// Who the event's numbers are.
    fn names(&self, event: &TraceEvent) -> Names;
}
