//! Routes and rules of vips, tracked routes: what is written and what it comes to.

#![expect(clippy::unwrap_used, reason = "tests")]

use control::{
    config::{NoSources, diff, parse},
    spec::{
        Spec,
        vip::{Scope, TrackKind},
        ways::{
            Hop, HopDevice, MAIN, Mark, PROTOCOL, RouteKind, RuleAction, VirtualRoute, VirtualRule,
        },
    },
};
use proto::vrrp::terms::Family;

fn taken(text: &str) -> Spec {
    match parse(text, "t", &NoSources) {
        Ok(admitted) => {
            assert!(admitted.warnings.is_empty(), "{}", admitted.warnings);
            admitted.spec
        }
        Err(problems) => panic!("{problems}"),
    }
}

fn vip(addresses: &str, more: &str) -> String {
    format!(
        "[[vip]]\nname = \"edge\"\naddresses = [{addresses}]\ninterface = \"eth0\"\n{more}\n\
         [vip.vrrp]\nid = 51\n"
    )
}

const V4: &str = "\"192.168.1.100/24\"";
const BOTH: &str = "\"192.168.1.100/24\", \"fe80::100/64\"";

fn route(keys: &str) -> VirtualRoute {
    let spec = taken(&vip(V4, &format!("routes = [{{ {keys} }}]")));
    spec.vips[0].routes[0].clone()
}

fn rules(addresses: &str, keys: &str) -> Vec<VirtualRule> {
    let spec = taken(&vip(addresses, &format!("rules = [{{ {keys} }}]")));
    spec.vips[0].rules.clone()
}

fn only_hop(route: &VirtualRoute) -> Hop {
    match &route.kind {
        RouteKind::Unicast(hops) if hops.len() == 1 => hops[0].clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_route_leaves_out_is_what_ip_route_takes() {
    let plain = route("to = \"10.0.0.0/8\", via = \"192.168.1.1\"");
    assert_eq!((plain.table, plain.metric, plain.scope), (MAIN, None, None));
    assert_eq!(plain.proto, PROTOCOL);
    assert_eq!(plain.key(), ("10.0.0.0/8".parse().unwrap(), MAIN, 0));
    let expected = Hop {
        via: Some("192.168.1.1".parse().unwrap()),
        dev: HopDevice::OfGateway,
        onlink: false,
        weight: 1,
    };
    assert_eq!(only_hop(&plain), expected);
    assert_eq!(plain.to_string(), "10.0.0.0/8 via 192.168.1.1");
}

#[test]
fn the_device_is_the_vips_where_no_gateway_tells_another() {
    for (keys, dev) in [
        ("to = \"10.0.0.0/8\"", HopDevice::OfVip),
        ("to = \"::/0\", via = \"fe80::1\"", HopDevice::OfVip),
        ("to = \"::/0\", via = \"fd00::1\"", HopDevice::OfGateway),
        (
            "to = \"10.0.0.0/8\", via = \"172.16.0.1\", onlink = true",
            HopDevice::OfVip,
        ),
        (
            "to = \"10.0.0.0/8\", dev = \"eth1\"",
            HopDevice::Named("eth1".into()),
        ),
    ] {
        assert_eq!(only_hop(&route(keys)).dev, dev, "{keys}");
    }
}

#[test]
fn default_is_of_the_family_that_the_rest_is_of() {
    for (keys, to) in [
        ("to = \"default\", via = \"192.168.1.1\"", "0.0.0.0/0"),
        ("to = \"default\", via = \"fd00::1\"", "::/0"),
        ("to = \"default\", src = \"192.168.1.100\"", "0.0.0.0/0"),
        ("to = \"default\", hops = [{ via = \"fd00::1\" }]", "::/0"),
        // IPv4 by way of an IPv6 gateway.
        ("to = \"0.0.0.0/0\", via = \"fe80::1\"", "0.0.0.0/0"),
    ] {
        assert_eq!(route(keys).to, to.parse().unwrap(), "{keys}");
    }
}

#[test]
fn all_keys_of_a_route_are_read() {
    let all = route(
        "to = \"10.0.0.1\", via = \"192.168.1.1\", dev = \"eth1\", src = \"192.168.1.100\", table = 100, metric = 5, \
         scope = \"link\", mtu = 1400, advmss = 1360, initcwnd = 20, initrwnd = 30, proto = 50",
    );
    assert_eq!(all.key(), ("10.0.0.1/32".parse().unwrap(), 100, 5));
    assert_eq!(all.src, Some("192.168.1.100".parse().unwrap()));
    assert_eq!(all.scope, Some(Scope::Link));
    assert_eq!(
        (all.mtu, all.advmss, all.initcwnd, all.initrwnd, all.proto),
        (Some(1400), Some(1360), Some(20), Some(30), 50)
    );
    let shown = "10.0.0.1 via 192.168.1.1 dev eth1 table 100 metric 5";
    assert_eq!(all.to_string(), shown);
    let hops = route(
        "to = \"10.0.0.0/8\", hops = [{ via = \"10.9.0.1\", weight = 256 }, { dev = \"a\" }]",
    );
    let RouteKind::Unicast(hops) = hops.kind else {
        panic!("two hops")
    };
    assert_eq!((hops[0].weight, hops[1].weight), (256, 1));
    let gone = route("to = \"2001:db8::/32\", kind = \"unreachable\", table = \"local\"");
    assert_eq!((&gone.kind, gone.table), (&RouteKind::Unreachable, 255));
    // IPv6's default metric is what the kernel makes of none.
    assert_eq!(gone.key().2, 1024);
    assert_eq!(gone.to_string(), "unreachable 2001:db8::/32 table 255");
}

#[test]
fn a_rule_is_of_the_family_of_what_it_names_or_of_each_of_the_vips() {
    let one = rules(BOTH, "priority = 5, from = \"10.0.0.1\", table = 100");
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].family, Family::V4);
    assert_eq!(one[0].action, RuleAction::Lookup(100));
    assert_eq!(one[0].to_string(), "5: from 10.0.0.1 lookup 100");
    let families = |rules: Vec<VirtualRule>| rules.iter().map(|r| r.family).collect::<Vec<_>>();
    let marked = "priority = 6, fwmark = 0x10, iif = \"lo\", action = \"blackhole\"";
    assert_eq!(families(rules(V4, marked)), [Family::V4]);
    let both = rules(BOTH, marked);
    let mark = Mark {
        value: 16,
        mask: u32::MAX,
    };
    assert_eq!(both[1].fwmark, Some(mark));
    assert_eq!(
        both[1].to_string(),
        "6: from all fwmark 0x10/0xffffffff iif lo blackhole"
    );
    assert_eq!(families(both), [Family::V4, Family::V6]);
    // What is above IP, of both families.
    let above = "priority = 7, not = true, ipproto = \"udp\", sport = 53, dport = \"1024-65534\", uidrange = \"5-9\", \
                 table = 9";
    let above = rules(BOTH, above);
    assert_eq!(
        above[1].to_string(),
        "7: not from all uidrange 5-9 ipproto udp sport 53 dport 1024-65534 lookup 9"
    );
    let [v4, v6] = [&above[0], &above[1]];
    assert_eq!((v4.family, v6.family), (Family::V4, Family::V6));
    assert_eq!((v4.sport, v4.dport), (v6.sport, v6.dport));
    let of = |keys: &str| rules(V4, &format!("priority = 8, {keys}, table = 9"))[0].to_string();
    assert_eq!(of("ipproto = 89"), "8: from all ipproto 89 lookup 9");
    assert_eq!(
        of("ipproto = 6, dport = 1"),
        "8: from all ipproto tcp dport 1 lookup 9"
    );
    assert_eq!(of("uidrange = 0"), "8: from all uidrange 0-0 lookup 9");
    assert_eq!(of("not = false"), "8: from all lookup 9");
    // All of one family.
    let all = rules(
        BOTH,
        "priority = 7, to = \"::/0\", oif = \"eth0\", table = \"main\"",
    );
    assert_eq!((all[0].family, all[0].to, all.len()), (Family::V6, None, 1));
}

