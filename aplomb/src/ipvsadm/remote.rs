//! The daemon as keeper of the table, over the admin API.

use control::ipvs::{
    Edit, Error,
    listing::{Connection, Listing},
};

use super::{
    Keeper,
    sync::{IpvsSync, SyncDaemon},
};
use crate::{
    api::model::{
        IpvsConnections, IpvsEdits, IpvsOutcomes, IpvsSyncStatus, IpvsTable, L4Status, SyncStatus,
    },
    cli::{
        client::{AdminArgs, Client, block_on},
        exit::Failure,
    },
};

/// The daemon.
pub(super) struct Remote {
    client: Client,
}

impl Remote {
    /// The daemon that is where these say; nothing is connected yet.
    pub(super) fn new(admin: &AdminArgs) -> Result<Self, Failure> {
        Client::new(admin).map(|client| Self { client })
    }
}

impl Keeper for Remote {
    fn edit(&mut self, edits: &[Edit]) -> Result<Vec<Result<(), Error>>, String> {
        let body = IpvsEdits {
            edits: edits.to_vec(),
        };
        let body = serde_json::to_vec(&body).map_err(|e| e.to_string())?;
        let answer: IpvsOutcomes =
            block_on(self.client.post("/v1/ipvs/edits", body)).map_err(|e| e.to_string())?;
        let outcomes = answer.outcomes.into_iter();
        Ok(outcomes.map(|error| error.map_or(Ok(()), Err)).collect())
    }

    fn listing(&mut self) -> Result<Listing, String> {
        let answer: IpvsTable = block_on(self.client.get("/v1/ipvs")).map_err(|e| e.to_string())?;
        Ok(answer.listing)
    }

    fn connections(&mut self) -> Result<Vec<Connection>, String> {
        let answer: IpvsConnections =
            block_on(self.client.get("/v1/ipvs/connections")).map_err(|e| e.to_string())?;
        Ok(answer.connections)
    }

    fn sync(&mut self) -> Result<Vec<SyncDaemon>, String> {
        let asked: Result<L4Status, _> = block_on(self.client.get("/v1/l4"));
        let status = match asked {
            Ok(status) => status,
            // Without a kernel data plane there is none.
            Err(error) if error.to_string().contains("no kernel data plane") => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.to_string()),
        };
        let ipvs = status.ipvs_sync.map(ipvs_daemon);
        Ok(ipvs.into_iter().chain(status.sync.map(daemon)).collect())
    }
}

fn daemon(sync: SyncStatus) -> SyncDaemon {
    let group = sync.group.unwrap_or_else(|| sync.listen.clone());
    let group: Option<std::net::SocketAddr> = group.parse().ok();
    SyncDaemon {
        interface: sync.interface.unwrap_or(sync.listen),
        group: group.map(|g| g.ip().to_string()).unwrap_or_default(),
        port: group.map_or(0, |g| g.port()),
        ipvs: None,
    }
}

fn ipvs_daemon(sync: IpvsSyncStatus) -> SyncDaemon {
    SyncDaemon {
        interface: sync.interface,
        group: sync.group,
        port: sync.port,
        ipvs: Some(IpvsSync {
            id: sync.id,
            ttl: sync.ttl,
            longest: u32::try_from(sync.max_size).unwrap_or(u32::MAX),
            master: sync.master,
            backup: sync.backup,
        }),
    }
}
