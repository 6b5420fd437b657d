//! What differs between two configurations, for a dry run: services, pools, backends and keys by their names.
//!
//! It goes over the serialised form, so that a new field of the [`Spec`] is compared without a line here.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::spec::{ServiceKind, ServiceSpec, Spec};

/// One difference between two configurations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What changes: `pool web`, `service shop`, `admin`.
    pub subject: String,
    /// What of it: `timeouts.response`, `backend 10.0.0.13:80`, `backend 10.0.0.13:80 weight`; empty: all of it.
    pub item: String,
    /// What it was; none: it is new.
    pub before: Option<Value>,
    /// What it is to be; none: it goes.
    pub after: Option<Value>,
}

impl Change {
    /// Subject and item as one path: `pool.web.backend.10.0.0.13:80.weight`.
    #[must_use]
    pub fn path(&self) -> String {
        let path = format!("{} {}", self.subject, self.item);
        path.trim_end().replace(' ', ".")
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        if !self.item.is_empty() {
            write!(f, ": {}", self.item)?;
        }
        match (&self.before, &self.after) {
            (None, _) => f.write_str(" added"),
            (_, None) => f.write_str(" removed"),
            (Some(before), Some(after)) => {
                let (before, after) = (words(before), words(after));
                if before == after {
                    return f.write_str(" changed");
                }
                let colon = if self.item.is_empty() { ":" } else { "" };
                write!(f, "{colon} {before} -> {after}")
            }
        }
    }
}

/// What differs from `old` to `new`: pools, services, then the rest; empty: nothing.
#[must_use]
pub fn diff(old: &Spec, new: &Spec) -> Vec<Change> {
    let mut out = Vec::new();
    let (before, after) = (value(old), value(new));
    for (key, kind) in [("pools", "pool"), ("services", "service"), ("vips", "vip")] {
        named(kind, before.get(key), after.get(key), &mut out);
    }
    let rest = |value: &Value| -> Map<String, Value> {
        let fields = value.as_object().cloned().unwrap_or_default();
        fields
            .into_iter()
            .filter(|(key, _)| !["pools", "services", "vips"].contains(&&**key))
            .collect()
    };
    for (subject, before, after) in pairs(&rest(&before), &rest(&after)) {
        let at = Place {
            subject: &subject,
            item: String::new(),
        };
        at.compare(before, after, &mut out);
    }
    // A secret is serialised as stars: that it changed does not show above.
    if old.admin != new.admin && !out.iter().any(|change| change.subject == "admin") {
        out.push(Change {
            subject: "admin".into(),
            item: "token".into(),
            before: Some("***".into()),
            after: Some("***".into()),
        });
    }
    if old.sync != new.sync && !out.iter().any(|change| change.subject == "sync") {
        out.push(Change {
            subject: "sync".into(),
            item: "keys".into(),
            before: Some("***".into()),
            after: Some("***".into()),
        });
    }
    // So are keys of QUIC.
    let with_keys = |service: &&Arc<ServiceSpec>| match &service.kind {
        ServiceKind::Kernel(kernel) => kernel.quic_lb.is_some(),
        _ => false,
    };
    for service in new.services.iter().filter(with_keys) {
        let subject = format!("service {}", service.name);
        let before = old.service(&service.name);
        if before.is_some_and(|before| before != service)
            && !out.iter().any(|change| change.subject == subject)
        {
            out.push(Change {
                subject,
                item: "quic-lb key".into(),
                before: Some("***".into()),
                after: Some("***".into()),
            });
        }
    }
    // And passwords and keys of VRRP.
    for vip in &new.vips {
        let subject = format!("vip {}", vip.name);
        let before = old.vips.iter().find(|old| old.name == vip.name);
        if before.is_some_and(|before| before != vip)
            && !out.iter().any(|change| change.subject == subject)
        {
            out.push(Change {
                subject,
                item: "vrrp.auth".into(),
                before: Some("***".into()),
                after: Some("***".into()),
            });
        }
    }
    out
}

