//! DNS probes.

use std::net::UdpSocket;

use hickory_proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{RData, Record, rdata},
};

use super::*;

fn asking(expect: Option<&str>) -> ProbeKind {
    ProbeKind::Dns {
        name: "www.example.org".into(),
        record: "a".into(),
        expect: expect.map(Into::into),
    }
}

/// A server that answers each query with what `change` makes of an empty answer to it; none: with silence.
fn name_server(change: impl Fn(&mut Message, u32) -> bool + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            for turn in 0.. {
                let mut message = Message::from_vec(&buffer[..n]).unwrap();
                message.metadata.message_type = MessageType::Response;
                let last = change(&mut message, turn);
                let _ = socket.send_to(&message.to_vec().unwrap(), from);
                if last {
                    break;
                }
            }
        }
    }));
    address
}

fn add_address(message: &mut Message, address: [u8; 4]) {
    let name = message.queries[0].name().clone();
    let data = RData::A(rdata::A::from(std::net::Ipv4Addr::from(address)));
    let _ = message.add_answer(Record::from_rdata(name, 60, data));
}

#[test]
fn answers_are_looked_at() {
    let here = name_server(|message, _| {
        add_address(message, [192, 0, 2, 1]);
        add_address(message, [192, 0, 2, 2]);
        true
    });
    assert_eq!(check(asking(None), here, PATIENCE), Ok(()));
    assert_eq!(check(asking(Some("192.0.2.2")), here, PATIENCE), Ok(()));
    let (kind, detail) = failure(check(asking(Some("192.0.2.3")), here, PATIENCE));
    assert_eq!(kind, Failure::Unexpected);
    assert_eq!(detail, "A is 192.0.2.1, 192.0.2.2");
}

#[test]
fn errors_and_empty_answers_fail() {
    let failing = name_server(|message, _| {
        message.metadata.response_code = ResponseCode::ServFail;
        true
    });
    let (kind, detail) = failure(check(asking(None), failing, PATIENCE));
    assert_eq!(kind, Failure::Unexpected, "{detail}");
    let empty = name_server(|_, _| true);
    let detail = failure(check(asking(None), empty, PATIENCE)).1;
    assert_eq!(detail, "no A record");
}

#[test]
fn forged_answers_are_passed_over() {
    let here = name_server(|message, turn| {
        if turn < 3 {
            message.metadata.id ^= 1;
            return false;
        }
        add_address(message, [192, 0, 2, 1]);
        true
    });
    assert_eq!(check(asking(None), here, PATIENCE), Ok(()));
    let forger = name_server(|message, turn| {
        message.metadata.id ^= 1;
        turn > 70
    });
    assert_eq!(
        failure(check(asking(None), forger, PATIENCE)).0,
        Failure::Protocol
    );
}

#[test]
fn garbage_and_unknown_questions_fail() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let here = socket.local_addr().unwrap();
    drop(thread::spawn(move || {
        let (_, from) = socket.recv_from(&mut [0; 512]).unwrap();
        let _ = socket.send_to(b"\xff\xff\xff", from);
    }));
    assert_eq!(
        failure(check(asking(None), here, PATIENCE)).0,
        Failure::Protocol
    );
    let unknown = ProbeKind::Dns {
        name: "x".into(),
        record: "NOPE".into(),
        expect: None,
    };
    assert_eq!(failure(check(unknown, here, PATIENCE)).0, Failure::Local);
}
