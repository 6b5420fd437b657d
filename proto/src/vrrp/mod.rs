//! VRRP versions 2 and 3 (RFC 3768, 5798, 9568): several nodes hold virtual addresses together, one of them at a time.
//!
//! The road of an advert: [`codec`] reads it, [`wire`] says whether it is for us and to be trusted, [`machine`] decides
//! what to do, [`group`] moves several virtual routers together, [`garp`] builds what tells the link where an address
//! is now. Words are in [`terms`], limits in [`limits`], reasons for what is not obeyed in [`refusal`].

pub mod codec;
pub mod garp;
pub mod group;

pub mod limits;
pub mod machine;
pub mod refusal;
pub mod terms;
pub mod wire;