fn value(spec: &Spec) -> Value {
    // Keys are text and numbers are finite, which is all that serialising could stumble over.
    serde_json::to_value(spec).unwrap_or_default()
}

/// Lists of tables that have a `name`.
fn named(kind: &str, before: Option<&Value>, after: Option<&Value>, out: &mut Vec<Change>) {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let name = |value: &Value| words(value.get("name").unwrap_or(&Value::Null));
    let (before, after) = (list(before), list(after));
    let old: BTreeMap<String, &Value> = before.iter().map(|v| (name(v), v)).collect();
    let new: BTreeMap<String, &Value> = after.iter().map(|v| (name(v), v)).collect();
    for value in before.iter().filter(|v| !new.contains_key(&name(v))) {
        out.push(Change {
            subject: format!("{kind} {}", name(value)),
            item: String::new(),
            before: Some(value.clone()),
            after: None,
        });
    }
    for value in &after {
        let subject = format!("{kind} {}", name(value));
        match old.get(&name(value)) {
            Some(before) => Place {
                subject: &subject,
                item: String::new(),
            }
            .compare(before, value, out),
            None => out.push(Change {
                subject,
                item: String::new(),
                before: None,
                after: Some(value.clone()),
            }),
        }
    }
}

/// Keys of both objects in order, each with its value on either side.
fn pairs<'v>(
    before: &'v Map<String, Value>,
    after: &'v Map<String, Value>,
) -> Vec<(String, &'v Value, &'v Value)> {
    let mut keys: Vec<&String> = before.keys().collect();
    keys.extend(after.keys().filter(|key| !before.contains_key(*key)));
    keys.into_iter()
        .map(|key| {
            let of = |map: &'v Map<String, Value>| map.get(key).unwrap_or(&Value::Null);
            (key.clone(), of(before), of(after))
        })
        .collect()
}

/// Where in the configuration two values are compared.
struct Place<'a> {
    subject: &'a str,
    item: String,
}

