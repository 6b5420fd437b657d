//! The engine: events in, actions out, and the plan between them.
//!
//! Sans I/O: [`Event`] is all that can happen to a node, [`Action`] all that it can do. The daemon turns
//! sockets and timers into events and carries actions out; the simulator does the same in virtual time.

mod event;

pub use self::event::{
    Action, Answer, Event, Failure, Operation, PassiveSample, ProbeFailure, ProbeResult, Refusal,
};
