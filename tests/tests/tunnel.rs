//! Upgrade: after 101 a connection is a tunnel, through reloads and upgrades of the program too.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

use e2e::{Client, Daemon, free_port, wait_for};

/// Answers each connection's request: 101 and then an echo if it asks for `websocket`, else 426.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _ = std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    address
}

fn serve(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        if head.to_lowercase().contains("upgrade: websocket") {
            writer.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi").ok()?;
            break;
        }
        writer
            .write_all(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
            .ok()?;
    }
    let mut buffer = [0; 4096];
    loop {
        let count = reader.read(&mut buffer).ok().filter(|count| *count > 0)?;
        writer.write_all(&buffer[..count]).ok()?;
    }
}

fn config(listen: SocketAddr, backend: SocketAddr, more: &str) -> String {
    format!(
        "[[pool]]\nname = \"ws\"\nbackends = [{{ address = \"{backend}\" }}]\n\
         [[service]]\nname = \"chat\"\nlisten = \"http://{listen}\"\npool = \"ws\"\n{more}"
    )
}

fn talk(client: &mut Client, text: &str) {
    client.send(text.as_bytes()).unwrap();
    let mut back = vec![0; text.len()];
    client.stream().read_exact(&mut back).unwrap();
    assert_eq!(String::from_utf8_lossy(&back), text);
}

#[test]
fn a_tunnel_outlives_reloads_and_upgrades() {
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let backend = server();
    let daemon = Daemon::start(&config(listen, backend, ""));
    let mut client = Client::connect(listen).unwrap();
    // Bytes sent with the request belong to the tunnel, and what comes with the 101 too.
    client
        .send(b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
        .unwrap();
    let answer = client.receive(false).unwrap();
    assert_eq!(
        (answer.status, answer.header("upgrade")),
        (101, Some("websocket"))
    );
    let mut first = [0; 7];
    client.stream().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"hiearly");
    talk(&mut client, "before");
    daemon.apply(&config(
        listen,
        backend,
        "timeouts = { tunnel = \"10min\" }\n",
    ));
    talk(&mut client, "after a reload");
    let pid = u64::from(daemon.pid());
    let _ = daemon.expect_cli(&["upgrade"]);
    wait_for("the new process", || {
        daemon
            .status()
            .is_some_and(|s| s["pid"].as_u64() != Some(pid))
    });
    talk(&mut client, "after an upgrade");
}

#[test]
fn an_upgrade_that_nobody_asked_for_is_not_passed_on() {
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let _daemon = Daemon::start(&config(listen, server(), ""));
    let mut client = Client::connect(listen).unwrap();
    assert_eq!(client.get("/").unwrap().status, 426);
    // `Upgrade` without `Connection: upgrade` is not an upgrade (RFC 9110 section 7.8).
    client
        .send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n")
        .unwrap();
    assert_eq!(client.receive(false).unwrap().status, 426);
}
