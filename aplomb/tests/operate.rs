//! A running daemon, operated as an operator would.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{collections::BTreeSet, net::SocketAddr, thread};

use support::{
    Site, aplomb, backend::Backend, body, code, exposition, free_address, get, raw, said, wait_for,
};

/// An HTTP service at `front` with a pool of these backends, checked every 100 ms.
fn config(front: SocketAddr, balance: &str, backends: &[SocketAddr]) -> String {
    let list: Vec<String> = backends.iter().map(|b| format!("\"{b}\"")).collect();
    format!(
        r#"
[[pool]]
name = "web"
balance = "{balance}"
check = {{ http = "/", interval = "100ms", timeout = "2s", rise = 1, fall = 2 }}
backends = [{}]

[[service]]
name = "shop"
listen = "http://{front}"
routes = [{{ pool = "web" }}]
"#,
        list.join(", ")
    )
}

#[test]
fn a_dead_backend_is_avoided_and_says_why() {
    let (front, a, dead) = (free_address(), Backend::start("a"), free_address());
    let site = Site::start(&config(front, "rr", &[a.address, dead]));
    site.wait_for_state(a.address, "up");
    site.wait_for_state(dead, "down");
    let text = site.ok(&["status"]);
    assert!(
        text.contains("1 of 2 up") && text.contains("connection refused"),
        "{text}"
    );
    for _ in 0..10 {
        assert_eq!(body(&get(front, "/")), "a");
    }
    let status = site.status();
    assert!(status["generation"].as_u64().unwrap() > 0 && status["phase"] == "serving");
    let only = site.ok(&["status", "web"]);
    assert!(
        only.contains("pool web") && !only.contains("configuration"),
        "{only}"
    );
    site.refused(&["status", "nil"], "no service and no pool");
}

#[test]
fn a_drain_loses_nothing_and_ends_when_told() {
    let (front, a, b) = (free_address(), Backend::start("a"), Backend::start("b"));
    let site = Site::start(&config(front, "first", &[a.address, b.address]));
    site.wait_for_state(a.address, "up");
    site.wait_for_state(b.address, "up");
    let held = thread::spawn(move || get(front, "/hold"));
    wait_for("the request", || a.held() == 1);

    let key = format!("web/{}", a.address);
    assert!(site.ok(&["backend", "drain", &key]).contains("draining"));
    assert_eq!(body(&get(front, "/")), "b");
    assert_eq!(site.backend(a.address)["in_flight"], 1);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| site.ok(&["backend", "drain", &key, "--wait"]));
        a.release();
        assert!(waiting.join().unwrap().contains("nothing goes on any more"));
    });
    assert_eq!(body(&held.join().unwrap()), "a");

    assert!(
        site.ok(&["backend", "enable", &key, "--wait"])
            .contains(": up")
    );
    assert_eq!(body(&get(front, "/")), "a");
    assert!(site.ok(&["backend", "disable", &key]).contains("disabled"));
    assert_eq!(body(&get(front, "/")), "b");
}

#[test]
fn a_weight_holds_until_the_configured_one_is_asked_for() {
    let (front, a) = (free_address(), Backend::start("a"));
    let site = Site::start(&config(front, "wrr", &[a.address]));
    let key = format!("web/{}", a.address);
    assert!(
        site.ok(&["backend", "weight", &key, "7"])
            .contains("weight 7")
    );
    assert!(site.ok(&["status"]).contains("7 (of 1)"));
    assert!(
        site.ok(&["backend", "weight", &key, "config"])
            .contains("weight 1")
    );
    site.refused(
        &["backend", "drain", "web/192.0.2.1:80"],
        "has no backend 192.0.2.1:80",
    );
    site.refused(&["backend", "drain", "nil/192.0.2.1:80"], "no pool \"nil\"");
}