#[test]
fn they_move_with_addresses_of_their_family_or_with_the_first() {
    let more = "routes = [{ to = \"10.0.0.0/8\" }, { to = \"fd00::/8\" }]\n\
                rules = [{ priority = 1, from = \"fd00::/8\", table = 1 }]";
    let both = taken(&vip(BOTH, more));
    let routes = |spec: &Spec, family| {
        let all = spec.vips[0].routes_of(family);
        all.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(routes(&both, Family::V4), ["10.0.0.0/8"]);
    assert_eq!(routes(&both, Family::V6), ["fd00::/8"]);
    assert_eq!(both.vips[0].rules_of(Family::V4).count(), 0);
    let alone = taken(&vip(V4, more));
    assert_eq!(routes(&alone, Family::V4), ["10.0.0.0/8", "fd00::/8"]);
    assert_eq!(alone.vips[0].rules_of(Family::V4).count(), 1);
}

#[test]
fn two_vips_may_mean_the_same_route() {
    let second = vip(
        "\"192.168.1.101/24\"",
        "routes = [{ to = \"10.0.0.0/8\", via = \"192.168.1.1\" }]",
    );
    let second = second
        .replace("edge", "other")
        .replace("id = 51", "id = 52");
    let first = vip(
        V4,
        "routes = [{ to = \"10.0.0.0/8\", via = \"192.168.1.1\" }]",
    );
    assert_eq!(taken(&(first + &second)).vips.len(), 2);
}

#[test]
fn tracked_routes_are_read() {
    let tracked = |track: &str| {
        let spec = taken(&format!("{}track = [{{ {track} }}]", vip(V4, "")));
        let vrrp = spec.vips[0].vrrp.clone().unwrap();
        (vrrp.track[0].what.clone(), vrrp.track[0].weight)
    };
    let (what, weight) = tracked("route = \"10.0.0.0/8\", weight = -20");
    assert_eq!(
        (what.label(), weight),
        ("route 10.0.0.0/8".into(), Some(-20))
    );
    let (what, weight) =
        tracked("route = \"default\", via = \"fe80::1\", dev = \"eth1\", table = 7");
    assert_eq!(what.label(), "route default via fe80::1 dev eth1 table 7");
    assert_eq!(weight, None);
    let TrackKind::Route(route) = what else {
        panic!("a route")
    };
    assert_eq!(route.to, "::/0".parse().unwrap());
}

#[test]
fn a_dry_run_says_what_of_them_changes() {
    let old = taken(&vip(V4, "routes = [{ to = \"10.0.0.0/8\" }]"));
    let new = taken(&vip(V4, "routes = [{ to = \"10.0.0.0/8\", metric = 5 }]"));
    let changes: Vec<String> = diff(&old, &new).iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["vip edge: route 1 metric none -> 5"]);
    let accept = format!("{}accept = false", vip(V4, ""));
    let changes = diff(&taken(&vip(V4, "")), &taken(&accept));
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["vip edge: vrrp.accept true -> false"]);
}
