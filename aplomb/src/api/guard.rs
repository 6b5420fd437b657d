//! Keeps clients of the admin API from blocking it: a bounded number of connections, the idlest giving way.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::task::AbortHandle;

/// Whether a connection is in the middle of a request that it was allowed to make.
#[derive(Clone, Debug, Default)]
pub(super) struct Busy(Arc<AtomicBool>);

impl Busy {
    /// Busy until the answer is dropped.
    pub(super) fn begin(&self) -> Work {
        self.0.store(true, Ordering::Relaxed);
        Work(self.clone())
    }

    fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request that goes on.
#[derive(Debug)]
pub(super) struct Work(Busy);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

/// The connections of a listener, oldest first, never more than `limit`.
#[derive(Debug)]
pub(super) struct Guard {
    limit: usize,
    seats: Mutex<VecDeque<(AbortHandle, Busy)>>,
}

impl Guard {
    /// Room for `limit` connections.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            seats: Mutex::default(),
        }
    }

    /// Serves one more connection. If there is no room, the oldest that is not in the middle of a request it was
    /// allowed to make is cut; if all are, the new one is.
    pub(super) fn admit(&self, connection: impl Future<Output = ()> + Send + 'static, busy: Busy) {
        // Nobody panics while holding it.
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.len() >= self.limit {
            seats.retain(|(task, _)| !task.is_finished());
        }
        if seats.len() >= self.limit {
            let Some(idlest) = seats.iter().position(|(_, busy)| !busy.is()) else {
                return;
            };
            if let Some((task, _)) = seats.remove(idlest) {
                task.abort();
            }
        }
        let task = tokio::spawn(connection).abort_handle();
        seats.push_back((task, busy));
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// A connection that never ends, and whether it was cut.
    fn endless() -> (impl Future<Output = ()> + Send + 'static, Arc<()>) {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let connection = async move {
            pending::<()>().await;
            drop(held);
        };
        (connection, alive)
    }

    #[tokio::test]
    async fn the_oldest_idle_one_gives_way() {
        let guard = Guard::new(2);
        let (first, first_alive) = endless();
        let (second, second_alive) = endless();
        let (third, third_alive) = endless();
        let busy = Busy::default();
        let work = busy.begin();
        guard.admit(first, busy.clone());
        guard.admit(second, Busy::default());
        guard.admit(third, Busy::default());
        tokio::task::yield_now().await;
        let alive = |a: &Arc<()>| Arc::strong_count(a) == 2;
        assert!(alive(&first_alive) && !alive(&second_alive) && alive(&third_alive));

        // With everybody at work, it is the new one that goes.
        drop(work);
        let guard = Guard::new(1);
        let (first, first_alive) = endless();
        let (second, second_alive) = endless();
        let busy = Busy::default();
        let _work = busy.begin();
        guard.admit(first, busy.clone());
        guard.admit(second, Busy::default());
        tokio::task::yield_now().await;
        assert!(alive(&first_alive) && !alive(&second_alive));
    }
}
