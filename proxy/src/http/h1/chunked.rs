//! Chunked bodies (RFC 9112 §7.1), decoded in place: sizes are understood, data is only pointed at.

use super::body::Piece;
use super::limits::{MAX_CHUNK_EXTENSIONS, MAX_CHUNK_LINE, MAX_FIELDS, MAX_TRAILERS};
use super::reject::Reason;
use super::search::{Bounds, Search, Section};

/// Most hex digits of a chunk size: 2^60 bytes, so that sums do not overflow.
const MAX_SIZE_DIGITS: u8 = 15;

#[derive(Debug, Clone, Copy)]
enum State {
    /// In the size line: the value and digits so far.
    Size { size: u64, digits: u8 },
    /// After `;` in the size line.
    Extension { size: u64 },
    /// After the CR of the size line.
    SizeLf { size: u64 },
    /// In the data.
    Data { left: u64 },
    /// After the data, before its CR.
    DataCr,
    /// Between that CR and its LF.
    DataLf,
    /// After the last chunk.
    Trailers,
    /// All done.
    End,
}

/// A decoder of one chunked body.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    line: usize,
    extensions: usize,
    trailers: Search,
}

impl Default for Chunked {
    fn default() -> Self {
        Self {
            state: State::Size { size: 0, digits: 0 },
            line: 0,
            extensions: 0,
            trailers: Search::default(),
        }
    }
}

impl Chunked {
    /// See [`super::Body::decode`].
    pub(super) fn decode(&mut self, input: &[u8]) -> Result<Piece, Reason> {
        let mut at = 0;
        loop {
            match self.state {
                State::Data { left } => {
                    let len = (input.len() - at).min(usize::try_from(left).unwrap_or(usize::MAX));
                    if len == 0 {
                        return Ok(Piece::More(at));
                    }
                    let left = left - len as u64;
                    self.state = if left == 0 {
                        State::DataCr
                    } else {
                        State::Data { left }
                    };
                    return Ok(Piece::Data(at..at + len));
                }
                State::Trailers => return self.find_trailers(input, at),
                State::End => {
                    return Ok(Piece::End {
                        consumed: at,
                        trailers: at..at,
                    });
                }
                _ => {}
            }
            let Some(&byte) = input.get(at) else {
                return Ok(Piece::More(at));
            };
            self.state = self.framing_byte(byte)?;
            at += 1;
        }
    }

    /// One byte that is not data.
    fn framing_byte(&mut self, byte: u8) -> Result<State, Reason> {
        match self.state {
            State::Size { size, digits } => self.size_byte(byte, size, digits),
            State::Extension { size } => {
                self.extensions += 1;
                self.count_line()?;
                match byte {
                    b'\r' => Ok(State::SizeLf { size }),
                    b'\t' | b' '..=b'~' | 0x80.. if self.extensions <= MAX_CHUNK_EXTENSIONS => {
                        Ok(State::Extension { size })
                    }
                    _ => Err(Reason::BadChunkExtension),
                }
            }
            State::SizeLf { size } if byte == b'\n' => {
                self.line = 0;
                Ok(if size == 0 {
                    State::Trailers
                } else {
                    State::Data { left: size }
                })
            }
            State::SizeLf { .. } => Err(Reason::BadChunkSize),
            State::DataCr if byte == b'\r' => Ok(State::DataLf),
            State::DataLf if byte == b'\n' => Ok(State::Size { size: 0, digits: 0 }),
            _ => Err(Reason::BadChunkEnd),
        }
    }

    fn size_byte(&mut self, byte: u8, size: u64, digits: u8) -> Result<State, Reason> {
        self.count_line()?;
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if digits > 0 => return Ok(State::SizeLf { size }),
            b';' if digits > 0 => return Ok(State::Extension { size }),
            _ => return Err(Reason::BadChunkSize),
        };
        if digits == MAX_SIZE_DIGITS {
            return Err(Reason::BadChunkSize);
        }
        Ok(State::Size {
            size: size << 4 | u64::from(digit),
            digits: digits + 1,
        })
    }

    fn count_line(&mut self) -> Result<(), Reason> {
        self.line += 1;
        if self.line > MAX_CHUNK_LINE {
            Err(Reason::BadChunkExtension)
        } else {
            Ok(())
        }
    }

    /// The trailer section is handed over whole, so it stays in the input until it is complete.
    fn find_trailers(&mut self, input: &[u8], at: usize) -> Result<Piece, Reason> {
        let bounds = Bounds {
            first_line: MAX_TRAILERS,
            total: MAX_TRAILERS,
            too_large: Reason::TrailersTooLarge,
        };
        match self
            .trailers
            .find(&input[at..], Section::Trailers, bounds)?
        {
            None => Ok(Piece::More(at)),
            Some(found) => {
                let end = at + found.end;
                check_trailers(&input[at..end])?;
                self.state = State::End;
                let empty = found.end == b"\r\n".len();
                Ok(Piece::End {
                    consumed: end,
                    trailers: if empty { at..at } else { at..end },
                })
            }
        }
    }
}

fn check_trailers(section: &[u8]) -> Result<(), Reason> {
    let mut scratch = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(section, &mut scratch) {
        Ok(httparse::Status::Complete((n, _))) if n == section.len() => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(Reason::TrailersTooLarge),
        _ => Err(Reason::BadTrailer),
    }
}
