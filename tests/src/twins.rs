//! A [`Site`] with two directors that hold its addresses together and know each other's connections.

use std::net::SocketAddr;

use crate::{Daemon, Site, program, wait_for};

/// The directors; addresses move between them by VRRP.
#[derive(Debug)]
pub struct Twins {
    /// Where client and servers are, and the first director.
    pub site: Site,
    mode: String,
    more: String,
    key: tempfile::NamedTempFile,
    pin: String,
}

impl Twins {
    /// Where directors have a service of the proxy, beside the site's own in the kernel.
    pub const PAGES: u16 = 81;
    /// Where servers say back what they hear, through the kernel.
    pub const ECHO: u16 = 9000;
    /// The mode in which servers see directors as their clients.
    pub const FULL_NAT: &'static str = "full-nat";
    /// Whom they see: addresses that move too.
    const SOURCES: [&'static str; 2] = ["192.168.1.210", "192.168.1.211"];

    /// A site of this mode (`nat`, `direct`, [`Self::FULL_NAT`]). `more` stands in `vrrp`.
    #[must_use]
    pub fn new(mode: &str, more: &str) -> Self {
        let forward = forward(mode);
        let site = Site::new(&format!("--mode {forward} --one-arm --family 4 --second"));
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), "a key that has more than 32 characters\n").unwrap();
        let pin = site.config().split('"').nth(1).unwrap().to_owned();
        let twins = Self {
            site,
            mode: mode.into(),
            more: more.into(),
            key,
            pin,
        };
        // Its own address first: with the first of a network, those after it go.
        let own = "ip addr flush dev eth0 scope global; ip addr add 192.168.1.20N/24 dev eth0";
        let of = |number: &str| own.replace("20N", number);
        let _ = twins.site.expect("director", &of("201"));
        let _ = twins.site.expect("second", &of("202"));
        for host in ["server1", "server2", "server3"] {
            let at = SocketAddr::from(([0, 0, 0, 0], Self::ECHO));
            twins.site.echo(host, at);
        }
        twins
    }

    /// Where something is that directors hold.
    #[must_use]
    pub fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.site.service_address().ip(), port)
    }

    /// Starts one of them.
    #[must_use]
    pub fn start(&self, which: usize) -> Daemon {
        let config = self.config(which);
        let host = ["director", "second"][which];
        Daemon::start_by(&mut self.site.command(host, program()), &config)
    }

    fn config(&self, which: usize) -> String {
        let backends = |port: Option<u16>| {
            let of = |backend: &&str| {
                let address: SocketAddr = backend.parse().unwrap();
                let address = SocketAddr::new(address.ip(), port.unwrap_or(address.port()));
                format!("\"{address}\"")
            };
            let all: Vec<String> = self.site.backends().iter().map(of).collect();
            all.join(", ")
        };
        let (vip, more) = (self.site.service_address().ip(), &self.more);
        let mode = forward(&self.mode);
        let (source, addresses) = if self.mode == Self::FULL_NAT {
            let listed = Self::SOURCES.map(|ip| format!("\"{ip}\"")).join(", ");
            let held = Self::SOURCES.map(|ip| format!(", \"{ip}/24\"")).concat();
            (format!("source = [{listed}]\n"), held)
        } else {
            Default::default()
        };
        let pin = [String::new(), "-second".into()][which].clone();
        format!(
            "[proxy]\ndrain = \"20s\"\n\
             [l4]\npin = \"{}{pin}\"\nmax-flows = 65536\n\
             [sync]\nlisten = \"192.168.1.20{}:8849\"\npeers = [\"192.168.1.20{}:8849\"]\nwait = \"1s\"\n\
             keys = [{{ id = 1, secret = {{ file = \"{}\" }} }}]\n\
             [[pool]]\nname = \"web\"\nbackends = [{web}]\n\
             [[pool]]\nname = \"echo\"\nbackends = [{}]\n\
             [[service]]\nname = \"shop\"\nlisten = \"tcp://{vip}:80\"\nforward = \"{mode}\"\npool = \"web\"\n{source}\
             [[service]]\nname = \"echo\"\nlisten = \"tcp://{vip}:{}\"\nforward = \"{mode}\"\npool = \"echo\"\n{source}\
             [[service]]\nname = \"pages\"\nlisten = \"http://{vip}:{}\"\npool = \"web\"\n\
             [[vip]]\nname = \"edge\"\naddresses = [\"{vip}/32\", \"192.168.1.1/24\"{addresses}]\ninterface = \"eth0\"\n\
             vrrp = {{ id = 77, priority = {}, interval = \"100ms\"{more} }}\n",
            self.pin,
            which + 1,
            2 - which,
            self.key.path().display(),
            backends(Some(Self::ECHO)),
            Self::ECHO,
            Self::PAGES,
            [150, 100][which],
            web = backends(None),
        )
    }
}

/// How services of a mode forward.
fn forward(mode: &str) -> &str {
    if mode == Twins::FULL_NAT { "nat" } else { mode }
}

/// What a director takes itself for: `master`, `backup` …
#[must_use]
pub fn vip_state(daemon: &Daemon) -> String {
    let status = daemon.status().unwrap_or_default();
    status["vips"][0]["state"].as_str().unwrap_or("").to_owned()
}

/// Waits until the first is master and the second is not, and both know each other's connections.
pub fn wait_for_role(master: &Daemon, backup: &Daemon) {
    wait_for("a director to be master and the other backup", || {
        vip_state(master) == "master" && vip_state(backup) == "backup"
    });
    wait_for("both to be in sync", || {
        [master, backup].iter().all(|daemon| {
            let sync = daemon.status().unwrap_or_default()["l4"]["sync"].clone();
            sync["in_sync"] == true && sync["peers"][0]["answers"] == true
        })
    });
}
