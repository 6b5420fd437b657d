//! Backends that are full, and those that wait for them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use control::spec::PoolSpec;

use crate::{
    peers::*,
    rig::{self, Kind, Rig},
};

/// A backend with room for one request, which it answers when told to; and how many it had at most.
fn narrow(edit: impl FnOnce(&mut PoolSpec)) -> (Rig, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (go, wait) = mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let (now, most) = (AtomicUsize::new(0), Arc::<AtomicUsize>::default());
    let seen = Arc::clone(&most);
    let (address, _) = backend(move |request| {
        let _ = seen.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        wait.lock().unwrap().recv_timeout(rig::PATIENCE).unwrap();
        let _ = now.fetch_sub(1, SeqCst);
        ok(request.head.split(' ').nth(1).unwrap())
    });
    let mut rig = Rig::new(1);
    let mut pool = rig::pool_spec(&[address]);
    edit(&mut pool);
    let mut member = rig::member(address);
    member.max_connections = Some(1);
    rig.service(Kind::Http, |_| {})
        .members(pool, vec![member])
        .apply();
    (rig, go, most)
}

fn get(path: usize) -> String {
    format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn queued(rig: &Rig, n: u32) {
    rig.until(|stats| stats.pools.values().next().unwrap().queued == n);
}

#[test]
fn requests_wait_their_turn() {
    let (rig, go, most) = narrow(|_| {});
    let mut clients: Vec<Peer> = (0..4).map(|_| Peer::to(&rig)).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.send(get(i));
        rig.until(|stats| stats.backends.values().next().unwrap().in_flight == 1);
        queued(&rig, i as u32);
    }
    for (i, client) in clients.iter_mut().enumerate() {
        go.send(()).unwrap();
        assert_eq!(client.response().text(), format!("/{i}"));
    }
    assert_eq!(most.load(SeqCst), 1);
    queued(&rig, 0);
}

#[test]
fn past_the_queue_is_a_clear_503() {
    let (rig, go, _) = narrow(|pool| pool.queue.limit = 1);
    let mut clients: Vec<Peer> = (0..2).map(|_| Peer::to(&rig)).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.send(get(i));
        rig.until(|stats| stats.backends.values().next().unwrap().in_flight == 1);
        queued(&rig, i as u32);
    }
    let response = Peer::to(&rig).ask(get(9));
    assert_eq!(response.status(), 503);
    assert!(
        response.text().contains("queue is full"),
        "{}",
        response.text()
    );
    for client in &mut clients {
        go.send(()).unwrap();
        assert_eq!(client.response().status(), 200);
    }
}

#[test]
fn waiting_has_an_end() {
    let (rig, go, _) = narrow(|pool| pool.queue.timeout = Duration::from_millis(100));
    let mut first = Peer::to(&rig);
    first.send(get(0));
    rig.until(|stats| stats.backends.values().next().unwrap().in_flight == 1);
    let response = Peer::to(&rig).ask(get(1));
    assert_eq!(response.status(), 503);
    assert!(
        response.text().contains("busy for too long"),
        "{}",
        response.text()
    );
    go.send(()).unwrap();
    assert_eq!(first.response().status(), 200);
}
