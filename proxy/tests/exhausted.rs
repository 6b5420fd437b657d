//! A process that runs out of file descriptors. On its own, since the limit is the process's.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests play clients and backends, which may block"
)]

#[path = "plane/rig.rs"]
mod rig;

use std::{net::TcpStream, time::Duration};

use rig::{Kind, Rig, echo, talk};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

fn limit(files: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = files.or(maximum);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

#[test]
fn accepting_rests_and_goes_on() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |_| {})
        .apply();
    let mut first = rig.connect();
    talk(&mut first, "1", "1");
    let address = rig.address(Kind::Tcp);
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    limit(Some(3));
    client.connect(&address.into()).unwrap();
    rig.until(|s| s.workers.accept_errors >= 1);
    talk(&mut first, "2", "2");
    std::thread::sleep(Duration::from_millis(350));
    let errors = rig.plane.stats().workers.accept_errors;
    assert!((1..50).contains(&errors), "{errors}: it does not spin");
    limit(None);
    let mut client = TcpStream::from(client);
    client.set_read_timeout(Some(rig::PATIENCE)).unwrap();
    talk(&mut client, "3", "3");
}
