//! What is asked of the kernel data plane.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use ::l4::{
    filter::Filter,
    trace::{Hub, Names, Tap},
};
use control::name::Name;
use xdp::abi::{Addr6, TraceEvent};

use super::*;
use crate::api::model::{Connections, Decision, L4Status};

/// A program that makes the same decision again and again.
#[derive(Clone, Default)]
struct Busy {
    on: Arc<AtomicBool>,
    ring: Arc<Mutex<VecDeque<TraceEvent>>>,
}

impl Tap for Busy {
    fn open(&mut self, _every: u32, _services: Option<&[Name]>) -> io::Result<()> {
        self.on.store(true, Relaxed);
        Ok(())
    }

    fn renew(&mut self) {}

    fn close(&mut self) {
        self.on.store(false, Relaxed);
    }

    fn next(&mut self) -> Option<TraceEvent> {
        self.ring.lock().unwrap().pop_front()
    }

    fn names(&self, _event: &TraceEvent) -> Names {
        Names {
            service: Some("web".into()),
            ..Names::default()
        }
    }
}

fn event() -> TraceEvent {
    TraceEvent {
        nanos: 1,
        src: Addr6::default(),
        dst: Addr6::default(),
        sport: 0,
        dport: 80_u16.to_be(),
        proto: 6,
        family: 4,
        verdict: 3,
        reason: 0,
        backend: 0,
        service: 0,
        ifindex: 1,
        length: 60,
    }
}

#[test]
fn decisions_stream_until_the_reader_goes_and_then_none_are_made() {
    let busy = Busy::default();
    let hub = Hub::new(Box::new(busy.clone()));
    let site = site_of(Remembers {
        hub: Some(hub.clone()),
        ..Remembers::default()
    });
    let mut got: Vec<Decision> = Vec::new();
    let mut alive = 0;
    let ring = Arc::clone(&busy.ring);
    // The empty lines come by themselves; two decisions are made at the first of them.
    let streamed = block_on(site.client.lines(
        "/v1/l4/trace?service=web&rate=7&verdict=new",
        &mut |line| {
            if line == b"\n" {
                alive += 1;
                ring.lock().unwrap().extend([event(), event()]);
            } else {
                got.push(serde_json::from_slice(line).unwrap());
            }
            got.len() < 2
        },
    ));
    streamed.unwrap();
    assert!(alive > 0);
    assert_eq!(got[1].destination, "0.0.0.0:80");
    assert_eq!(
        (&*got[1].verdict, got[1].service.as_deref()),
        ("new", Some("web"))
    );
    let mut looks = 0;
    while hub.is_open() || busy.on.load(Relaxed) {
        looks += 1;
        assert!(looks < 1000, "nobody reads, and it goes on");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn what_cannot_be_traced_or_shown_is_refused_in_words() {
    let site = site();
    for (path, expected) in [
        ("/v1/l4", "no kernel data plane"),
        ("/v1/l4/trace", "no kernel data plane"),
        ("/v1/l4/trace?colour=red", "there is no filter"),
        ("/v1/l4/trace?rate=fast", "no number"),
        ("/v1/l4/connections?limit=all", "no number"),
        (
            "/v1/l4/connections?verdict=drop",
            "a connection has no verdict",
        ),
        ("/v1/l4/connections?client=me", "IP:PORT"),
    ] {
        let refused: Result<L4Status, Failure> = block_on(site.client.get(path));
        let failure = refused.unwrap_err();
        assert_eq!(failure.code(), 1, "{path}");
        assert!(failure.to_string().contains(expected), "{path}: {failure}");
    }
    assert!(site.node.filters.lock().unwrap().is_empty());
}

#[test]
fn connections_are_asked_for_within_bounds() {
    let site = site();
    let path = "/v1/l4/connections?client=192.0.2.0%2F24&limit=99999999";
    let _: Connections = block_on(site.client.get(path)).unwrap();
    let _: Connections = block_on(site.client.get("/v1/l4/connections")).unwrap();
    let wanted = Filter::of([("client", "192.0.2.0/24")]).unwrap();
    let asked = site.node.filters.lock().unwrap().clone();
    assert_eq!(asked, [(wanted, 50_000), (Filter::default(), 1000)]);
}

#[test]
fn packets_are_asked_about_by_addresses_or_whole() {
    use crate::api::model::PacketExplanation;
    let site = site();
    let ask = |body: &str| -> Result<Vec<PacketExplanation>, Failure> {
        block_on(site.client.post("/v1/l4/explain", body.to_owned()))
    };
    let flow = r#"{"flow":{"protocol":"tcp","source":"192.0.2.9:1","destination":"192.0.2.1:80","flags":"fin,ack"}}"#;
    let told = ask(flow).unwrap();
    assert!(told[0].packet.contains("flags: 17"), "{told:?}");
    let told = ask(r#"{"frames":[{"hex":"00fF","length":60},{"hex":""}]}"#).unwrap();
    assert_eq!(told.len(), 2);
    assert!(told[0].packet.contains("[0, 255], length: 60"), "{told:?}");
    for (body, expected) in [
        ("{}", "give a `flow`"),
        (r#"{"frames":[{"hex":"0"}]}"#, "hexadecimal"),
        (r#"{"frames":[{"hex":"+f"}]}"#, "hexadecimal"),
        (r#"{"frames":[{"hex":"äx"}]}"#, "hexadecimal"),
        (
            r#"{"flow":{"protocol":"icmp","source":"1.2.3.4:1","destination":"1.2.3.4:2"}}"#,
            "sctp",
        ),
        (
            r#"{"flow":{"protocol":"udp","source":"1.2.3.4","destination":"1.2.3.4:2"}}"#,
            "IP:PORT",
        ),
        (
            r#"{"flow":{"protocol":"udp","source":"1.2.3.4:1","destination":"[::1]:2"}}"#,
            "families",
        ),
        (r#"{"packets":[]}"#, "unknown field"),
    ] {
        let failure = ask(body).unwrap_err();
        assert!(failure.to_string().contains(expected), "{body}: {failure}");
    }
}
