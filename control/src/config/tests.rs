//! The examples, the defaults and the limits, against the key tables.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::{NoSources, Style, kind::Presence, limits, parse, schema::sections, section::RootKeys};
use crate::{
    name::Name,
    spec::{
        AdminSpec, Forward, KernelSpec, L4Spec, LogSpec, ProxySpec, ServiceKind, Spec,
        check::PassiveSpec,
        http::HttpSpec,
        pool::{ConnectSpec, QueueSpec},
        service::{TcpSpec, UdpSpec},
    },
};

mod schema;

const EXAMPLES: [(&str, &str); 10] = [
    ("minimal", include_str!("../../../examples/minimal.toml")),
    ("http", include_str!("../../../examples/http.toml")),
    ("tcp", include_str!("../../../examples/tcp.toml")),
    ("udp", include_str!("../../../examples/udp.toml")),
    ("checks", include_str!("../../../examples/checks.toml")),
    ("l4-nat", include_str!("../../../examples/l4-nat.toml")),
    (
        "l4-direct",
        include_str!("../../../examples/l4-direct.toml"),
    ),
    (
        "l4-tunnel",
        include_str!("../../../examples/l4-tunnel.toml"),
    ),
    (
        "reference",
        include_str!("../../../examples/reference.toml"),
    ),
    ("vrrp", include_str!("../../../examples/vrrp.toml")),
];

fn spec(text: &str) -> Spec {
    match parse(text, "test.toml", &NoSources) {
        Ok(admitted) => {
            assert!(admitted.warnings.is_empty(), "{}", admitted.warnings);
            admitted.spec
        }
        Err(problems) => panic!("{problems}"),
    }
}

#[test]
fn examples_are_taken_without_a_warning() {
    for (name, text) in EXAMPLES {
        let spec = spec(text);
        assert!(!spec.services.is_empty(), "{name}");
    }
    assert!(EXAMPLES[0].1.lines().count() <= 10);
}

#[test]
fn the_reference_names_every_key() {
    let (_, text) = EXAMPLES[8];
    for section in sections().into_iter().chain([RootKeys::SECTION]) {
        for key in section.keys {
            let name = key.name();
            let given = [format!("{name} ="), format!("[{name}"), format!(".{name}]")];
            assert!(
                given.iter().any(|given| text.contains(given)),
                "`{name}` of {} is not in examples/reference.toml",
                section.title
            );
        }
    }
}

#[test]
fn defaults_of_the_reference_are_the_defaults() {
    let (_, text) = EXAMPLES[8];
    let uncommented: Vec<String> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest.into(),
            _ => line.to_owned(),
        })
        .collect();
    let count = uncommented
        .iter()
        .zip(text.lines())
        .filter(|(a, b)| a != b)
        .count();
    assert!(count > 40, "{count} defaults");
    assert_eq!(spec(text), spec(&uncommented.join("\n")));
}

#[test]
fn defaults_are_those_of_the_spec() {
    let spec = spec(
        r#"
        [[pool]]
        name = "p"
        check = { tcp = true, damping = true }
        backends = ["10.0.0.1:80"]
        [[service]]
        name = "h"
        listen = "http://0.0.0.0:80"
        pool = "p"
        [[service]]
        name = "t"
        listen = "tcp://0.0.0.0:81"
        pool = "p"
        [[service]]
        name = "u"
        listen = "udp://0.0.0.0:82"
        pool = "p"
        [[service]]
        name = "k"
        listen = "tcp://192.0.2.1:83"
        forward = "nat"
        pool = "p"
        "#,
    );
    assert_eq!(spec.admin, AdminSpec::default());
    assert_eq!(spec.log, LogSpec::default());
    assert_eq!(spec.proxy, ProxySpec::default());
    assert_eq!(spec.l4, L4Spec::default());
    let asked = L4Spec {
        asked: true,
        ..L4Spec::default()
    };
    assert_eq!(
        self::spec("[l4]").l4,
        asked,
        "the section is there, however empty"
    );
    let pool = &spec.pools[0];
    assert_eq!(pool.passive, PassiveSpec::default());
    assert_eq!(pool.queue, QueueSpec::default());
    assert_eq!(pool.connect, ConnectSpec::default());
    assert!(pool.checks[0].damping.is_some());
    assert_eq!(pool.checks[0].interval, pool.checks[0].interval_down);
    let name: Name = "p".parse().unwrap();
    let route = crate::spec::RouteSpec::to_pool(name.clone());
    let http = HttpSpec::to_routes(vec![route]);
    let kinds: Vec<_> = spec.services.iter().map(|s| s.kind.clone()).collect();
    assert_eq!(
        kinds,
        [
            ServiceKind::Http(Box::new(http)),
            ServiceKind::Tcp(TcpSpec::to_pool(name.clone())),
            ServiceKind::Udp(UdpSpec::to_pool(name.clone())),
            ServiceKind::Kernel(Box::new(KernelSpec::new(Forward::Nat, name))),
        ]
    );
}

