//! `[[vip]]`: what is taken and what it comes to, what is refused and why.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{path::Path, time::Duration};

use control::{
    config::{Sources, diff, parse},
    spec::{
        Spec, VipSpec,
        vip::{AuthSpec, PreemptSpec, TrackKind},
    },
};
use proto::vrrp::{
    machine::{Auth, Cast, Preempt},
    terms::{Family, Interval, Priority, Version},
};

/// Secrets of the test's own.
struct Safe;

impl Sources for Safe {
    fn env(&self, name: &str) -> Result<String, String> {
        match name {
            "PASSWORD" => Ok("hunter2".into()),
            "LONG" => Ok("hunter2hunter2".into()),
            "KEY" => Ok("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff".into()),
            "OTHER" => {
                Ok("ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff".into())
            }
            _ => Err("it is not set".into()),
        }
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("no files".into())
    }
}

fn taken(text: &str) -> Spec {
    match parse(text, "t", &Safe) {
        Ok(admitted) => {
            assert!(admitted.warnings.is_empty(), "{}", admitted.warnings);
            admitted.spec
        }
        Err(problems) => panic!("{problems}"),
    }
}

fn vip(vrrp: &str) -> String {
    format!(
        "[[vip]]\nname = \"edge\"\naddresses = [\"192.168.1.100/24\"]\ninterface = \"eth0\"\nvrrp = {{ id = 51{vrrp} }}\n"
    )
}

fn one(vrrp: &str) -> VipSpec {
    VipSpec::clone(&taken(&vip(vrrp)).vips[0])
}

#[track_caller]
fn refused(text: &str, why: &str) {
    let problems = parse(text, "t", &Safe).expect_err(text).to_string();
    assert!(problems.contains(why), "{text}\n{problems}");
}

#[test]
fn defaults_are_those_of_the_field() {
    let vip = one("");
    let vrrp = vip.vrrp.unwrap();
    let [router] = &*vrrp.routers else {
        panic!("one family, one virtual router")
    };
    assert_eq!(router.vrid.number(), 51);
    assert_eq!(
        (router.version, router.priority),
        (Version::V3, Priority(100))
    );
    assert_eq!(router.interval, Interval::DEFAULT);
    assert_eq!(router.preempt, Preempt::AtOnce);
    assert_eq!(router.cast, Cast::multicast(Family::V4));
    assert_eq!(router.auth, Auth::None);
    assert_eq!(vip.announce.count, 5);
}

#[test]
fn both_families_are_two_routers_of_one_id() {
    let spec = taken(
        r#"
        [[vip]]
        name = "edge"
        addresses = ["192.168.1.100/24", "fe80::100/64", "192.168.1.101/24"]
        excluded = ["2001:db8::1/64"]
        interface = "eth0"
        vrrp = { id = 7, peers = ["192.168.1.2", "fe80::2"], source = ["192.168.1.1"] }
        "#,
    );
    let vrrp = spec.vips[0].vrrp.as_ref().unwrap();
    let [v4, v6] = &*vrrp.routers else {
        panic!("two")
    };
    assert_eq!((v4.family(), v4.addresses.list().len()), (Family::V4, 2));
    assert_eq!(v6.cast, Cast::unicast(vec!["fe80::2".parse().unwrap()]));
    let assigned = |family| spec.vips[0].assigned(family).count();
    assert_eq!((assigned(Family::V4), assigned(Family::V6)), (2, 2));
}

#[test]
fn excluded_addresses_of_a_family_without_router_go_with_the_first() {
    let spec = taken(
        "[[vip]]\nname = \"a\"\naddresses = \"10.0.0.1/24\"\nexcluded = \"fd00::1/64\"\ninterface = \"eth0\"\nvrrp = { id = 1 }",
    );
    assert_eq!(spec.vips[0].assigned(Family::V4).count(), 2);
    assert_eq!(spec.vips[0].assigned(Family::V6).count(), 1);
}

#[test]
fn preemption_authentication_and_tracking_are_read() {
    let preempt = |text| one(text).vrrp.unwrap().preempt;
    assert_eq!(preempt(", preempt = false"), PreemptSpec::Never);
    assert_eq!(
        preempt(", preempt = \"30s\""),
        PreemptSpec::After(Duration::from_secs(30))
    );
    let vrrp = one(", version = 2, auth = { password = { env = \"PASSWORD\" } }")
        .vrrp
        .unwrap();
    assert!(matches!(vrrp.auth, Some(AuthSpec::Password(_))));
    assert!(matches!(vrrp.routers[0].auth, Auth::Password(_)));
    let vrrp = one(", auth = { keys = [{ id = 9, key = { env = \"KEY\" } }], window = false }")
        .vrrp
        .unwrap();
    assert!(matches!(
        vrrp.auth,
        Some(AuthSpec::Keys {
            active: 9,
            window: None,
            ..
        })
    ));
    let vrrp = one(
        ", track = [{ interface = \"eth1\" }, { process = \"named\", weight = -20, fall = 3 }]",
    )
    .vrrp
    .unwrap();
    assert_eq!(vrrp.track[0].what, TrackKind::Interface("eth1".into()));
    assert_eq!((vrrp.track[1].weight, vrrp.track[1].fall), (Some(-20), 3));
}

