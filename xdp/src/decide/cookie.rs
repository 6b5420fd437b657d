//! SYN cookies: a SYN is answered and forgotten, and its flow begins when the answer is acknowledged. [`mod@crate::cookie`]
//! is how cookies are made, [`mod@super::splice`] what becomes of a flow that one has opened.

use super::{Action, Entry, Tables, Turn, Verdict, follow, get, part, put};
use crate::{
    abi::{Family, Guard, Reason, Secret, Tuple, flow_flags, service_flags},
    cookie,
    packet::{
        Kind, Packet,
        header::{
            Tcp, proto,
            tcp_flags::{ACK, FIN, RST, SYN},
        },
    },
    rewrite,
    verifier::below,
};

/// What cookies make of a TCP packet of no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// Nothing: it is for the service as it is.
    Left,
    /// It was decided on.
    Decided,
    /// It brought a cookie back: from here on it is the SYN that it answers for.
    Opens,
}

/// What [`Tables::returned`] says of an acknowledgement.
pub mod returned {
    /// It brings no cookie of ours.
    pub const NOTHING: u32 = 0;
    /// It does, and its sequence number is the one after the client's SYN, as it should be.
    pub const NEXT: u32 = 1;
    /// It does, and its sequence number is that of the SYN itself: a probe of the window that the client finds closed.
    pub const SAME: u32 = 2;
}

/// What cookies make of a TCP packet of no flow, to the service in `slot` with these flags.
#[inline(always)]
pub(super) fn meet<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &mut Packet<F>,
    flags: u32,
    slot: u32,
    verdict: &mut Verdict<F>,
) -> Met {
    let (Some(secret), Some(guard)) = (tables.secret(), tables.guard(slot)) else {
        return Met::Left;
    };
    let automatic = flags & service_flags::COOKIES_AUTO != 0;
    let open = get!(guard.open) as i32;
    let in_force = !automatic || open > get!(secret.open) as i32;
    match packet.tcp_flags & (SYN | ACK | RST) {
        SYN if in_force => {
            greet(tables, packet, slot, guard, verdict);
            Met::Decided
        }
        ACK if !automatic || is_recent(tables, guard) => {
            come_back(tables, packet, slot, in_force, verdict)
        }
        _ => Met::Left,
    }
}

/// A SYN is answered with a cookie.
#[inline(always)]
fn greet<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &Packet<F>,
    slot: u32,
    guard: Entry<Guard>,
    verdict: &mut Verdict<F>,
) {
    if packet.kind != Kind::Whole || !rewrite::is_one_host::<F>(packet.tuple.src) {
        // No TCP fragments what it begins with, and nobody answers to many.
        return verdict.drop(Reason::Malformed);
    }
    let now = tables.now();
    // 0 would mean that none was sent.
    let tick = now.0 | 1;
    if get!(guard.sent) != tick {
        put!(guard.sent = tick);
    }
    if let Some(cookies) = tables.cookies(slot) {
        put!(cookies.sent = get!(cookies.sent).wrapping_add(1));
    }
    follow::clamp(tables, verdict);
    let most = cookie::offered::<F>();
    if verdict.mss == 0 || verdict.mss > most {
        verdict.mss = most;
    }
    verdict.action = Action::Cookie;
}

/// Whether cookies were sent so lately that one may still come back.
#[inline(always)]
fn is_recent<F: Family, T: Tables<F>>(tables: &T, guard: Entry<Guard>) -> bool {
    let sent = get!(guard.sent);
    sent != 0 && tables.now().0.wrapping_sub(sent) as i32 <= cookie::LIFE as i32
}

