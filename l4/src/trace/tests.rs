//! A trace of a program that is made up.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use control::name::Name;
use xdp::abi::{Addr6, TraceEvent};

use super::{
    worker::{Pace, round},
    *,
};

/// What the program was told, and its ring.
#[derive(Default)]
struct Program {
    /// One in so many, and of which services; none: off.
    on: Option<(u32, Option<Vec<String>>)>,
    told: u32,
    renewed: u32,
    ring: VecDeque<TraceEvent>,
    broken: bool,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Program>>);

impl Tap for Fake {
    fn open(&mut self, every: u32, services: Option<&[Name]>) -> io::Result<()> {
        let mut program = self.0.lock().unwrap();
        if program.broken {
            return Err(io::Error::other("no such map"));
        }
        let names = services.map(|names| names.iter().map(ToString::to_string).collect());
        program.on = Some((every, names));
        program.told += 1;
        Ok(())
    }

    fn renew(&mut self) {
        self.0.lock().unwrap().renewed += 1;
    }

    fn close(&mut self) {
        self.0.lock().unwrap().on = None;
    }

    fn next(&mut self) -> Option<TraceEvent> {
        self.0.lock().unwrap().ring.pop_front()
    }

    fn names(&self, event: &TraceEvent) -> Names {
        Names {
            service: ["web", "mail"]
                .get(event.service as usize)
                .map(|s| (*s).into()),
            backend: (event.backend == 0).then(|| "10.0.0.1:80".parse().unwrap()),
            interface: Some("eth0".into()),
        }
    }
}

fn event(service: u32, verdict: u8) -> TraceEvent {
    let word = |text: &str| Addr6 {
        a: u32::from_ne_bytes(text.parse::<std::net::Ipv4Addr>().unwrap().octets()),
        ..Addr6::default()
    };
    TraceEvent {
        nanos: 7,
        src: word("192.0.2.9"),
        dst: word("192.168.1.100"),
        sport: 4711_u16.to_be(),
        dport: 80_u16.to_be(),
        proto: 6,
        family: 4,
        verdict,
        reason: 0,
        backend: 0,
        service,
        ifindex: 2,
        length: 74,
    }
}

fn filter(pairs: &[(&str, &str)]) -> Filter {
    Filter::of(pairs.iter().copied()).unwrap()
}

/// A hub whose rounds the test makes itself.
fn still(fake: &Fake, ears: Vec<(Filter, u32)>) -> (Inside, Vec<Listener>) {
    let mut inside = Inside {
        ears: Vec::new(),
        tap: Box::new(fake.clone()),
        works: true,
    };
    let listeners = ears.into_iter().map(|(filter, per_second)| {
        let (to, from) = sync_channel(WAITING);
        let alive = Arc::new(());
        inside.ears.push(Ear {
            filter,
            per_second,
            sent: 0,
            missed: 0,
            to,
            alive: Arc::clone(&alive),
        });
        Listener {
            from,
            _alive: alive,
        }
    });
    let listeners = listeners.collect();
    (inside, listeners)
}

#[test]
fn each_listener_gets_what_it_wants_in_words() {
    let fake = Fake::default();
    let wanted = vec![
        (filter(&[("verdict", "drop")]), 100),
        (filter(&[("service", "mail")]), 100),
    ];
    let (mut inside, listeners) = still(&fake, wanted);
    fake.0
        .lock()
        .unwrap()
        .ring
        .extend([event(0, 1), event(1, 3), event(0, 2)]);
    assert!(round(&mut inside, &mut Pace::default()));
    let dropped = listeners[0].next_now().unwrap().unwrap();
    assert_eq!(dropped.source.to_string(), "192.0.2.9:4711");
    assert_eq!(dropped.destination.to_string(), "192.168.1.100:80");
    assert_eq!((&*dropped.protocol, &*dropped.verdict), ("tcp", "drop"));
    assert_eq!(dropped.reason.as_deref(), Some("no-backend"));
    assert_eq!(dropped.service.as_deref(), Some("web"));
    assert_eq!(dropped.interface.as_deref(), Some("eth0"));
    assert_eq!(listeners[0].next_now(), Ok(None));
    let new = listeners[1].next_now().unwrap().unwrap();
    assert_eq!((&*new.verdict, new.reason.as_deref()), ("new", None));
    assert_eq!(listeners[1].next_now(), Ok(None));
    // One of them wants only one service, the other all.
    assert_eq!(fake.0.lock().unwrap().on, Some((1, None)));
}

