//! Routes that can never match.

use proptest::prelude::*;

use super::*;

fn shadowed(routes: &[RouteMatch]) -> Vec<(usize, usize)> {
    let list: Vec<&RouteMatch> = routes.iter().collect();
    let shadowed = router(routes).shadowed_among(&list);
    shadowed.into_iter().map(|s| (s.route, s.by)).collect()
}

fn is_shadowed(earlier: RouteMatch, later: RouteMatch) -> bool {
    shadowed(&[earlier, later]) == [(1, 0)]
}

#[test]
fn by_host_and_path() {
    let cases = [
        // earlier, later, shadowed
        ((&[][..], ""), (&["a.b"][..], "/x"), true),
        ((&[], "/"), (&[], "/x/"), true),
        ((&[], "/x/"), (&[], "/x/y"), true),
        ((&[], "/x/"), (&[], "/x"), true),
        ((&[], "/x/"), (&[], "/x*"), false),
        ((&[], "/x*"), (&[], "/x/"), true),
        ((&[], "/x"), (&[], "/x/"), false),
        ((&[], "~^/x"), (&[], "/xy"), true),
        ((&[], "~^/x"), (&[], "~^/x"), true),
        ((&[], "~^/x"), (&[], "/x/"), false),
        ((&[], "/a//b"), (&[], "/a/%62"), true),
        ((&["a.b"], ""), (&[], ""), false),
        ((&["*.b"], ""), (&["a.b", "*.a.b", "*.b"], ""), true),
        ((&["*.b"], ""), (&["a.b", "b"], ""), false),
        ((&["*.a.b"], ""), (&["*.b"], ""), false),
        ((&["a.b"], ""), (&["*.b"], ""), false),
        ((&["a", "b"], "/"), (&["b"], "/"), true),
    ];
    for ((hosts, path), (later_hosts, later_path), expected) in cases {
        let got = is_shadowed(on(hosts, path), on(later_hosts, later_path));
        assert_eq!(
            got, expected,
            "{hosts:?}{path} and then {later_hosts:?}{later_path}"
        );
    }
}

#[test]
fn by_the_rest() {
    let with = |methods: &[&str], headers: &[(&str, &str)]| RouteMatch {
        methods: methods.iter().map(|&m| m.into()).collect(),
        headers: headers.iter().map(|&(n, v)| (n.into(), text(v))).collect(),
        ..RouteMatch::default()
    };
    assert!(is_shadowed(with(&["GET", "PUT"], &[]), with(&["PUT"], &[])));
    assert!(!is_shadowed(
        with(&["GET"], &[]),
        with(&["GET", "PUT"], &[])
    ));
    assert!(!is_shadowed(with(&["GET"], &[]), with(&[], &[])));
    assert!(is_shadowed(
        with(&[], &[("x", "*")]),
        with(&["GET"], &[("X", "1")])
    ));
    assert!(is_shadowed(
        with(&[], &[("x", "~^1")]),
        with(&[], &[("x", "12"), ("y", "*")])
    ));
    assert!(!is_shadowed(
        with(&[], &[("x", "~^1")]),
        with(&[], &[("x", "21")])
    ));
    assert!(!is_shadowed(
        with(&[], &[("x", "1"), ("y", "*")]),
        with(&[], &[("x", "1")])
    ));
}

#[test]
fn the_first_that_shadows_is_named() {
    let routes = [
        on(&["a"], "/y"),
        on(&[], "/x/"),
        on(&["a"], "/"),
        on(&["a"], "/x/1"),
        on(&["a"], "/y/2"),
    ];
    assert_eq!(shadowed(&routes), [(3, 1), (4, 2)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// What is reported is certain: no request ever meets such a route.
    #[test]
    fn a_shadowed_route_is_never_found(
        routes in prop::collection::vec(indexed::route(), 2..12),
        asked in prop::collection::vec(indexed::asked(), 30),
    ) {
        let shadowed: Vec<usize> = shadowed(&routes).into_iter().map(|(route, _)| route).collect();
        let router = router(&routes);
        for asked in &asked {
            if let Some(found) = indexed::request(asked).find(&router) {
                prop_assert!(!shadowed.contains(&found), "{:?} meets {} of {:?}", asked, found, routes);
            }
        }
    }
}
