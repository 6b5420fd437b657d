//! Why a message was refused, and what that means as a status.

use std::fmt;

pub use crate::stats::Side;

macro_rules! reasons {
    ($($name:ident $status:literal $text:literal;)*) => {
        /// What is wrong with a message. The status is for requests; any bad response is a 502.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $text] $name,)*
        }

        impl Reason {
            /// A few words for people.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The status a client is answered when its request is refused for this.
            #[must_use]
            pub const fn request_status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

reasons! {
    BareLf 400 "line feed without carriage return";
    EmptyLines 400 "empty lines before the message";
    BadStartLine 400 "malformed first line";
    BadMethod 400 "malformed method";
    BadTarget 400 "malformed request target";
    BadVersion 505 "HTTP version not supported";
    BadHeaderName 400 "malformed header name";
    SpaceBeforeColon 400 "space between header name and colon";
    ObsFold 400 "folded header line";
    BadHeaderValue 400 "control character in a header value";
    TargetTooLong 414 "request target too long";
    HeadTooLarge 431 "header section too large";
    TooManyFields 431 "too many header fields";
    MissingHost 400 "missing Host";
    DuplicateHost 400 "more than one Host";
    BadHost 400 "invalid Host";
    HostMismatch 400 "request target and Host disagree";
    LengthAndCoding 400 "both Content-Length and Transfer-Encoding";
    DuplicateLength 400 "more than one Content-Length";
    BadLength 400 "invalid Content-Length";
    CodingInHttp10 400 "Transfer-Encoding in HTTP/1.0";
    CodingNotFinal 400 "chunked is not the final transfer coding";
    UnknownCoding 501 "transfer coding not supported";
    TraceWithBody 400 "TRACE with a body";
    Connect 405 "CONNECT is not offered here";
    UnknownExpectation 417 "expectation not supported";
    BadChunkSize 400 "invalid chunk size";
    BadChunkExtension 400 "invalid or oversized chunk extension";
    BadChunkEnd 400 "chunk data not followed by CRLF";
    TrailersTooLarge 400 "trailer section too large";
    BadTrailer 400 "malformed trailer section";
    Truncated 400 "message ended too early";
    BadStatus 400 "malformed status";
    UnwantedUpgrade 400 "switched protocols without being asked";
}

/// A refused message: who sent it and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reject {
    /// Who sent the message.
    pub side: Side,
    /// What is wrong with it.
    pub reason: Reason,
}

impl Reject {
    /// A refused request.
    #[must_use]
    pub const fn client(reason: Reason) -> Self {
        Self {
            side: Side::Client,
            reason,
        }
    }

    /// A refused response.
    #[must_use]
    pub const fn backend(reason: Reason) -> Self {
        Self {
            side: Side::Backend,
            reason,
        }
    }

    /// The status that the client is to be answered.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self.side {
            Side::Client => self.reason.request_status(),
            Side::Backend => 502,
            Side::Proxy => 500,
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.side.as_str(), self.reason.as_str())
    }
}

impl std::error::Error for Reject {}