#[test]
fn of_a_reply_the_client_is_whom_it_goes_to() {
    let fake = Fake::default();
    let wanted = vec![(filter(&[("client", "192.168.1.100")]), 100)];
    let (mut inside, listeners) = still(&fake, wanted);
    fake.0
        .lock()
        .unwrap()
        .ring
        .extend([event(0, 3), event(0, 4)]);
    assert!(round(&mut inside, &mut Pace::default()));
    let reply = listeners[0].next_now().unwrap().unwrap();
    assert_eq!(reply.verdict, "reply");
    assert_eq!(listeners[0].next_now(), Ok(None));
}

#[test]
fn too_much_is_sampled_less_and_said() {
    let fake = Fake::default();
    let (mut inside, listeners) = still(&fake, vec![(Filter::default(), 10)]);
    let mut pace = Pace::default();
    for _ in 0..3 {
        fake.0
            .lock()
            .unwrap()
            .ring
            .extend(std::iter::repeat_n(event(0, 2), 1000));
        assert!(round(&mut inside, &mut pace));
    }
    assert_eq!(pace.every, 8);
    assert_eq!(fake.0.lock().unwrap().on, Some((8, None)));
    let got: Vec<Decision> = std::iter::from_fn(|| listeners[0].next_now().unwrap()).collect();
    assert_eq!(got.len(), 10, "no more than its rate");
    // When it is calm again, more is looked at, and what was left out is told.
    fake.0.lock().unwrap().ring.clear();
    for _ in 0..400 {
        assert!(round(&mut inside, &mut pace));
    }
    assert_eq!(pace.every, 1);
    assert_eq!(fake.0.lock().unwrap().renewed, 8, "once a second");
    fake.0.lock().unwrap().ring.push_back(event(0, 2));
    assert!(round(&mut inside, &mut pace));
    let next = listeners[0].next_now().unwrap().unwrap();
    assert_eq!((next.missed, next.one_in), (1190, 1));
}

#[test]
fn it_is_on_only_while_somebody_listens() {
    let fake = Fake::default();
    fake.0.lock().unwrap().on = Some((1, None));
    let hub = Hub::new(Box::new(fake.clone()));
    assert_eq!(fake.0.lock().unwrap().on, None, "left on by a predecessor");
    let first = hub.listen(filter(&[("service", "web")]), 100).unwrap();
    let expected = Some((1, Some(vec!["web".to_owned()])));
    assert_eq!(fake.0.lock().unwrap().on, expected);
    let second = hub.listen(Filter::default(), 100).unwrap();
    fake.0.lock().unwrap().ring.push_back(event(0, 3));
    assert!(first.wait(Duration::from_secs(10)).is_some());
    assert!(second.wait(Duration::from_secs(10)).is_some());
    drop(second);
    // A listener that dies is one that drops.
    std::thread::spawn(move || {
        let _first = first;
    })
    .join()
    .unwrap();
    let mut looks = 0;
    while hub.is_open() {
        looks += 1;
        assert!(looks < 1000, "it stays on");
        std::thread::sleep(worker::ROUND);
    }
    assert_eq!(fake.0.lock().unwrap().on, None);
    // And on again for the next, until the plane ends.
    let third = hub.listen(Filter::default(), 100).unwrap();
    assert!(hub.is_open());
    hub.end();
    assert_eq!(fake.0.lock().unwrap().on, None);
    assert_eq!(third.next_now(), Err(Ended));
}

#[test]
fn listeners_are_bounded_and_told_what_does_not_work() {
    let fake = Fake::default();
    let hub = Hub::new(Box::new(fake.clone()));
    let all: Vec<_> = (0..LISTENERS)
        .map(|_| hub.listen(Filter::default(), 1).unwrap())
        .collect();
    let refused = hub.listen(Filter::default(), 1);
    assert_eq!(refused.unwrap_err(), Refused::TooMany);
    drop(all);
    fake.0.lock().unwrap().broken = true;
    let refused = hub.listen(Filter::default(), 1).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "decisions cannot be traced: no such map"
    );
}