#[test]
fn what_makes_no_virtual_router_is_refused() {
    for (vrrp, why) in [
        (
            ", version = 2, interval = \"100ms\"",
            "whole seconds up to 255 s in version 2",
        ),
        (", interval = \"41s\"", "40.95 s in version 3"),
        (", interval = \"15ms\"", "hundredths"),
        (", priority = 0", "out of range: 1 to 255"),
        (", priority = 256", "out of range"),
        (", version = 4", "out of range: 2 to 3"),
        (", peers = [\"fe80::2\"]", "no peer has an IPv4 address"),
        (", peers = [\"224.0.0.1\"]", "cannot be a peer"),
        (", peers = [\"10.0.0.2\", \"10.0.0.2\"]", "is there twice"),
        (", source = \"fe80::1\"", "is not of the addresses' family"),
        (
            ", auth = { password = { env = \"PASSWORD\" } }",
            "version 3 has no password",
        ),
        (
            ", version = 2, auth = { password = { env = \"LONG\" } }",
            "1 to 8 characters",
        ),
        (", auth = {}", "authenticated in one way"),
        (
            ", auth = { keys = [{ id = 1, key = { env = \"PASSWORD\" } }] }",
            "32 to 64 bytes",
        ),
        (
            ", auth = { keys = [{ id = 1, key = { env = \"KEY\" } }], active = 2 }",
            "is not there",
        ),
        (
            ", priority = 255, accept = false",
            "who owns the addresses takes packets to them",
        ),
        (
            ", track = [{ interface = \"a\", process = \"b\" }]",
            "one thing is tracked at a time",
        ),
        (
            ", track = [{ interface = \"a\", rise = 2 }]",
            "`rise` is a key of",
        ),
        (
            ", track = [{ service = \"web\" }]",
            "there is no service \"web\"",
        ),
        (
            ", track = [{ interface = \"a\", weight = 0 }]",
            "changes nothing",
        ),
        (
            ", priority = 255, track = [{ interface = \"a\", weight = 1 }]",
            "stays 255",
        ),
        (", track = [{ exec = [\"ping\"] }]", "absolute path"),
        (", notify = [\"mail\"]", "absolute path"),
        (", pririty = 5", "did you mean `priority`?"),
    ] {
        refused(&vip(vrrp), why);
    }
}

#[test]
fn what_clashes_is_refused() {
    let other =
        "[[vip]]\nname = \"other\"\naddresses = [\"192.168.1.101/24\"]\ninterface = \"eth0\"\n";
    let two = format!("{}{other}vrrp = {{ id = 51 }}", vip(""));
    refused(&two, "eth0 has two virtual routers with id 51");
    let _ = taken(&two.replace(
        "101/24\"]\ninterface = \"eth0\"",
        "101/24\"]\ninterface = \"eth1\"",
    ));
    let twice = two
        .replace("101/24", "100/24")
        .replace("{ id = 51 }", "{ id = 52 }");
    refused(&twice, "192.168.1.100 is also an address of vip \"edge\"");
    let group = format!("{}{other}vrrp = {{ id = 52, group = \"edge\" }}", vip(""));
    refused(&group, "the name of a vip that is not in this group");
    let v6 = vip(", version = 2").replace("192.168.1.100/24", "fe80::1/64");
    refused(&v6, "version 2 holds IPv4 addresses only");
    refused(
        &vip("").replace("100/24\"", "100/24\", \"192.168.1.100/32\""),
        "given twice",
    );
    refused(
        &vip("").replace("192.168.1.100/24", "192.168.1.100"),
        "write \"192.168.1.100/24\"",
    );
    refused(
        &vip("").replace("192.168.1.100/24", "224.0.0.1/24"),
        "no address that a node can hold",
    );
}

#[test]
fn a_group_has_a_size_that_can_be_moved_together() {
    let site = |count: u16| {
        let one = |n: u16| {
            let (a, b) = (n / 200, n % 200 + 1);
            format!(
                "[[vip]]\nname = \"v{n}\"\naddresses = \"10.0.{a}.{b}/24\"\ninterface = \"eth{a}\"\n\
                 vrrp = {{ id = {b}, group = \"all\" }}\n"
            )
        };
        (0..count).map(one).collect::<String>()
    };
    assert_eq!(taken(&site(256)).vips.len(), 256);
    refused(&site(257), "at most 256 virtual routers");
}

#[test]
fn a_dry_run_says_what_of_a_vip_changes_and_no_secret() {
    let old = taken(&vip(""));
    let say = |new: &str| {
        let changes = diff(&old, &taken(new));
        changes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        say(&vip(", priority = 150")),
        ["vip edge: vrrp.priority 100 -> 150"]
    );
    assert_eq!(say(""), ["vip edge removed"]);
    let key = |name: &str| {
        vip(&format!(
            ", auth = {{ keys = [{{ id = 1, key = {{ env = \"{name}\" }} }}] }}"
        ))
    };
    let changes = diff(&taken(&key("KEY")), &taken(&key("OTHER")));
    assert_eq!(changes.len(), 1);
    let said = format!("{changes:?}");
    assert!(
        said.contains("vrrp.auth") && !said.contains("2233"),
        "{said}"
    );
}