#[test]
fn an_empty_configuration_is_one() {
    assert_eq!(spec(""), Spec::default());
    assert_eq!(spec("# nothing\n"), Spec::default());
    assert_eq!(spec("\u{feff}"), Spec::default());
}

/// A pool of `count` backends, used by a service.
fn backends(count: usize) -> String {
    let mut text =
        String::from("[[service]]\nname = \"s\"\nlisten = \"tcp://0.0.0.0:80\"\npool = \"p\"\n");
    text += "[[pool]]\nname = \"p\"\nbackends = [\n";
    for i in 0..count {
        let (a, b, c) = (i >> 16, i >> 8 & 255, i & 255);
        text += &format!(
            "  {{ address = \"10.{a}.{b}.{c}:8080\", weight = {} }},\n",
            i % 100 + 1
        );
    }
    text + "]\n"
}

#[test]
fn ten_thousand_backends_and_the_limit() {
    assert_eq!(spec(&backends(10_000)).pools[0].backends.len(), 10_000);
    assert_eq!(
        spec(&backends(limits::BACKENDS)).pools[0].backends.len(),
        limits::BACKENDS
    );
    let problems = parse(&backends(limits::BACKENDS + 1), "t", &NoSources).unwrap_err();
    assert_eq!(problems.problems.len(), 1);
    assert_eq!(
        problems.problems[0].message,
        "65537 backends are too many: at most 65536"
    );
}

#[test]
fn other_limits() {
    let pools = |count: usize| -> String {
        let pool = |i| format!("[[pool]]\nname = \"p{i}\"\nbackends = [\"10.0.0.1:80\"]\n");
        (0..count).map(pool).collect()
    };
    assert!(parse(&pools(limits::POOLS), "t", &NoSources).is_ok());
    let said = parse(&pools(limits::POOLS + 1), "t", &NoSources).unwrap_err();
    assert!(said.to_string().contains("4097 pools are too many"));

    let services = |count: usize| -> String {
        let service = |i| {
            format!(
                "[[service]]\nname = \"s{i}\"\nlisten = \"tcp://0.0.0.0:{}\"\npool = \"p0\"\n",
                i + 1
            )
        };
        pools(1) + &(0..count).map(service).collect::<String>()
    };
    assert!(parse(&services(limits::SERVICES), "t", &NoSources).is_ok());
    let said = parse(&services(limits::SERVICES + 1), "t", &NoSources).unwrap_err();
    assert!(said.to_string().contains("4097 services are too many"));

    let routes = |count: usize| {
        let route = |i| format!("{{ path = \"/{i}\", pool = \"p0\" }},");
        let routes: String = (0..count).map(route).collect();
        pools(1)
            + &format!(
                "[[service]]\nname = \"s\"\nlisten = \"http://0.0.0.0:80\"\nroutes = [{routes}]\n"
            )
    };
    assert!(parse(&routes(limits::ROUTES), "t", &NoSources).is_ok());
    let said = parse(&routes(limits::ROUTES + 1), "t", &NoSources).unwrap_err();
    assert!(said.to_string().contains("10001 routes are too many"));

    let said = parse(&" ".repeat(limits::TEXT + 1), "t", &NoSources).unwrap_err();
    assert!(said.to_string().contains("8388609 bytes are too many"));
    let long = format!("[log]\nlevel = \"{}\"", "x".repeat(limits::VALUE + 1));
    let said = parse(&long, "t", &NoSources).unwrap_err();
    assert!(said.to_string().contains("65537 bytes are too long"));
}

