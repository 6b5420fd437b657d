//! A datagram comes.

use std::net::SocketAddr;

use super::{Machine, Output, Peer};
use crate::{
    sync::{
        codec::{Message, decode},
        limits::{GREETING, MAX_PEERS},
        refusal::Refusal,
        seal::{Head, Session},
    },
    time::Instant,
};

impl Machine {
    pub(super) fn receive(
        &mut self,
        from: SocketAddr,
        bytes: &mut [u8],
        now: Instant,
    ) -> Result<(), Refusal> {
        let head = Head::read(bytes)?;
        if head.session == self.session {
            // Our own, from the multicast group.
            return Ok(());
        }
        let message = self.open(&head, from, bytes, now)?;
        self.counters.datagrams_received += 1;
        self.counters.bytes_received += bytes.len() as u64;
        if let Message::Heartbeat { hears, .. } = &message {
            let proves = hears.contains(&self.session);
            let known = self.peers.get(&head.session).is_some_and(|p| p.proven);
            if !proves {
                self.greet_soon(now);
                return Ok(());
            }
            if !known {
                self.outputs.push_back(Output::PeerUp(head.session, from));
            }
        }
        self.follow(head.session, message, now)
    }

    /// Opens it; who sends it is a peer from then on.
    fn open(
        &mut self,
        head: &Head,
        from: SocketAddr,
        bytes: &mut [u8],
        now: Instant,
    ) -> Result<Message, Refusal> {
        if let Some(peer) = self.peers.get_mut(&head.session) {
            if peer.opener.id != head.key {
                // Kept only if it opens something: a head alone shows nothing.
                let opener = self.keys.opener(head.key, head.session)?;
                let message = decode(opener.open(head, bytes)?);
                peer.opener = opener;
                return peer.heard_of(head.number, from, now).and(message);
            }
            let message = decode(peer.opener.open(head, bytes)?);
            return peer.heard_of(head.number, from, now).and(message);
        }
        let opener = self.keys.opener(head.key, head.session)?;
        let message = decode(opener.open(head, bytes)?)?;
        let mut peer = Peer::new(from, opener, now);
        if let Some((_, last)) = self.gone.iter().find(|(gone, _)| *gone == head.session) {
            peer.window.begin_after(*last);
        }
        peer.heard_of(head.number, from, now)?;
        if self.peers.len() >= MAX_PEERS {
            self.make_room()?;
        }
        self.peers.insert(head.session, peer);
        Ok(message)
    }

    /// Who has not shown to be alive gives way, the one that was heard of first.
    fn make_room(&mut self) -> Result<(), Refusal> {
        let unproven = self.peers.iter().filter(|(_, peer)| !peer.proven);
        let oldest = unproven.min_by_key(|(_, peer)| peer.began);
        let session = oldest.map(|(session, _)| *session);
        self.forget(session.ok_or(Refusal::TooManyPeers)?);
        Ok(())
    }

    fn greet_soon(&mut self, now: Instant) {
        let at = now.max(self.greeted + GREETING);
        let _ = self.greet.get_or_insert(at);
    }

    /// Does what an authentic message says.
    fn follow(&mut self, session: Session, message: Message, now: Instant) -> Result<(), Refusal> {
        let Some(peer) = self.peers.get_mut(&session) else {
            return Err(Refusal::TooManyPeers);
        };
        if !peer.proven && !matches!(message, Message::Heartbeat { .. }) {
            self.greet_soon(now);
            return Err(Refusal::Unproven);
        }
        match message {
            Message::Heartbeat {
                number,
                config,
                telling,
                ..
            } => peer.beats(number, config, telling, now),
            Message::Flows { number, .. } | Message::Begin { number } | Message::End { number } => {
                peer.takes(number, message, now)?
            }
            Message::Forgotten { numbers } => peer.forgot(&numbers, now),
            Message::Nothing { numbers } => {
                let known = numbers.iter().filter(|n| peer.repaired(**n)).count();
                self.counters.repaired += known as u64;
            }
            Message::Missing { of, numbers } if of == self.session => {
                self.telling
                    .ask(&numbers, &mut self.outputs, &mut self.urgent);
            }
            Message::Tell { of } if of == self.session => self.telling.all(&mut self.outputs),
            // Another peer is meant.
            Message::Missing { .. } | Message::Tell { .. } => {}
        }
        Ok(())
    }

    /// Does what peers' messages say whose turn it is.
    pub(super) fn take_ready(&mut self, now: Instant) {
        for (session, peer) in &mut self.peers {
            peer.on_time(now);
            self.counters.missed += std::mem::take(&mut peer.missed);
            while let Some(message) = peer.ready.pop_front() {
                match message {
                    Message::Flows {
                        repairs, records, ..
                    } => {
                        self.counters.repaired += u64::from(peer.repaired(repairs));
                        self.counters.records_received += records.len() as u64;
                        self.outputs.extend(records.into_iter().map(Output::Store));
                    }
                    Message::Begin { .. } => peer.begins(),
                    Message::End { .. } if peer.ends(now) => {
                        self.outputs.push_back(Output::Told(*session, peer.from));
                    }
                    // The rest have no turn, or end what we did not hear from its beginning.
                    _ => {}
                }
            }
        }
    }
}
