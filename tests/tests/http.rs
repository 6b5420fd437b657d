//! HTTP through aplomb with real peers: curl in front, nginx behind.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    net::{SocketAddr, TcpListener},
    process::{Command, Output},
};

use e2e::{Client, Daemon, Nginx, free_port, wait_for};

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn curl(arguments: &[&str]) -> Output {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "curl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Two nginx and one service in front, with `routes` (which may name the pools `a` and `b`) and more keys.
fn site(routes: &str, more: &str) -> (Daemon, SocketAddr, [Nginx; 2]) {
    let listen = local(free_port());
    let backends = [
        Nginx::start("a", local(free_port())),
        Nginx::start("b", local(free_port())),
    ];
    let daemon = Daemon::start(&format!(
        "[proxy]\nworkers = 2\n\
         [[pool]]\nname = \"a\"\nbackends = [{{ address = \"{}\" }}]\n\
         [[pool]]\nname = \"b\"\nbackends = [{{ address = \"{}\" }}]\n\
         [[service]]\nname = \"shop\"\nlisten = \"http://{listen}\"\nroutes = [{routes}]\n{more}",
        backends[0].address(),
        backends[1].address(),
    ));
    (daemon, listen, backends)
}

#[test]
fn curl_gets_what_nginx_serves() {
    let (_daemon, listen, backends) = site("{ pool = \"a\" }", "");
    let url = format!("http://{listen}");
    assert_eq!(text(&curl(&[&url])), "a\n");
    let head = text(&curl(&["-I", &format!("{url}/large")]));
    assert!(
        head.starts_with("HTTP/1.1 200") && head.to_lowercase().contains("content-length: 262144"),
        "{head}"
    );
    let through = curl(&[&format!("{url}/large")]).stdout;
    let direct = curl(&[&format!("http://{}/large", backends[0].address())]).stdout;
    assert!(
        through == direct,
        "{} bytes through, {} direct",
        through.len(),
        direct.len()
    );
    let range = text(&curl(&[
        "-r",
        "0-9",
        "-w",
        " %{http_code}",
        &format!("{url}/large"),
    ]));
    assert_eq!(range, "xxxxxxxxxx 206");
    // Three requests over one connection, as curl counts them.
    let connects = text(&curl(&[
        "-o/dev/null",
        "-o/dev/null",
        "-o/dev/null",
        "-w",
        "%{num_connects}",
        &url,
        &url,
        &url,
    ]));
    assert_eq!(connects, "100");
}

#[test]
fn curl_uploads_of_every_kind_arrive() {
    let (daemon, listen, _backends) = site("{ pool = \"a\" }", "");
    let url = format!("http://{listen}/post");
    let file = daemon.dir().join("upload");
    std::fs::write(&file, vec![b'u'; 900_000]).unwrap();
    let file = file.to_str().unwrap();
    let at_file = format!("@{file}");
    for arguments in [
        vec!["--data-binary", &at_file],
        vec!["-H", "Expect: 100-continue", "--data-binary", &at_file],
        vec![
            "-H",
            "Transfer-Encoding: chunked",
            "--data-binary",
            &at_file,
        ],
        vec!["-0", "--data-binary", &at_file],
        vec!["-X", "POST", "-d", ""],
    ] {
        let mut all = arguments.clone();
        all.push(&url);
        assert_eq!(text(&curl(&all)), "posted to a\n", "{arguments:?}");
    }
}

#[test]
fn routes_lead_where_they_say() {
    let routes = "{ host = \"b.example\", pool = \"b\" },\
        { path = \"/gone\", respond = { status = 410, body = \"gone for good\\n\" } },\
        { path = \"/old/\", redirect = { to = \"https://{host}/new{path}\", status = 308 } },\
        { method = \"POST\", path = \"/post\", pool = \"b\" },\
        { headers = { x-beta = \"*\" }, pool = \"b\" },\
        { query = { side = \"b\" }, pool = \"b\" },\
        { path = \"/\", host = [\"a.example\", \"*.a.example\", \"127.0.0.1\"], pool = \"a\" },";
    let (daemon, listen, _backends) = site(routes, "");
    let url = format!("http://{listen}");
    let code = ["-w", " %{http_code}"];
    let with = |more: &[&str]| text(&curl(&[&code, more].concat()));
    assert_eq!(with(&[&url]), "a\n 200");
    assert_eq!(with(&["-H", "Host: B.example:80", &url]), "b\n 200");
    assert_eq!(with(&["-H", "Host: deep.in.a.example", &url]), "a\n 200");
    assert!(with(&["-H", "Host: c.example", &url]).ends_with(" 404"));
    assert_eq!(with(&[&format!("{url}/gone")]), "gone for good\n 410");
    assert_eq!(
        with(&["-d", "x", &format!("{url}/post")]),
        "posted to b\n 200"
    );
    assert_eq!(with(&["-H", "X-Beta: 1", &url]), "b\n 200");
    assert_eq!(with(&[&format!("{url}/?x=1&side=b")]), "b\n 200");
    let redirect = text(&curl(&[
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{redirect_url}",
        &format!("{url}/old/x"),
    ]));
    assert_eq!(redirect, "308 https://127.0.0.1/new/old/x");
    // What explain says is what happened.
    let why = daemon.expect_cli(&[
        "explain",
        "GET",
        &format!("http://b.example:{}/", listen.port()),
    ]);
    assert!(
        why.contains("b/127.0.0.1") || why.contains("pool b"),
        "{why}"
    );
}

#[test]
fn errors_name_the_side_at_fault() {
    let (daemon, listen, mut backends) = site(
        "{ path = \"/dead/\", pool = \"b\" }, { pool = \"a\" }",
        "timeouts = { header = \"1s\", response = \"1s\" }\n",
    );
    let url = format!("http://{listen}");
    backends[1].kill();
    let dead = text(&curl(&[
        "-w",
        " %{http_code}",
        "-H",
        "Cookie: s3cret",
        &format!("{url}/dead/"),
    ]));
    assert!(dead.ends_with(" 502") || dead.ends_with(" 503"), "{dead}");
    assert!(
        dead.contains("backend") && !dead.contains("s3cret"),
        "{dead}"
    );
    // A client that does not finish its request.
    let mut slow = Client::connect(listen).unwrap();
    slow.send(b"GET / HTTP/1.1\r\nHo").unwrap();
    let answer = slow.receive(false).unwrap();
    assert_eq!(answer.status, 408);
    assert!(answer.text().contains("client"), "{}", answer.text());
    // A backend that takes the connection and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    daemon.apply(&format!(
        "[[pool]]\nname = \"mute\"\nbackends = [{{ address = \"{}\" }}]\n\
         [[service]]\nname = \"shop\"\nlisten = \"http://{listen}\"\npool = \"mute\"\ntimeouts = {{ response = \"500ms\" }}\n",
        mute.local_addr().unwrap(),
    ));
    let late = text(&curl(&["-w", " %{http_code}", &url]));
    assert!(late.ends_with(" 504") && late.contains("backend"), "{late}");
}

