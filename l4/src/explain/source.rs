//! What an explanation reads: the live tables, or a test's own.

use std::net::IpAddr;

use xdp::{
    abi::{
        Backend, Endpoint, Family, Flow, Fragment, FragmentKey, Guard, Hop, Load, Locality,
        LocalityKey, QuicConfig, QuicId, QuicKey, RangeKey, Secret, Service, Settings, Template,
        TemplateKey, Tick, Tuple,
    },
    decide::{Route, Table},
};

use crate::status::Word;

/// What tables and the machine's network know, whatever the family.
pub trait Source {
    /// The program's clock.
    fn now(&self) -> Tick;
    /// What holds for all services.
    fn settings(&self) -> Option<Settings>;
    /// A service by its slot.
    fn service(&self, slot: u32) -> Option<Service>;
    /// A backend by its slot.
    fn backend(&self, slot: u32) -> Option<Backend>;
    /// How busy a backend is.
    fn load(&self, slot: u32) -> Option<Load>;
    /// An entry of the rings, hash tables and member lists.
    fn scheduled(&self, index: u32) -> Option<u32>;
    /// How far a service's ring has been gone through.
    fn turns(&self, service: u32) -> Option<u32>;
    /// How QUIC connection IDs with a rotation id are made.
    fn quic_config(&self, _: &QuicKey) -> Option<QuicConfig> {
        None
    }
    /// The backend that a server id in QUIC connection IDs is of.
    fn quic_id(&self, _: &QuicId) -> Option<u32> {
        None
    }
    /// What SYN cookies are made with.
    fn secret(&self) -> Option<Secret> {
        None
    }
    /// A service's handshakes.
    fn guard(&self, _: u32) -> Option<Guard> {
        None
    }
    /// The way to an address, and the hop if there is one.
    fn way(&self, to: IpAddr) -> (Route, Hop);
    /// A service's name, and the word for how it chooses.
    fn named(&self, slot: u32) -> Option<(String, Word)>;
    /// What weights are multiplied by in the records of a service's backends.
    fn scale(&self, _service: u32) -> u32 {
        1
    }
    /// A device's name.
    fn interface(&self, index: u32) -> Option<String>;
}

/// What the tables of one family know.
pub trait Lookup<F: Family> {
    /// The flow of a tuple.
    fn flow(&self, table: Table, key: &Tuple<F>) -> Option<Flow<F>>;
    /// The service at an endpoint.
    fn endpoint(&self, key: &Endpoint<F>) -> Option<u32>;
    /// The service whose range of ports covers this.
    fn range(&self, key: &RangeKey<F>) -> Option<u32>;
    /// A client's template.
    fn template(&self, key: &TemplateKey<F>) -> Option<Template>;
    /// What is known of a fragmented packet.
    fn fragment(&self, key: &FragmentKey<F>) -> Option<Fragment>;
    /// Which backends a destination is at home with.
    fn locality(&self, key: &LocalityKey<F>) -> Option<Locality>;
}
