//! Agents' answers.

use control::spec::AgentSpec;

use super::*;

fn ask_agent(target: SocketAddr, send: Option<&str>) -> Result<String, ProbeFailure> {
    let spec = AgentSpec {
        port: target.port(),
        send: send.map(Into::into),
        interval: Duration::from_secs(1),
        timeout: PATIENCE,
    };
    let job = Job::Agent {
        backend: backend(target),
        id: 3,
        spec: Arc::new(spec),
        target,
    };
    match ask(job) {
        Event::Agent { id: 3, reply, .. } => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_line_is_read_with_or_without_its_end() {
    let stays = serve(|mut s| {
        let _ = s.write_all(b" 75% up\r\nmore");
        let _ = s.read(&mut [0; 8]);
    });
    assert_eq!(ask_agent(stays, None).as_deref(), Ok("75% up"));
    let asked = answer(b"drain");
    assert_eq!(ask_agent(asked, Some("weight?\n")).as_deref(), Ok("drain"));
}

#[test]
fn what_is_no_line_is_refused() {
    let long = serve(|mut s| while s.write_all(&[b'x'; 512]).is_ok() {});
    let binary = serve(|mut s| drop(s.write_all(&[0xff, 0xfe, b'\n'])));
    let empty = serve(|mut s| drop(s.write_all(b"\n")));
    for target in [long, binary, empty] {
        let failure = ask_agent(target, None).unwrap_err();
        assert_eq!(failure.kind, Failure::Protocol, "{failure:?}");
    }
    let refused = ask_agent(nobody(), None).unwrap_err();
    assert_eq!(refused.kind, Failure::Connect);
}
