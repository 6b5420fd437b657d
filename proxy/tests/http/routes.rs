//! What routes do to requests and responses.

use control::spec::{
    HttpSpec, RouteSpec,
    http::{HeaderEdit, HostMatch, PathMatch, RouteAction},
};

use crate::{peers::*, rig::name};

fn edit(kind: fn(String, String) -> HeaderEdit, header: &str, value: &str) -> HeaderEdit {
    kind(header.into(), value.into())
}

fn route(path: &str) -> RouteSpec {
    let mut route = RouteSpec::to_pool(name("pool"));
    route.matches.path = Some(PathMatch::Prefix(path.into()));
    route
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n\r\n")
}

#[test]
fn answers_and_redirects_of_our_own() {
    let rig = site(&[], |http, _| {
        http.routes = vec![
            RouteSpec {
                action: RouteAction::Redirect {
                    status: 308,
                    to: "https://{host}{uri}".into(),
                },
                ..route("/old/")
            },
            RouteSpec {
                action: RouteAction::Respond {
                    status: 200,
                    content_type: Some("text/plain".into()),
                    body: "fine".into(),
                },
                response_headers: vec![edit(HeaderEdit::Set, "X-Service", "{service}")],
                ..route("/health")
            },
        ];
    });
    let mut client = Peer::to(&rig);
    let redirect = client.ask(get("/old/x?y=z"));
    assert_eq!(redirect.status(), 308);
    assert_eq!(
        redirect.header("location"),
        Some("https://a.example/old/x?y=z")
    );
    let answer = client.ask(get("/health"));
    assert_eq!((answer.status(), answer.text()), (200, "fine"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.header("x-service"), Some("http"));
    assert_eq!(client.ask(get("/nothing")).status(), 404);
    client.send("HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().unwrap().header("content-length"), Some("4"));
    assert!(client.is_open());
}

#[test]
fn headers_are_edited_on_both_ways() {
    let (address, asked) = backend(|_| {
        b"HTTP/1.1 200 OK\r\nServer: secret\r\nX-Old: 1\r\nX-Old: 2\r\nContent-Length: 0\r\n\r\n"
            .to_vec()
    });
    let rig = site(&[address], |http, _| {
        http.routes[0].request_headers = vec![
            edit(HeaderEdit::Set, "X-Client", "{client}"),
            edit(HeaderEdit::Add, "X-Tag", "{method} {path}"),
            edit(HeaderEdit::Set, "Content-Length", "98765432"),
            HeaderEdit::Remove("Cookie".into()),
        ];
        http.routes[0].response_headers = vec![
            HeaderEdit::Remove("server".into()),
            edit(HeaderEdit::Set, "X-Old", "{backend}"),
        ];
    });
    let response = Peer::to(&rig)
        .ask("GET /p HTTP/1.1\r\nHost: a\r\nCookie: c\r\nX-Client: liar\r\nX-Tag: mine\r\n\r\n");
    assert_eq!(response.header("server"), None);
    assert_eq!(response.header("x-old"), Some(&*address.to_string()));
    let asked = asked.lock().unwrap();
    let head = &asked[0].head;
    assert_eq!(asked[0].header("x-client"), Some("127.0.0.1"));
    assert!(
        head.contains("X-Tag: mine\r\n") && head.contains("X-Tag: GET /p\r\n"),
        "{head}"
    );
    assert!(
        !head.to_lowercase().contains("cookie") && !head.contains("98765432"),
        "{head}"
    );
}

#[test]
fn paths_and_hosts_are_replaced() {
    let (address, asked) = backend(|_| ok(""));
    let rig = site(&[address], |http, _| {
        http.routes = vec![RouteSpec {
            replace_prefix: Some("/v2".into()),
            replace_host: Some("inside.example".into()),
            ..route("/api/")
        }];
    });
    let mut client = Peer::to(&rig);
    for target in ["/api/x?q=1", "/api//%78?q=1", "/a/../api/x?q=1"] {
        assert_eq!(client.ask(get(target)).status(), 200);
    }
    let asked = asked.lock().unwrap();
    assert!(
        asked[0].head.starts_with("GET /v2/x?q=1 HTTP/1.1\r\n"),
        "{}",
        asked[0].head
    );
    assert!(
        asked[2].head.starts_with("GET /v2/x?q=1 HTTP/1.1\r\n"),
        "{}",
        asked[2].head
    );
    assert_eq!(asked[0].header("host"), Some("inside.example"));
    assert_eq!(asked[0].header("x-forwarded-host"), Some("a.example"));
}

#[test]
fn backends_are_told_of_the_client() {
    let (address, asked) = backend(|_| ok(""));
    let rig = site(&[address], |http, _| {
        http.forwarded.forwarded = true;
        http.forwarded.via = true;
        http.request_id = Some("X-Request-Id".into());
    });
    let response = Peer::to(&rig).ask(
        "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 1.2.3.4\r\nX-Request-Id: mine\r\n\r\n",
    );
    assert_eq!(response.header("via"), Some("1.1 aplomb"));
    let asked = asked.lock().unwrap();
    let port = rig.address(crate::rig::Kind::Http).port().to_string();
    assert_eq!(asked[0].header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(asked[0].header("x-forwarded-proto"), Some("http"));
    assert_eq!(asked[0].header("x-forwarded-port"), Some(&*port));
    assert_eq!(
        asked[0].header("forwarded"),
        Some("for=127.0.0.1;host=\"a.example\";proto=http")
    );
    assert_eq!(asked[0].header("via"), Some("1.1 aplomb"));
    let id = asked[0].header("x-request-id").unwrap();
    assert!(id.len() == 32 && id != "mine", "{id}");
}

#[test]
fn trusted_clients_speak_for_those_before_them() {
    let (address, asked) = backend(|_| ok(""));
    let rig = site(&[address], |http, _| {
        http.forwarded.trust = vec!["127.0.0.0/8".parse().unwrap()];
        http.request_id = Some("X-Request-Id".into());
    });
    let _ = Peer::to(&rig).ask(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Request-Id: mine\r\n\r\n",
    );
    let asked = asked.lock().unwrap();
    assert_eq!(
        asked[0].header("x-forwarded-for"),
        Some("1.2.3.4, 127.0.0.1")
    );
    assert_eq!(asked[0].header("x-forwarded-proto"), Some("https"));
    assert_eq!(asked[0].header("x-request-id"), Some("mine"));
}

#[test]
fn the_first_route_that_matches_takes_the_request() {
    let respond = |http: &mut HttpSpec, host: &str, body: &str| {
        let mut route = RouteSpec::to_pool(name("pool"));
        route.matches.hosts = vec![HostMatch::Exact(host.into())];
        route.action = RouteAction::Respond {
            status: 200,
            content_type: None,
            body: body.into(),
        };
        http.routes.insert(0, route);
    };
    let rig = site(&[saying("pool")], |http, _| {
        respond(http, "b.example", "b");
        respond(http, "c.example", "c");
    });
    let mut client = Peer::to(&rig);
    for (host, want) in [
        ("a.example", "pool"),
        ("B.Example:80", "b"),
        ("c.example", "c"),
    ] {
        assert_eq!(
            client
                .ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
                .text(),
            want
        );
    }
}
