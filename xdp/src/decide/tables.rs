//! What a decision reads and changes, as a trait: in the kernel the maps, on the host [`mod@super::model`].

use core::ptr::NonNull;

use crate::{
    abi::{
        Addr6, Backend, Cookies, Counters, Endpoint, Family, Flow, Fragment, FragmentKey, Guard,
        Hop, Load, Locality, LocalityKey, QuicConfig, QuicId, QuicKey, RangeKey, Secret, Service,
        Settings, Template, TemplateKey, Tick, Tuple, Way,
    },
    flows::Place,
    packet::Frame,
};

/// A value in a table, shared with other processors and with user space.
///
/// Only copies of fields are taken and put ([`get!`], [`put!`]): a reference would promise what nobody keeps.
#[derive(Debug)]
pub struct Entry<T>(NonNull<T>);

impl<T> Clone for Entry<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Entry<T> {}

impl<T> Entry<T> {
    /// The value at an address.
    ///
    /// # Safety
    /// It must stay readable and writable, and any bits must be a `T`, as long as the entry or a copy of it is used.
    #[inline(always)]
    pub unsafe fn new(at: NonNull<T>) -> Self {
        Self(at)
    }

    /// Where it lies.
    #[inline(always)]
    pub fn as_ptr(self) -> *mut T {
        self.0.as_ptr()
    }
}

/// A field of an [`Entry`], copied.
macro_rules! get {
    ($entry:ident . $field:ident) => {{
        // SAFETY: an entry's address is readable while it is used, and any bits are a value.
        unsafe { (*$entry.as_ptr()).$field }
    }};
}

/// Puts a field of an [`Entry`].
macro_rules! put {
    ($entry:ident . $field:ident = $value:expr) => {{
        let value = $value;
        // SAFETY: an entry's address is writable while it is used.
        unsafe { (*$entry.as_ptr()).$field = value }
    }};
}

/// Puts a [`crate::abi::Hop`] of an [`Entry`].
macro_rules! put_hop {
    ($entry:ident . $field:ident = $value:expr) => {{
        let value = $value;
        // SAFETY: an entry's address is writable while it is used, and nobody else writes it while this is done.
        unsafe { (*$entry.as_ptr()).$field.become_of(&value) }
    }};
}

/// The address of a field of an [`Entry`].
macro_rules! at {
    ($entry:ident . $field:ident) => {{
        // SAFETY: the field lies within the entry.
        unsafe { &raw mut (*$entry.as_ptr()).$field }
    }};
}

/// A field of an [`Entry`] as an entry of its own.
macro_rules! part {
    ($entry:ident . $field:ident) => {{
        // SAFETY: the field lies within the entry, which is at no null address.
        unsafe {
            $crate::decide::Entry::new(core::ptr::NonNull::new_unchecked(
                &raw mut (*$entry.as_ptr()).$field,
            ))
        }
    }};
}

pub(crate) use {at, get, part, put, put_hop};

/// One of the two tables of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Handshakes, and UDP flows of one packet.
    Pending,
    /// The others.
    Established,
}

/// What came of a search for the way to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Route {
    /// The hop was filled in.
    Found = 0,
    /// There is none.
    NoRoute = 1,
    /// The neighbour is not known; it was put down as to be resolved.
    NoNeighbour = 2,
    /// The device is not one that the program may send by.
    NoDevice = 3,
}

/// A question for a route: from where to where, of which protocol and service.
#[derive(Clone, Copy, Debug)]
pub struct Journey<F: Family> {
    /// Source as the packet will have it.
    pub src: F::Addr,
    /// Destination as the packet will have it.
    pub dst: F::Addr,
    /// ToS or traffic class.
    pub tos: u8,
}

