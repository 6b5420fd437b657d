//! QUIC connection IDs that name a backend, as the program sees them (draft-ietf-quic-load-balancers).

use core::fmt;

use super::Plain;

/// Which configuration a connection ID was made with: of a service, by the rotation id in its first three bits.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuicKey {
    /// Slot of the service.
    pub service: u32,
    /// The rotation id, 0 to 6.
    pub rotation: u32,
}

// SAFETY: two numbers.
unsafe impl Plain for QuicKey {}

/// What names a backend of a service in connection IDs. The same in all configurations of the service.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuicId {
    /// Slot of the service.
    pub service: u32,
    /// Bytes of the server id.
    pub length: u32,
    /// Its first eight bytes, the first of them the most significant; what it does not have is zero.
    pub high: u64,
    /// The next eight.
    pub low: u64,
}

// SAFETY: 4 + 4 + 8 + 8 bytes, 8-aligned, filled.
unsafe impl Plain for QuicId {}

/// How a connection ID tells its server id.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuicCipher {
    /// It is in the open.
    Plain = 0,
    /// One block of AES.
    Block = 1,
    /// A Feistel network of four rounds, of which three show the whole server id.
    Three = 2,
    /// The same, where the server id is longer than the half that three rounds show.
    Four = 3,
}

impl QuicCipher {
    /// From its number; an unknown one is the open.
    #[inline(always)]
    pub fn of(n: u32) -> Self {
        match n {
            1 => Self::Block,
            2 => Self::Three,
            3 => Self::Four,
            _ => Self::Plain,
        }
    }
}

/// One configuration: all that can be known of it before a connection ID comes. 240 bytes.
///
/// What is called the block is the connection ID without its first byte: server id and nonce. Masks are of the block's
/// first 16 bytes as two numbers, the first byte the most significant.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct QuicConfig {
    /// A [`QuicCipher`].
    pub cipher: u32,
    /// Bytes of the block.
    pub length: u32,
    /// Bytes of the server id.
    pub id_length: u32,
    /// How many bits the block's right half must be moved to lie where the left one does.
    pub shift: u32,
    /// The server id's bits.
    pub id_high: u64,
    /// See `id_high`.
    pub id_low: u64,
    /// The left half's bits: of an odd length, without the last four.
    pub left_high: u64,
    /// See `left_high`.
    pub left_low: u64,
    /// The right half's bits once it was moved: of an odd length, without the first four.
    pub right_high: u64,
    /// See `right_high`.
    pub right_low: u64,
    /// AES-128's round keys in the order of their use: those of decryption for [`QuicCipher::Block`], else those of
    /// encryption.
    pub keys: [u32; 44],
}

// SAFETY: 16 + 48 + 176 bytes, 8-aligned, filled.
unsafe impl Plain for QuicConfig {}

const _: () = assert!(size_of::<QuicConfig>() == 240);

impl fmt::Debug for QuicConfig {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicConfig")
            .field("cipher", &QuicCipher::of(self.cipher))
            .field("length", &self.length)
            .field("id_length", &self.id_length)
            .finish_non_exhaustive()
    }
}
