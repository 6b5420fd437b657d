//! Which route takes a request: the routes of an HTTP service, compiled into a matcher.
//!
//! The first route in config order that matches takes the request; there is no other precedence to remember.
//! An index by host (`hosts`) makes that quick with thousands of hosts: only routes that take the request's
//! host are looked at. In a route, what is cheap to compare is compared first.
//!
//! Start at [`Router::find`]. Paths come in through [`Path::clean`], which says what a path *means*, so that
//! nobody gets around a route by spelling a path differently. [`hash_key()`] takes the key of a request that
//! hashing algorithms of [`crate::balance`] go by. [`Router::shadowed`] finds routes that can never match,
//! for a warning.

mod hash_key;
mod hosts;
mod matcher;
mod path;
mod query;
mod request;
mod router;
mod shadow;
#[cfg(test)]
mod tests;

pub use self::{
    hash_key::{connection_key, hash_key},
    matcher::{BadRoute, Mismatch},
    path::{BadPath, Path},
    request::{Headers, RequestView},
    router::{Router, Tried},
    shadow::Shadowed,
};
