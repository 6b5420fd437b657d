//! What probing costs: so many targets, each probed once a second by the daemon's own prober.
//!
//! `cargo run --release --example probes -- [tcp|http] [TARGETS] [SECONDS]`
//!
//! The targets are addresses of 127.0.0.0/8 that one listener of this process serves, so nothing leaves the machine.
//! Printed is the processor time of each thread; the server's is not the prober's.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use aplomb::probe::{Job, Prober};
use control::{
    engine::Event,
    health::State,
    name::BackendKey,
    spec::{CheckSpec, ProbeKind, Share, check::HttpProbe},
};
use tokio::sync::mpsc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_else(|| "tcp".into());
    let targets: u32 = arguments.next().map_or(Ok(10_000), |n| n.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(10), |n| n.parse())?;

    let descriptors = aplomb::system::limits::raise_descriptors();
    let port = serve()?;
    let spec = Arc::new(spec(&kind));
    let backends = (0..targets)
        .map(|n| {
            let address = SocketAddr::new(Ipv4Addr::from(0x7f01_0000 + n).into(), port);
            let pool = "p".parse()?;
            Ok(BackendKey { pool, address })
        })
        .collect::<Result<Vec<_>, &'static str>>()?;
    let (events, mut arriving) = mpsc::channel(4096);
    let at_once = aplomb::system::limits::probes_at_once(descriptors);
    let prober = Prober::start(events, at_once)?;
    let counting = thread::spawn(move || {
        let (mut took, mut failed) = (Vec::new(), 0_u32);
        while let Some(event) = arriving.blocking_recv() {
            if let Event::Probed { result, .. } = event {
                took.push(result.took);
                failed += u32::from(result.outcome.is_err());
            }
        }
        (took, failed)
    });

    let before = processor_times()?;
    let began = Instant::now();
    for (n, backend) in (0_u32..)
        .zip(backends.iter().cycle())
        .take(usize::try_from(u64::from(targets) * seconds)?)
    {
        let due = Duration::from_secs(1) * n / targets;
        thread::sleep(due.saturating_sub(began.elapsed()));
        prober.queue(Job::Check {
            backend: backend.clone(),
            check: 0,
            id: n.into(),
            spec: Arc::clone(&spec),
            target: backend.address,
            state: State::Up,
        });
    }
    let elapsed = began.elapsed();
    let after = processor_times()?;
    thread::sleep(spec.timeout);
    drop(prober);
    let (mut took, failed) = counting.join().map_err(|_| "counting failed")?;
    took.sort_unstable();

    println!("{} probes in {elapsed:.1?}, {failed} failed", took.len());
    if let (Some(half), Some(most)) = (took.get(took.len() / 2), took.get(took.len() * 99 / 100)) {
        println!("took {half:.1?} at the median, {most:.1?} at the 99th percentile");
    }
    for (name, time) in after {
        let spent = time.saturating_sub(before.get(&name).copied().unwrap_or_default());
        let share = spent.as_secs_f64() / elapsed.as_secs_f64();
        println!("{name:>10}: {:.1} % of a core", share * 100.0);
    }
    Ok(())
}

fn spec(kind: &str) -> CheckSpec {
    let probe = if kind == "http" {
        ProbeKind::Http(HttpProbe {
            method: "GET".into(),
            path: "/".into(),
            host: None,
            headers: Vec::new(),
            statuses: vec![(200, 299)],
            body: None,
            header: None,
            latency: None,
            tls: None,
        })
    } else {
        ProbeKind::Tcp {
            send: None,
            expect: None,
        }
    };
    CheckSpec {
        probe,
        interval: Duration::from_secs(1),
        interval_down: Duration::from_secs(1),
        jitter: Share::NONE,
        timeout: Duration::from_millis(900),
        rise: 1,
        fall: 1,
        port: None,
        source: None,
        damping: None,
    }
}

/// Answers whatever is asked with a short answer, on a thread named `server`.
fn serve() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    rustix::net::listen(&listener, 16_384)?;
    let port = listener.local_addr()?.port();
    let _ = thread::Builder::new()
        .name("server".into())
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
                if matches!((&stream).read(&mut [0; 512]), Ok(1..)) {
                    let _ = (&stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                }
            }
        })?;
    Ok(port)
}

/// The processor time of each of this process's threads, by name (proc(5), schedstat).
fn processor_times() -> std::io::Result<BTreeMap<String, Duration>> {
    let mut times = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        let name = fs::read_to_string(task.join("comm"))?.trim().to_owned();
        let stat = fs::read_to_string(task.join("schedstat"))?;
        let nanos = stat.split(' ').next().and_then(|n| n.parse().ok());
        *times.entry(name).or_default() += Duration::from_nanos(nanos.unwrap_or(0));
    }
    Ok(times)
}
