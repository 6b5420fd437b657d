//! Across a network: client, balancer and servers each in a namespace of its own. Root only.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;

use e2e::{Daemon, Net, Nginx, needs_root, wait_for};

/// client 10.77.0.1, balancer 10.77.0.2, servers 10.77.0.3 and 10.77.0.4, all in fd77::/64 too.
struct Site {
    daemon: Daemon,
    servers: Vec<Nginx>,
    // Dropped last: it takes the namespaces away.
    net: Net,
}

impl Site {
    fn start(listen: &str, config: &str) -> Self {
        let net = Net::new(&["client", "balancer", "s1", "s2"]);
        let servers = (1..=2)
            .map(|n| {
                let address = SocketAddr::from(([10, 77, 0, 2 + n], 80));
                Nginx::start_with(
                    &format!("s{n}"),
                    address,
                    listen,
                    Some(net.namespace(&format!("s{n}"))),
                )
            })
            .collect();
        let program = e2e::program();
        let daemon = Daemon::start_by(
            &mut net.command("balancer", program.to_str().unwrap()),
            config,
        );
        Self {
            daemon,
            servers,
            net,
        }
    }

    fn curl(&self, line: &str) -> String {
        let output = self
            .net
            .run("client", &format!("curl -sS --max-time 10 {line}"));
        assert!(
            output.status.success(),
            "curl {line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

const POOL: &str = "[[pool]]\nname = \"web\"\nbalance = \"rr\"\n\
    backends = [{ address = \"10.77.0.3:80\" }, { address = \"10.77.0.4:80\" }]\n";

#[test]
fn backends_learn_whom_a_request_comes_from() {
    if !needs_root("backends_learn_whom_a_request_comes_from") {
        return;
    }
    let site = Site::start(
        "",
        &format!(
            "{POOL}connect = {{ source = \"10.77.0.2\" }}\n\
             [[service]]\nname = \"shop\"\nlisten = [\"http://0.0.0.0:80\", \"http://[::]:80\"]\npool = \"web\"\n"
        ),
    );
    assert_eq!(
        site.curl("http://10.77.0.2/who"),
        "10.77.0.2||10.77.0.1|10.77.0.2\n"
    );
    assert_eq!(
        site.curl("'http://[fd77::2]/who'"),
        "10.77.0.2||fd77::1|[fd77::2]\n"
    );
    // What a client says of itself is not believed.
    assert_eq!(
        site.curl("-H 'X-Forwarded-For: 9.9.9.9' http://10.77.0.2/who"),
        "10.77.0.2||10.77.0.1|10.77.0.2\n"
    );
    drop(site.servers);
}

#[test]
fn the_proxy_protocol_tells_nginx_the_client() {
    if !needs_root("the_proxy_protocol_tells_nginx_the_client") {
        return;
    }
    for version in ["v1", "v2"] {
        let site = Site::start(
            "proxy_protocol",
            &format!(
                "{POOL}connect = {{ proxy-protocol = \"{version}\" }}\n\
                 [[service]]\nname = \"raw\"\nlisten = \"tcp://0.0.0.0:80\"\nforward = \"proxy\"\npool = \"web\"\n\
                 [[service]]\nname = \"shop\"\nlisten = \"http://0.0.0.0:81\"\npool = \"web\"\n"
            ),
        );
        assert_eq!(
            site.curl("http://10.77.0.2/who"),
            "10.77.0.2|10.77.0.1||10.77.0.2\n",
            "tcp {version}"
        );
        assert_eq!(
            site.curl("http://10.77.0.2:81/who"),
            "10.77.0.2|10.77.0.1|10.77.0.1|10.77.0.2:81\n",
            "http {version}"
        );
    }
}

/// A server whose cable is out sends no reset: only time tells. Traffic must go on beside it at once, the check
/// must find it, and it must be found again.
#[test]
fn a_server_that_vanishes_is_avoided() {
    if !needs_root("a_server_that_vanishes_is_avoided") {
        return;
    }
    let site = Site::start(
        "",
        &format!(
            "{POOL}connect = {{ timeout = \"300ms\" }}\n\
             check = {{ http = \"/\", interval = \"200ms\", timeout = \"300ms\", rise = 1, fall = 2 }}\n\
             [[service]]\nname = \"shop\"\nlisten = \"http://0.0.0.0:80\"\npool = \"web\"\n\
             timeouts = {{ response = \"500ms\" }}\nretry = {{ on = [\"connect\", \"closed\", \"timeout\"] }}\n"
        ),
    );
    let url = "http://10.77.0.2/";
    wait_for("both servers", || site.curl(url) != site.curl(url));
    site.net.cable("s1", false);
    for _ in 0..10 {
        let answer = site.curl(&format!("-w '%{{http_code}}' -H 'Connection: close' {url}"));
        assert_eq!(answer, "s2\n200");
    }
    wait_for("the check to see it", || {
        site.daemon.expect_cli(&["status"]).contains("down")
    });
    site.net.cable("s1", true);
    wait_for("its return", || site.curl(url) == "s1\n");
}
