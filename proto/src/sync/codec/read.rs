//! Bytes as messages. Nothing is taken that is not whole, and no list grows beyond what fits a datagram.

use std::net::{IpAddr, SocketAddr};

use super::{Message, kind, record};
use crate::sync::{refusal::Refusal, seal::Session};

/// The message of an opened datagram.
///
/// # Errors
/// [`Refusal::Malformed`].
pub fn decode(body: &[u8]) -> Result<Message, Refusal> {
    let mut reader = Reader(body);
    let message = match reader.u8()? {
        kind::HEARTBEAT => Message::Heartbeat {
            number: reader.u64()?,
            config: reader.u64()?,
            telling: reader.u8()? != 0,
            hears: reader.list(Reader::session)?,
        },
        kind::FLOWS => Message::Flows {
            number: reader.u64()?,
            repairs: reader.u64()?,
            records: reader.list(record::record)?,
        },
        kind::BEGIN => Message::Begin {
            number: reader.u64()?,
        },
        kind::END => Message::End {
            number: reader.u64()?,
        },
        kind::MISSING => Message::Missing {
            of: reader.session()?,
            numbers: reader.list(Reader::u64)?,
        },
        kind::FORGOTTEN => Message::Forgotten {
            numbers: reader.list(Reader::u64)?,
        },
        kind::NOTHING => Message::Nothing {
            numbers: reader.list(Reader::u64)?,
        },
        kind::TELL => Message::Tell {
            of: reader.session()?,
        },
        _ => return Err(Refusal::Malformed),
    };
    if !reader.0.is_empty() {
        return Err(Refusal::Malformed);
    }
    Ok(message)
}

/// Takes things off the front of bytes.
pub(super) struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Refusal::Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Refusal> {
        self.take().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Refusal> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Refusal> {
        self.take().map(u64::from_be_bytes)
    }

    fn session(&mut self) -> Result<Session, Refusal> {
        self.take().map(Session)
    }

    pub(super) fn address(&mut self, v6: bool) -> Result<SocketAddr, Refusal> {
        let ip: IpAddr = if v6 {
            self.take::<16>()?.into()
        } else {
            self.take::<4>()?.into()
        };
        let port = u16::from_be_bytes(self.take()?);
        Ok(SocketAddr::new(ip, port))
    }

    /// A list with its count before it: it ends with the bytes, so that it is never longer than they are.
    fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let count = self.u8()?;
        (0..count).map(|_| one(self)).collect()
    }
}
