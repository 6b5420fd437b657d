//! Connection sync: flows of this node as they mean something on any other, and the other way round.
//!
//! [`export`] goes through the tables and finds what is new; [`import`] puts in what peers tell; [`templates`] does both with
//! the clients that persistence remembers; [`handshakes`] are told when addresses go; [`heard`] is what Linux's own directors tell, which is less; [`directory`] knows which addresses are which slots; [`shadow`] remembers what
//! was told of each place, [`served`] whose packets come by here. Who speaks to peers is not the
//! concern of this crate: it hands [`Told`]s out and takes them in.
//!
//! A node that was told of a flow leaves it to its peer until a packet of it comes by here; from then on this node tells
//! of it, and does not believe who knows older things.

mod directory;
mod export;
mod handshakes;
mod heard;
mod import;
mod served;
mod shadow;
mod templates;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use xdp::abi::{Family, Tick, V4, V6};
pub use xdp::abi::{FlowState, Method};

pub use self::heard::{Heard, HeardFlow, HeardTemplate};
use self::{
    directory::Directory,
    export::{All, Scan},
    served::Served,
    shadow::Shadow,
};
use crate::{
    load::{carry, object::Loaded},
    maps::{FamilyMaps, Maps},
    plane::{Plane, lock},
    tables::Tables,
};

/// What names a flow: what its client's packets carry. Or a client that persistence remembers. Both addresses are of one
/// family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowName {
    /// It names a remembered client, no flow.
    pub template: bool,
    /// IP protocol.
    pub protocol: u8,
    /// Where the client sends from; of a remembered one, its network and port 0.
    pub client: SocketAddr,
    /// Where it sends to; of a remembered client, one address of the service.
    pub target: SocketAddr,
}

/// A flow as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldFlow {
    /// Its name.
    pub name: FlowName,
    /// The backend as the configuration writes it.
    pub backend: SocketAddr,
    /// How packets reach it.
    pub method: Method,
    /// A [`FlowState`]'s number.
    pub state: u8,
    /// It hangs on a persistence template.
    pub persistent: bool,
    /// How long it is remembered without another packet.
    pub remaining: Duration,
    /// How long ago its last packet came.
    pub idle: Duration,
    /// Of full NAT: where the backend sees it come from.
    pub source: Option<SocketAddr>,
    /// Of a flow that a SYN cookie opened: what is added to the backend's sequence numbers.
    pub delta: Option<u32>,
    /// Somebody else knows it better: a peer told this node of it, and none of its packets came by here since; or, where
    /// everything is told, none of its whole service did for a while ([`FlowSync::quiet_after`]). Of one that is stored it
    /// says nothing.
    pub heard: bool,
}

/// A client that persistence remembers, as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldTemplate {
    /// Its name, [`FlowName::template`] set.
    pub name: FlowName,
    /// The backend as the configuration writes it.
    pub backend: SocketAddr,
    /// How long it is remembered without another connection.
    pub remaining: Duration,
    /// How long ago its last connection began.
    pub idle: Duration,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A flow is so.
    Flow(ToldFlow),
    /// A client is remembered.
    Template(ToldTemplate),
    /// What has this name is no more.
    Gone(FlowName),
}

/// What became of what a peer told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stored {
    /// It is in the tables.
    Added,
    /// It was, and is as told now.
    Updated,
    /// It is out of the tables.
    Removed,
    /// This node knows as much, or more.
    Kept,
    /// No service is at that address here.
    UnknownService,
    /// The service has no such backend here.
    UnknownBackend,
    /// The backend is reached another way here.
    OtherMethod,
    /// The service remembers no clients here.
    NotPersistent,
    /// Another flow has the addresses that the backend sees.
    TupleTaken,
    /// There is no room for it.
    TableFull,
    /// It makes no sense.
    Malformed,
}

impl Stored {
    /// Those that kept it out of the tables.
    pub const REFUSED: [Self; 7] = [
        Self::UnknownService,
        Self::UnknownBackend,
        Self::OtherMethod,
        Self::NotPersistent,
        Self::TupleTaken,
        Self::TableFull,
        Self::Malformed,
    ];

    /// The word for it in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Removed => "removed",
            Self::Kept => "kept",
            Self::UnknownService => "unknown-service",
            Self::UnknownBackend => "unknown-backend",
            Self::OtherMethod => "other-method",
            Self::NotPersistent => "not-persistent",
            Self::TupleTaken => "tuple-taken",
            Self::TableFull => "table-full",
            Self::Malformed => "malformed",
        }
    }
}

/// What is known of one node's flows and what was told of them. Its callers bring the tables.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    v4: Shadow,
    v6: Shadow,
    pub(crate) directory: Directory,
    look: Scan,
    all: Option<All>,
    served: Served,
}

/// A family with its shadow.
trait Synced: Family {
    fn shadow(exchange: &mut Exchange) -> &mut Shadow;
    fn maps(maps: &Maps) -> &FamilyMaps<Self>;
}

impl Synced for V4 {
    fn shadow(exchange: &mut Exchange) -> &mut Shadow {
        &mut exchange.v4
    }

    fn maps(maps: &Maps) -> &FamilyMaps<Self> {
        &maps.v4
    }
}