impl Place<'_> {
    fn compare(&self, before: &Value, after: &Value, out: &mut Vec<Change>) {
        if before == after {
            return;
        }
        match (before, after) {
            (Value::Object(old), Value::Object(new)) if !is_other_variant(old, new) => {
                for (key, before, after) in pairs(old, new) {
                    self.below(&key).compare(before, after, out);
                }
            }
            (Value::Array(old), Value::Array(new))
                if old.iter().chain(new).any(Value::is_object) =>
            {
                self.list(old, new, out);
            }
            _ => self.push(Some(before), Some(after), out),
        }
    }

    fn push(&self, before: Option<&Value>, after: Option<&Value>, out: &mut Vec<Change>) {
        out.push(Change {
            subject: self.subject.into(),
            item: self.item.clone(),
            before: before.cloned(),
            after: after.cloned(),
        });
    }

    /// The field `key`, called as the configuration calls it.
    fn below(&self, key: &str) -> Self {
        // What the spec groups and the configuration does not.
        let key = match key {
            "kind" | "http" | "tcp" | "udp" | "kernel" if self.item.is_empty() => "",
            "matches" | "action" | "probe" => "",
            "checks" => "check",
            "backends" => "backend",
            "routes" => "route",
            "hosts" => "host",
            "methods" => "method",
            key => key,
        };
        let name = key.replace('_', "-");
        let item = match (&*self.item, &*name) {
            (item, "") => item.into(),
            ("", name) => name.into(),
            // An entry of a list is named by a word, and its keys stand behind that.
            (item, name) if item.contains(' ') && !item.ends_with('.') => {
                let entry_has_key = item.matches(' ').count() > 1;
                format!("{item}{}{name}", if entry_has_key { '.' } else { ' ' })
            }
            (item, name) => format!("{item}.{name}"),
        };
        Self { item, ..*self }
    }

    fn entry(&self, name: &str) -> Self {
        Self {
            item: format!("{} {name}", self.item),
            ..*self
        }
    }

    fn list(&self, old: &[Value], new: &[Value], out: &mut Vec<Change>) {
        if old.iter().chain(new).all(|v| v.get("address").is_some()) {
            return self.addressed(old, new, out);
        }
        let same = |(a, b): &(&Value, &Value)| a == b;
        let front = old.iter().zip(new).take_while(same).count();
        let (old_rest, new_rest) = (&old[front..], &new[front..]);
        let back = old_rest
            .iter()
            .rev()
            .zip(new_rest.iter().rev())
            .take_while(same)
            .count();
        let old_rest = &old_rest[..old_rest.len() - back];
        let new_rest = &new_rest[..new_rest.len() - back];
        let label = |value: &Value, at: usize| match value.get("name").and_then(Value::as_str) {
            Some(name) => name.to_owned(),
            None => (front + at + 1).to_string(),
        };
        if old_rest.len() == new_rest.len() {
            for (at, (before, after)) in old_rest.iter().zip(new_rest).enumerate() {
                self.entry(&label(after, at)).compare(before, after, out);
            }
            return;
        }
        for (at, before) in old_rest.iter().enumerate() {
            self.entry(&label(before, at)).push(Some(before), None, out);
        }
        for (at, after) in new_rest.iter().enumerate() {
            self.entry(&label(after, at)).push(None, Some(after), out);
        }
    }

    /// Entries that are told apart by their address.
    fn addressed(&self, old: &[Value], new: &[Value], out: &mut Vec<Change>) {
        let address = |value: &Value| words(value.get("address").unwrap_or(&Value::Null));
        let before: BTreeMap<String, &Value> = old.iter().map(|v| (address(v), v)).collect();
        let after: BTreeMap<String, &Value> = new.iter().map(|v| (address(v), v)).collect();
        for value in old.iter().filter(|v| !after.contains_key(&address(v))) {
            self.entry(&address(value)).push(Some(value), None, out);
        }
        for value in new {
            let at = self.entry(&address(value));
            match before.get(&address(value)) {
                Some(before) => at.compare(before, value, out),
                None => at.push(None, Some(value), out),
            }
        }
        let kept = |list: &[Value], other: &BTreeMap<String, &Value>| -> Vec<Value> {
            let kept = list.iter().map(address).filter(|a| other.contains_key(a));
            kept.map(Value::String).collect()
        };
        let (old_order, new_order) = (kept(old, &after), kept(new, &before));
        if old_order != new_order {
            let order = Self {
                item: format!("{} order", self.item),
                ..*self
            };
            order.push(Some(&old_order.into()), Some(&new_order.into()), out);
        }
    }
}

/// Whether two objects are different variants of an enum: one key each, and not the same.
fn is_other_variant(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    old.len() == 1 && new.len() == 1 && !old.keys().eq(new.keys())
}

