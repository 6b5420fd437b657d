//! What a user is told when the kernel's forwarding cannot be: and that nothing has changed then. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use e2e::{Site, needs_root, program, wait_for, wait_for_up};

/// Runs the daemon, which is expected to refuse; what it says.
fn refused(command: &mut Command, site: &Site, config: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    // Whoever it runs as may read it.
    fs::set_permissions(
        dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let file = dir.path().join("aplomb.toml");
    let socket = dir.path().join("admin.sock");
    fs::write(
        &file,
        format!("[admin]\nlisten = \"unix:{}\"\n{config}", socket.display()),
    )
    .unwrap();
    let output = command
        .args([program().to_str().unwrap(), "run", "-c"])
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = said(&output);
    assert!(!output.status.success(), "{said}");
    let links = site.expect("director", "ip -o link");
    assert!(!links.contains("xdp"), "{links}");
    assert!(
        said.contains("forward = \"proxy\""),
        "no way out is named: {said}"
    );
    said
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

#[test]
fn without_rights() {
    if !needs_root("without_rights") {
        return;
    }
    let site = Site::new("--mode nat");
    let mut command = site.command("director", "setpriv");
    let _ = command.args([
        "--bounding-set",
        "-bpf,-net_admin,-sys_admin",
        "--inh-caps",
        "-all",
    ]);
    let said = refused(&mut command, &site, site.config());
    assert!(
        said.contains("CAP_BPF") && said.contains("CAP_NET_ADMIN"),
        "{said}"
    );
}

#[test]
fn without_a_file_system_for_pins() {
    if !needs_root("without_a_file_system_for_pins") {
        return;
    }
    let site = Site::new("--mode nat");
    let pin = site
        .config()
        .lines()
        .find(|l| l.starts_with("pin"))
        .unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let config = site.config().replace(
        pin,
        &format!("pin = \"{}/pins\"", elsewhere.path().display()),
    );
    let said = refused(&mut site.command("director", "env"), &site, &config);
    assert!(
        said.contains("BPF file system") && said.contains("mount -t bpf"),
        "{said}"
    );
}

/// An interface that is not there yet is no error: it is attached to when it comes.
#[test]
fn an_unknown_interface() {
    if !needs_root("an_unknown_interface") {
        return;
    }
    let site = Site::new("--mode nat");
    let named = |names: &str| {
        site.config()
            .replacen("[l4]\n", &format!("[l4]\ninterfaces = {names}\n"), 1)
    };
    let daemon = site.daemon(&named("[\"eth0\", \"eth1\", \"later0\"]"));
    wait_for_up(&daemon, 3);
    let status = daemon.expect_cli(&["status"]);
    assert!(status.contains("there is no such interface"), "{status}");
    assert!(daemon.log().contains("later0"), "{}", daemon.log());
    asks(&site);
    let _ = site.expect(
        "director",
        "ip link add later0 type veth peer name later1; ip link set later0 up",
    );
    wait_for("it to be attached to", || {
        site.expect("director", "ip -o link show later0")
            .contains("xdp")
    });
    // No longer wanted: off it comes, and the others stay.
    daemon.apply(&named("[\"eth0\", \"eth1\"]"));
    wait_for("it to be taken off", || {
        !site
            .expect("director", "ip -o link show later0")
            .contains("xdp")
    });
    asks(&site);
}

fn asks(site: &Site) {
    let curl = format!("curl -sS --max-time 20 http://{}/", site.service());
    assert!(site.expect("client", &curl).starts_with("backend "));
}

/// What is rejected changes nothing.
#[test]
fn rejected_applies() {
    if !needs_root("rejected_applies") {
        return;
    }
    let site = Site::new("--mode nat");
    let daemon = site.daemon(site.config());
    wait_for_up(&daemon, 3);
    asks(&site);
    let shown = || {
        let status = daemon.status().unwrap();
        (
            status["generation"].clone(),
            status["l4"]["generation"].clone(),
            status["services"].clone()["listen"].clone(),
        )
    };
    let before = shown();
    let plain = site.config().to_owned();
    let many: String = (0..70_000)
        .map(|n| {
            format!(
                "{{ address = \"10.{}.{}.{}:80\" }},\n",
                n >> 16 & 255 | 64,
                n >> 8 & 255,
                n & 255
            )
        })
        .collect();
    for (wrong, word) in [
        (
            plain.replace("forward = \"nat\"", "forward = \"nap\""),
            "nap",
        ),
        (
            plain.replace("pool = \"web\"\n", "pool = \"web\"\nsyn-proxy = true\n"),
            "syn-proxy",
        ),
        (
            plain.replace("tcp://192.168.1.100:80", "http://192.168.1.100:80"),
            "forward",
        ),
        (plain.replace("10.0.0.11:8080", "[fd00:2::11]:8080"), "IPv"),
        (
            format!(
                "{plain}\n[[service]]\nname = \"other\"\nlisten = \"tcp://192.168.1.100:80\"\nforward = \"nat\"\npool = \"web\"\n"
            ),
            "192.168.1.100:80",
        ),
        (
            plain.replace("backends = [\n", &format!("backends = [\n{many}")),
            "70003",
        ),
    ] {
        daemon.write(&wrong);
        let output = daemon.cli(&["apply", "-c", daemon.config().to_str().unwrap()]);
        let said = said(&output);
        let brief: String = said.chars().take(2_000).collect();
        assert!(!output.status.success(), "it is taken: {brief}");
        assert!(said.contains(word), "not a word of {word}: {brief}");
        assert_eq!(shown(), before);
        asks(&site);
    }
    daemon.apply(&plain);
    asks(&site);
}

/// The kernel tells the program of no routes from where it does not forward: the log and `status` say what to type, and
/// that is enough.
#[test]
fn where_the_kernel_does_not_forward() {
    if !needs_root("where_the_kernel_does_not_forward") {
        return;
    }
    let site = Site::new("--mode direct");
    let _ = site.expect("director", "sysctl -qw net.ipv4.ip_forward=0");
    let daemon = site.daemon(site.config());
    wait_for_up(&daemon, 3);
    let typed = "sysctl -w net.ipv4.ip_forward=1 ";
    wait_for("the log to say it", || daemon.log().contains(typed));
    let status = daemon.expect_cli(&["status"]);
    assert!(status.contains(typed), "{status}");
    assert!(
        !status.contains("net.ipv6"),
        "no service is of IPv6: {status}"
    );
    let curl = format!("curl -sS --max-time 2 http://{}/", site.service());
    assert!(!site.run("client", &curl).status.success());

    let _ = site.expect("director", typed);
    let _ = site.expect("client", &curl);
    let status = daemon.expect_cli(&["status"]);
    assert!(!status.contains("sysctl"), "{status}");
}

/// A daemon that gave up its rights says how the first `ipvsadm -A` would work, and it does.
#[test]
fn the_first_service_of_ipvsadm() {
    if !needs_root("the_first_service_of_ipvsadm") {
        return;
    }
    let site = Site::new("--mode nat");
    let add = ["ipvsadm", "-A", "-t", site.service(), "-s", "wlc"];
    let daemon = site.daemon("");
    let refused = daemon.cli(&add);
    let said = said(&refused);
    assert!(!refused.status.success(), "{said}");
    let file = daemon.config().display().to_string();
    assert!(said.contains("`[l4]`") && said.contains(&file), "{said}");
    drop(daemon);

    let l4 = site.l4();
    let daemon = site.daemon(&l4);
    let _ = daemon.expect_cli(&add);
    let listed = daemon.expect_cli(&["ipvsadm", "-Ln"]);
    assert!(
        listed.contains(&format!("TCP  {} wlc", site.service())),
        "{listed}"
    );
    let _ = daemon.expect_cli(&["stop"]);
    wait_for("the daemon to end", || daemon.status().is_none());
    let _ = daemon.expect_cli(&["detach", "--pin", l4.split('"').nth(1).unwrap()]);
}
