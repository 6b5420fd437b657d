//! The admin API over real sockets, with a node that only remembers what it was asked.
#![expect(clippy::unwrap_used, reason = "tests")]

mod l4;
mod tls;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use control::{
    engine::Operation,
    ipvs::{
        Edit, Error,
        listing::{Connection, Listing},
    },
    spec::{AdminAuth, AdminListen, AdminSpec, Secret},
};

use ::l4::{
    explain::Question as Packet,
    filter::Filter,
    trace::{Hub, Listener},
};

use super::{
    Listeners, Place, Server,
    model::{
        Applied, BackendStatus, Connections, Explanation, PacketExplanation, PoolStatus, Problem,
        Question, Stats, Status, Upgraded,
    },
    node::{Answer, ConfigText, Node, Snapshot},
};
use crate::{
    cli::{
        client::{Client, block_on},
        exit::Failure,
    },
    vrrp::Order,
};

#[derive(Default)]
struct Remembers {
    operations: Mutex<Vec<Operation>>,
    orders: Mutex<Vec<(String, Order)>>,
    configs: Mutex<Vec<(ConfigText, bool)>>,
    asked: Mutex<Vec<Question>>,
    filters: Mutex<Vec<(Filter, usize)>>,
    hub: Option<Hub>,
}

fn now<'a, T: Send + 'a>(value: Result<T, Problem>) -> Answer<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Node for Remembers {
    fn snapshot(&self) -> Answer<'_, Snapshot> {
        let status = Status {
            pid: 7,
            pools: vec![PoolStatus {
                name: "web".into(),
                backends: vec![BackendStatus {
                    address: "[::1]:80".into(),
                    ..BackendStatus::default()
                }],
                ..PoolStatus::default()
            }],
            ..Status::default()
        };
        now(Ok(Snapshot {
            status,
            stats: Stats::default(),
        }))
    }

    fn counters(&self) -> Stats {
        Stats::default()
    }

    fn apply(&self, config: ConfigText, dry_run: bool) -> Answer<'_, Applied> {
        let refused = config.text.contains("nonsense");
        self.configs.lock().unwrap().push((config, dry_run));
        if refused {
            return now(Err(Problem {
                rendered: "  ^ here".into(),
                ..Problem::new(422, "invalid-config", "1 error")
            }));
        }
        now(Ok(Applied {
            applied: !dry_run,
            ..Applied::default()
        }))
    }

    fn reload(&self) -> Answer<'_, Applied> {
        now(Ok(Applied::default()))
    }

    fn operate(&self, operation: Operation) -> Answer<'_, ()> {
        self.operations.lock().unwrap().push(operation);
        now(Ok(()))
    }

    fn order(&self, group: String, order: Order) -> Answer<'_, ()> {
        self.orders.lock().unwrap().push((group, order));
        now(Ok(()))
    }

    fn explain(&self, question: Question) -> Answer<'_, Explanation> {
        self.asked.lock().unwrap().push(question);
        now(Ok(Explanation::default()))
    }

    fn connections(&self, filter: Filter, limit: usize) -> Answer<'_, Connections> {
        self.filters.lock().unwrap().push((filter, limit));
        now(Ok(Connections::default()))
    }

    fn explain_packets(&self, packets: Vec<Packet>) -> Answer<'_, Vec<PacketExplanation>> {
        let told = packets.iter().map(|packet| PacketExplanation {
            packet: format!("{packet:?}"),
            ..PacketExplanation::default()
        });
        now(Ok(told.collect()))
    }

    fn trace(&self, filter: Filter, per_second: u32) -> Result<Listener, Problem> {
        let hub = self.hub.as_ref().ok_or_else(super::routes::no_kernel)?;
        let listener = hub.listen(filter, per_second);
        listener.map_err(|refused| Problem::new(429, "too-many-listeners", refused.to_string()))
    }

    fn ipvs(&self) -> Answer<'_, Listing> {
        now(Ok(Listing::default()))
    }

    fn ipvs_connections(&self, _limit: usize) -> Answer<'_, Vec<Connection>> {
        now(Ok(Vec::new()))
    }

    fn ipvs_edit(&self, edits: Vec<Edit>) -> Answer<'_, Vec<Option<Error>>> {
        now(Ok(vec![None; edits.len()]))
    }

    fn upgrade(&self, _binary: Option<PathBuf>) -> Answer<'_, u32> {
        now(Ok(8))
    }

    fn stop(&self, _now: bool) -> Answer<'_, ()> {
        now(Ok(()))
    }

    fn reopen_logs(&self) -> Answer<'_, ()> {
        now(Ok(()))
    }
}