#[test]
fn a_rejected_config_changes_nothing() {
    let (daemon, listen, _backends) = site("{ pool = \"a\" }", "");
    let before = daemon.status().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = std::fs::read_to_string(daemon.config()).unwrap();
    let bad = [
        good.replace("pool = \"a\" }", "pool = \"c\" }"),
        format!(
            "{good}\n[[service]]\nname = \"second\"\nlisten = \"http://{}\"\npool = \"b\"\n",
            taken.local_addr().unwrap()
        ),
    ];
    for bad in bad {
        std::fs::write(daemon.config(), &bad).unwrap();
        let output = daemon.cli(&["apply", "-c", daemon.config().to_str().unwrap()]);
        assert!(!output.status.success(), "{}", text(&output));
        daemon.signal(rustix::process::Signal::HUP);
        assert_eq!(text(&curl(&[&format!("http://{listen}")])), "a\n");
    }
    let after = daemon.status().unwrap();
    assert_eq!(
        before["generation"], after["generation"],
        "the plan has changed"
    );
}

#[test]
fn a_dead_backend_is_avoided_and_found_again() {
    let listen = local(free_port());
    let mut backends = [
        Nginx::start("a", local(free_port())),
        Nginx::start("b", local(free_port())),
    ];
    let daemon = Daemon::start(&format!(
        "[[pool]]\nname = \"web\"\nbalance = \"rr\"\n\
         check = {{ http = \"/\", interval = \"100ms\", timeout = \"1s\", rise = 2, fall = 2 }}\n\
         backends = [{{ address = \"{}\" }}, {{ address = \"{}\" }}]\n\
         [[service]]\nname = \"shop\"\nlisten = \"http://{listen}\"\npool = \"web\"\n",
        backends[0].address(),
        backends[1].address(),
    ));
    let url = format!("http://{listen}");
    let names = |count: usize| {
        (0..count)
            .map(|_| text(&curl(&[&url])))
            .collect::<std::collections::BTreeSet<_>>()
    };
    wait_for("both backends", || names(4).len() == 2);
    backends[0].kill();
    wait_for("the fall to show", || {
        daemon.expect_cli(&["status"]).contains("down")
    });
    assert_eq!(names(10).into_iter().collect::<Vec<_>>(), ["b\n"]);
    backends[0].restart();
    wait_for("the dead one's return", || names(4).len() == 2);
}
