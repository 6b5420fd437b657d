//! The PROXY protocol, in and out.

use std::{
    io::{Read, Write},
    net::SocketAddr,
};

use control::spec::pool::ProxyProtocol;
use proxy::{
    proxy_protocol::{self, Header, Parsed},
    stats::{Fault, Reason, Side},
};

use crate::rig::{Kind, Rig, backend, echo, talk};

/// A backend that answers with the source and destination of the header that it gets, and what follows it.
fn understanding() -> SocketAddr {
    backend(|mut stream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let Ok(Parsed::Complete(
            Header::Forwarded {
                source,
                destination,
            },
            length,
        )) = proxy_protocol::parse(&bytes)
        else {
            panic!("{}", bytes.escape_ascii());
        };
        let rest = String::from_utf8_lossy(&bytes[length..]).into_owned();
        write!(stream, "{source} {destination} {rest}").unwrap();
    })
}

fn answer(mut stream: std::net::TcpStream, sent: &[u8]) -> String {
    stream.write_all(sent).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn backends_are_told_who_the_client_is() {
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let mut rig = Rig::new(1);
        rig.pool(&[understanding()], |p| {
            p.connect.proxy_protocol = Some(version)
        })
        .service(Kind::Tcp, |_| {})
        .apply();
        let stream = rig.connect();
        let client = stream.local_addr().unwrap();
        let ours = rig.address(Kind::Tcp);
        assert_eq!(answer(stream, b"hello"), format!("{client} {ours} hello"));
    }
}

#[test]
fn what_a_trusted_peer_says_is_passed_on() {
    let mut rig = Rig::new(1);
    rig.pool(&[understanding()], |p| {
        p.connect.proxy_protocol = Some(ProxyProtocol::V2)
    })
    .service(Kind::Tcp, |s| {
        s.accept_proxy_protocol = vec!["127.0.0.0/8".parse().unwrap()]
    })
    .apply();
    let told = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\nhello";
    let expected = "192.0.2.1:1234 192.0.2.2:80 hello";
    assert_eq!(answer(rig.connect(), told), expected);
    // Byte by byte, as a slow peer sends it.
    let mut slow = rig.connect();
    slow.set_nodelay(true).unwrap();
    for byte in &told[..told.len() - 1] {
        slow.write_all(&[*byte]).unwrap();
        std::thread::yield_now();
    }
    assert_eq!(answer(slow, b"o"), expected);
}

#[test]
fn a_trusted_peer_that_says_nothing_sensible_is_refused() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |s| {
            s.accept_proxy_protocol = vec!["127.0.0.0/8".parse().unwrap()]
        })
        .apply();
    let mut stream = rig.connect();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
}

#[test]
fn a_header_that_ends_before_it_is_whole_ends_the_connection() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |s| {
            s.accept_proxy_protocol = vec!["127.0.0.0/8".parse().unwrap()]
        })
        .apply();
    let mut stream = rig.connect();
    stream.write_all(b"PROXY TCP4 192").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
    rig.until(|s| s.workers.connections_open == 0);
    let stats = rig.plane.stats();
    let errors = stats.services.values().next().unwrap().errors;
    let closed = Fault::new(Side::Client, Reason::Closed);
    assert_eq!(errors[closed.index()], 1, "not the timeout's");
}

#[test]
fn what_others_say_is_only_data() {
    let mut rig = Rig::new(1);
    rig.pool(&[echo("")], |_| {})
        .service(Kind::Tcp, |s| {
            s.accept_proxy_protocol = vec!["192.0.2.0/24".parse().unwrap()]
        })
        .apply();
    let header = "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n";
    talk(&mut rig.connect(), header, header);
}
