//! Connection sync: nodes tell each other of the connections they carry, so that another can go on with them.
//!
//! The road of a connection: the caller hands a [`Record`] to the [`Machine`] → [`codec`] packs many into one datagram →
//! [`seal`] encrypts it → a peer's [`seal`] opens it and its machine hands the record out. What is lost is asked for again,
//! and told as it *is* by then, not as it was: so order does not matter, and nothing has to be kept but the names of
//! connections. A node that joins asks for everything.
//!
//! [`ipvs`] is another protocol: the one of Linux's own balancer.
//!
//! Connections are described by addresses, never by numbers of one node's tables. Limits are in [`limits`], reasons for
//! what is not taken in [`refusal`].
//!
//! ```
//! use proto::{sync::*, time::Instant};
//! let key = Key::new(&[7; 32]).unwrap();
//! let node = |n: u8| Machine::new(Settings::default(), Keys::new([(1, key.clone())], 1).unwrap(), Session([n; 16]), Instant::ZERO);
//! let (mut a, mut b) = (node(1), node(2));
//! let from = "192.0.2.1:8849".parse().unwrap();
//! // Who drives it: hand in what arrives, then take all outputs, then wait for the next deadline or datagram.
//! let mut now = Instant::ZERO;
//! for _ in 0..4 {
//!     now = now + limits::HEARTBEAT;
//!     let mut wire = [Vec::new(), Vec::new()];
//!     for (node, wire) in [&mut a, &mut b].into_iter().zip(&mut wire) {
//!         node.handle(Input::Tick, now);
//!         while let Some(output) = node.poll_output() {
//!             match output {
//!                 Output::Send(datagram) => wire.push(datagram),
//!                 Output::Scan => node.handle(Input::Scanned, now),
//!                 _ => {}
//!             }
//!         }
//!     }
//!     for mut datagram in wire[0].drain(..) { b.handle(Input::Datagram { from, bytes: &mut datagram }, now); }
//!     for mut datagram in wire[1].drain(..) { a.handle(Input::Datagram { from, bytes: &mut datagram }, now); }
//! }
//! assert!(a.in_sync(now) && b.in_sync(now));
//! ```

mod bucket;
pub mod codec;
mod flow;
pub mod ipvs;
pub mod limits;
mod machine;
pub mod refusal;
pub mod seal;
mod window;

pub use self::{
    flow::{Flow, FlowKey, Method, Record, Template},
    machine::{Counters, Input, Machine, Output, PeerStatus, Settings},
    refusal::Refusal,
    seal::{Key, Keys, KeysError, Session},
};
