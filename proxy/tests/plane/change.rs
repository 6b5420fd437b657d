//! Plans that change while traffic goes on, limits, and leaving.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use control::{
    plan::Duty,
    spec::{Listen, ProxySpec},
};
use proxy::plane::Stop;

use crate::rig::{
    Kind, Rig, backend, connect, echo, key, member, pool_spec, refusing, talk, tcp, wait_for,
};

#[test]
fn connections_outlive_changes_and_new_ones_follow_them() {
    let (a, b) = (echo("a"), echo("b"));
    let mut rig = Rig::new(2);
    rig.pool(&[a], |_| {}).service(Kind::Tcp, |_| {}).apply();
    let address = rig.address(Kind::Tcp);
    let mut old = rig.connect();
    talk(&mut old, "1", "a1");
    for _ in 0..20 {
        rig.pool(&[b], |_| {});
        rig.service(Kind::Tcp, |s| tcp(s).idle_timeout = Duration::from_secs(77))
            .apply();
        talk(&mut old, "2", "a2");
        talk(&mut rig.connect(), "3", "b3");
    }
    assert_eq!(rig.address(Kind::Tcp), address, "the sockets are the same");
}

#[test]
fn a_transfer_is_whole_though_plans_change_all_the_time() {
    let sent: Vec<u8> = (0..8_000_000_u32).map(|n| (n / 7) as u8).collect();
    let mut rig = Rig::new(1);
    let source = {
        let sent = sent.clone();
        backend(move |mut stream| stream.write_all(&sent).unwrap())
    };
    rig.pool(&[source], |_| {})
        .service(Kind::Tcp, |_| {})
        .apply();
    let mut stream = rig.connect();
    let mut received = vec![0; sent.len()];
    for piece in received.chunks_mut(100_000) {
        stream.read_exact(piece).unwrap();
        rig.pool(&[source], |_| {})
            .service(Kind::Tcp, |_| {})
            .apply();
    }
    assert!(received == sent);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_listener_that_goes_serves_what_has_queued() {
    let mut rig = Rig::new(1);
    let limit = |max_connections| ProxySpec {
        max_connections,
        ..ProxySpec::default()
    };
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |_| {})
        .proxy(limit(1))
        .apply();
    let address = rig.address(Kind::Tcp);
    let mut first = connect(address);
    talk(&mut first, "1", "1");
    let mut queued: Vec<TcpStream> = (0..5).map(|_| connect(address)).collect();
    rig.remove_service(Kind::Tcp).apply();
    for stream in &mut queued {
        talk(stream, "2", "2");
    }
    talk(&mut first, "3", "3");
    wait_for(|| TcpStream::connect(address).is_err());
}

#[test]
fn a_listener_that_comes_back_at_once_can_be_bound() {
    let mut rig = Rig::new(2);
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |_| {})
        .service(Kind::Udp, |_| {})
        .apply();
    let (tcp_at, udp_at) = (rig.address(Kind::Tcp), rig.address(Kind::Udp));
    let flow = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    flow.send_to(b"x", udp_at).unwrap();
    rig.until(|s| s.workers.connections_open == 1);
    for _ in 0..5 {
        rig.remove_service(Kind::Tcp)
            .remove_service(Kind::Udp)
            .apply();
        rig.service(Kind::Tcp, |s| {
            s.listen[0] = Listen::new(s.listen[0].scheme, tcp_at)
        })
        .service(Kind::Udp, |s| {
            s.listen[0] = Listen::new(s.listen[0].scheme, udp_at)
        })
        .apply();
        talk(&mut connect(tcp_at), "1", "1");
    }
}

#[test]
fn an_address_in_use_is_an_error_that_says_where() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut rig = Rig::new(2);
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |_| {})
        .apply();
    let mut stream = rig.connect();
    let good = rig.spec.clone();
    rig.service(Kind::Tcp, |s| {
        s.listen[0] = Listen::new(s.listen[0].scheme, address)
    });
    let errors = rig.plane.prepare(&rig.spec).err().unwrap();
    let text = errors.to_string();
    assert!(
        text.starts_with(&format!("service tcp cannot listen on tcp://{address}: ")),
        "{text}"
    );
    rig.spec = good;
    talk(&mut stream, "1", "1");
    talk(&mut rig.connect(), "2", "2");
}