/// The tables, for one address family.
pub trait Tables<F: Family>: Sized {
    /// The clock.
    fn now(&self) -> Tick;
    /// A random number.
    fn random(&self) -> u32;
    /// What holds for all services.
    fn settings(&self) -> Option<Entry<Settings>>;
    /// The flow of a tuple.
    fn flow(&self, table: Table, key: &Tuple<F>) -> Option<Entry<Flow<F>>>;
    /// Where a tuple's flow may be, in either table.
    fn place(&self, _key: &Tuple<F>) -> Place {
        Place::default()
    }
    /// The flow of a tuple with its place, for the short roads: in line where [`Tables::flow`] is a function.
    fn look(&self, table: Table, _place: Place, key: &Tuple<F>) -> Option<Entry<Flow<F>>> {
        self.flow(table, key)
    }
    /// The flow in hand: filled before it is put into a table.
    fn draft(&self) -> Option<Entry<Flow<F>>>;
    /// Puts the flow in hand in, if the tuple has none. Whether it is in now. If there is no room, the flow that ends first
    /// of those that are in its way gives way.
    fn insert(&self, table: Table, key: &Tuple<F>) -> Inserted;
    /// The same of a tuple that was seen to have none, for the short roads, which have the flow in hand at hand.
    fn add(&self, table: Table, _place: Place, key: &Tuple<F>, _draft: Entry<Flow<F>>) -> Inserted {
        self.insert(table, key)
    }
    /// Takes a flow out. Whether it was there.
    fn remove(&self, table: Table, key: &Tuple<F>) -> bool;
    /// The service at an endpoint.
    fn endpoint(&self, key: &Endpoint<F>) -> Option<u32>;
    /// The service whose range of ports covers this.
    fn range(&self, key: &RangeKey<F>) -> Option<u32>;
    /// A service.
    fn service(&self, slot: u32) -> Option<Entry<Service>>;
    /// A backend.
    fn backend(&self, slot: u32) -> Option<Entry<Backend>>;
    /// How busy a backend is.
    fn load(&self, slot: u32) -> Option<Entry<Load>>;
    /// An entry of the rings, hash tables and member lists.
    fn scheduled(&self, index: u32) -> Option<u32>;
    /// How far a service's ring has been gone through; the count goes up by one.
    fn turn(&self, service: u32) -> Option<u32>;
    /// Traffic of a backend.
    fn counters(&self, slot: u32) -> Option<Entry<Counters>>;
    /// A client's template.
    fn template(&self, key: &TemplateKey<F>) -> Option<Entry<Template>>;
    /// Puts a client's template in, in place of an older one.
    fn remember(&self, key: &TemplateKey<F>, template: &Template);
    /// What is known of a fragmented packet.
    fn fragment(&self, key: &FragmentKey<F>) -> Option<Entry<Fragment>>;
    /// Puts down what the first fragment says.
    fn keep_fragment(&self, key: &FragmentKey<F>, fragment: &Fragment);
    /// Which backends a destination is at home with.
    fn locality(&self, key: &LocalityKey<F>) -> Option<Entry<Locality>>;
    /// Puts a destination's backends in.
    fn settle(&self, key: &LocalityKey<F>, locality: &Locality);
    /// The frame that is decided on; an empty one where it is not at hand.
    fn frame(&self) -> Frame;
    /// How connection IDs with a rotation id are made.
    fn quic_config(&self, key: &QuicKey) -> Option<Entry<QuicConfig>>;
    /// The backend that a server id in connection IDs is of.
    fn quic_id(&self, key: &QuicId) -> Option<u32>;
    /// The way of a packet: fills `hop` in (its generation is the caller's).
    fn route(&self, journey: &Journey<F>, hop: &mut Hop) -> Route;
    /// The way to an address of the other family.
    fn route_other(&self, dst: &Addr6, v6: bool, hop: &mut Hop) -> Route;
    /// The way to the backend of a slot, as it was last found; none where that is not remembered: it is then looked for.
    fn way(&self, _backend: u32) -> Option<Entry<Way>> {
        None
    }
    /// Our address on a device: what goes around a tunnel's packets is from it. Asked only where ways are remembered.
    fn source(&self, _ifindex: u32, _v6: bool) -> Option<Addr6> {
        None
    }
    /// [`fn@super::schedule::pick`], which the kernel has as a function of its own: the verifier looks at it once.
    fn pick(&self, service: u32, scheduler: u32, key: u32, more: u32) -> u32 {
        super::schedule::pick(self, service, scheduler, key, more)
    }
    /// [`fn@super::schedule::weigh`]; as [`Tables::pick`].
    fn weigh(&self, slot: u32, scheduler: u32) -> u64 {
        super::schedule::weigh(self, slot, scheduler)
    }
    /// [`fn@super::schedule::compare`]; as [`Tables::pick`].
    fn compare(&self, service: u32, scheduler: u32, offset: u32, from: u32, chosen: u32) -> u32 {
        super::schedule::compare(self, service, scheduler, offset, from, chosen)
    }
    /// [`fn@super::schedule::home`]; as [`Tables::pick`].
    fn home(&self, service: u32, dst: F::Addr, replicated: bool) -> u32 {
        super::schedule::home(self, service, dst, replicated)
    }
    /// [`fn@crate::quic::named`]; as [`Tables::pick`].
    fn named(&self, service: u32, rotations: u32, begin: u32, end: u32) -> u32 {
        crate::quic::named(self, service, (rotations, true), begin, end)
    }
    /// What cookies are made with.
    fn secret(&self) -> Option<Entry<Secret>>;
    /// A service's handshakes.
    fn guard(&self, service: u32) -> Option<Entry<Guard>>;
    /// A service's cookies.
    fn cookies(&self, service: u32) -> Option<Entry<Cookies>>;
    /// [`fn@super::returned`]; as [`Tables::pick`]. The tuple is that of the packet in hand.
    fn returned(&self, tuple: &Tuple<F>, seq: u32, ack: u32) -> u32 {
        super::returned(self, tuple, seq, ack)
    }
    /// Adds to a number that others add to as well.
    fn bump(&self, number: Entry<u32>, by: u32);
}

/// What came of putting a flow in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is in.
    Yes,
    /// The tuple has one already.
    Taken,
    /// There was no room.
    Full,
}
