//! What each condition takes.

use super::*;

#[test]
fn hosts() {
    let router = router(&[
        on(&["shop.example"], ""),
        on(&["*.shop.example"], ""),
        on(&["*.example", "localhost"], ""),
    ]);
    let cases = [
        ("shop.example", Some(0)),
        ("SHOP.Example", Some(0)),
        ("shop.example.", Some(0)),
        ("a.shop.example", Some(1)),
        ("a.b.shop.example", Some(1)),
        ("other.example", Some(2)),
        ("xshop.example", Some(2)),
        ("LOCALHOST", Some(2)),
        ("example", None),
        (".example", None),
        ("", None),
        ("shop.example.org", None),
        ("[2001:db8::1]", None),
    ];
    for (host, route) in cases {
        assert_eq!(get(host, "/").find(&router), route, "{host}");
    }
    let long = format!("{}.example", "a".repeat(300));
    assert_eq!(get(&long, "/").find(&router), None, "no such name can be");
}

/// The order in config decides, not how narrow a host is.
#[test]
fn the_first_in_config_order_wins() {
    let routes = [
        on(&[], "/health"),
        on(&["*.example"], "/api/"),
        on(&["a.example"], "/api/v1/"),
        on(&["a.example"], "/"),
        on(&[], "/api/"),
        on(&["*.a.example"], "/"),
        on(&["*.example"], "/"),
    ];
    let router = router(&routes);
    let cases = [
        ("a.example", "/health", Some(0)),
        ("a.example", "/api/v1/x", Some(1)),
        ("a.example", "/x", Some(3)),
        ("b.a.example", "/api/", Some(1)),
        ("b.a.example", "/x", Some(5)),
        ("b.example", "/x", Some(6)),
        ("elsewhere", "/api", Some(4)),
        ("elsewhere", "/x", None),
    ];
    for (host, target, route) in cases {
        assert_eq!(get(host, target).find(&router), route, "{host}{target}");
    }
}

#[test]
fn paths() {
    let cases = [
        (
            "/about",
            &["/about", "/%61bout", "//about", "/x/../about"][..],
            &["/about/", "/About", "/aboutx"][..],
        ),
        (
            "/api/",
            &["/api/", "/api", "/api/x", "/api//x", "/api%2Fx", "/./api/x"],
            &["/apix", "/ap", "/"],
        ),
        ("/api*", &["/api", "/apix", "/api/x"], &["/ap", "/x/api"]),
        ("/", &["/", "/x", "//"], &["*"]),
        ("/straße/", &["/stra%C3%9Fe/1", "/straße"], &["/strasse/"]),
        ("/a%20b", &["/a%20b"], &["/a+b", "/a%2520b"]),
        (
            "~^/v[0-9]+/",
            &["/v1/", "/v22/x", "//v1//x", "/v%31/"],
            &["/v/", "/x/v1/"],
        ),
        ("~\\.php$", &["/x.php", "/x%2Ephp"], &["/x.php/", "/x.phpx"]),
        ("/.*", &["/.git", "/.well-known/x"], &["/git"]),
    ];
    for (pattern, taken, refused) in cases {
        let router = router(&[on(&[], pattern)]);
        for target in taken {
            assert_eq!(
                get("h", target).find(&router),
                Some(0),
                "{pattern} takes {target}"
            );
        }
        for target in refused {
            assert_eq!(
                get("h", target).find(&router),
                None,
                "{pattern} refuses {target}"
            );
        }
    }
}

/// However it is spelled, what a backend may take for `/admin/…` meets the route for it, or is refused.
#[test]
fn no_spelling_gets_around_a_route() {
    let router = router(&[on(&[], "/admin/"), on(&[], "/")]);
    let spellings = [
        "/admin",
        "/admin/x",
        "//admin/x",
        "/%61dmin/x",
        "/%41dmin/../admin/x",
        "/x/../admin/x",
        "/./admin/x",
        "/x/%2e%2E/admin/",
        "/admin%2Fx",
        "/admin%2fx",
        "/%2Fadmin/x",
        "///admin///x",
        "/admin/./x",
        "/admin//",
        "/x//../../admin/x",
    ];
    for target in spellings {
        assert_eq!(get("h", target).find(&router), Some(0), "{target}");
    }
    let refused = [
        "/x/..%2Fadmin/x",
        "/x%2F../admin",
        "/x/..;/admin/x",
        "/x\\..\\admin",
        "/x/..%5Cadmin",
        "/../admin",
        "/admin%00",
    ];
    for target in refused {
        assert!(Path::clean(target).is_err(), "{target}");
    }
}