/// An acknowledgement that belongs to no flow: it may bring a cookie back.
#[inline(always)]
fn come_back<F: Family, T: Tables<F>>(
    tables: &T,
    packet: &mut Packet<F>,
    slot: u32,
    in_force: bool,
    verdict: &mut Verdict<F>,
) -> Met {
    if packet.kind != Kind::Whole {
        return Met::Left;
    }
    let l4 = below(packet.l4, 0x3fff);
    let Some(tcp) = tables.frame().read::<Tcp>(l4) else {
        return Met::Left;
    };
    let (seq, ack) = (u32::from_be(tcp.seq), u32::from_be(tcp.ack));
    let cookies = tables.cookies(slot);
    let came = tables.returned(&packet.tuple, seq, ack);
    if came != returned::NOTHING {
        if let Some(cookies) = cookies {
            put!(cookies.accepted = get!(cookies.accepted).wrapping_add(1));
        }
        packet.tcp_flags = SYN;
        verdict.turn = Turn::Open;
        verdict.number = seq.wrapping_sub(u32::from(came == returned::NEXT));
        verdict.cookie = ack.wrapping_sub(1);
        return Met::Opens;
    }
    // With data, or with an end, it is of a connection that was forgotten: its client had better be told.
    let header = u32::from(tcp.offset >> 4) * 4;
    let is_bare = packet.length == (l4 as u32).wrapping_sub(packet.l3 as u32) + header;
    if in_force && is_bare && packet.tcp_flags & FIN == 0 {
        if let Some(cookies) = cookies {
            put!(cookies.bad = get!(cookies.bad).wrapping_add(1));
        }
        verdict.drop(Reason::BadCookie);
        return Met::Decided;
    }
    Met::Left
}

/// Whether an acknowledgement brings a cookie back, as [`mod@returned`] says.
#[inline(always)]
pub fn returned<F: Family, T: Tables<F>>(tables: &T, tuple: &Tuple<F>, seq: u32, ack: u32) -> u32 {
    let Some(secret) = tables.secret() else {
        return returned::NOTHING;
    };
    let key = key(secret);
    let cookie = ack.wrapping_sub(1);
    let counter = cookie::counter(tables.now());
    let mut attempt = 0;
    while attempt < 4 {
        let (before, older) = (attempt >> 1, attempt & 1);
        let isn = seq.wrapping_sub(1 - before);
        let then = counter.wrapping_sub(older);
        if cookie::make(key, tuple, isn, then, cookie) == cookie {
            return if before == 0 {
                returned::NEXT
            } else {
                returned::SAME
            };
        }
        attempt += 1;
    }
    returned::NOTHING
}

/// The cookie for the SYN in the frame. None: the frame is too short for it.
#[inline(always)]
pub fn cookie_for<F: Family, T: Tables<F>>(tables: &T, packet: &Packet<F>) -> Option<u32> {
    let secret = tables.secret()?;
    let frame = tables.frame();
    let syn: Tcp = frame.read(packet.l4)?;
    let mss = rewrite::offered_mss(frame, packet)?;
    let mss = if mss == 0 {
        cookie::assumed::<F>()
    } else {
        mss
    };
    Some(cookie::make(
        key(secret),
        &packet.tuple,
        u32::from_be(syn.seq),
        cookie::counter(tables.now()),
        cookie::index::<F>(mss),
    ))
}

#[inline(always)]
fn key(secret: Entry<Secret>) -> [u64; 2] {
    get!(secret.key)
}

/// A handshake begins whose service counts them.
#[inline(always)]
pub(super) fn opens<F: Family, T: Tables<F>>(tables: &T, slot: u32, flags: u32, protocol: u8) {
    if flags & service_flags::COOKIES_AUTO != 0 && protocol == proto::TCP {
        change(tables, slot, 1);
    }
}

/// A flow of these flags, of the service in `slot`, is no handshake any more, or no flow.
#[inline(always)]
pub(super) fn closes<F: Family, T: Tables<F>>(tables: &T, slot: u32, flags: u8, protocol: u8) {
    if flags & flow_flags::PENDING == 0 || protocol != proto::TCP {
        return;
    }
    if let Some(service) = tables.service(slot)
        && get!(service.flags) & service_flags::COOKIES_AUTO != 0
    {
        change(tables, slot, 1_u32.wrapping_neg());
    }
}

#[inline(always)]
fn change<F: Family, T: Tables<F>>(tables: &T, slot: u32, by: u32) {
    if let Some(guard) = tables.guard(slot) {
        tables.bump(part!(guard.open), by);
    }
}