#[test]
fn problems_past_the_limit_are_counted() {
    let text =
        "[proxy]\n".to_owned() + &(0..1000).map(|i| format!("k{i} = 1\n")).collect::<String>();
    let said = parse(&text, "t", &NoSources).unwrap_err();
    assert_eq!(
        (said.problems.len(), said.omitted),
        (limits::PROBLEMS, 1000 - limits::PROBLEMS)
    );
    assert_eq!(said.summary(), "200 errors, 800 further problems in t");
    assert!(
        said.render(Style::Plain)
            .ends_with("and 800 further problems\n")
    );
}

#[test]
fn a_problem_as_people_read_it() {
    let text = "\
[[pool]]
name = \"web\"
balence = \"wlc\"
backends = [
  \"10.0.0.1:80\",
  \"10.0.0.1:80\",
]
";
    let said = parse(text, "/etc/aplomb/aplomb.toml", &NoSources).unwrap_err();
    assert_eq!(
        said.render(Style::Plain),
        "\
warning: no service uses pool \"web\"
 --> /etc/aplomb/aplomb.toml:2:8
  |
2 | name = \"web\"
  |        ^^^^^

error: unknown key `balence` in [[pool]]
 --> /etc/aplomb/aplomb.toml:3:1
  |
3 | balence = \"wlc\"
  | ^^^^^^^
  |
  = help: did you mean `balance`?

error: backend 10.0.0.1:80 stands twice in pool \"web\"
 --> /etc/aplomb/aplomb.toml:6:3
  |
5 |   \"10.0.0.1:80\",
  |   ------------- first given here
6 |   \"10.0.0.1:80\",
  |   ^^^^^^^^^^^^^
  |
  = help: keep one, and add its weight up
"
    );
    assert!(said.render(Style::Coloured).contains("\u{1b}["));
    assert_eq!(
        said.summary(),
        "2 errors, 1 warning in /etc/aplomb/aplomb.toml"
    );
}

#[test]
fn places_far_apart_are_shown_both() {
    let text = format!(
        "[proxy]\nworkers = 1\n{}workers = 2\n",
        "# a comment that fills the file\n".repeat(1000)
    );
    let said = parse(&text, "t", &NoSources).unwrap_err().to_string();
    assert!(
        said.contains("1003 | workers = 2") && said.contains("2 | workers = 1"),
        "{said}"
    );
    assert!(said.lines().count() < 20, "{said}");
}

#[test]
fn a_problem_as_programs_read_it() {
    let said = parse("[proxy]\nworkers = 0\nworkers = 1", "t", &NoSources).unwrap_err();
    assert_eq!(
        serde_json::to_value(&said).unwrap(),
        serde_json::json!({
            "file": "t",
            "problems": [
                {
                    "severity": "error",
                    "message": "0 is out of range: 1 to 1024",
                    "line": 2, "column": 11,
                    "end": { "line": 2, "column": 12 },
                },
                {
                    "severity": "error",
                    "message": "`workers` is given twice",
                    "line": 3, "column": 1,
                    "end": { "line": 3, "column": 8 },
                    "related": [{
                        "message": "first given here",
                        "line": 2, "column": 1,
                        "end": { "line": 2, "column": 8 },
                    }],
                    "help": ["keep one of the two"],
                },
            ],
            "omitted": 0,
        })
    );
}