/// A value as people read it.
fn words(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) if text.is_empty() => "\"\"".into(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(entries) if entries.is_empty() => "none".into(),
        Value::Array(entries) => entries.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let says = |value: &Value| !value.is_null() && *value != Value::Array(Vec::new());
            let fields = fields.iter().filter(|(_, value)| says(value));
            let fields: Vec<_> = fields
                .map(|(key, value)| format!("{} {}", key.replace('_', "-"), words(value)))
                .collect();
            fields.join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::config::{NoSources, parse};

    const OLD: &str = r#"
        [[pool]]
        name = "web"
        balance = "wlc"
        check = { http = "/healthz" }
        backends = [{ address = "10.0.0.11:80", weight = 3 }, "10.0.0.12:80"]
        [[pool]]
        name = "old"
        backends = ["10.0.1.1:80"]
        [[service]]
        name = "shop"
        listen = "http://0.0.0.0:80"
        routes = [{ path = "/old/", pool = "old" }, { pool = "web" }]
        [[service]]
        name = "mail"
        listen = "tcp://0.0.0.0:25"
        pool = "web"
    "#;

    fn changes(new: &str) -> Vec<String> {
        let spec = |text| parse(text, "t", &NoSources).unwrap().spec;
        let changes = diff(&spec(OLD), &spec(new));
        changes.iter().map(ToString::to_string).collect()
    }

    /// The changes that replacing `this` by `that` makes.
    fn edit(this: &str, that: &str) -> Vec<String> {
        assert!(OLD.contains(this), "{this}");
        changes(&OLD.replace(this, that))
    }

    #[test]
    fn what_is_the_same_is_no_change() {
        assert!(changes(OLD).is_empty());
        // A default that is written out is the same, too.
        assert!(edit("name = \"web\"", "name = \"web\"\nslow-start = \"0s\"").is_empty());
    }

    #[test]
    fn keys() {
        assert_eq!(
            edit(
                "listen = \"http://0.0.0.0:80\"",
                "listen = [\"http://0.0.0.0:80\", \"http://[::]:80\"]\ntimeouts = { response = \"30s\" }"
            ),
            [
                "service shop: timeouts.response 1min -> 30s",
                "service shop: listen http://0.0.0.0:80 -> http://0.0.0.0:80, http://[::]:80",
            ]
        );
        assert_eq!(
            edit(
                "balance = \"wlc\"",
                "balance = \"maglev\"\npanic-below = \"30%\""
            ),
            [
                "pool web: balance wlc -> maglev source",
                "pool web: panic-below 0% -> 30%",
            ]
        );
        assert_eq!(
            edit(
                "\"/healthz\"",
                "\"/ready\", rise = 5, expect = \"200,204-206\", body = \"ok\""
            ),
            [
                "pool web: check 1 http.body none -> contains ok",
                "pool web: check 1 http.path /healthz -> /ready",
                "pool web: check 1 http.statuses 200-399 -> 200,204-206",
                "pool web: check 1 rise 2 -> 5"
            ]
        );
        assert_eq!(
            edit(
                "listen = \"tcp://0.0.0.0:25\"",
                "listen = \"tcp://0.0.0.0:25\"\nidle-timeout = \"5min\""
            ),
            ["service mail: idle-timeout 1h -> 5min"]
        );
    }

    #[test]
    fn backends_by_their_address() {
        assert_eq!(
            edit(
                "weight = 3 }, \"10.0.0.12:80\"",
                "weight = 1 }, \"10.0.0.13:80\""
            ),
            [
                "pool web: backend 10.0.0.12:80 removed",
                "pool web: backend 10.0.0.11:80 weight 3 -> 1",
                "pool web: backend 10.0.0.13:80 added",
            ]
        );
        assert_eq!(
            edit(
                "{ address = \"10.0.0.11:80\", weight = 3 }, \"10.0.0.12:80\"",
                "\"10.0.0.12:80\", { address = \"10.0.0.11:80\", weight = 3 }"
            ),
            ["pool web: backend order 10.0.0.11:80, 10.0.0.12:80 -> 10.0.0.12:80, 10.0.0.11:80"]
        );
    }

    #[test]
    fn routes_by_their_place() {
        assert_eq!(
            edit(
                "routes = [",
                "routes = [{ host = \"a.example\", pool = \"web\" }, "
            ),
            ["service shop: route 1 added"]
        );
        assert_eq!(
            edit(
                "{ path = \"/old/\", pool = \"old\" }",
                "{ path = \"/old/\", pool = \"web\" }"
            ),
            ["service shop: route 1 pool old -> web"]
        );
        assert_eq!(
            edit("{ pool = \"web\" }]", "{ redirect = \"/x\" }]"),
            ["service shop: route 2 pool web -> redirect status 302, to /x"]
        );
    }

    #[test]
    fn whole_pools_and_services() {
        let (before, rest) = OLD.split_once("[[service]]").unwrap();
        let (shop, _) = rest.split_once("[[service]]").unwrap();
        assert_eq!(
            changes(&format!("{before}[[service]]{shop}").replace("\"shop\"", "\"store\"")),
            [
                "service shop removed",
                "service mail removed",
                "service store added"
            ]
        );
        assert_eq!(
            edit(
                "listen = \"tcp://0.0.0.0:25\"",
                "listen = \"udp://0.0.0.0:25\""
            )
            .len(),
            2,
            "the listener, and what it is"
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        struct Token(&'static str);
        impl crate::config::Sources for Token {
            fn env(&self, _: &str) -> Result<String, String> {
                Ok(self.0.into())
            }
            fn file(&self, _: &std::path::Path) -> Result<String, String> {
                Err("none".into())
            }
        }
        let text = "admin = { listen = \"127.0.0.1:1\", token = { env = \"T\" } }";
        let spec = |token| parse(text, "t", &Token(token)).unwrap().spec;
        let changes = diff(&spec("0123456789abcdef"), &spec("fedcba9876543210"));
        let shown: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["admin: token changed"]);

        let text = r#"
            pool = [{ name = "p", backends = [{ address = "10.0.0.1", server-id = "01" }] }]
            [[service]]
            name = "s"
            listen = "udp://192.0.2.1:443"
            forward = "nat"
            pool = "p"
            quic-lb = { server-id-length = 1, nonce-length = 4, key = { env = "K" } }
        "#;
        let spec = |key| parse(text, "t", &Token(key)).unwrap().spec;
        let changes = diff(
            &spec("8f95f09245765f80256934e50c66207f"),
            &spec("00000000000000000000000000000000"),
        );
        let shown: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["service s: quic-lb key changed"]);
    }

    #[test]
    fn services_of_the_kernel() {
        const OLD: &str = r#"
            [[pool]]
            name = "web"
            balance = "sh"
            backends = ["10.0.0.11", { address = "10.0.0.12", server-id = "01" }]
            [[service]]
            name = "vip"
            listen = "udp://192.0.2.1:443"
            forward = "nat"
            pool = "web"
        "#;
        let changes = |pool: (&str, &str), keys: &str| -> Vec<String> {
            let new = OLD.replace(pool.0, pool.1) + keys;
            let spec = |text| parse(text, "t", &NoSources).unwrap().spec;
            let changes = diff(&spec(OLD), &spec(&new));
            changes.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            changes(
                ("443", "440-450"),
                "hash-port = true\npersistence = { mask = 24 }\nsource = [\"10.0.0.8\"]\nudp-timeout = \"1min\"\n\
                 quic-lb = { server-id-length = 1, nonce-length = 4 }\n[l4]\ninterfaces = [\"eth0\"]\n\
                 timeouts = { tcp = \"1h\" }"
            ),
            [
                "service vip: hash-port false -> true",
                "service vip: persistence none -> mask 255.255.255.0, prefix6 128, timeout 5min",
                "service vip: quic-lb none -> nonce-length 4, rotation 0, server-id-length 1",
                "service vip: source client -> 10.0.0.8",
                "service vip: udp-timeout none -> 1min",
                "service vip: listen udp://192.0.2.1:443 -> udp://192.0.2.1:440-450",
                "l4: interfaces auto -> eth0",
                "l4: timeouts.tcp 15min -> 1h",
            ]
        );
        assert_eq!(
            changes(
                (
                    "\"10.0.0.11\"",
                    "{ address = \"10.0.0.11\", forward = \"tunnel\", tunnel = \"gue\" }"
                ),
                ""
            ),
            [
                "pool web: backend 10.0.0.11:0 forward none -> tunnel",
                "pool web: backend 10.0.0.11:0 tunnel none -> gue:6080",
            ]
        );
        assert_eq!(
            changes(("\"nat\"", "\"tunnel\""), ""),
            ["service vip: forward nat -> tunnel"]
        );
    }

    #[test]
    fn paths_are_for_programs() {
        let change = Change {
            subject: "pool web".into(),
            item: "backend 10.0.0.13:80 weight".into(),
            before: None,
            after: None,
        };
        assert_eq!(change.path(), "pool.web.backend.10.0.0.13:80.weight");
    }
}
