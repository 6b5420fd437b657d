//! The HTTP/1.1 codec (RFC 9112): bytes in, meaning out, and back. No I/O, no clock.
//!
//! Heads are parsed into reusable scratch ([`RequestHead`], [`ResponseHead`]) whose fields are
//! ranges of the receive buffer, each told apart ([`Known`]) and judged on the way; bodies are
//! decoded ([`Body`]) into ranges of that buffer. What cannot be understood in exactly one way is
//! refused with a [`Reject`] that names the side at fault, and what goes out is written from what
//! was understood ([`write_request`], [`write_response`], [`write_chunk`]). So no two parsers along
//! the way can read a message that passed here differently.
//!
//! `search` finds the end of a head, `request` and `response` read it, `fields` classifies,
//! `framing` says how long the body is, `body` and `chunked` decode it, `encode` and `chunk_out`
//! write. Every bound is in [`limits`].

mod body;
mod chunk_out;
mod chunked;
mod encode;
mod fields;
mod framing;
mod host;
mod known;
pub mod limits;
mod reject;
mod request;
mod response;
mod search;
mod syntax;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

pub use body::{Body, Piece};
pub use chunk_out::{write_chunk, write_chunk_size, write_last_chunk};
pub use chunked::Chunked;
pub use encode::{
    ConnectionWord, RequestEdit, write_length, write_line, write_request, write_response,
    write_status_line,
};
pub use fields::{ConnectionOptions, Field, Span, Version};
pub use framing::Framing;
pub use known::Known;
pub use limits::Limits;
pub use reject::{Reason, Reject, Side};
pub use request::{Method, RequestHead, RequestParser};
pub use response::{Asked, ResponseHead, ResponseParser};
