//! Both sides in one process, and strangers.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    thread,
};

use control::{
    spec::{Listen, Scheme},
    status::{Saved, SavedBackend},
};

use super::{wire::Hello, *};

/// Gives `goods` on one end of a pair while `successor` does as it likes on the other.
fn between<T>(
    goods: Result<Goods, String>,
    successor: impl FnOnce(UnixStream) -> T,
) -> (Result<Successor, Failure>, T) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let giving = scope.spawn(move || give(ours, || goods));
        let outcome = successor(theirs);
        (giving.join().unwrap(), outcome)
    })
}

fn some_backend() -> Saved {
    let backend: SavedBackend =
        serde_json::from_str(r#"{"key": "web/10.0.0.1:80", "weight": 7, "unheard-of": [1]}"#)
            .unwrap();
    Saved {
        backends: vec![backend],
    }
}

fn many_sockets(count: usize) -> Vec<(Listen, std::os::fd::OwnedFd)> {
    let open = |_| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = Listen::new(Scheme::Http, listener.local_addr().unwrap());
        (listen, listener.into())
    };
    (0..count).map(open).collect()
}

#[test]
fn sockets_come_over_with_their_queues() {
    // More than one batch of descriptors.
    let sockets = many_sockets(450);
    let waiting: Vec<_> = sockets
        .iter()
        .map(|(listen, _)| TcpStream::connect(listen.address).unwrap())
        .collect();
    let goods = Goods {
        sockets,
        saved: some_backend(),
    };
    let (given, ()) = between(Ok(goods), |stream| {
        let (taken, Goods { sockets, saved }) = take(stream).unwrap();
        assert_eq!(saved, some_backend());
        assert_eq!(sockets.len(), 450);
        for ((listen, socket), client) in sockets.into_iter().zip(&waiting) {
            let listener = TcpListener::from(socket);
            assert_eq!(listener.local_addr().unwrap(), listen.address);
            let (_, peer) = listener.accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
        drop(thread::spawn(move || taken.serving()));
    });
    let successor = given.unwrap();
    assert_eq!(successor.pid, std::process::id());
    successor.farewell().unwrap();
}

#[test]
fn a_successor_that_fails_says_why() {
    let (given, ()) = between(Ok(Goods::default()), |stream| {
        let (taken, _) = take(stream).unwrap();
        taken.failed("address in use");
    });
    assert_eq!(given.unwrap_err().to_string(), "address in use");
}

#[test]
fn a_successor_that_crashes_is_noticed() {
    let (given, ()) = between(Ok(Goods::default()), |stream| drop(take(stream).unwrap()));
    assert_eq!(
        given.unwrap_err().to_string(),
        "waiting for the successor to serve: the other process has ended"
    );
}

#[test]
fn one_that_ends_before_the_farewell_leaves_nobody_alone() {
    let (given, ()) = between(Ok(Goods::default()), |stream| {
        let (taken, _) = take(stream.try_clone().unwrap()).unwrap();
        stream
            .set_read_timeout(Some(std::time::Duration::from_millis(1)))
            .unwrap();
        assert!(taken.serving().is_err());
    });
    assert!(given.unwrap().farewell().is_err());
}

#[test]
fn a_refusal_is_passed_on() {
    let (given, taken) = between(Err("another successor is being started".into()), take);
    assert!(given.is_err());
    assert_eq!(
        taken.unwrap_err().to_string(),
        "another successor is being started"
    );
}

#[test]
fn another_protocol_is_refused_clearly_on_both_sides() {
    let hello = Hello {
        protocol: 99,
        version: "9.9".into(),
        pid: 1,
    };
    let (given, ()) = between(Ok(Goods::default()), |stream| {
        wire::send(&stream, &hello).unwrap();
        let offer: wire::Offer = wire::receive(&stream, "").unwrap();
        assert!(offer.refused.unwrap().contains("aplomb 9.9"));
    });
    assert!(given.unwrap_err().to_string().contains("protocol 99"));
}

#[test]
fn strangers_are_refused() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"aplm\xff\xff\xff\xff",
        b"aplm\0\0\0\x02[]",
        b"aplm\0\0\x01\0{}",
        b"",
    ] {
        let (given, ()) = between(Ok(Goods::default()), |mut stream| {
            stream.write_all(bytes).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said);
            assert!(said.is_empty(), "{bytes:?} got {said:?}");
        });
        assert!(given.is_err(), "{bytes:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_door_is_for_this_user_and_goes_with_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.handover");
    let first = Door::open(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = Door::open(&path).unwrap();
    drop(first);
    assert!(path.exists(), "the second one's");
    let knock = thread::spawn({
        let path = path.clone();
        move || UnixStream::connect(path).unwrap()
    });
    assert!(second.next().await.unwrap().is_some());
    drop(knock.join());
    drop(second);
    assert!(!path.exists());
}
