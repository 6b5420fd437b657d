//! What backends are told of the client: X-Forwarded-*, Forwarded (RFC 7239), Via (RFC 9110 §7.6.3).
//!
//! Only what clients of trusted networks say of themselves is kept and added to. What others say is dropped, also
//! where we say nothing ourselves: no backend is to believe a stranger.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
};

use control::spec::http::ForwardedSpec;

use super::h1::{Field, Known, RequestHead};

/// What is said of one connection's client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) spec: &'a ForwardedSpec,
    /// The client.
    pub(crate) client: IpAddr,
    /// What the client connected to.
    pub(crate) local: Option<SocketAddr>,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// Whether the client's word is taken.
    pub(crate) trusted: bool,
}

/// Whether the word of a client at this address is taken.
pub(crate) fn is_trusted(spec: &ForwardedSpec, client: IpAddr) -> bool {
    let client = client.to_canonical();
    spec.trust.iter().any(|net| net.contains(&client))
}

impl Told<'_> {
    /// Whether a field that the client sent is left out, because it is dropped or said anew.
    pub(crate) fn drops(&self, known: Known) -> bool {
        match known {
            Known::XForwardedFor => self.spec.x_forwarded || !self.trusted,
            Known::Forwarded => self.spec.forwarded || !self.trusted,
            Known::XForwardedProto | Known::XForwardedHost | Known::XForwardedPort => !self.trusted,
            _ => false,
        }
    }

    /// Appends what is said, as lines.
    pub(crate) fn write(&self, out: &mut Vec<u8>, buf: &[u8], head: &RequestHead) {
        if self.spec.x_forwarded {
            self.write_x_forwarded(out, buf, head);
        }
        if self.spec.forwarded {
            self.write_forwarded(out, buf, head);
        }
        if self.spec.via {
            out.extend_from_slice(VIA);
        }
    }

    fn write_x_forwarded(&self, out: &mut Vec<u8>, buf: &[u8], head: &RequestHead) {
        out.extend_from_slice(b"x-forwarded-for: ");
        self.write_earlier(out, buf, head, Known::XForwardedFor);
        write_ip(out, self.client);
        out.extend_from_slice(b"\r\n");
        if self.says(head, Known::XForwardedProto) {
            out.extend_from_slice(b"x-forwarded-proto: ");
            out.extend_from_slice(self.scheme.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if self.says(head, Known::XForwardedHost) && head.authority.len > 0 {
            out.extend_from_slice(b"x-forwarded-host: ");
            out.extend_from_slice(head.authority.of(buf));
            out.extend_from_slice(b"\r\n");
        }
        if let Some(local) = self
            .local
            .filter(|_| self.says(head, Known::XForwardedPort))
        {
            out.extend_from_slice(b"x-forwarded-port: ");
            out.extend_from_slice(itoa::Buffer::new().format(local.port()).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    /// RFC 7239 §4: what holds a colon is quoted, and IPv6 addresses stand in brackets.
    fn write_forwarded(&self, out: &mut Vec<u8>, buf: &[u8], head: &RequestHead) {
        out.extend_from_slice(b"forwarded: ");
        self.write_earlier(out, buf, head, Known::Forwarded);
        out.extend_from_slice(b"for=");
        match self.client.to_canonical() {
            ip @ IpAddr::V4(_) => write_ip(out, ip),
            ip @ IpAddr::V6(_) => {
                out.extend_from_slice(b"\"[");
                write_ip(out, ip);
                out.extend_from_slice(b"]\"");
            }
        }
        if head.authority.len > 0 {
            out.extend_from_slice(b";host=\"");
            out.extend_from_slice(head.authority.of(buf));
            out.push(b'"');
        }
        out.extend_from_slice(b";proto=");
        out.extend_from_slice(self.scheme.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// What trusted clients said before, so that ours is the last element of the list.
    fn write_earlier(&self, out: &mut Vec<u8>, buf: &[u8], head: &RequestHead, known: Known) {
        for field in fields(head, known).filter(|f| self.trusted && f.value.len > 0) {
            out.extend_from_slice(field.value.of(buf));
            out.extend_from_slice(b", ");
        }
    }

    /// Whether a value that is not a list is ours to say.
    fn says(&self, head: &RequestHead, known: Known) -> bool {
        !self.trusted || fields(head, known).next().is_none()
    }
}

/// One more line has the meaning of one more element in the list that came (RFC 9110 §5.3).
pub(crate) const VIA: &[u8] = b"via: 1.1 aplomb\r\n";

fn fields(head: &RequestHead, known: Known) -> impl Iterator<Item = &Field> {
    head.fields
        .iter()
        .filter(move |f| f.known == known && !f.hop)
}

/// The address as people write it, an IPv4 client of an IPv6 listener as IPv4.
fn write_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let mut digits = itoa::Buffer::new();
            for (i, octet) in ip.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(digits.format(octet).as_bytes());
            }
        }
        IpAddr::V6(ip) => {
            // Writing to a vector cannot fail.
            let _ = write!(out, "{ip}");
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::http::h1::{Limits, RequestParser};

    fn told(spec: &ForwardedSpec, client: &str, trusted: bool, lines: &str) -> String {
        let text = format!("GET / HTTP/1.1\r\nHost: a:81\r\n{lines}\r\n");
        let mut head = RequestHead::default();
        assert!(
            RequestParser::default()
                .parse(text.as_bytes(), &Limits::DEFAULT, &mut head)
                .unwrap()
        );
        let told = Told {
            spec,
            client: client.parse().unwrap(),
            local: Some("10.0.0.9:81".parse().unwrap()),
            scheme: "http",
            trusted,
        };
        let mut out = Vec::new();
        for field in head.fields.iter().filter(|f| !told.drops(f.known)) {
            super::super::h1::write_line(
                &mut out,
                field.name.of(text.as_bytes()),
                field.value.of(text.as_bytes()),
            );
        }
        told.write(&mut out, text.as_bytes(), &head);
        String::from_utf8(out).unwrap()
    }

    const LIES: &str =
        "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=1.1.1.1\r\n";

    #[test]
    fn strangers_are_not_believed() {
        assert_eq!(
            told(&ForwardedSpec::default(), "192.0.2.7", false, LIES),
            "Host: a:81\r\nx-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\n\
             x-forwarded-host: a:81\r\nx-forwarded-port: 81\r\n"
        );
        let silent = ForwardedSpec {
            x_forwarded: false,
            ..ForwardedSpec::default()
        };
        assert_eq!(told(&silent, "192.0.2.7", false, LIES), "Host: a:81\r\n");
    }

    #[test]
    fn what_trusted_clients_say_is_added_to() {
        let spec = ForwardedSpec {
            forwarded: true,
            via: true,
            ..ForwardedSpec::default()
        };
        assert_eq!(
            told(&spec, "2001:db8::1", true, LIES),
            "Host: a:81\r\nX-Forwarded-Proto: https\r\nx-forwarded-for: 1.1.1.1, 2001:db8::1\r\n\
             x-forwarded-host: a:81\r\nx-forwarded-port: 81\r\n\
             forwarded: for=1.1.1.1, for=\"[2001:db8::1]\";host=\"a:81\";proto=http\r\nvia: 1.1 aplomb\r\n"
        );
    }

    #[test]
    fn trust_is_by_network_also_for_mapped_addresses() {
        let spec = ForwardedSpec {
            trust: vec!["10.0.0.0/8".parse().unwrap()],
            ..ForwardedSpec::default()
        };
        assert!(is_trusted(&spec, "10.1.2.3".parse().unwrap()));
        assert!(is_trusted(&spec, "::ffff:10.1.2.3".parse().unwrap()));
        assert!(!is_trusted(&spec, "11.1.2.3".parse().unwrap()));
    }
}
