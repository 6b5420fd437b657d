//! The index finds what a scan over all routes finds, also among a thousand hosts.

use proptest::prelude::*;

use super::*;

/// What routing means, without index, normal forms, or anything else that could be wrong in the same way.
fn naive(routes: &[RouteMatch], request: &Request<'_>) -> Option<usize> {
    let host = request.host.to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((request.target, ""));
    let takes_host = |h: &HostMatch| match h {
        HostMatch::Exact(name) => name == host,
        HostMatch::Below(parent) => {
            host.len() > parent.len() + 1 && host.ends_with(&format!(".{parent}"))
        }
    };
    let takes_path = |p: &PathMatch| match p {
        PathMatch::Exact(wanted) => wanted == path,
        PathMatch::Prefix(wanted) => path.starts_with(wanted) || format!("{path}/") == *wanted,
        PathMatch::Regex(regex) => regex::Regex::new(regex).unwrap().is_match(path),
    };
    let takes_text = |wanted: &TextMatch, given: &str| match wanted {
        TextMatch::Present => true,
        TextMatch::Exact(wanted) => wanted == given,
        TextMatch::Regex(regex) => regex::Regex::new(regex).unwrap().is_match(given),
    };
    let has_header = |(name, wanted): &(String, TextMatch)| {
        let lines = &request.headers;
        lines
            .iter()
            .any(|(n, v)| n.to_lowercase() == *name && takes_text(wanted, v))
    };
    let has_parameter = |(name, wanted): &(String, TextMatch)| {
        let mut pairs = query.split('&').filter_map(|p| p.split_once('='));
        pairs.any(|(n, v)| n == name && takes_text(wanted, v))
    };
    routes.iter().position(|r| {
        (r.hosts.is_empty() || r.hosts.iter().any(takes_host))
            && r.path.iter().all(takes_path)
            && (r.methods.is_empty() || r.methods.iter().any(|m| m == request.method))
            && r.headers.iter().all(has_header)
            && r.query.iter().all(has_parameter)
    })
}

pub(super) const METHODS: [&str; 3] = ["GET", "PUT", "get"];
const HOSTS: [&str; 9] = [
    "a", "b", "a.b", "b.a", "c.a.b", "*.a", "*.b", "*.a.b", "*.c.a.b",
];
const ASKED: [&str; 11] = [
    "a", "B", "a.b", "A.B.", "x.a", "x.y.b", "c.a.b", "d.c.a.b", ".a", "", "z",
];
const PATHS: [&str; 9] = [
    "/", "/a", "/a/", "/a/b", "/a/b/", "/a*", "/b/", "~^/a", "~b$",
];
pub(super) const TARGETS: [&str; 7] = ["/", "/a", "/a/", "/a/b", "/ab", "/b/x", "/c"];
pub(super) const TEXTS: [&str; 5] = ["*", "1", "2", "~^1", "~."];

fn some<T: Clone + std::fmt::Debug + 'static>(
    from: &'static [T],
    most: usize,
) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(prop::sample::select(from), 0..=most)
}

fn texts() -> impl Strategy<Value = Vec<(String, TextMatch)>> {
    let one = (
        prop::sample::select(&["x", "y"][..]),
        prop::sample::select(&TEXTS[..]),
    );
    let one = one.prop_map(|(name, value)| (name.into(), text(value)));
    prop::collection::vec(one, 0..2)
}

pub(super) fn route() -> impl Strategy<Value = RouteMatch> {
    let path_of = prop::option::of(prop::sample::select(&PATHS[..]));
    (
        some(&HOSTS, 3),
        path_of,
        some(&METHODS, 2),
        texts(),
        texts(),
    )
        .prop_map(|(hosts, at, methods, headers, query)| RouteMatch {
            hosts: hosts.into_iter().map(host).collect(),
            path: at.map(path),
            methods: methods.into_iter().map(String::from).collect(),
            headers,
            query,
        })
}

/// A request as `(host, target with query, method, headers)`.
pub(super) type Asked = (
    &'static str,
    String,
    &'static str,
    Vec<(&'static str, &'static str)>,
);

pub(super) fn asked() -> impl Strategy<Value = Asked> {
    let value = prop::sample::select(&["", "1", "2", "11"][..]);
    let pairs = || {
        let name = prop::sample::select(&["x", "Y", "y"][..]);
        prop::collection::vec((name, value.clone()), 0..3)
    };
    let target = prop::sample::select(&TARGETS[..]);
    let method = prop::sample::select(&METHODS[..]);
    (
        prop::sample::select(&ASKED[..]),
        target,
        pairs(),
        method,
        pairs(),
    )
        .prop_map(|(host, target, query, method, headers)| {
            let query: Vec<String> = query.iter().map(|(n, v)| format!("{n}={v}")).collect();
            (
                host,
                format!("{target}?{}", query.join("&")),
                method,
                headers,
            )
        })
}

pub(super) fn request(asked: &Asked) -> Request<'_> {
    Request {
        method: asked.2,
        host: asked.0,
        target: &asked.1,
        headers: asked.3.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn as_a_scan_would(
        routes in prop::collection::vec(route(), 0..20),
        asked in prop::collection::vec(asked(), 1..20),
    ) {
        let router = router(&routes);
        for asked in &asked {
            let request = request(asked);
            let expected = naive(&routes, &request);
            prop_assert_eq!(request.find(&router), expected, "{:?} among {:?}", asked, routes);
            let tried = request.view(|v| router.explain(v));
            let explained = tried.last().filter(|t| t.mismatch.is_none()).map(|t| t.route);
            prop_assert_eq!(explained, expected, "explained otherwise: {:?}", asked);
        }
    }
}

#[test]
fn a_thousand_hosts() {
    let mut routes: Vec<RouteMatch> = (0..1000)
        .flat_map(|i| {
            let name = format!("site{i}.example");
            [
                on(&[&name], "/api/"),
                on(&[&name, &format!("*.{name}")], "/"),
            ]
        })
        .collect();
    routes.push(on(&["*.example"], ""));
    routes.push(on(&[], "/health"));
    let router = router(&routes);
    for i in [0, 1, 499, 999] {
        let name = format!("Site{i}.Example");
        assert_eq!(get(&name, "/api/x").find(&router), Some(2 * i));
        assert_eq!(get(&name, "/x").find(&router), Some(2 * i + 1));
        assert_eq!(
            get(&format!("www.{name}"), "/api/x").find(&router),
            Some(2 * i + 1)
        );
    }
    assert_eq!(get("site1000.example", "/x").find(&router), Some(2000));
    assert_eq!(get("elsewhere", "/health").find(&router), Some(2001));
    // What is looked at for one host: its own two routes, the wildcard above, and the one for any host.
    assert_eq!(router.hosts.routes_for("site7.example").count(), 4);
    assert_eq!(router.hosts.routes_for("nowhere").count(), 1);
}
