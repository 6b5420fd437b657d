//! HTTP in user space. [`h1`] is the codec.

mod buf;
pub mod h1;
mod io;
mod lane;
/// What a configuration comes to.
pub(crate) struct Compiled;

impl Compiled {
    pub(crate) fn new(_: &control::spec::HttpSpec) -> Self {
        Self
    }
}

/// Begins to serve a client.
pub(crate) fn start(
    entry: crate::worker::Entry,
    stream: tokio::net::TcpStream,
    _: crate::worker::Ends,
) {
    drop((entry, stream));
}