struct Site {
    node: Arc<Remembers>,
    server: Server,
    client: Client,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

fn unix(path: &Path) -> AdminSpec {
    AdminSpec {
        listen: AdminListen::Unix {
            path: path.into(),
            mode: 0o600,
            group: None,
        },
        metrics: None,
    }
}

fn site() -> Site {
    site_of(Remembers::default())
}

fn site_of(node: Remembers) -> Site {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    let node = Arc::new(node);
    let listeners = Listeners::bind(&unix(&socket), Path::new("/"), Place::Free).unwrap();
    Site {
        server: Server::start_for(Arc::clone(&node) as _, listeners).unwrap(),
        client: Client::unix(socket.clone()),
        node,
        socket,
        _dir: dir,
    }
}

/// A port of loopback that was free a moment ago.
fn free_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// What comes back for `request`, to the end of the connection.
fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn get(address: SocketAddr, path: &str, header: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n");
    raw(address, &request)
}

#[test]
fn an_operation_reaches_its_backend() {
    let site = site();
    let path = "/v1/pools/web/backends/%5B%3A%3A1%5D%3A80/drain";
    let now: BackendStatus =
        block_on(site.client.post(path, r#"{"timeout_seconds":1.5}"#)).unwrap();
    assert_eq!(now.address, "[::1]:80");
    let asked = site.node.operations.lock().unwrap().clone();
    let timeout = std::time::Duration::from_millis(1500);
    let expected = Operation::Drain("web/[::1]:80".parse().unwrap(), Some(timeout));
    assert_eq!(asked, [expected]);
}

#[test]
fn what_is_not_understood_is_refused_and_not_done() {
    let site = site();
    for (path, body, expected) in [
        ("/v1/pools/web/backends/nowhere/drain", "", "IP:PORT"),
        (
            "/v1/pools/web/backends/1.2.3.4:80/drain",
            r#"{"timeout":1}"#,
            "unknown field",
        ),
        (
            "/v1/pools/web/backends/1.2.3.4:80/drain",
            r#"{"timeout_seconds":-1}"#,
            "timeout_seconds",
        ),
        ("/v1/pools/web/backends/1.2.3.4:80/weight", "", "the body"),
        (
            "/v1/pools/web/backends/1.2.3.4:80/weight",
            r#"{"weight":70000}"#,
            "the body",
        ),
        ("/v1/apply?dryrun=true", "", "dryrun"),
        ("/v1/status", "", "openapi"),
        ("/v2", "", "openapi"),
    ] {
        let refused: Result<BackendStatus, Failure> = block_on(site.client.post(path, body));
        let failure = refused.unwrap_err();
        assert_eq!(failure.code(), 1, "{path}");
        assert!(failure.to_string().contains(expected), "{path}: {failure}");
    }
    assert!(site.node.operations.lock().unwrap().is_empty());
    assert!(site.node.configs.lock().unwrap().is_empty());
}

#[test]
fn a_configuration_is_handed_over_whole_and_its_errors_come_back() {
    let site = site();
    let path = "/v1/apply?dry-run=true&name=a.toml&directory=/etc/aplomb";
    let applied: Applied = block_on(site.client.post(path, "ä = 1")).unwrap();
    assert!(!applied.applied);
    let expected = ConfigText {
        name: "a.toml".into(),
        text: "ä = 1".into(),
        directory: "/etc/aplomb".into(),
    };
    assert_eq!(site.node.configs.lock().unwrap()[0], (expected, true));

    let refused: Result<Applied, _> = block_on(site.client.post("/v1/apply", "nonsense"));
    assert_eq!(refused.unwrap_err().to_string(), "1 error\n\n  ^ here");

    let huge = vec![b' '; 9 << 20];
    let refused: Result<Applied, _> = block_on(site.client.post("/v1/apply", huge));
    assert!(refused.is_err());
    assert_eq!(site.node.configs.lock().unwrap().len(), 2);
}

#[test]
fn a_body_that_says_it_is_too_long_is_not_waited_for() {
    let site = site();
    let mut stream = UnixStream::connect(&site.socket).unwrap();
    let head = "POST /v1/apply HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn an_upgrade_names_both_processes() {
    let site = site();
    let upgraded: Upgraded = block_on(site.client.post("/v1/upgrade", "")).unwrap();
    assert_eq!(upgraded.successor, 8);
    assert_eq!(upgraded.predecessor, std::process::id());
}

#[test]
fn clients_that_say_nothing_do_not_keep_others_out() {
    let site = site();
    let mut silent: Vec<UnixStream> = Vec::new();
    for index in 0..400 {
        let mut stream = UnixStream::connect(&site.socket).unwrap();
        if index % 2 == 0 {
            stream.write_all(b"GET /v1/status HTTP/1.1\r\nX: ").unwrap();
        }
        silent.push(stream);
    }
    let status: Status = block_on(site.client.get("/v1/status")).unwrap();
    assert_eq!(status.pid, 7);
}

#[test]
fn over_tcp_only_the_token_opens_and_swapping_moves_the_door() {
    let mut site = site();
    let (admin, metrics) = (free_port(), free_port());
    let spec = AdminSpec {
        listen: AdminListen::Tcp {
            address: admin,
            auth: AdminAuth::Token {
                token: Secret::new("s3cret"),
                tls: None,
            },
        },
        metrics: Some(metrics),
    };
    let current = site.server.spec().clone();
    let listeners = Listeners::bind(&spec, Path::new("/"), Place::Own(&current)).unwrap();
    site.server.swap(listeners);

    assert!(get(admin, "/v1/status", "").starts_with("HTTP/1.1 401"));
    assert!(get(admin, "/metrics", "").starts_with("HTTP/1.1 401"));
    assert!(get(admin, "/v1/nothing", "").starts_with("HTTP/1.1 401"));
    let wrong = "Authorization: Bearer s3cres\r\n";
    assert!(get(admin, "/v1/status", wrong).starts_with("HTTP/1.1 401"));
    let right = "Authorization: Bearer s3cret\r\n";
    assert!(get(admin, "/v1/status", right).starts_with("HTTP/1.1 200"));
    assert!(get(admin, "/readyz", "").starts_with("HTTP/1.1 200"));

    assert!(get(metrics, "/metrics", "").starts_with("HTTP/1.1 200"));
    assert!(get(metrics, "/v1/status", right).starts_with("HTTP/1.1 404"));
    assert!(!site.socket.exists(), "the unix socket is left behind");

    // Nothing changes for what stays the same.
    let current = site.server.spec().clone();
    let again = Listeners::bind(&spec, Path::new("/"), Place::Own(&current)).unwrap();
    assert!(again.admin.is_none() && again.metrics.is_none());
}

#[test]
fn a_retired_server_takes_no_more() {
    let site = site();
    site.server.retire();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while site.socket.exists() {
        assert!(std::time::Instant::now() < deadline, "it still listens");
        std::thread::yield_now();
    }
    let refused: Result<Status, _> = block_on(site.client.get("/v1/status"));
    assert_eq!(refused.unwrap_err().code(), 3);
}
