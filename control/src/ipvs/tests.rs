#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;
use crate::{
    config::{Sources, parse},
    spec::{ServiceKind, Spec},
};

struct NoSources;

impl Sources for NoSources {
    fn env(&self, name: &str) -> Result<String, String> {
        Err(format!("no {name}"))
    }

    fn file(&self, path: &std::path::Path) -> Result<String, String> {
        Err(format!("no {}", path.display()))
    }
}

const FILE: &str = r#"
    [[pool]]
    name = "web"
    balance = "wrr"
    check = { tcp = true, port = 80 }
    backends = [
      { address = "10.0.0.11", weight = 3, max-connections = 100, resume-below = 50 },
      { address = "10.0.0.12", forward = "tunnel", tunnel = "gue:6081" },
    ]
    [[pool]]
    name = "dns"
    balance = "rr"
    backends = ["10.0.0.13:53"]
    [[service]]
    name = "web-vip"
    listen = ["tcp://192.168.1.100:80", "tcp://192.168.1.102:80"]
    forward = "direct"
    pool = "web"
    [[service]]
    name = "dns-vip"
    listen = "udp://192.168.1.100:53"
    forward = "nat"
    pool = "dns"
    [[service]]
    name = "many"
    listen = "tcp://192.168.1.101:8000-8100"
    forward = "direct"
    pool = "web"
"#;

fn spec(text: &str) -> Spec {
    match parse(text, "test.toml", &NoSources) {
        Ok(admitted) => admitted.spec,
        Err(problems) => panic!("{problems}"),
    }
}

fn id(text: &str) -> ServiceId {
    let (protocol, address) = text.split_once(' ').unwrap();
    ServiceId {
        protocol: match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => Protocol::Sctp,
        },
        address: address.parse().unwrap(),
    }
}

fn masquerade(address: &str) -> Destination {
    Destination::new(address.parse().unwrap(), Method::Masquerade)
}

/// What `ipvsadm` changed, after these edits too.
fn edited(file: &Spec, overlay: &Overlay, edits: &[Edit]) -> Overlay {
    let mut table = overlay.table(file);
    for edit in edits {
        table.edit(edit, Features::OURS).unwrap();
    }
    Overlay::between(file, &table)
}

