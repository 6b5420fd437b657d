//! HTTP in user space.
//!
//! A request's way: [`client`] waits for one on an idle connection, [`exchange`] is its spine (head → route →
//! answer), [`forward`] chooses a backend and retries, [`converse`] talks to it over a connection of [`upstream`],
//! [`deliver`] brings the answer to the client, [`tunnel`] takes over after an upgrade. Bodies stream through a
//! [`lane`] each way. [`h1`] is the codec and knows no sockets; [`rules`] are the configuration, compiled;
//! [`watch`] keeps the time; [`note`] and [`log_line`] write it all down.
//!
//! Connections are only known as a [`io::Stream`], so TLS comes in below and a worker of another kind beside.
//! HTTP/2 and HTTP/3 get a codec of their own and share what begins at [`exchange`]'s routing.

mod answer;
mod budget;
mod buf;
mod client;
mod converse;
mod deliver;
mod exchange;
mod failure;
mod forward;
mod fresh;
pub mod h1;
mod io;
mod lane;
mod log_line;
mod note;
mod rules;
mod site;
mod template;
mod told;
mod tunnel;
mod turn;
mod upstream;
mod watch;

use std::os::fd::OwnedFd;

use tokio::task::spawn_local;

pub(crate) use self::{
    rules::Rules,
    site::{SiteCell, compile},
    turn::Turns,
    upstream::Idle,
};
use crate::worker::{Ends, Entry};

/// Serves a client's connection, just accepted, in a task of its own.
pub(crate) fn start(entry: Entry, socket: OwnedFd, ends: Ends) {
    let local = ends
        .local
        .or_else(|| crate::net::local_address(&socket).ok());
    let stream = fresh::Tcp::new(socket);
    drop(spawn_local(client::serve(entry, stream, ends, local)));
}
