//! Access logs, as they stand in the file.

use control::spec::{AccessLogSpec, AccessLogTarget};
use serde_json::Value;

use crate::{
    peers::*,
    rig::{self, Kind, Rig},
};

/// A site that logs; what it logged once it has stopped.
fn logged(
    backends: &[std::net::SocketAddr],
    name: &str,
    json: bool,
    talk: impl FnOnce(&Rig),
) -> String {
    let path = std::env::temp_dir().join(format!("aplomb-http-{}-{name}.log", std::process::id()));
    let mut rig = Rig::new(1);
    rig.service(Kind::Http, |service| {
        service.access_log = Some(AccessLogSpec {
            to: AccessLogTarget::File(path.clone()),
            json,
        });
    });
    rig.pool(backends, |_| {}).apply();
    talk(&rig);
    rig.until(|stats| stats.workers.connections_open == 0);
    rig.plane.stop();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    text
}

#[test]
fn a_line_for_each_request_with_its_times_and_faults() {
    let hello = saying("hello");
    let closing = scripted(|peer| drop(peer.request()));
    let text = logged(&[hello, closing], "json", true, |rig| {
        let mut client = Peer::to(rig);
        assert_eq!(
            client
                .ask("GET /x?y HTTP/1.1\r\nHost: A.example:80\r\nUser-Agent: me\r\n\r\n")
                .status(),
            200
        );
        assert_eq!(
            client
                .ask("POST /z HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
                .status(),
            502
        );
        assert_eq!(client.ask("nonsense\r\n\r\n").status(), 400);
    });
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3, "{text}");
    let first = &lines[0];
    assert_eq!(
        (&first["method"], &first["target"]),
        (&"GET".into(), &"/x?y".into())
    );
    assert_eq!(
        (&first["host"], &first["user_agent"]),
        (&"A.example".into(), &"me".into())
    );
    assert_eq!(
        (&first["status"], &first["service"], &first["route"]),
        (&200.into(), &"http".into(), &"0".into())
    );
    assert_eq!(first["backend"], hello.to_string());
    assert!(first["connect_us"].as_u64() <= first["first_byte_us"].as_u64());
    assert!(first["first_byte_us"].as_u64() <= first["total_us"].as_u64());
    assert!(first["bytes_out"].as_u64() > Some(5) && first.get("side").is_none());
    assert_eq!(
        (&lines[1]["side"], &lines[1]["reason"]),
        (&"backend".into(), &"closed".into())
    );
    assert_eq!(
        (
            lines[1]["bytes_in"].as_u64().unwrap() > 2,
            &lines[1]["backend"]
        ),
        (true, &closing.to_string().into())
    );
    assert_eq!(
        (&lines[2]["status"], &lines[2]["side"]),
        (&400.into(), &"client".into())
    );
    assert!(lines[2].get("target").is_none());
}

#[test]
fn text_lines() {
    let text = logged(&[saying("hello")], "text", false, |rig| {
        for _ in 0..3 {
            assert_eq!(Peer::to(rig).ask(GET).status(), 200);
        }
    });
    assert_eq!(text.lines().count(), 3);
    for line in text.lines() {
        assert!(
            line.contains(" http/0 127.0.0.1:")
                && line.contains(" \"GET / HTTP/1.1\" a.example 200 "),
            "{line}"
        );
    }
    let _ = rig::PATIENCE;
}
