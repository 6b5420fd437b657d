//! VRRP versions 2 and 3 (RFC 3768, 5798, 9568): several nodes hold virtual addresses together, one of them at a time.
//!
//! The road of an advert: [`codec`] reads it, [`wire`] says whether it is for us and to be trusted, [`machine`] decides
//! what to do, [`group`] moves several virtual routers together, [`garp`] builds what tells the link where an address
//! is now. Words are in [`terms`], limits in [`limits`], reasons for what is not obeyed in [`refusal`].
//!
//! Who drives it: read all that has arrived, then tick, then do what is polled, then wait for the next deadline or packet.
//!
//! ```
//! use proto::{time::{Instant, Utc}, vrrp::{codec::*, group::*, machine::*, terms::*, wire::Wire}};
//! use std::net::IpAddr;
//!
//! // One virtual router; the address that it holds is 192.0.2.100, our own is 192.0.2.2.
//! let addresses = Addresses::new([IpAddr::from([192, 0, 2, 100])]).unwrap();
//! let config = Config::new(Settings::new(Vrid::new(51).unwrap(), addresses)).unwrap();
//! let ours = IpAddr::from([192, 0, 2, 2]);
//! let mut wire = Wire::new(config.clone());
//! let mut group = Group::new([config], None, Instant::ZERO).unwrap();
//! group.handle(GroupInput::Start, Instant::ZERO);
//! group.handle(GroupInput::Member(Member(0), Input::LinkUp(ours)), Instant::ZERO);
//!
//! // Nobody is heard: it takes over, and says so to the group of the link.
//! let due = group.next_deadline().unwrap();
//! group.handle(GroupInput::Tick, due);
//! let mut sent = Vec::new();
//! while let Some(output) = group.poll_output() {
//!     match output {
//!         GroupOutput::Member(_, Output::Advertise(advert)) => {
//!             sent.push(wire.write(&advert, ours, Utc::default()).to(Family::V4.group()));
//!         }
//!         GroupOutput::Member(_, Output::Take(addresses)) => assert_eq!(addresses.list().len(), 1),
//!         _ => {}
//!     }
//! }
//! assert_eq!(group.state(), State::Master);
//!
//! // What another node would hear.
//! let packet = Packet { source: ours, destination: Family::V4.group(), hop_limit: 255, message: &sent[0] };
//! let decoded = decode(packet).unwrap();
//! assert_eq!(decoded.advert.priority, Priority::DEFAULT);
//! let another = wire.read(decoded, Some(IpAddr::from([192, 0, 2, 1])), Utc::default());
//! assert_eq!(another.unwrap().from, ours);
//! ```

pub mod codec;
pub mod garp;
pub mod group;
pub mod limits;
pub mod machine;
pub mod refusal;
pub mod terms;
pub mod wire;