#[test]
fn two_planes_do_not_share_an_address_by_accident() {
    let (mut one, mut two) = (Rig::new(1), Rig::new(1));
    one.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |_| {})
        .apply();
    let address = one.address(Kind::Tcp);
    two.service(Kind::Tcp, |s| {
        s.listen[0] = Listen::new(s.listen[0].scheme, address)
    });
    assert!(two.plane.prepare(&two.spec).is_err());
}

#[test]
fn past_max_connections_clients_wait() {
    for of_service in [true, false] {
        let mut rig = Rig::new(1);
        let max = 2;
        rig.pool(&[echo("")], |_| {})
            .service(Kind::Tcp, |s| s.max_connections = of_service.then_some(max))
            .proxy(ProxySpec {
                max_connections: if of_service { 1000 } else { max },
                ..ProxySpec::default()
            })
            .apply();
        let mut inside: Vec<TcpStream> = (0..2).map(|_| rig.connect()).collect();
        for stream in &mut inside {
            talk(stream, "x", "x");
        }
        let mut waits = rig.connect();
        waits.write_all(b"y").unwrap();
        waits
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        assert!(waits.read(&mut [0]).is_err(), "not served yet");
        assert_eq!(rig.plane.stats().workers.connections_open, 2);
        drop(inside.pop());
        waits.set_read_timeout(Some(crate::rig::PATIENCE)).unwrap();
        let mut byte = [0];
        waits.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"y");
    }
}

#[test]
fn a_limit_that_was_lowered_lets_in_again_once_enough_have_left() {
    let mut rig = Rig::new(2);
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |s| s.max_connections = Some(100))
        .apply();
    let mut inside: Vec<TcpStream> = (0..5).map(|_| rig.connect()).collect();
    for stream in &mut inside {
        talk(stream, "x", "x");
    }
    rig.service(Kind::Tcp, |s| s.max_connections = Some(2))
        .apply();
    let mut waits = rig.connect();
    waits.write_all(b"y").unwrap();
    inside.truncate(1);
    let mut byte = [0];
    waits.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"y");
}

#[test]
fn a_listener_can_move_between_a_wildcard_and_an_address() {
    let mut rig = Rig::new(2);
    rig.pool(&[echo("")], |_| {});
    let narrow = refusing();
    let wide = std::net::SocketAddr::from(([0, 0, 0, 0], narrow.port()));
    for at in [narrow, wide, narrow, wide] {
        rig.service(Kind::Tcp, |s| {
            s.listen[0] = Listen::new(s.listen[0].scheme, at)
        })
        .apply();
        assert_eq!(rig.address(Kind::Tcp), at);
        talk(&mut connect(narrow), "1", "1");
    }
}

#[test]
fn all_that_queue_get_their_turn() {
    let address = echo("");
    let mut limited = member(address);
    limited.max_connections = Some(2);
    let mut rig = Rig::new(2);
    rig.members(pool_spec(&[address]), vec![limited])
        .service(Kind::Tcp, |_| {})
        .apply();
    let clients: Vec<TcpStream> = (0..30).map(|_| rig.connect()).collect();
    std::thread::scope(|scope| {
        for mut client in clients {
            scope.spawn(move || talk(&mut client, "x", "x"));
        }
    });
    rig.until(|s| s.workers.connections_open == 0);
    assert_eq!(
        rig.plane
            .stats()
            .services
            .values()
            .next()
            .unwrap()
            .connections,
        30
    );
}

#[test]
fn connections_queue_for_a_backend_with_room() {
    let address = echo("");
    let mut limited = member(address);
    limited.max_connections = Some(1);
    let mut spec = pool_spec(&[address]);
    spec.queue.limit = 1;
    let mut rig = Rig::new(2);
    rig.members(spec, vec![limited])
        .service(Kind::Tcp, |_| {})
        .apply();
    let mut first = rig.connect();
    talk(&mut first, "1", "1");
    let mut second = rig.connect();
    rig.until(|s| s.pools.values().next().unwrap().queued == 1);
    let mut third = rig.connect();
    assert!(third.read(&mut [0]).is_err(), "the queue is full");
    drop(first);
    talk(&mut second, "2", "2");
    assert_eq!(rig.plane.stats().pools.values().next().unwrap().queued, 0);
}

