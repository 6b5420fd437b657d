//! Every bound of the HTTP/1 codec, with the reason for its size.
//!
//! A peer chooses what it sends; these decide how much of it is kept or looked at.

/// Most header fields a head can have, whatever is configured.
///
/// The scratch for them lives on the stack while a head is parsed: 256 × 32 bytes are two pages.
pub const MAX_FIELDS: usize = 256;

/// Longest method name; the longest registered one has 17 bytes (`UPDATEREDIRECTREF`).
pub const MAX_METHOD: usize = 32;

/// Longest `chunk-size [ chunk-ext ] CRLF` line. 16 hex digits and room for a signature extension.
pub const MAX_CHUNK_LINE: usize = 256;

/// Most bytes of chunk extensions in one message. They are dropped, so they only cost us.
pub const MAX_CHUNK_EXTENSIONS: usize = 16 * 1024;

/// Largest trailer section: what gRPC-like status trailers need, many times over.
pub const MAX_TRAILERS: usize = 8 * 1024;

/// What the first line may have besides its target: method, version and spaces.
pub(super) const LINE_EXTRA: usize = MAX_METHOD + " HTTP/1.1 \r\n".len();

/// Bounds on a head, in bytes and fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Whole head with its empty line, in bytes (431 past it).
    pub head: usize,
    /// Request target, in bytes (414 past it).
    pub target: usize,
    /// Number of header fields (431 past it); at most [`MAX_FIELDS`].
    pub fields: usize,
}

impl Limits {
    /// 16 KiB as HAProxy and Apache have it; targets of 8,000 bytes are what RFC 9112 §3 asks for.
    pub const DEFAULT: Self = Self {
        head: 16 * 1024,
        target: 8 * 1024,
        fields: 100,
    };
}

impl Limits {
    /// Bounds that leave it to the client what of a head is target: 414 where the first line alone is too long.
    #[must_use]
    pub const fn of(head: usize, fields: usize) -> Self {
        Self {
            head,
            target: head.saturating_sub(LINE_EXTRA + 1),
            fields,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const _: () = {
    assert!(Limits::DEFAULT.fields <= MAX_FIELDS);
    assert!(Limits::DEFAULT.target + LINE_EXTRA < Limits::DEFAULT.head);
    assert!(MAX_TRAILERS <= Limits::DEFAULT.head);
};
