//! Writes messages: as many records in each as there is room for.

use std::net::{IpAddr, SocketAddr};

use super::{HEADER, LONGEST, MAX_RECORDS, RECORD_V4, RECORD_V6, Record, SEQUENCES, SHORTEST};

/// A message in the making.
#[derive(Debug)]
pub struct Writer {
    id: u8,
    most: usize,
    bytes: Vec<u8>,
    count: u8,
}

impl Writer {
    /// For messages of a sync id, of at most so many bytes.
    #[must_use]
    pub fn new(id: u8, most: usize) -> Self {
        Self {
            id,
            most: most.clamp(SHORTEST, LONGEST),
            bytes: Vec::new(),
            count: 0,
        }
    }

    /// Whether nothing was put in since the last message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Puts a record in, whose addresses are of one family: one of several is left out. A message, if there was no room
    /// for the record in it.
    pub fn put(&mut self, record: &Record) -> Option<Vec<u8>> {
        let v6 = record.client.is_ipv6();
        if record.target.is_ipv6() != v6 || record.backend.is_ipv6() != v6 {
            return None;
        }
        let size = size_of(record, v6);
        let begins = self.bytes.len().next_multiple_of(4);
        let full = begins + size > self.most || self.count == MAX_RECORDS;
        let message = if full { self.take() } else { None };
        if self.bytes.is_empty() {
            self.bytes.resize(HEADER, 0);
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.count += 1;
        self.write(record, size, v6);
        message
    }

    /// The message as far as it is; none without records.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.bytes);
        let count = std::mem::take(&mut self.count);
        // It is no longer than `most`, which two bytes hold.
        let size = u16::try_from(bytes.len()).ok()?;
        let header = bytes.first_chunk_mut::<HEADER>()?;
        let [high, low] = size.to_be_bytes();
        *header = [0, self.id, high, low, count, 1, 0, 0];
        Some(bytes)
    }

    fn write(&mut self, record: &Record, size: usize, v6: bool) {
        let bytes = &mut self.bytes;
        bytes.extend([u8::from(v6), record.protocol]);
        // All options together are far below 4096.
        bytes.extend(u16::try_from(size).unwrap_or(0).to_be_bytes());
        bytes.extend(record.flags.0.to_be_bytes());
        let ends = [record.client, record.target, record.backend];
        for number in [record.state].into_iter().chain(ends.map(|end| end.port())) {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(record.mark.to_be_bytes());
        bytes.extend(record.timeout.to_be_bytes());
        for end in ends {
            address(bytes, end);
        }
        if let Some(sequences) = &record.sequences {
            bytes.extend([1, 24]);
            for one in sequences {
                for number in [one.begin, one.delta, one.before] {
                    bytes.extend(number.to_be_bytes());
                }
            }
        }
        if let Some(engine) = &record.engine {
            for (kind, value) in [(2, engine.data()), (3, engine.name())] {
                bytes.extend([kind, u8::try_from(value.len()).unwrap_or(0)]);
                bytes.extend(value);
            }
        }
    }
}

fn address(bytes: &mut Vec<u8>, end: SocketAddr) {
    match end.ip() {
        IpAddr::V4(ip) => bytes.extend(ip.octets()),
        IpAddr::V6(ip) => bytes.extend(ip.octets()),
    }
}

fn size_of(record: &Record, v6: bool) -> usize {
    let fixed = if v6 { RECORD_V6 } else { RECORD_V4 };
    let sequences = record.sequences.map_or(0, |_| SEQUENCES);
    let engine = record.engine.as_ref();
    let engine = engine.map_or(0, |e| 2 + e.data().len() + 2 + e.name().len());
    fixed + sequences + engine
}
