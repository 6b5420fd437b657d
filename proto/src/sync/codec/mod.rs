//! Messages as bytes, numbers in network byte order.
//!
//! A message begins with its kind. Addresses are 4 or 16 bytes, ports 2; a record says by its flags which it has.

mod read;
mod record;
#[cfg(test)]
mod tests;

pub use self::read::decode;
pub(super) use self::record::put_record;
use super::{flow::Record, seal::Session};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A node is there.
    Heartbeat {
        /// The number of the last message of connections.
        number: u64,
        /// What its configuration is, as a number: the same for the same.
        config: u64,
        /// It is telling everything just now.
        telling: bool,
        /// Whom it hears. Who finds itself here knows that this is no recording.
        hears: Vec<Session>,
    },
    /// Connections.
    Flows {
        /// The message's number; each is one more than the last.
        number: u64,
        /// The lost message in whose place it comes; 0: none.
        repairs: u64,
        /// What is told.
        records: Vec<Record>,
    },
    /// From here on everything is told.
    Begin {
        /// The message's number, as of `Flows`.
        number: u64,
    },
    /// Everything was told.
    End {
        /// The message's number, as of `Flows`.
        number: u64,
    },
    /// These did not arrive.
    Missing {
        /// Whose.
        of: Session,
        /// Their numbers.
        numbers: Vec<u64>,
    },
    /// What was in these is not known any more.
    Forgotten {
        /// Their numbers.
        numbers: Vec<u64>,
    },
    /// There was nothing in these that is not told otherwise.
    Nothing {
        /// Their numbers.
        numbers: Vec<u64>,
    },
    /// Everything is to be told.
    Tell {
        /// By whom.
        of: Session,
    },
}

pub(super) mod kind {
    pub(crate) const HEARTBEAT: u8 = 1;
    pub(crate) const FLOWS: u8 = 2;
    pub(crate) const BEGIN: u8 = 3;
    pub(crate) const END: u8 = 4;
    pub(crate) const MISSING: u8 = 5;
    pub(crate) const FORGOTTEN: u8 = 6;
    pub(crate) const TELL: u8 = 7;
    pub(crate) const NOTHING: u8 = 8;
}

impl Message {
    /// As bytes. Who makes one keeps its lists within [`super::limits`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            Self::Heartbeat {
                number,
                config,
                telling,
                hears,
            } => {
                out.push(kind::HEARTBEAT);
                out.extend(number.to_be_bytes());
                out.extend(config.to_be_bytes());
                out.push(u8::from(*telling));
                out.push(count(hears));
                out.extend(hears.iter().flat_map(|session| session.0));
            }
            Self::Flows {
                number,
                repairs,
                records,
            } => {
                out.push(kind::FLOWS);
                out.extend(number.to_be_bytes());
                out.extend(repairs.to_be_bytes());
                out.push(count(records));
                for record in records {
                    put_record(record, &mut out);
                }
            }
            Self::Begin { number } => numbered(kind::BEGIN, *number, &mut out),
            Self::End { number } => numbered(kind::END, *number, &mut out),
            Self::Missing { of, numbers } => {
                out.push(kind::MISSING);
                out.extend(of.0);
                listed(numbers, &mut out);
            }
            Self::Forgotten { numbers } => {
                out.push(kind::FORGOTTEN);
                listed(numbers, &mut out);
            }
            Self::Nothing { numbers } => {
                out.push(kind::NOTHING);
                listed(numbers, &mut out);
            }
            Self::Tell { of } => {
                out.push(kind::TELL);
                out.extend(of.0);
            }
        }
        out
    }
}

fn count<T>(list: &[T]) -> u8 {
    u8::try_from(list.len()).unwrap_or(u8::MAX)
}

fn numbered(kind: u8, number: u64, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend(number.to_be_bytes());
}

fn listed(numbers: &[u64], out: &mut Vec<u8>) {
    out.push(count(numbers));
    out.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
}
