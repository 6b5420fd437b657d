//! Many probes at a time.

use super::*;

#[test]
fn waiting_probes_are_made_in_turn() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    let (events, mut arriving) = mpsc::channel(4);
    let prober = Prober::start(events, 3).unwrap();
    let probe = ProbeKind::Tcp {
        send: None,
        expect: None,
    };
    let spec = Arc::new(spec(probe, PATIENCE));
    for id in 0..500 {
        prober.queue(Job::Check {
            backend: backend(target),
            check: 0,
            id,
            spec: Arc::clone(&spec),
            target,
            state: State::Up,
        });
    }
    let mut ids: Vec<_> = (0..500)
        .map(|_| match arriving.blocking_recv().unwrap() {
            Event::Probed { id, result, .. } => {
                assert_eq!(result.outcome, Ok(()));
                id
            }
            other => panic!("{other:?}"),
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..500).collect::<Vec<_>>());
}

#[test]
fn a_probe_whose_turn_comes_too_late_says_nothing_of_the_backend() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap();
    let (events, mut arriving) = mpsc::channel(4);
    let prober = Prober::start(events, 1).unwrap();
    let probe = ProbeKind::Tcp {
        send: None,
        expect: Some(control::spec::check::Expect::Contains(b"x".to_vec())),
    };
    let spec = Arc::new(spec(probe, Duration::from_millis(1200)));
    for id in 0..2 {
        prober.queue(Job::Check {
            backend: backend(target),
            check: 0,
            id,
            spec: Arc::clone(&spec),
            target,
            state: State::Up,
        });
    }
    let mut kinds = [0, 1].map(|_| match arriving.blocking_recv().unwrap() {
        Event::Probed { id, result, .. } => (id, result.outcome.unwrap_err().kind),
        other => panic!("{other:?}"),
    });
    kinds.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(kinds, [(0, Failure::Timeout), (1, Failure::Local)]);
}
