//! Connection sync: two directors; connections through one go on through the other when the first fails, and it catches up
//! when it is back. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{net::SocketAddr, process::Command};

use e2e::{Daemon, Site, Talk, needs_root, program, wait_for, wait_for_up};
use rustix::process::Signal;
use serde_json::Value;

/// Connections of each site.
const MANY: usize = 200;

const KEY: &str = "a key of more than thirty-two characters";

/// A director beside the site's own, on the same networks: for each of its devices, a macvlan with addresses of its own.
struct Second {
    netns: String,
}
