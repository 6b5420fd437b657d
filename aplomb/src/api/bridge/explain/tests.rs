//! Questions about a small site, answered.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use control::{
    balance::{Algorithm, BackendId, Balancer, Load, Member, Members, Pick},
    config::{NoSources, parse},
    engine::{Engine, Event, Operation},
    time::Instant,
};

use super::*;

const SITE: &str = r#"
[[pool]]
name = "web"
balance = "wlc"
backends = [
  { address = "10.0.0.1:80", weight = 1 },
  { address = "10.0.0.2:80", weight = 3 },
  { address = "10.0.0.3:80", backup = true },
  { address = "10.0.0.4:80", disabled = true },
]

[[pool]]
name = "by-client"
balance = "maglev"
backends = [{ address = "10.0.1.1:25" }, { address = "10.0.1.2:25" }, { address = "10.0.1.3:25" }]

[[service]]
name = "shop"
listen = "http://127.0.0.1:8080"
routes = [
  { name = "old", path = "/old/", redirect = { to = "/new/", status = 301 } },
  { host = "shop.example", path = "/api/", pool = "web" },
  { host = "shop.example", pool = "web" },
]

[[service]]
name = "all"
listen = "http://0.0.0.0:9090"
routes = [{ pool = "web" }]

[[service]]
name = "mail"
listen = "tcp://127.0.0.1:2525"
pool = "by-client"
"#;

fn site() -> handle::Status {
    let spec = Arc::new(parse(SITE, "site.toml", &NoSources).unwrap().spec);
    let mut engine = Engine::new(1, Instant::ZERO);
    engine.handle(Event::Apply(Arc::clone(&spec)), Instant::ZERO);
    let drained = Operation::Drain("by-client/10.0.1.1:25".parse().unwrap(), None);
    engine.handle(Event::Operate(drained), Instant::ZERO);
    while engine.poll_action().is_some() {}
    handle::Status {
        pid: 1,
        started: std::time::SystemTime::UNIX_EPOCH,
        uptime: Duration::ZERO,
        config: PathBuf::new(),
        phase: handle::Phase::Serving,
        plan: Arc::clone(engine.plan()),
        backends: engine.backends(Instant::ZERO).collect(),
        spec,
        reloads: handle::Reloads::default(),
        samples_dropped: 0,
    }
}

/// What a plane with no traffic would say.
fn idle(plan: &PoolPlan, key: Option<u64>) -> balance::Explanation {
    let takers = plan.members.iter().filter(|m| m.duty == Duty::Take);
    let list = takers.map(|member| Member {
        id: BackendId::of(&member.key.to_string()),
        weight: member.weight,
        backup: member.backup,
        max_connections: None,
        slow_start: None,
        load: Load::new(),
    });
    let members = Members::new(Algorithm::from(&plan.spec.balance), list.collect(), None);
    let pick = Pick {
        key,
        ..Pick::default()
    };
    Balancer::new(Arc::new(members), 0).explain(&pick)
}

fn ask(url: Option<&str>, service: Option<&str>, client: &str) -> Result<Explanation, Problem> {
    let known = site();
    let question = Question {
        service: service.map(Into::into),
        client: client.parse().unwrap(),
        method: "GET".into(),
        url: url.map(Into::into),
        headers: Vec::new(),
    };
    explain(&question, &known, &|pool, key| {
        let plan = known.plan.pools.get(pool)?;
        Some((Arc::clone(plan), idle(plan, key)))
    })
}

fn ask_url(url: &str) -> Explanation {
    ask(Some(url), None, "192.0.2.7:1000").unwrap()
}

#[test]
fn every_route_tried_says_why() {
    let answer = ask_url("http://shop.example:8080/api/items?q=1");
    assert_eq!(answer.service, "shop");
    let tried: Vec<(&str, bool)> = answer
        .routes
        .iter()
        .map(|r| (r.route.as_str(), r.matched))
        .collect();
    assert_eq!(tried, [("old", false), ("2", true)]);
    assert!(
        answer.routes[0]
            .why
            .starts_with("the path differs; it takes path /old/"),
        "{answer:?}"
    );
    assert!(
        answer.routes[1]
            .why
            .contains("host shop.example, path /api/")
    );
}

#[test]
fn every_backend_says_how_it_stands() {
    let answer = ask_url("http://shop.example:8080/");
    assert_eq!(answer.action, "pool web");
    assert_eq!(answer.balance.as_deref(), Some("wlc"));
    assert_eq!(answer.candidates.len(), 4);
    let usable: Vec<bool> = answer.candidates.iter().map(|c| c.usable).collect();
    assert_eq!(usable, [true, true, false, false]);
    assert!(answer.candidates[2].why.contains("backup"), "{answer:?}");
    assert!(
        answer.candidates[3].why.starts_with("disabled"),
        "{answer:?}"
    );
    let chosen = answer.candidates.iter().find(|c| c.chosen).unwrap();
    assert_eq!(Some(&chosen.address), answer.backend.as_ref());
    assert_eq!(answer.why, "the fewest in flight for its weight");
}

#[test]
fn what_goes_to_no_pool_is_told_too() {
    let answer = ask_url("http://shop.example:8080/old/x");
    assert_eq!(answer.action, "redirect 301 to /new/");
    assert_eq!(answer.backend, None);
    assert_eq!(ask_url("http://other.example:8080/").action, "404");
    assert_eq!(ask_url("http://shop.example:8080/%00").action, "400");
}

#[test]
fn the_service_is_found_by_its_listener() {
    assert_eq!(ask_url("http://anything.example:9090/").service, "all");
    let named = ask(Some("/"), Some("all"), "192.0.2.7:0").unwrap();
    assert_eq!(named.service, "all");
    for (url, service, status) in [
        (Some("http://10.9.9.9:8080/"), None, 404),
        (Some("http://shop.example/"), None, 404),
        (Some("https://shop.example:8080/"), None, 404),
        (Some("/"), None, 400),
        (Some("ftp://shop.example/"), None, 400),
        (None, Some("shop"), 400),
        (None, Some("nil"), 404),
        (None, None, 400),
    ] {
        let refused = ask(url, service, "192.0.2.7:0").unwrap_err();
        assert_eq!(
            refused.status, status,
            "{url:?} {service:?}: {}",
            refused.detail
        );
    }
}

#[test]
fn a_connection_goes_by_its_client() {
    let backend = |client: &str| ask(None, Some("mail"), client).unwrap().backend.unwrap();
    let spread: std::collections::BTreeSet<String> = (1..50)
        .map(|host| backend(&format!("192.0.2.{host}:1000")))
        .collect();
    assert_eq!(backend("192.0.2.7:1"), backend("192.0.2.7:2"));
    let expected = ["10.0.1.2:25", "10.0.1.3:25"];
    assert!(spread.iter().eq(expected.iter()), "{spread:?}");
    let answer = ask(None, Some("mail"), "192.0.2.7:1").unwrap();
    assert!(
        answer.candidates[0].why.starts_with("draining"),
        "{answer:?}"
    );
}
