//! Header names that the proxy itself must understand, told apart once, while a head is parsed.

/// A header name the proxy acts on; everything else is [`Known::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Known {
    /// A field that is passed on unseen.
    Other,
    /// `host`
    Host,
    /// `connection`
    Connection,
    /// `content-length`
    ContentLength,
    /// `transfer-encoding`
    TransferEncoding,
    /// `te`
    Te,
    /// `trailer`
    Trailer,
    /// `upgrade`
    Upgrade,
    /// `expect`
    Expect,
    /// `keep-alive`
    KeepAlive,
    /// `proxy-connection`
    ProxyConnection,
    /// `via`
    Via,
    /// `forwarded`
    Forwarded,
    /// `x-forwarded-for`
    XForwardedFor,
    /// `x-forwarded-proto`
    XForwardedProto,
    /// `x-forwarded-host`
    XForwardedHost,
    /// `x-forwarded-port`
    XForwardedPort,
    /// `user-agent`
    UserAgent,
    /// `referer`
    Referer,
    /// `cookie`
    Cookie,
    /// `date`
    Date,
    /// `server`
    Server,
    /// `x-request-id`
    XRequestId,
}

impl Known {
    /// Tells a header name apart, case-insensitively.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        // Few names share a length, so this is one jump and one or two compares.
        let candidates: &[(&str, Self)] = match name.len() {
            2 => &[("te", Self::Te)],
            3 => &[("via", Self::Via)],
            4 => &[("host", Self::Host), ("date", Self::Date)],
            6 => &[
                ("expect", Self::Expect),
                ("cookie", Self::Cookie),
                ("server", Self::Server),
            ],
            7 => &[
                ("trailer", Self::Trailer),
                ("upgrade", Self::Upgrade),
                ("referer", Self::Referer),
            ],
            9 => &[("forwarded", Self::Forwarded)],
            10 => &[
                ("connection", Self::Connection),
                ("keep-alive", Self::KeepAlive),
                ("user-agent", Self::UserAgent),
            ],
            12 => &[("x-request-id", Self::XRequestId)],
            14 => &[("content-length", Self::ContentLength)],
            15 => &[("x-forwarded-for", Self::XForwardedFor)],
            16 => &[
                ("proxy-connection", Self::ProxyConnection),
                ("x-forwarded-host", Self::XForwardedHost),
                ("x-forwarded-port", Self::XForwardedPort),
            ],
            17 => &[
                ("transfer-encoding", Self::TransferEncoding),
                ("x-forwarded-proto", Self::XForwardedProto),
            ],
            _ => return Self::Other,
        };
        for (text, known) in candidates {
            // Most names that share a length differ in their first letter already.
            if name[0] | 0x20 == text.as_bytes()[0] && name.eq_ignore_ascii_case(text.as_bytes()) {
                return *known;
            }
        }
        Self::Other
    }

    /// Whether a field of this name concerns one connection only (RFC 9110 §7.6.1) or says how the
    /// message is framed; such fields are never copied, but made anew.
    #[must_use]
    pub const fn is_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::ContentLength
                | Self::TransferEncoding
                | Self::Te
                | Self::Upgrade
                | Self::KeepAlive
                | Self::ProxyConnection
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_length_matter_not_and_matter() {
        assert_eq!(Known::of(b"HoSt"), Known::Host);
        assert_eq!(Known::of(b"content-LENGTH"), Known::ContentLength);
        assert_eq!(Known::of(b"content_length"), Known::Other);
        assert_eq!(Known::of(b"hosts"), Known::Other);
        assert_eq!(Known::of(b""), Known::Other);
    }

    #[test]
    fn every_name_stands_under_its_own_length() {
        for (text, known) in [
            ("host", Known::Host),
            ("connection", Known::Connection),
            ("content-length", Known::ContentLength),
            ("transfer-encoding", Known::TransferEncoding),
            ("te", Known::Te),
            ("trailer", Known::Trailer),
            ("upgrade", Known::Upgrade),
            ("expect", Known::Expect),
            ("keep-alive", Known::KeepAlive),
            ("proxy-connection", Known::ProxyConnection),
            ("via", Known::Via),
            ("forwarded", Known::Forwarded),
            ("x-forwarded-for", Known::XForwardedFor),
            ("x-forwarded-proto", Known::XForwardedProto),
            ("x-forwarded-host", Known::XForwardedHost),
            ("x-forwarded-port", Known::XForwardedPort),
            ("user-agent", Known::UserAgent),
            ("referer", Known::Referer),
            ("cookie", Known::Cookie),
            ("date", Known::Date),
            ("server", Known::Server),
            ("x-request-id", Known::XRequestId),
        ] {
            assert_eq!(Known::of(text.as_bytes()), known, "{text}");
            assert_eq!(
                Known::of(text.to_ascii_uppercase().as_bytes()),
                known,
                "{text}"
            );
        }
    }
}