#[test]
fn a_change_is_shown_then_made_and_a_wrong_one_is_refused() {
    let (front, a, b) = (free_address(), Backend::start("a"), Backend::start("b"));
    let site = Site::start(&config(front, "rr", &[a.address]));
    let path = site.config();
    let file = path.to_str().unwrap();
    let before = std::fs::read_to_string(file).unwrap();
    let address = format!("\"{}\"", a.address);
    let with_b = before.replace(&address, &format!("{address}, \"{}\"", b.address));
    std::fs::write(file, &with_b).unwrap();

    let shown = site.ok(&["apply", "-c", file, "--dry-run"]);
    let expected = format!("+ pool web: backend {}", b.address);
    assert!(shown.contains(&expected), "{shown}");
    assert!(
        shown.contains("1 change would be made (dry run)"),
        "{shown}"
    );
    assert_eq!(
        site.status()["pools"][0]["backends"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let made = site.ok(&["apply", "-c", file]);
    assert!(
        made.contains(&expected) && made.contains("1 change made"),
        "{made}"
    );
    assert_eq!(
        site.status()["pools"][0]["backends"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert!(site.ok(&["reload"]).contains("Nothing differs"));

    std::fs::write(file, with_b.replace("balance", "balanse")).unwrap();
    for arguments in [&["apply", "-c", file][..], &["reload"]] {
        site.refused(arguments, "did you mean `balance`?");
        site.refused(arguments, "^^^^^^^");
    }
    // In order, but it cannot be carried out here.
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let occupied = occupied
        .local_addr()
        .map(|taken| (occupied, taken))
        .unwrap();
    let elsewhere = with_b.replace(&front.to_string(), &occupied.1.to_string());
    std::fs::write(file, elsewhere).unwrap();
    site.refused(&["apply", "-c", file], &occupied.1.to_string());
    let status = site.status();
    let listen = format!("http://{front}");
    assert_eq!(status["services"][0]["listen"][0], listen);
    assert!(status["config"]["last_refused"].is_string(), "{status}");
    assert!(["a", "b"].contains(&body(&get(front, "/"))));
}

#[test]
fn an_explanation_is_what_happens() {
    let (front, a, b) = (free_address(), Backend::start("a"), Backend::start("b"));
    let site = Site::start(&config(front, "first", &[a.address, b.address]));
    site.wait_for_state(a.address, "up");
    site.wait_for_state(b.address, "up");
    let url = format!("http://{front}/x?y=1");
    let text = site.ok(&["explain", "GET", &url]);
    assert!(text.contains("=> route 1: everything"), "{text}");
    assert!(text.contains(&format!("=>  {}", a.address)), "{text}");
    assert_eq!(body(&get(front, "/")), "a");

    let _ = site.ok(&["backend", "drain", &format!("web/{}", a.address)]);
    let text = site.ok(&["explain", "GET", "/x", "--service", "shop"]);
    assert!(text.contains(&format!("=>  {}", b.address)), "{text}");
    assert!(text.contains("draining"), "{text}");
    assert_eq!(body(&get(front, "/")), "b");
    site.refused(
        &["explain", "GET", "/", "--service", "nil"],
        "there are: shop",
    );
}

#[test]
fn traffic_makes_no_series() {
    let (front, metrics) = (free_address(), free_address());
    let a = Backend::start("a");
    let more = format!("metrics = \"{metrics}\"");
    let site = Site::start_with(&more, &config(front, "rr", &[a.address]));
    site.wait_for_state(a.address, "up");
    // What happens in ordinary life, so that its series are there.
    let _ = get(front, "/");
    let _ = raw(front, "NONSENSE\r\n\r\n");

    let scrape = || {
        let answer = get(metrics, "/metrics");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        exposition::read(body(&answer)).unwrap()
    };
    let series = |samples: &[exposition::Sample]| -> BTreeSet<String> {
        samples
            .iter()
            .map(|s| format!("{}{:?}", s.name, s.labels))
            .collect()
    };
    let before = series(&scrape());
    for n in 0..100 {
        let strange = format!(
            "M{n} /path/{n}?q={n} HTTP/1.1\r\nHost: host{n}.example\r\nX-{n}: {n}\r\nUser-Agent: u{n}\r\nConnection: close\r\n\r\n"
        );
        let _ = raw(front, &strange);
    }
    let after = scrape();
    assert_eq!(before, series(&after));
    let requests: f64 = after
        .iter()
        .filter(|s| s.name == "aplomb_service_requests_total")
        .map(|s| s.value)
        .sum();
    assert!(requests >= 101.0, "{requests}");
    assert!(get(metrics, "/v1/status").starts_with("HTTP/1.1 404"));
}

#[test]
fn the_admin_api_moves_with_the_configuration() {
    let (front, a, admin) = (free_address(), Backend::start("a"), free_address());
    let site = Site::start(&config(front, "rr", &[a.address]));
    let path = site.config();
    let file = path.to_str().unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::write(site.dir.path().join("token"), "s3cret-s3cret-s3cret\n").unwrap();

    // Where it cannot listen it does not move.
    let nowhere = text.replace("admin.sock", "token/admin.sock");
    std::fs::write(file, nowhere).unwrap();
    site.refused(&["reload"], "[admin] cannot listen");
    let _ = site.ok(&["status"]);

    let tcp = format!("listen = \"{admin}\"\ntoken = {{ file = \"token\" }}");
    let moved = text.replace(&format!("listen = \"{}\"", site.admin), &tcp);
    std::fs::write(file, &moved).unwrap();
    let _ = site.ok(&["reload"]);
    let there = format!("http://{admin}");
    let token = site.dir.path().join("token");
    let status = || {
        let with_token = ["--token-file", token.to_str().unwrap(), "status"];
        aplomb(&[&["--admin", &there], &with_token[..]].concat())
    };
    wait_for("the new place", || status().status.success());
    let without = aplomb(&["--admin", &there, "status"]);
    assert_eq!(code(&without), 1);
    assert!(
        said(&without).contains("--token-file"),
        "{}",
        said(&without)
    );
    wait_for("the old place to go", || code(&site.cli(&["status"])) == 3);

    // And back, so that the site can be ended.
    std::fs::write(file, &text).unwrap();
    let token = token.to_str().unwrap();
    let back = aplomb(&["--admin", &there, "--token-file", token, "reload"]);
    assert_eq!(code(&back), 0, "{}", said(&back));
    wait_for("the way back", || site.cli(&["status"]).status.success());
}

#[test]
fn an_upgrade_names_who_serves_now() {
    let (front, a) = (free_address(), Backend::start("a"));
    let site = Site::start(&config(front, "rr", &[a.address]));
    let before = site.status()["pid"].as_u64().unwrap();
    let text = site.ok(&["upgrade"]);
    let after = site.status()["pid"].as_u64().unwrap();
    assert_ne!(before, after);
    assert!(
        text.contains(&format!("Process {after} serves now; {before} finishes")),
        "{text}"
    );
    assert_eq!(body(&get(front, "/")), "a");
    site.refused(&["upgrade", "/nonexistent/aplomb"], "aplomb");
    assert_eq!(site.status()["pid"].as_u64().unwrap(), after);
}

#[test]
fn an_upgrade_takes_tcp_listeners_of_operators_along() {
    let (front, a) = (free_address(), Backend::start("a"));
    let (admin, metrics) = (free_address(), free_address());
    let more = format!("metrics = \"{metrics}\"");
    let site = Site::start_with(&more, &config(front, "rr", &[a.address]));
    std::fs::write(site.dir.path().join("token"), "s3cret-s3cret-s3cret\n").unwrap();
    let text = std::fs::read_to_string(site.config()).unwrap();
    let tcp = format!("listen = \"{admin}\"\ntoken = {{ file = \"token\" }}");
    let moved = text.replace(&format!("listen = \"{}\"", site.admin), &tcp);
    std::fs::write(site.config(), moved).unwrap();
    let _ = site.ok(&["reload"]);

    let there = format!("http://{admin}");
    let token = site.dir.path().join("token").display().to_string();
    let ask = |command: &[&str]| {
        let output = aplomb(&[&["--admin", &there, "--token-file", &token], command].concat());
        assert_eq!(
            code(&output),
            0,
            "{command:?}: {}\n{}",
            said(&output),
            site.log()
        );
        output
    };
    let pid = || {
        let status: serde_json::Value =
            serde_json::from_slice(&ask(&["status", "--json"]).stdout).unwrap();
        status["pid"].as_u64().unwrap()
    };
    wait_for("the new place", || {
        get(admin, "/readyz").starts_with("HTTP/1.1 200")
    });
    for _ in 0..3 {
        let before = pid();
        let _ = ask(&["upgrade"]);
        // Each time it is the successor alone that answers.
        let after = pid();
        assert_ne!(before, after);
        assert!((0..20).all(|_| pid() == after));
        assert!(get(metrics, "/metrics").starts_with("HTTP/1.1 200"));
    }
    let _ = ask(&["stop", "--now"]);
}

#[test]
fn a_stop_ends_it_and_leaves_no_socket() {
    let (front, a) = (free_address(), Backend::start("a"));
    let mut site = Site::start(&config(front, "rr", &[a.address]));
    let _ = site.ok(&["logs", "reopen"]);
    let _ = site.ok(&["stop"]);
    let status = site.child.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(!site.dir.path().join("admin.sock").exists());
    assert_eq!(code(&site.cli(&["status"])), 3);
}

#[test]
fn the_live_view_is_a_line_a_look_without_a_terminal() {
    let (front, a) = (free_address(), Backend::start("a"));
    let site = Site::start(&config(front, "rr", &[a.address]));
    let text = site.ok(&["top", "--interval", "200ms", "--for", "1s"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(!lines.is_empty());
    assert!(lines.iter().all(|line| line.starts_with("rate ")), "{text}");
}
