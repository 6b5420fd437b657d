//! Before an address goes: connections of the proxy that came by it finish what they do, for they cannot follow it.
//!
//! First all that are there, while new ones are accepted as ever; then, with new ones kept out for a moment, those that
//! came meanwhile. Whoever is kept out tries again a second later, and finds the node that has the address then.

use std::{net::IpAddr, sync::Arc, time::Duration};

use proxy::plane::Plane;
use tokio::time::timeout;

/// How long the last ones may take, who came while those before them finished.
const LAST: Duration = Duration::from_secs(1);

/// New connections by these addresses are kept out while there is one.
#[must_use = "whoever is kept out is let in when it is dropped"]
pub(super) struct Closed {
    plane: Arc<Plane>,
    addresses: Vec<IpAddr>,
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.plane.let_in(&self.addresses, true);
    }
}

/// Waits until connections that came by these addresses have ended, for at most `limit` and a moment. None: nothing
/// listens there.
pub(super) async fn drain(
    plane: &Arc<Plane>,
    addresses: Vec<IpAddr>,
    limit: Duration,
) -> Option<Closed> {
    if !plane.listens_on(&addresses) {
        return None;
    }
    tracing::info!(?limit, "connections by addresses that go may finish");
    if timeout(limit, plane.renew(&addresses).wait())
        .await
        .is_err()
    {
        tracing::warn!("not all connections ended in time; they will not outlive their address");
    }
    let closed = Closed {
        plane: Arc::clone(plane),
        addresses,
    };
    plane.let_in(&closed.addresses, false);
    // Those that are left of before are not waited for again.
    let _ = timeout(LAST, plane.renew(&closed.addresses).wait()).await;
    Some(closed)
}
