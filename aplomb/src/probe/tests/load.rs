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