#[test]
fn waiting_in_the_queue_has_an_end() {
    let address = echo("");
    let mut limited = member(address);
    limited.max_connections = Some(1);
    let mut spec = pool_spec(&[address]);
    spec.queue.timeout = Duration::from_millis(50);
    let mut rig = Rig::new(1);
    rig.members(spec, vec![limited])
        .service(Kind::Tcp, |_| {})
        .apply();
    let mut first = rig.connect();
    talk(&mut first, "1", "1");
    assert!(rig.connect().read(&mut [0]).is_err());
    talk(&mut first, "2", "2");
}

#[test]
fn a_draining_backend_finishes_and_is_reported_once() {
    let (a, b) = (echo("a"), echo("b"));
    let mut rig = Rig::new(2);
    rig.pool(&[a], |_| {}).service(Kind::Tcp, |_| {}).apply();
    let mut old = rig.connect();
    talk(&mut old, "1", "a1");
    let mut draining = member(a);
    draining.duty = Duty::Finish { until: None };
    rig.members(pool_spec(&[a, b]), vec![draining.clone(), member(b)])
        .apply();
    talk(&mut rig.connect(), "2", "b2");
    talk(&mut old, "3", "a3");
    assert!(rig.told.drained.lock().unwrap().is_empty());
    drop(old);
    wait_for(|| !rig.told.drained.lock().unwrap().is_empty());
    rig.members(pool_spec(&[a, b]), vec![draining, member(b)])
        .apply();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(*rig.told.drained.lock().unwrap(), [key(a)]);
}

#[test]
fn a_drain_that_lasts_too_long_is_cut() {
    let (a, b) = (echo("a"), echo("b"));
    let mut rig = Rig::new(1);
    rig.pool(&[a], |_| {}).service(Kind::Tcp, |_| {}).apply();
    let mut old = rig.connect();
    talk(&mut old, "1", "a1");
    let mut draining = member(a);
    // The plane's clock is the system's monotonic one: any small instant has passed.
    draining.duty = Duty::Finish {
        until: Some(control::time::Instant::ZERO),
    };
    rig.members(pool_spec(&[a, b]), vec![draining, member(b)])
        .apply();
    assert!(old.read(&mut [0]).is_err(), "reset");
    assert_eq!(rig.plane.stats().workers.cut, 1);
    wait_for(|| rig.told.drained.lock().unwrap().len() == 1);
}

#[test]
fn connections_of_a_service_that_went_are_cut_in_the_end() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |_| {})
        .apply();
    let mut stream = rig.connect();
    talk(&mut stream, "1", "1");
    let drain = Duration::from_millis(80);
    rig.remove_service(Kind::Tcp)
        .proxy(ProxySpec {
            drain,
            ..ProxySpec::default()
        })
        .apply();
    talk(&mut stream, "2", "2");
    assert!(stream.read(&mut [0]).is_err());
}

#[test]
fn a_successor_takes_over_without_losing_a_connection() {
    let mut old = Rig::new(2);
    old.pool(&[echo("old")], |_| {})
        .service(Kind::Tcp, |_| {})
        .apply();
    let address = old.address(Kind::Tcp);
    let mut kept = connect(address);
    talk(&mut kept, "1", "old1");
    // Fewer workers than sockets: each of them still has a queue that must be served.
    let mut new = Rig::inheriting(1, old.plane.sockets().unwrap());
    new.pool(&[echo("new")], |_| {})
        .service(Kind::Tcp, |s| s.listen[0] = old.spec.services[0].listen[0])
        .apply();
    old.plane.stop_accepting(Stop::HandedOver).wait_blocking();
    for _ in 0..40 {
        talk(&mut connect(address), "2", "new2");
    }
    talk(&mut kept, "3", "old3");
    let done = old.plane.drain(crate::rig::PATIENCE);
    kept.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    kept.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "bye");
    done.wait_blocking();
    assert_eq!(old.plane.stats().workers.cut, 0);
    old.plane.stop();
    talk(&mut connect(address), "4", "new4");
}

#[test]
fn a_drain_of_the_process_ends_in_time() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |_| {})
        .apply();
    let mut stream = rig.connect();
    talk(&mut stream, "1", "1");
    rig.plane.stop_accepting(Stop::Final).wait_blocking();
    rig.plane.drain(Duration::from_millis(50)).wait_blocking();
    assert_eq!(rig.plane.stats().workers.cut, 1);
    assert!(stream.read(&mut [0]).is_err());
    rig.plane.stop();
}
