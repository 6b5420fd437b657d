//! TCP carried in user space.

use std::{
    io::{Read, Write},
    net::Shutdown,
    time::Duration,
};

use crate::rig::{Kind, Rig, backend, echo, refusing, talk, tally, tcp};

#[test]
fn what_is_sent_comes_back_and_the_end_is_passed_on() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |_| {})
        .apply();
    let mut stream = rig.connect();
    talk(&mut stream, "hello", "hello");
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(
        rest, "bye",
        "the backend can still answer after the client's end"
    );
    rig.until(|s| s.workers.connections_open == 0);
    let stats = rig.plane.stats();
    let service = stats.services.values().next().unwrap();
    assert_eq!(
        (service.connections, service.bytes_in, service.bytes_out),
        (1, 5, 8)
    );
    let backend = stats.backends.values().next().unwrap();
    assert_eq!((backend.in_flight, backend.counted.connections), (0, 1));
    assert_eq!(
        (backend.counted.bytes_out, backend.counted.bytes_in),
        (5, 8)
    );
    rig.plane.stop();
}

#[test]
fn large_transfers_arrive_whole_in_both_directions() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |_| {})
        .apply();
    let stream = rig.connect();
    let sent: Vec<u8> = (0..20_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let mut received = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(&sent).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        (&stream).read_to_end(&mut received).unwrap();
    });
    assert_eq!(received.len(), sent.len() + 3);
    assert!(received.starts_with(&sent) && received.ends_with(b"bye"));
}

#[test]
fn a_backend_that_refuses_is_passed_over_and_told_of() {
    let (dead, alive) = (refusing(), echo(""));
    let mut rig = Rig::new(1);
    rig.pool(&[dead, alive], |_| {})
        .service(Kind::Tcp, |_| {})
        .apply();
    for _ in 0..4 {
        talk(&mut rig.connect(), "x", "x");
    }
    crate::rig::wait_for(|| tally(&rig.told).get(&alive).is_some_and(|t| t.0 == 4));
    let tally = tally(&rig.told);
    assert_eq!(tally[&alive], (4, 0));
    assert!(tally[&dead].1 >= 2, "{tally:?}");
    let stats = rig.plane.stats();
    assert!(stats.services.values().next().unwrap().retries >= 2);
}

#[test]
fn a_client_of_no_backend_is_reset() {
    let mut rig = Rig::new(1);
    rig.pool(&[refusing()], |_| {})
        .service(Kind::Tcp, |_| {})
        .apply();
    let error = rig.connect().read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn idle_connections_end() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |s| {
            tcp(s).idle_timeout = Duration::from_millis(100)
        })
        .apply();
    let mut stream = rig.connect();
    talk(&mut stream, "x", "x");
    assert!(
        stream.read(&mut [0; 1]).is_err(),
        "reset, so that nobody takes it for an end"
    );
    rig.until(|s| s.workers.connections_open == 0);
}

#[test]
fn a_reset_is_passed_on() {
    let (seen, resets) = std::sync::mpsc::channel();
    let seen = std::sync::Mutex::new(seen);
    let address = backend(move |mut stream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream.write_all(&byte).unwrap();
        let _ = seen
            .lock()
            .unwrap()
            .send(stream.read(&mut byte).map_err(|e| e.kind()));
    });
    let mut rig = Rig::new(1);
    rig.pool(&[address], |_| {})
        .service(Kind::Tcp, |_| {})
        .apply();
    let mut stream = rig.connect();
    talk(&mut stream, "x", "x");
    let socket = socket2::SockRef::from(&stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    let seen = resets.recv_timeout(crate::rig::PATIENCE).unwrap();
    assert_eq!(seen, Err(std::io::ErrorKind::ConnectionReset));
}
