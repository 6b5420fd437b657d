//! The states of TCP connections, along the roads that IPVS shows.

use super::{ACK, FIN, RST, SYN};
use crate::{
    abi::FlowState::{self, *},
    decide::{Seen, tcp},
};

fn walk(from: FlowState, steps: &[(Seen, u8, FlowState)]) {
    let mut state = from;
    for (i, (seen, flags, expected)) in steps.iter().enumerate() {
        state = tcp(state, *flags, *seen);
        assert_eq!(state, *expected, "step {i}");
    }
}

#[test]
fn a_connection_closed_by_the_client_ends_in_time_wait() {
    use Seen::{Backend, Client};
    walk(
        None,
        &[
            (Client, SYN, SynRecv),
            (Backend, SYN | ACK, SynRecv),
            (Client, ACK, Established),
            (Client, FIN | ACK, CloseWait),
            (Backend, ACK, CloseWait),
            (Backend, FIN | ACK, TimeWait),
            (Client, ACK, TimeWait),
        ],
    );
}

#[test]
fn without_replies_a_closed_connection_stays_in_fin_wait() {
    use Seen::ClientAlone;
    walk(
        None,
        &[
            (ClientAlone, SYN, SynRecv),
            (ClientAlone, ACK, Established),
            (ClientAlone, FIN | ACK, FinWait),
            (ClientAlone, ACK, FinWait),
        ],
    );
}

#[test]
fn resets_close() {
    assert_eq!(tcp(Established, RST, Seen::Client), Close);
    assert_eq!(tcp(SynRecv, RST | ACK, Seen::Backend), Close);
}

#[test]
fn a_packet_without_flags_changes_nothing() {
    for n in 0..FlowState::COUNT as u8 {
        let state = FlowState::of(n);
        assert_eq!(tcp(state, 0, Seen::Client), state);
    }
}