#[test]
fn methods_headers_and_parameters() {
    let route = RouteMatch {
        methods: vec!["POST".into(), "PUT".into()],
        headers: vec![
            ("x-version".into(), text("~^2\\.")),
            ("x-user".into(), text("*")),
        ],
        query: vec![("mode".into(), text("fast lane")), ("q".into(), text("*"))],
        ..RouteMatch::default()
    };
    let router = router(&[route]);
    let good = Request {
        method: "PUT",
        host: "h",
        target: "/?q&mode=slow&mode=fast+lane",
        headers: vec![("X-Version", "1.0"), ("X-VERSION", "2.7"), ("X-User", "")],
    };
    assert_eq!(
        good.find(&router),
        Some(0),
        "any line, any occurrence, any case of a name"
    );

    let why = |request: &Request<'_>| request.view(|v| router.explain(v)).pop().unwrap().mismatch;
    let method = Request {
        method: "put",
        headers: good.headers.clone(),
        ..good
    };
    assert_eq!(why(&method), Some(Mismatch::Method));
    let header = Request {
        headers: vec![("x-version", "12.0"), ("x-user", "u")],
        ..good
    };
    assert_eq!(why(&header), Some(Mismatch::Header("x-version".into())));
    let absent = Request {
        headers: vec![("x-version", "2.0")],
        ..good
    };
    assert_eq!(why(&absent), Some(Mismatch::Header("x-user".into())));
    let value = Request {
        target: "/?q=1&mode=fast",
        headers: good.headers.clone(),
        ..good
    };
    assert_eq!(why(&value), Some(Mismatch::Query("mode".into())));
    let none = Request {
        target: "/",
        headers: good.headers.clone(),
        ..good
    };
    assert_eq!(why(&none), Some(Mismatch::Query("mode".into())));
    assert_eq!(why(&good), None);
}

#[test]
fn explains_up_to_the_route_taken() {
    let router = router(&[
        on(&["a"], "/"),
        on(&[], "/x"),
        on(&["b"], "/y/"),
        on(&[], ""),
    ]);
    let tried = get("B.", "/y/1").view(|v| router.explain(v));
    let tried: Vec<_> = tried.into_iter().map(|t| (t.route, t.mismatch)).collect();
    let expected = [
        (0, Some(Mismatch::Host)),
        (1, Some(Mismatch::Path)),
        (2, None),
    ];
    assert_eq!(tried, expected);
    assert_eq!(get("c", "/none").view(|v| router.explain(v)).len(), 4);
}

#[test]
fn the_star_of_options_is_no_path() {
    let router = router(&[on(&[], "/"), on(&[], "~."), on(&[], "")]);
    assert_eq!(get("h", "*").find(&router), Some(1));
}

#[test]
fn a_bad_expression_is_named() {
    let routes = [on(&[], "/"), on(&[], "~(")];
    let error = Router::of(routes.iter()).unwrap_err();
    assert_eq!((error.route, &*error.pattern), (1, "("));
    let large = [on(&[], "~(\\w{100}){100}")];
    assert!(Router::of(large.iter()).is_err(), "too large an automaton");
}

#[test]
fn prefixes_are_replaced() {
    let cases = [
        // pattern, path, with, result
        ("/api/", "/api/x", "/", Some("/x")),
        ("/api/", "/api/x", "/v2", Some("/v2/x")),
        ("/api/", "/api/x", "/v2/", Some("/v2/x")),
        ("/api/", "/api", "/v2", Some("/v2")),
        ("/api/", "/api", "/", Some("/")),
        ("/api/", "/api/", "", Some("/")),
        ("/api/", "/api//x", "/v2/", Some("/v2/x")),
        ("/api/", "/api/a%2Fb//c", "/v2", Some("/v2/a%2Fb//c")),
        ("/api/", "/%61pi/%C3%A4", "/", Some("/%C3%A4")),
        ("/api*", "/apix", "/v", Some("/vx")),
        ("/api*", "/api/x", "/", Some("/x")),
        ("/api*", "/api/x", "", Some("/x")),
        ("/", "/x", "/base", Some("/base/x")),
        ("/", "/x", "/base/", Some("/base/x")),
        ("/api/", "/other", "/", None),
        ("/api", "/api", "/x", None),
        ("~^/api", "/api", "/x", None),
    ];
    for (pattern, raw, with, expected) in cases {
        let router = router(&[on(&[], pattern)]);
        let path = Path::clean(raw).unwrap();
        let replaced = router.replace_prefix(0, &path, with);
        assert_eq!(
            replaced.as_deref(),
            expected,
            "{pattern} by {with} in {raw}"
        );
    }
}