fn shown(spec: &Spec) -> Vec<String> {
    let line = |s: &Service| {
        let destinations: Vec<String> = (s.destinations.iter())
            .map(|d| format!("{} {:?} {}", d.address, d.method, d.weight))
            .collect();
        format!("{} {}: {}", s.id, s.scheduler, destinations.join(", "))
    };
    let mut lines: Vec<String> = Table::of(spec).services.iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn a_files_kernel_services_are_shown_one_for_each_address() {
    assert_eq!(
        shown(&spec(FILE)),
        [
            "tcp 192.168.1.100:80 wrr: 10.0.0.12:80 Tunnel 1, 10.0.0.11:80 Direct 3",
            "tcp 192.168.1.102:80 wrr: 10.0.0.12:80 Tunnel 1, 10.0.0.11:80 Direct 3",
            "udp 192.168.1.100:53 rr: 10.0.0.13:53 Masquerade 1",
        ]
    );
    let table = Table::of(&spec(FILE));
    let service = table.service(id("tcp 192.168.1.100:80")).unwrap();
    let first = &service.destinations[1];
    assert_eq!((first.upper, first.lower), (100, 50));
    assert_eq!(service.destinations[0].tunnel.port, 6081);
}

#[test]
fn nothing_edited_changes_nothing() {
    let file = spec(FILE);
    let overlay = edited(&file, &Overlay::default(), &[Edit::Zero(None)]);
    assert!(overlay.is_empty());
    assert_eq!(overlay.effective(&file), file);
}

#[test]
fn an_edit_and_its_undoing_come_to_nothing() {
    let file = spec(FILE);
    let dns = id("udp 192.168.1.100:53");
    let add = Edit::AddDestination(dns, masquerade("10.0.0.14:53"));
    let added = edited(&file, &Overlay::default(), &[add]);
    assert!(!added.is_empty());
    let remove = Edit::DeleteDestination(dns, "10.0.0.14:53".parse().unwrap());
    assert!(edited(&file, &added, &[remove]).is_empty());
}

#[test]
fn a_services_own_pool_changes_under_its_own_name() {
    let file = spec(FILE);
    let dns = id("udp 192.168.1.100:53");
    let add = Edit::AddDestination(dns, masquerade("10.0.0.14:53"));
    let now = edited(&file, &Overlay::default(), &[add]).effective(&file);
    let pool = now.pool(&"dns".parse().unwrap()).unwrap();
    let addresses: Vec<_> = pool
        .backends
        .iter()
        .map(|b| b.address.to_string())
        .collect();
    assert_eq!(addresses, ["10.0.0.13:53", "10.0.0.14:53"]);
    assert_eq!(now.services.len(), file.services.len());
    let service = now.service(&"dns-vip".parse().unwrap()).unwrap();
    let ServiceKind::Kernel(kernel) = &service.kind else {
        panic!("another kind");
    };
    assert!(kernel.ipvs);
    let many = "many".parse().unwrap();
    assert_eq!(now.service(&many), file.service(&many));
}

#[test]
fn a_shared_pool_and_a_service_of_several_addresses_are_left_alone() {
    let file = spec(FILE);
    let web = id("tcp 192.168.1.100:80");
    let mut other = Table::of(&file).service(web).unwrap().destinations[1].clone();
    other.weight = 70_000;
    let edit = Edit::EditDestination(web, other);
    let overlay = edited(&file, &Overlay::default(), &[edit]);
    let now = overlay.effective(&file);
    let name = "web".parse().unwrap();
    assert_eq!(now.pool(&name), file.pool(&name));
    let own = "ipvs-tcp-192.168.1.100-80".parse().unwrap();
    let pool = now.pool(&own).unwrap();
    assert_eq!(pool.backends[0].weight, 70_000);
    assert_eq!(pool.backends[0].forward, None, "as the file's service says");
    assert!(!pool.checks.is_empty(), "the file's checks go on");
    let listen = now.service(&own).unwrap().listen[0];
    assert_eq!(listen.to_string(), "tcp://192.168.1.100:80");
    let rest = now.service(&"web-vip".parse().unwrap()).unwrap();
    assert_eq!(rest.listen.len(), 1);
    assert_eq!(rest.listen[0].to_string(), "tcp://192.168.1.102:80");
    // And what is shown of the effective configuration is the table that was edited.
    let mut table = overlay.table(&file);
    let mut read = Table::of(&now);
    for table in [&mut table, &mut read] {
        table.services.sort_by_key(|s| s.id);
    }
    assert_eq!(table, read);
}

#[test]
fn services_are_made_and_deleted_and_the_configuration_says_so() {
    let file = spec(FILE);
    let vip = id("sctp [fd00:1::100]:3868");
    let service = Service {
        scheduler: "mh".into(),
        flags: SchedulerFlags(SchedulerFlags::FALLBACK | SchedulerFlags::PORT),
        persistence: Some(Persistence::new(60)),
        ..Service::new(vip)
    };
    let six = Destination {
        upper: 10,
        lower: 5,
        ..masquerade("[fd00:2::11]:3868")
    };
    let all = Service {
        persistence: Some(Persistence::new(1)),
        ..Service::new(id("tcp 192.168.1.102:0"))
    };
    let edits = [
        Edit::DeleteService(id("tcp 192.168.1.102:80")),
        Edit::AddService(service),
        Edit::AddDestination(vip, six),
        Edit::AddService(all),
        Edit::SetTimeouts(Timeouts {
            tcp: 10,
            tcp_fin: 0,
            udp: 20,
        }),
    ];
    let overlay = edited(&file, &Overlay::default(), &edits);
    let now = overlay.effective(&file);
    assert_eq!(
        shown(&now),
        [
            "sctp [fd00:1::100]:3868 mh: [fd00:2::11]:3868 Masquerade 1",
            "tcp 192.168.1.100:80 wrr: 10.0.0.12:80 Tunnel 1, 10.0.0.11:80 Direct 3",
            "tcp 192.168.1.102:0 wlc: ",
            "udp 192.168.1.100:53 rr: 10.0.0.13:53 Masquerade 1",
        ]
    );
    let name = "ipvs-sctp-fd00-1--100-3868".parse().unwrap();
    let ServiceKind::Kernel(kernel) = &now.service(&name).unwrap().kind else {
        panic!("another kind");
    };
    assert!(kernel.fallback && kernel.hash_port && kernel.persistence.is_some());
    let name = "ipvs-tcp-192.168.1.102-0".parse().unwrap();
    assert!(now.service(&name).unwrap().listen[0].is_all_ports());
    assert_eq!(now.l4.timeouts.tcp.as_secs(), 10);
    assert_eq!(now.l4.timeouts.tcp_fin.as_secs(), 120);
    let text = serde_json::to_string(&overlay).unwrap();
    assert_eq!(serde_json::from_str::<Overlay>(&text).unwrap(), overlay);
}

#[test]
fn a_file_wins_for_the_services_it_defines() {
    let file = spec(FILE);
    let own = id("tcp 192.168.1.103:80");
    let edits = [
        Edit::AddDestination(id("udp 192.168.1.100:53"), masquerade("10.0.0.14:53")),
        Edit::DeleteService(id("tcp 192.168.1.100:80")),
        Edit::AddService(Service::new(own)),
    ];
    let overlay = edited(&file, &Overlay::default(), &edits);
    let (stays, said) = overlay.rebase(&file);
    let ids: Vec<_> = stays.services.iter().map(|s| s.id).collect();
    assert_eq!(ids, [own]);
    assert!(stays.removed.is_empty());
    assert_eq!(
        said,
        [
            "ipvsadm: service udp 192.168.1.100:53 was changed; the file's comes into force",
            "ipvsadm: service tcp 192.168.1.103:80 stays; the file does not have it",
            "ipvsadm: service tcp 192.168.1.100:80 was deleted; the file's comes back",
        ]
    );
    assert!(Overlay::default().rebase(&file).1.is_empty());
}

#[test]
fn what_this_data_plane_cannot_do_is_refused() {
    let mut table = Table::default();
    let service = Service {
        engine: Some("sip".into()),
        ..Service::new(id("udp 192.168.1.100:5060"))
    };
    let add = Edit::AddService(service.clone());
    assert_eq!(table.edit(&add, Features::OURS), Err(Error::NoScheduler));
    assert_eq!(table.edit(&add, Features::ALL), Ok(()));
    let mut remote = Destination::new("10.0.0.1:5060".parse().unwrap(), Method::Tunnel);
    remote.tunnel.checksum = Checksum::Remote;
    let add = Edit::AddDestination(service.id, remote);
    assert_eq!(table.edit(&add, Features::OURS), Err(Error::Invalid));
    assert_eq!(table.edit(&add, Features::ALL), Ok(()));
}

#[test]
fn an_edit_that_fails_changes_nothing() {
    let mut table = Table::default();
    let vip = id("tcp 192.168.1.100:80");
    let add = Edit::AddService(Service::new(vip));
    table.edit(&add, Features::OURS).unwrap();
    let before = table.clone();
    let bad = Destination {
        lower: 20,
        upper: 10,
        ..masquerade("10.0.0.1:80")
    };
    let to = |address| Edit::AddDestination(vip, masquerade(address));
    let elsewhere = id("udp 192.168.1.100:80");
    for (edit, error) in [
        (add, Error::ServiceExists),
        (Edit::AddDestination(vip, bad.clone()), Error::OutOfRange),
        (Edit::EditDestination(vip, bad), Error::OutOfRange),
        (
            Edit::EditDestination(vip, masquerade("10.0.0.1:80")),
            Error::NoSuchDestination,
        ),
        (to("224.0.0.5:80"), Error::Invalid),
        (to("[fe80::1]:80"), Error::Invalid),
        (Edit::DeleteService(elsewhere), Error::NoSuchService),
        (Edit::Zero(Some(elsewhere)), Error::NoSuchService),
        (
            Edit::DeleteDestination(elsewhere, "10.0.0.1:80".parse().unwrap()),
            Error::ServiceNotDefined,
        ),
    ] {
        assert_eq!(table.edit(&edit, Features::ALL), Err(error), "{edit:?}");
        assert_eq!(table, before);
    }
}

#[test]
fn addresses_are_compared_by_the_sign_of_their_difference() {
    let less = |a: &str, b: &str| by_address(a.parse().unwrap(), b.parse().unwrap()).is_lt();
    assert!(less("10.0.0.1:80", "127.0.0.1:80"));
    assert!(less("127.0.0.1:80", "224.0.0.1:80"));
    assert!(
        less("224.0.0.1:80", "10.0.0.1:80"),
        "which makes it no order"
    );
    assert!(less("[fd00::1]:80", "10.0.0.1:80"));
    assert!(less("10.0.0.1:80", "10.0.0.1:81"));
}
