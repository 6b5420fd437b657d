//! TCP and UDP carried in user space, through reloads and upgrades.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use e2e::{Daemon, Echo, free_port, wait_for};

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn config(listen: SocketAddr, backends: &[&Echo], more: &str) -> String {
    let members: String = backends
        .iter()
        .map(|b| format!("{{ address = \"{}\" }},", b.address()))
        .collect();
    format!(
        "[proxy]\nworkers = 2\n[[pool]]\nname = \"echo\"\nbalance = \"rr\"\nbackends = [{members}]\n\
         [[service]]\nname = \"tcp\"\nlisten = \"tcp://{listen}\"\nforward = \"proxy\"\npool = \"echo\"\n{more}\
         [[service]]\nname = \"udp\"\nlisten = \"udp://{listen}\"\nforward = \"proxy\"\npool = \"echo\"\n"
    )
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn talk(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(String::from_utf8_lossy(&back), text);
}

fn ask(socket: &UdpSocket, text: &str) -> String {
    socket.send(text.as_bytes()).unwrap();
    let mut buffer = [0; 2048];
    let count = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

fn udp(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(to).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    socket
}

/// A direction that has ended does not end the other: the answer to the whole input comes after its end.
#[test]
fn half_close_is_kept_and_large_transfers_arrive_whole() {
    let echo = Echo::start("a");
    let listen = local(free_port());
    let _daemon = Daemon::start(&config(listen, &[&echo], ""));
    let mut stream = connect(listen);
    let sent: Vec<u8> = (0..20_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let thread = std::thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).unwrap();
    thread.join().unwrap();
    assert_eq!(received.len(), sent.len() + 3);
    assert!(received.starts_with(&sent) && received.ends_with(b"bye"));
}

#[test]
fn connections_outlive_reloads_removals_and_upgrades() {
    let (a, b) = (Echo::start("a"), Echo::start("b"));
    let listen = local(free_port());
    let daemon = Daemon::start(&config(listen, &[&a, &b], ""));
    let mut streams: Vec<_> = (0..20).map(|_| connect(listen)).collect();
    let mut all_talk = |when: &str| {
        for (index, stream) in streams.iter_mut().enumerate() {
            talk(stream, &format!("{when} {index}"));
        }
    };
    all_talk("at first");
    assert!(
        a.accepted() == 10 && b.accepted() == 10,
        "rr: {} and {}",
        a.accepted(),
        b.accepted()
    );
    daemon.apply(&config(listen, &[&a, &b], "idle-timeout = \"5min\"\n"));
    all_talk("after another idle timeout");
    daemon.apply(&config(listen, &[&a], ""));
    all_talk("after b was removed");
    talk(&mut connect(listen), "new ones go to a");
    assert_eq!((a.accepted(), b.accepted()), (11, 10));
    let pid = u64::from(daemon.pid());
    let _ = daemon.expect_cli(&["upgrade"]);
    wait_for("the new process", || {
        daemon
            .status()
            .is_some_and(|s| s["pid"].as_u64() != Some(pid))
    });
    all_talk("after the upgrade");
    talk(&mut connect(listen), "and new ones");
}

#[test]
fn udp_flows_stay_with_their_backend() {
    let (a, b) = (Echo::start("a"), Echo::start("b"));
    let listen = local(free_port());
    let daemon = Daemon::start(&config(listen, &[&a, &b], ""));
    let flows: Vec<_> = (0..20).map(|_| udp(listen)).collect();
    let first: Vec<_> = flows.iter().map(|flow| ask(flow, "1")).collect();
    assert_eq!(
        first.iter().cloned().collect::<BTreeSet<_>>().len(),
        2,
        "both take flows: {first:?}"
    );
    let second: Vec<_> = flows.iter().map(|flow| ask(flow, "1")).collect();
    assert_eq!(first, second);
    // A reload that changes nothing of it does not move a flow either.
    daemon.apply(&config(listen, &[&a, &b], "idle-timeout = \"5min\"\n"));
    assert_eq!(
        first,
        flows.iter().map(|flow| ask(flow, "1")).collect::<Vec<_>>()
    );
    // A service goes on after an upgrade; a flow may begin anew there.
    let pid = u64::from(daemon.pid());
    let _ = daemon.expect_cli(&["upgrade"]);
    wait_for("the new process", || {
        daemon
            .status()
            .is_some_and(|s| s["pid"].as_u64() != Some(pid))
    });
    for flow in &flows {
        assert!(ask(flow, "after").ends_with(":after"));
    }
}

#[test]
fn a_connection_refused_goes_to_another_backend() {
    let echo = Echo::start("a");
    let listen = local(free_port());
    let daemon = Daemon::start(&config(listen, &[&echo], "").replace(
        "backends = [",
        &format!("backends = [{{ address = \"{}\" }},", local(free_port())),
    ));
    for round in 0..20 {
        talk(&mut connect(listen), &format!("round {round}"));
    }
    assert_eq!(echo.accepted(), 20);
    // Traffic alone has told that one of them is dead.
    wait_for("the ejection to show", || {
        daemon.expect_cli(&["status"]).contains("down")
    });
}
