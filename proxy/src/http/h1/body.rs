//! Bodies, decoded as they stream by. Nothing is copied: a piece is a range of the input.

use std::ops::Range;

use super::chunked::Chunked;
use super::framing::Framing;
use super::reject::Reason;

/// What one step of decoding found; ranges count from the start of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Data to forward. Everything up to its end is consumed; there may be more behind it.
    Data(Range<usize>),
    /// So many bytes are consumed and more are needed to go on.
    More(usize),
    /// The body is over.
    End {
        /// Bytes consumed; what follows belongs to the next message.
        consumed: usize,
        /// The trailer section with its final empty line; nothing if it has no fields.
        trailers: Range<usize>,
    },
}

/// A decoder of one body.
#[derive(Debug)]
pub enum Body {
    /// So many bytes are still to come.
    Length(u64),
    /// See [`Chunked`].
    Chunked(Chunked),
    /// All that comes.
    UntilClose,
}

impl Body {
    /// A decoder for a body framed so.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Length(0),
            Framing::Length(n) => Self::Length(n),
            Framing::Chunked => Self::Chunked(Chunked::default()),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Decodes a step from the front of `input`; what it did not consume must come again.
    ///
    /// # Errors
    /// The framing is broken; the connection cannot be used any further.
    pub fn decode(&mut self, input: &[u8]) -> Result<Piece, Reason> {
        match self {
            Self::Length(0) => Ok(Piece::End {
                consumed: 0,
                trailers: 0..0,
            }),
            Self::Chunked(chunked) => chunked.decode(input),
            _ if input.is_empty() => Ok(Piece::More(0)),
            Self::Length(left) => {
                let len = input
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= len as u64;
                Ok(Piece::Data(0..len))
            }
            Self::UntilClose => Ok(Piece::Data(0..input.len())),
        }
    }

    /// What it means that the peer closed before [`Piece::End`].
    ///
    /// # Errors
    /// [`Reason::Truncated`] unless that is how this body ends.
    pub fn closed(&self) -> Result<(), Reason> {
        match self {
            Self::UntilClose | Self::Length(0) => Ok(()),
            _ => Err(Reason::Truncated),
        }
    }

    /// Whether nothing is left to read, known without input.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self, Self::Length(0))
    }
}
