//! What is asked of the kernel is what is understood when it tells of it; what is looked for is found, and nothing else.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::thread;

use control::{
    config::{NoSources, parse},
    spec::{
        VipSpec,
        ways::{PROTOCOL, RuleAction, VirtualRoute, VirtualRule, WatchedRoute},
    },
};
use l4::net::wire::{Message, Messages, Request};
use proto::vrrp::terms::Family;

use rustix::{
    process::geteuid,
    thread::{UnshareFlags, unshare_unsafe},
};

use super::{
    Ways, WaysOf,
    route::{self, Seen},
    rule,
    watch::failing,
};

/// Hands over the message that a request is.
fn told<T>(request: Request, read: impl Fn(&Message<'_>) -> T) -> T {
    let bytes = request.finish(1);
    let message = Messages(&bytes).next().unwrap();
    read(&message)
}

fn vip(more: &str) -> VipSpec {
    let text = format!(
        "[[vip]]\nname = \"edge\"\naddresses = [\"192.0.2.1/24\", \"fe80::1/64\"]\ninterface = \"lo\"\n{more}"
    );
    let spec = parse(&text, "t", &NoSources).unwrap().spec;
    VipSpec::clone(&spec.vips[0])
}

fn routes(keys: &[&str]) -> Vec<VirtualRoute> {
    let keys: Vec<String> = keys.iter().map(|keys| format!("{{ {keys} }}")).collect();
    vip(&format!("routes = [{}]", keys.join(", "))).routes
}

/// What the kernel would tell of a route that it was asked for, but for `proto`.
fn seen(keys: &str) -> Seen {
    let route = &routes(&[keys])[0];
    told(route::add(route, "lo", false).unwrap(), Seen::read).unwrap()
}

#[test]
fn routes_that_are_asked_for_are_those_that_are_known_again() {
    let all = routes(&[
        "to = \"10.0.0.0/8\", via = \"192.0.2.9\", dev = \"lo\", table = 1000, metric = 4294967295",
        "to = \"0.0.0.0/0\", via = \"fe80::9\"",
        "to = \"::/0\", via = \"fe80::9\", metric = 7",
        "to = \"2001:db8::1\", kind = \"prohibit\"",
        "to = \"10.1.0.0/16\", hops = [{ via = \"192.0.2.9\" }, { via = \"fe80::8\", dev = \"lo\" }]",
    ]);
    for route in &all {
        for request in [route::add(route, "lo", true).unwrap(), route::delete(route)] {
            let seen = told(request, Seen::read).unwrap();
            assert_eq!((seen.key, seen.proto), (route.key(), PROTOCOL), "{route}");
        }
        let by_key = told(route::delete_by_key(route.key(), 9), Seen::read).unwrap();
        assert_eq!((by_key.key, by_key.proto), (route.key(), 9));
    }
    let hops = |at: usize| told(route::add(&all[at], "lo", false).unwrap(), Seen::read).unwrap();
    let gateways = |seen: &Seen| seen.hops.iter().map(|hop| hop.via).collect::<Vec<_>>();
    let of = |text: &str| Some(text.parse().unwrap());
    assert_eq!(gateways(&hops(0)), [of("192.0.2.9")]);
    assert_eq!(gateways(&hops(1)), [of("fe80::9")]);
    assert_eq!(gateways(&hops(4)), [of("192.0.2.9"), of("fe80::8")]);
    assert!(hops(2).leads && !hops(3).leads);
}

#[test]
fn a_device_that_is_not_there_is_said() {
    let route = &routes(&["to = \"10.0.0.0/8\", dev = \"no-such-dev\""])[0];
    let error = route::add(route, "lo", false).unwrap_err();
    assert_eq!(error.to_string(), "there is no device no-such-dev");
}

#[test]
fn rules_that_are_asked_for_are_those_that_are_known_again() {
    let vip = vip("rules = [\n\
         { priority = 1, from = \"10.0.0.0/8\", to = \"192.0.2.7\", table = 4294967295 },\n\
         { priority = 4294967295, fwmark = \"0/0xff\", iif = \"lo\", oif = \"eth0\", table = 5 },\n\
         { priority = 3, to = \"fd00::/8\", action = \"blackhole\" },\n\
         { priority = 4, fwmark = 1, action = \"unreachable\" },\n\
         { priority = 5, action = \"prohibit\" },\n\
         { priority = 6, not = true, from = \"10.0.0.0/8\", table = 7 },\n\
         { priority = 7, ipproto = \"tcp\", sport = \"1-65534\", dport = 443, table = 7 },\n\
         { priority = 8, ipproto = 255, uidrange = \"0-4294967294\", table = 7 }]");
    assert_eq!(vip.rules.len(), 13);
    for one in &vip.rules {
        assert_eq!(told(rule::add(one), rule::read).as_ref(), Some(one));
        assert_eq!(told(rule::delete(one), rule::read).as_ref(), Some(one));
    }
}

/// In a network namespace of the test's own: the kernel takes away a rule that says no less than what is asked for.
#[test]
fn of_rules_that_the_kernel_confuses_the_right_ones_go() {
    if !geteuid().is_root() {
        let skip = std::env::var_os("APLOMB_NO_SKIP").is_none();
        assert!(skip, "it needs root");
        eprintln!("SKIPPED: of_rules_that_the_kernel_confuses needs root");
        return;
    }
    let all = vip("rules = [\n\
         { priority = 5, from = \"10.0.0.1\", dport = \"80-90\", table = 7 },\n\
         { priority = 5, from = \"10.0.0.1\", ipproto = \"udp\", sport = 53, table = 7 },\n\
         { priority = 5, from = \"10.0.0.1\", uidrange = 1000, table = 7 },\n\
         { priority = 5, from = \"10.0.0.1\", table = 7 },\n\
         { priority = 6, not = true, from = \"10.0.0.1\", table = 7 }]");
    let of = |rules: &[VirtualRule]| WaysOf {
        device: "lo".into(),
        rules: rules.to_vec(),
        ..WaysOf::default()
    };
    let test = move || {
        // SAFETY: a network namespace of this thread's own takes nothing from others.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
        let same = |ways: &mut Ways, wanted: &[VirtualRule]| {
            let there = ways.rules_there();
            let has_all = wanted.iter().all(|rule| there.contains(rule));
            assert!(has_all && there.len() == wanted.len(), "{there:#?}");
        };
        let mut ways = Ways::open().unwrap();
        let rules = &all.rules;
        assert_eq!(ways.set(1, of(rules)), Ok(()));
        same(&mut ways, rules);
        // The fourth alone fits all before it.
        let mut three = rules.clone();
        drop(three.remove(3));
        assert_eq!(ways.set(1, of(&three)), Ok(()));
        same(&mut ways, &three);
        // Its opposite takes its place.
        let mut upright = three.clone();
        upright[3].not = false;
        assert_eq!(ways.set(1, of(&upright)), Ok(()));
        same(&mut ways, &upright);
        // What a process that died left behind goes, whatever fits it.
        assert_eq!(ways.set(1, of(rules)), Ok(()));
        let mut next = Ways::open().unwrap();
        assert_eq!(next.set(1, of(&rules[..2])), Ok(()));
        next.sweep();
        same(&mut next, &rules[..2]);
        next.clear(&of(rules));
        same(&mut next, &rules[..2]);
        assert_eq!(next.set(1, WaysOf::default()), Ok(()));
        same(&mut next, &[]);
    };
    thread::spawn(test).join().unwrap();
}

#[test]
fn rules_of_others_are_none_of_ours() {
    // Main's, as the kernel tells of it: nobody is said to have made it.
    let mut header = [0; 12];
    (header[0], header[4], header[7]) = (libc::AF_INET as u8, 254, 1);
    let main = Request::new(rule::NEW, 0, &header).attribute(6, &32766_u32.to_ne_bytes());
    assert_eq!(told(main, rule::read), None);
    header[0] = libc::AF_INET6 as u8;
    let ours = Request::new(rule::NEW, 0, &header).attribute(21, &[PROTOCOL]);
    let read = told(ours, rule::read).unwrap();
    assert_eq!(
        (read.family, read.action),
        (Family::V6, RuleAction::Lookup(254))
    );
}

#[test]
fn what_is_cut_short_is_no_route_and_no_rule() {
    let route =
        &routes(&["to = \"10.1.0.0/16\", hops = [{ via = \"192.0.2.9\" }, { dev = \"lo\" }]"])[0];
    let bytes = route::add(route, "lo", false).unwrap().finish(1);
    for length in 0..bytes.len() {
        let mut cut = bytes[..length].to_vec();
        if let Some(own) = cut.get_mut(..4) {
            own.copy_from_slice(&(length as u32).to_ne_bytes());
        }
        for message in Messages(&cut) {
            let _ = (Seen::read(&message), rule::read(&message));
        }
    }
}

fn watched(to: &str) -> WatchedRoute {
    WatchedRoute {
        to: to.parse().unwrap(),
        table: 254,
        via: None,
        dev: None,
    }
}

/// As somebody else has it.
fn theirs(keys: &str) -> Seen {
    Seen {
        proto: 4,
        ..seen(keys)
    }
}

#[test]
fn a_tracked_route_is_there_or_it_is_said_what_is_amiss() {
    let index = |name: &str| (name == "lo").then_some(1);
    let to = watched("10.0.0.0/8");
    let why = |watched: &WatchedRoute, all: &[Seen]| failing(watched, all, index);
    let gone = Some("it is not there".to_owned());
    let elsewhere = Some("it is there, but leads elsewhere or nowhere".to_owned());

    assert_eq!(why(&to, &[]), gone);
    assert_eq!(
        why(&to, &[theirs("to = \"10.0.0.0/8\", via = \"192.0.2.9\"")]),
        None
    );
    for other in [
        "to = \"10.0.0.0/9\", dev = \"lo\"",
        "to = \"10.0.0.0/8\", dev = \"lo\", table = 5",
        "to = \"::/0\", dev = \"lo\"",
    ] {
        assert_eq!(why(&to, &[theirs(other)]), gone, "{other}");
    }
    // One that a vip brings would hold itself up.
    assert_eq!(why(&to, &[seen("to = \"10.0.0.0/8\", dev = \"lo\"")]), gone);
    let blackhole = theirs("to = \"10.0.0.0/8\", kind = \"blackhole\"");
    assert_eq!(why(&to, std::slice::from_ref(&blackhole)), elsewhere);
    // Of several one is enough.
    let leading = theirs("to = \"10.0.0.0/8\", dev = \"lo\", metric = 9");
    assert_eq!(why(&to, &[blackhole, leading.clone()]), None);

    let by_gateway = WatchedRoute {
        via: Some("192.0.2.9".parse().unwrap()),
        ..to.clone()
    };
    assert_eq!(why(&by_gateway, std::slice::from_ref(&leading)), elsewhere);
    let hops =
        "to = \"10.0.0.0/8\", hops = [{ dev = \"lo\" }, { via = \"192.0.2.9\", dev = \"lo\" }]";
    assert_eq!(why(&by_gateway, &[theirs(hops)]), None);
    let by_device = |dev: &str| WatchedRoute {
        dev: Some(dev.into()),
        ..to.clone()
    };
    assert_eq!(why(&by_device("lo"), std::slice::from_ref(&leading)), None);
    for dev in ["eth0", "no-such-dev"] {
        assert_eq!(
            why(&by_device(dev), std::slice::from_ref(&leading)),
            elsewhere
        );
    }
    let mut down = leading;
    down.hops[0].usable = false;
    assert_eq!(why(&to, &[down]), Some("its device is down".into()));
}