impl Synced for V6 {
    fn shadow(exchange: &mut Exchange) -> &mut Shadow {
        &mut exchange.v6
    }

    fn maps(maps: &Maps) -> &FamilyMaps<Self> {
        &maps.v6
    }
}

/// How long a flow in a state is remembered, ticks, as the program does it.
fn timeout(maps: &Maps, directory: &Directory, service: u32, state: u8) -> u32 {
    let state = FlowState::of(state);
    if matches!(state, FlowState::Udp | FlowState::Sctp) {
        let own = directory.timeout(service);
        if own != 0 {
            return own;
        }
    }
    maps.settings().timeouts[state as usize]
}

/// A time of ticks.
fn of_ticks(ticks: u32) -> Duration {
    Duration::from_nanos(u64::from(ticks) << Tick::SHIFT)
}

/// Ticks of a time, rounded up; half of what there are at most, so that they are never past.
fn to_ticks(time: Duration) -> u32 {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let ticks = nanos.div_ceil(1 << Tick::SHIFT);
    u32::try_from(ticks).unwrap_or(u32::MAX).min(u32::MAX / 2)
}

/// How many ticks are left; 0: its time is up.
fn left(expires: u32, now: Tick) -> u32 {
    if now.is_past(expires) {
        0
    } else {
        expires.wrapping_sub(now.0)
    }
}

/// How long what addresses mean is believed without a look.
const FRESH: Duration = Duration::from_millis(500);

/// The flows of a running data plane, for who speaks to peers. One at a time: what was told is remembered in it.
#[derive(Debug)]
pub struct FlowSync {
    plane: Arc<Plane>,
    loaded: Arc<Loaded>,
    exchange: Exchange,
    looked: Option<(Instant, u64)>,
}

impl FlowSync {
    pub(crate) fn new(plane: Arc<Plane>) -> Self {
        Self {
            loaded: plane.loaded(),
            plane,
            exchange: Exchange::default(),
            looked: None,
        }
    }

    /// Whether the tables go by a plan yet: before, nothing is known of what addresses mean.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        lock(&self.plane.tables).generation() > 0
    }

    /// Goes on by `buckets` of the tables and adds what peers are to be told to `into`. Whether it was all the way through.
    pub fn look(&mut self, buckets: u32, into: &mut Vec<Told>) -> bool {
        self.refresh();
        self.exchange.look(&self.loaded.maps, buckets, into)
    }

    /// A service none of whose packets came by here for so long may be another node's by now: its flows are told as
    /// [`ToldFlow::heard`] when everything is told.
    pub fn quiet_after(&mut self, quiet: Duration) {
        self.exchange.served.quiet_after(quiet);
    }

    /// Everything is to be told from the beginning.
    pub fn begin_all(&mut self) {
        self.exchange.begin_all();
    }

    /// Goes on telling everything. Whether that is done.
    pub fn all(&mut self, buckets: u32, into: &mut Vec<Told>) -> bool {
        self.refresh();
        self.exchange.all(&self.loaded.maps, buckets, into)
    }

    /// Adds the handshakes that are under way to `into`, for an address is about to go or has gone: not those that peers
    /// need not know.
    pub fn handshakes(&mut self, into: &mut Vec<Told>) {
        self.refresh();
        self.exchange.handshakes(&self.loaded.maps, into);
    }

    /// How a flow is now.
    pub fn find(&mut self, name: &FlowName) -> Told {
        self.refresh();
        self.exchange.find(&self.loaded.maps, name)
    }

    /// Takes what a peer tells.
    pub fn store(&mut self, told: &Told) -> Stored {
        self.refresh();
        self.exchange.store(&self.loaded.maps, told)
    }

    /// What is remembered of the client of a flow that hangs on its persistence, by the address that the flow goes to; none:
    /// nothing.
    pub fn client_of(&mut self, flow: &FlowName) -> Option<ToldTemplate> {
        self.refresh();
        self.exchange.client_of(&self.loaded.maps, flow)
    }

    /// Takes what a director tells that speaks IPVS's protocol.
    pub fn store_heard(&mut self, heard: &Heard) -> Stored {
        self.refresh();
        self.exchange.store_heard(&self.loaded.maps, heard)
    }

    /// Addresses that came or went have settled.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn addresses_rest(&self) -> io::Result<()> {
        carry::moving(&self.plane.loaded().maps, false)
    }

    fn refresh(&mut self) {
        let loaded = self.plane.loaded();
        if !Arc::ptr_eq(&loaded, &self.loaded) {
            // Tables of other sizes: nothing of the places is as it was.
            self.loaded = loaded;
            let served = std::mem::take(&mut self.exchange.served);
            self.exchange = Exchange {
                served: served.anew(),
                ..Exchange::default()
            };
            self.looked = None;
        }
        let generation = lock(&self.plane.tables).generation();
        let fresh = |(at, of): (Instant, u64)| of == generation && at.elapsed() < FRESH;
        if !self.looked.is_some_and(fresh) {
            self.looked = Some((Instant::now(), generation));
            self.exchange.learn(&lock(&self.plane.tables));
        }
    }
}

impl Exchange {
    /// Learns what addresses mean.
    pub(crate) fn learn(&mut self, tables: &Tables) {
        self.directory = Directory::of(tables);
    }
}