#[test]
fn a_secret_in_the_open_is_not_shown() {
    let text = "[admin]\nlisten = \"127.0.0.1:1\"\ntoken = \"hunter2hunter2hunter2\" # ü\n";
    let said = parse(text, "t", &NoSources).unwrap_err();
    let all = format!("{said}{said:?}{}", serde_json::to_string(&said).unwrap());
    assert!(!all.contains("hunter2"), "{all}");
    assert!(
        said.to_string()
            .contains("token = \"*********************\" # ü"),
        "{said}"
    );
}

#[test]
fn keys_that_must_be_given_have_no_default() {
    for section in sections() {
        for key in section
            .keys
            .iter()
            .filter(|key| key.presence == Presence::Required)
        {
            assert!(
                (key.kind)().example().is_some(),
                "{} {}",
                section.title,
                key.name()
            );
        }
    }
}

/// `docs/configuration.md` is what [`super::reference`] writes. `APLOMB_BLESS=1` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "the page is a file")]
fn the_page_in_docs_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = super::reference();
    if std::env::var_os("APLOMB_BLESS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == page,
        "{path} is not what the key tables say; run the test with APLOMB_BLESS=1"
    );
}

/// A key of connection sync from the environment.
struct WithKey;

impl super::Sources for WithKey {
    fn env(&self, name: &str) -> Result<String, String> {
        match name {
            "KEY" => Ok("k".repeat(40)),
            "SHORT" => Ok("too short".into()),
            _ => Err("not set".into()),
        }
    }

    fn file(&self, path: &std::path::Path) -> Result<String, String> {
        Err(format!("no file {}", path.display()))
    }
}

const FORWARDED: &str = "[[pool]]\nname = \"p\"\nbackends = [\"10.0.0.1:80\"]\n\
    [[service]]\nname = \"s\"\nlisten = \"tcp://192.0.2.1:80\"\nforward = \"nat\"\npool = \"p\"\n";

fn with_sync(keys: &str) -> Result<super::Admitted, super::Diagnostics> {
    parse(
        &format!("[sync]\n{keys}\n{FORWARDED}"),
        "test.toml",
        &WithKey,
    )
}

#[test]
fn connection_sync_is_taken_and_its_key_is_not_shown() {
    let keys = "keys = [{ id = 3, secret = { env = \"KEY\" } }]";
    let admitted = with_sync(&format!(
        "listen = \"10.0.0.1:8849\"\npeers = \"10.0.0.2:8849\"\n{keys}"
    ));
    let admitted = admitted.unwrap();
    assert!(admitted.warnings.is_empty(), "{}", admitted.warnings);
    let sync = admitted.spec.sync.clone().unwrap();
    assert_eq!((sync.active_key, sync.keys.len()), (3, 1));
    assert_eq!((sync.rate.0, sync.wait.as_secs()), (10 << 20, 5));
    assert_eq!(sync.group(), None);
    let shown = format!(
        "{:?}{}",
        admitted.spec,
        serde_json::to_string(&admitted.spec).unwrap()
    );
    assert!(!shown.contains("kkk"), "{shown}");
    let group = with_sync(&format!(
        "listen = \"10.0.0.1:8849\"\npeers = \"239.77.0.1:8849\"\ninterface = \"eth1\"\n{keys}"
    ));
    assert!(group.unwrap().spec.sync.unwrap().group().is_some());
}

