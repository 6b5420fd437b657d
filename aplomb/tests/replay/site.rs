//! Clients that open connections by the rig, and servers that answer them.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use xdp::{
    abi::{PassReason, Tuple, V4},
    decide::{Action, Verdict},
    packet::{Kind, Packet},
};

use super::rig::Rig;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// What a client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// This server answered.
    Server(u8),
    /// There is no server, and it was told so.
    Refused,
    /// Nothing came back.
    Nothing,
    /// The machine's own stack answered: with a reset.
    Reset,
}

impl Seen {
    /// As stories write it.
    pub(crate) fn word(self) -> String {
        match self {
            Self::Server(n) => n.to_string(),
            Self::Refused => "R".into(),
            Self::Nothing => "-".into(),
            Self::Reset => "X".into(),
        }
    }
}

/// A connection: the tuple at the client, and at the server.
#[derive(Clone, Copy)]
struct Open {
    near: Tuple<V4>,
    far: Tuple<V4>,
}

pub(crate) struct Site {
    pub(crate) rig: Rig,
    open: BTreeMap<String, Open>,
    next_port: u16,
}

fn packet(tuple: Tuple<V4>, tcp_flags: u8) -> Packet<V4> {
    Packet {
        l3: 14,
        l4: 34,
        tuple,
        length: 60,
        kind: Kind::Whole,
        ttl: 64,
        tos: 0,
        tcp_flags,
        dont_fragment: true,
        id: 0,
        inner_l3: 0,
        inner_l4: 0,
    }
}

fn tuple(from: SocketAddrV4, to: SocketAddrV4, proto: u8) -> Tuple<V4> {
    let word = |ip: &Ipv4Addr| u32::from_ne_bytes(ip.octets());
    Tuple::new(
        word(from.ip()),
        word(to.ip()),
        from.port().to_be(),
        to.port().to_be(),
        proto,
    )
}

/// Where a packet from a client went.
fn seen(verdict: &Verdict<V4>) -> Seen {
    match verdict.action {
        Action::Forward => {
            let [.., last] = verdict.to.dst.to_ne_bytes();
            Seen::Server(last - 10)
        }
        Action::Unreachable => Seen::Refused,
        Action::Pass => {
            let reason = verdict.reason;
            let up = [PassReason::NotOurs as u8, PassReason::NoFlow as u8];
            assert!(up.contains(&reason), "passed: {reason}");
            Seen::Reset
        }
        _ => Seen::Nothing,
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        Self {
            rig: Rig::new(),
            open: BTreeMap::new(),
            next_port: 33_000,
        }
    }

    /// A port for a client that does not care.
    pub(crate) fn port(&mut self) -> u16 {
        self.next_port += 1;
        self.next_port
    }

    fn client_sends(&self, open: Open, flags: u8) -> Seen {
        let verdict = self.rig.send(&packet(open.near, flags));
        if verdict.action == Action::Forward {
            assert_eq!(verdict.to, open.far, "a connection stays where it is");
        }
        seen(&verdict)
    }

    fn server_sends(&self, open: Open, flags: u8) {
        let verdict = self.rig.send(&packet(open.far.reversed(), flags));
        assert_eq!(verdict.action, Action::Forward, "{verdict:?}");
        assert_eq!(verdict.to, open.near.reversed());
    }

    /// A first packet, which nobody answers yet.
    fn first(&mut self, name: &str, near: Tuple<V4>) -> Seen {
        let verdict = self.rig.send(&packet(near, SYN));
        let seen = seen(&verdict);
        if let Seen::Server(_) = seen {
            let far = verdict.to;
            self.open.insert(name.to_owned(), Open { near, far });
        }
        seen
    }

    /// A SYN that no server answers.
    pub(crate) fn knock(&mut self, name: &str, from: SocketAddrV4, to: SocketAddrV4) -> Seen {
        self.first(name, tuple(from, to, TCP))
    }

    /// Opens a connection that stays open: the server speaks first, as that of the transcripts does.
    pub(crate) fn hold(&mut self, name: &str, from: SocketAddrV4, to: SocketAddrV4) -> Seen {
        let seen = self.knock(name, from, to);
        if let Seen::Server(_) = seen {
            let open = self.open[name];
            self.server_sends(open, SYN | ACK);
            for flags in [ACK, ACK] {
                assert_eq!(self.client_sends(open, flags), seen);
            }
            self.server_sends(open, ACK | PSH);
            assert_eq!(self.client_sends(open, ACK), seen);
        }
        seen
    }

    /// Sends something on an open connection, and gets it back.
    pub(crate) fn talk(&mut self, name: &str) -> Seen {
        let open = self.open[name];
        let seen = self.client_sends(open, ACK | PSH);
        if let Seen::Server(_) = seen {
            self.server_sends(open, ACK | PSH);
            let _ = self.client_sends(open, ACK);
        }
        seen
    }

    /// The client closes.
    pub(crate) fn close(&mut self, name: &str) {
        let open = self.open.remove(name).unwrap();
        if let Seen::Server(_) = self.client_sends(open, FIN | ACK) {
            self.server_sends(open, FIN | ACK);
            let _ = self.client_sends(open, ACK);
        }
    }

    /// The client resets.
    pub(crate) fn reset(&mut self, name: &str) {
        let open = self.open.remove(name).unwrap();
        let _ = self.client_sends(open, RST | ACK);
    }

    /// The server refuses a connection that a client knocked for.
    pub(crate) fn refuse(&mut self, name: &str) {
        let open = self.open.remove(name).unwrap();
        self.server_sends(open, RST | ACK);
    }

    /// A connection that is over at once.
    pub(crate) fn visit(&mut self, from: SocketAddrV4, to: SocketAddrV4) -> Seen {
        let seen = self.hold("a visitor", from, to);
        if let Seen::Server(_) = seen {
            self.close("a visitor");
        }
        seen
    }

    /// A datagram and its answer.
    pub(crate) fn ask(&mut self, name: &str, from: SocketAddrV4, to: SocketAddrV4) -> Seen {
        let near = tuple(from, to, UDP);
        let verdict = self.rig.send(&packet(near, 0));
        let seen = seen(&verdict);
        if let Seen::Server(_) = seen {
            let far = verdict.to;
            let open = Open { near, far };
            self.server_sends(open, 0);
            self.open.insert(name.to_owned(), open);
        }
        seen
    }

    /// Time goes by.
    pub(crate) fn pass(&mut self, seconds: f64) {
        self.rig.pass(Duration::from_secs_f64(seconds));
    }
}
