//! The workspace as it is, and made-up ones that break each rule.

use super::*;
use std::fs;

/// A crate and what its manifest names.
fn crate_of(name: &str, dependencies: &[&str]) -> Crate {
    Crate {
        name: name.into(),
        dependencies: dependencies.iter().map(ToString::to_string).collect(),
    }
}

/// What is wrong with one crate that depends on these.
fn wrong(name: &str, dependencies: &[&str]) -> Vec<String> {
    check(&[crate_of(name, dependencies)], &Lock::default())
}

#[test]
fn this_workspace_holds_its_layers() {
    if let Err(message) = check_workspace(&crate::root()) {
        panic!("{message}");
    }
}

#[test]
fn allowed_arrows_pass() {
    let all = [
        crate_of("proto", &["rustbgpd-wire", "bytes"]),
        crate_of("control", &["proto", "serde", "toml", "regex", "proptest"]),
        crate_of("xdp", &["aya-ebpf"]),
        crate_of("l4", &["control", "xdp", "aya", "libc"]),
        crate_of("proxy", &["control", "tokio", "rustls", "h2", "socket2"]),
        crate_of(
            "aplomb",
            &["proto", "control", "xdp", "l4", "proxy", "tokio", "axum"],
        ),
        crate_of("xtask", &["clap", "libc"]),
    ];
    assert_eq!(check(&all, &Lock::default()), [""; 0]);
}

#[test]
fn each_forbidden_arrow_is_named() {
    let table = [
        ("proto", "control"),
        ("proto", "proxy"),
        ("proto", "tokio"),
        ("proto", "socket2"),
        ("proto", "rand"),
        ("control", "proxy"),
        ("control", "l4"),
        ("control", "xdp"),
        ("control", "aplomb"),
        ("control", "tokio"),
        ("control", "mio"),
        ("control", "socket2"),
        ("control", "rustix"),
        ("control", "chrono"),
        ("control", "fastrand"),
        ("xdp", "control"),
        ("xdp", "proto"),
        ("xdp", "serde"),
        ("l4", "tokio"),
        ("l4", "proxy"),
        ("l4", "proto"),
        ("proxy", "l4"),
        ("proxy", "proto"),
        ("proxy", "xdp"),
        ("proxy", "aya"),
        ("proxy", "aplomb"),
        ("l4", "aplomb"),
        ("xtask", "aplomb"),
        ("xtask", "proxy"),
        ("e2e", "aplomb"),
    ];
    for (from, to) in table {
        assert_eq!(
            wrong(from, &[to]),
            [format!("{from} must not depend on {to}")]
        );
    }
}

#[test]
fn nobody_may_depend_on_the_program() {
    for name in [
        "proto", "control", "xdp", "l4", "proxy", "aplomb", "xtask", "e2e",
    ] {
        assert_eq!(wrong(name, &["aplomb"]).len(), 1, "{name}");
    }
}

#[test]
fn a_crate_without_a_rule_is_refused() {
    let found = wrong("helpers", &[]);
    assert!(
        found[0].starts_with("helpers: not in the layer table"),
        "{found:?}"
    );
}

#[test]
fn a_member_of_the_workspace_is_no_external_crate() {
    // `l4` may use any crate of others, but a new member needs an arrow in the table.
    let all = [crate_of("l4", &["helpers"]), crate_of("helpers", &[])];
    assert!(check(&all, &Lock::default()).contains(&"l4 must not depend on helpers".to_owned()));
}

#[test]
fn what_comes_in_through_another_crate_is_found() -> Result {
    let lock = Lock::parse(
        r#"
        [[package]]
        name = "control"
        dependencies = ["nice", "toml"]
        [[package]]
        name = "nice"
        dependencies = ["toml", "net 1.0.0", "net 2.0.0"]
        [[package]]
        name = "net"
        version = "1.0.0"
        [[package]]
        name = "net"
        version = "2.0.0"
        dependencies = ["tokio"]
        [[package]]
        name = "tokio"
        dependencies = ["net 2.0.0"]
        "#,
    )?;
    let found = check(&[crate_of("control", &["nice", "toml"])], &lock);
    assert_eq!(
        found,
        ["control must not reach tokio: control -> nice -> net -> tokio"]
    );
    Ok(())
}

#[test]
fn manifests_are_read_with_all_kinds_of_dependencies() -> std::result::Result<(), std::io::Error> {
    let dir = tempfile::tempdir()?;
    let write = |name: &str, manifest: &str| {
        let folder = dir.path().join(name);
        fs::create_dir_all(folder.join("src"))?;
        fs::write(folder.join("src/lib.rs"), "")?;
        fs::write(folder.join("Cargo.toml"), manifest)
    };
    fs::write(
        dir.path().join("Cargo.toml"),
        "[workspace]\nmembers = ['control', 'proxy']\nresolver = '3'\n\
         [workspace.dependencies]\nwork = { package = 'tokio', version = '1' }\n",
    )?;
    write(
        "proxy",
        "[package]\nname = 'proxy'\n[dependencies]\ncontrol = { path = '../control' }\n",
    )?;
    write(
        "control",
        "[package]\nname = 'control'\n[dependencies]\nserde = '1'\nwork.workspace = true\n\
         [dev-dependencies]\nsocket2 = '0.6'\n[build-dependencies]\nrand = '0.9'\n\
         [target.'cfg(unix)'.dependencies]\nrustix = '1'\n",
    )?;
    fs::write(dir.path().join("Cargo.lock"), "version = 4\n")?;

    let message = check_workspace(dir.path()).err().unwrap_or_default();
    assert!(
        message.contains("control/clippy.toml must ban std::time::Instant::now"),
        "{message}"
    );
    for name in ["tokio", "socket2", "rand", "rustix"] {
        assert!(
            message.contains(&format!("control must not depend on {name}")),
            "{message}"
        );
    }
    assert_eq!(message.lines().count(), 6, "{message}");
    Ok(())
}