#[test]
fn ipvs_sync_stands_alone_or_with_our_own() {
    let admitted = with_sync("[sync.ipvs]\ninterface = \"eth1\"").unwrap();
    assert!(admitted.warnings.is_empty(), "{}", admitted.warnings);
    assert_eq!(admitted.spec.sync, None);
    let ipvs = admitted.spec.ipvs_sync.clone().unwrap();
    assert_eq!((ipvs.master, ipvs.backup, ipvs.id), (true, true, 0));
    assert_eq!((&*ipvs.group.to_string(), ipvs.port), ("224.0.0.81", 8848));
    assert_eq!((ipvs.ttl, ipvs.max_size), (1, 1472));
    let admitted = with_sync(
        "listen = \"10.0.0.1:8849\"\npeers = \"10.0.0.2:8849\"\n\
         keys = [{ id = 3, secret = { env = \"KEY\" } }]\n[sync.ipvs]\ninterface = \"eth1\"\n\
         roles = \"backup\"\nid = 7\ngroup = \"ff02::81\"",
    )
    .unwrap();
    assert!(admitted.spec.sync.is_some());
    let ipvs = admitted.spec.ipvs_sync.clone().unwrap();
    assert_eq!((ipvs.master, ipvs.backup, ipvs.id), (false, true, 7));
    assert_eq!(ipvs.max_size, 1452, "IPv6 has the longer header");
}

#[test]
fn what_ipvs_sync_cannot_be_says_why() {
    for (lines, message) in [
        ("", "`interface` is missing in [sync.ipvs]"),
        (
            "interface = \"eth1\"\ngroup = \"10.0.0.1\"",
            "10.0.0.1 is no multicast group",
        ),
        (
            "interface = \"eth1\"\nroles = []",
            "an empty list says nothing here",
        ),
        (
            "interface = \"eth1\"\nroles = [\"master\", \"master\"]",
            "the role",
        ),
        (
            "interface = \"eth1\"\nroles = [\"slave\"]",
            "\"slave\" is not known here",
        ),
        ("interface = \"eth1\"\nid = 256", "out of range"),
        ("interface = \"eth1\"\nmax-size = 100", "out of range"),
    ] {
        let problems = with_sync(&format!("[sync.ipvs]\n{lines}")).unwrap_err();
        let problems = problems.to_string();
        assert!(problems.contains(message), "{lines}: {problems}");
    }
    // What is of our own protocol wants all of it.
    for lines in ["", "rate = \"1MiB\"\n[sync.ipvs]\ninterface = \"eth1\""] {
        let problems = with_sync(lines).unwrap_err().to_string();
        for missing in ["listen", "peers", "keys"] {
            let message = format!("`{missing}` is missing in [sync]");
            assert!(problems.contains(&message), "{lines}: {problems}");
        }
    }
}

#[test]
fn what_connection_sync_cannot_be_says_why() {
    let good = [
        ("listen", "\"10.0.0.1:8849\""),
        ("peers", "[\"10.0.0.2:8849\"]"),
        ("keys", "[{ id = 1, secret = { env = \"KEY\" } }]"),
    ];
    for (key, value, message) in [
        (
            "listen",
            "\"0.0.0.0:8849\"",
            "one of this node's own addresses",
        ),
        ("listen", "\"10.0.0.1:0\"", "peers must know the port"),
        ("peers", "[\"[fd00::2]:8849\"]", "of another family"),
        ("peers", "[\"10.0.0.1:8849\"]", "this is the node itself"),
        ("peers", "[\"10.0.0.2:0\"]", "port 0 is no port to send to"),
        (
            "peers",
            "[\"239.0.0.1:8849\", \"10.0.0.2:8849\"]",
            "a multicast group stands alone",
        ),
        ("peers", "[\"239.0.0.1:8850\"]", "one port for all nodes"),
        (
            "interface",
            "\"eth1\"",
            "`interface` is for a multicast group",
        ),
        ("keys", "[]", "connection sync needs a key"),
        (
            "keys",
            "[{ id = 1, secret = { env = \"SHORT\" } }]",
            "a key has 32 to 1024 characters",
        ),
        ("active-key", "2", "there is no key 2"),
        ("rate", "\"1KiB\"", "out of range"),
    ] {
        let mut keys: Vec<_> = good.iter().filter(|(k, _)| *k != key).copied().collect();
        keys.push((key, value));
        let text: Vec<_> = keys.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        let problems = with_sync(&text.join("\n")).unwrap_err().to_string();
        assert!(problems.contains(message), "{key} = {value}: {problems}");
    }
}
