//! What a check asks, and what must come back.

use super::check::CheckKeys;
use crate::{
    config::{
        diagnostic::Problem,
        form::{
            Fault, Form,
            http::{HeaderName, ServerName},
            many::{Either, Map, On},
            number::Int,
            text::{AnyText, FilePath, Hex, REGEX_MARK, regex},
            words::words,
        },
        kind::section,
        walk::{At, Cx},
    },
    spec::{
        ProbeKind, ScriptSpec,
        check::{Expect, HttpProbe, TlsProbe},
    },
};

section! {
    /// Bytes that are not text.
    pub(in crate::config) struct HexKeys = "bytes" {
        /// The bytes in hexadecimal.
        hex: Hex, required;
    }
}

/// Bytes to send: text, or a table of hexadecimal.
pub(in crate::config) type ToSend = Either<AnyText, HexKeys>;

fn to_send(send: At<ToSend>) -> Vec<u8> {
    match send.value {
        Either::One(text) => text.0.into_bytes(),
        Either::Other(keys) => keys.hex.value.0,
    }
}

/// Text that must appear, or a regular expression behind `~`.
#[derive(Clone, Debug)]
pub(in crate::config) struct ExpectText(Expect);

impl Form for ExpectText {
    const WHAT: &'static str = "text that must appear, or \"~regex\"";
    const EXAMPLE: &'static str = "ok";
    const PATTERN: &'static str = r"^[\s\S]+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(
                Fault::new("nothing is always there").help("leave the key out to expect anything")
            );
        }
        match text.strip_prefix(REGEX_MARK) {
            Some(pattern) => regex(pattern).map(|pattern| Self(Expect::Matches(pattern))),
            None => Ok(Self(Expect::Contains(text.as_bytes().into()))),
        }
    }
}

/// What must appear: text, a regular expression, or bytes in hexadecimal.
pub(in crate::config) type Expected = Either<ExpectText, HexKeys>;

fn expected(expect: At<Expected>) -> Expect {
    match expect.value {
        Either::One(text) => text.0,
        Either::Other(keys) => Expect::Contains(keys.hex.value.0),
    }
}

/// A header that must be there: its name, or a table of it and what must appear in its value.
pub(in crate::config) type HeaderCheck = Either<HeaderName, Map<HeaderName, ExpectText>>;

section! {
    /// Bytes sent and expected over a TCP connection.
    pub(in crate::config) struct TcpProbeKeys = "a TCP probe" {
        /// What is sent once connected: text, or `{ hex = "…" }`.
        send: ToSend, absent "nothing";
        /// What must appear in what comes back, within the first 64 KiB: text, a regular expression behind `~`, or `{ hex = "…" }`.
        expect: Expected, absent "nothing";
    }
}

section! {
    /// A TLS handshake.
    pub(in crate::config) struct TlsProbeKeys = "a TLS probe" {
        /// The name asked for (SNI), which the certificate must be valid for if it is verified.
        server_name: ServerName, absent "no SNI and no check of the name";
        /// Whether the certificate must be valid and chain up to a trusted authority.
        verify: bool, default "false";
        /// The authorities trusted, a PEM file.
        ca: FilePath, absent "the system's";
        /// The least number of days that the certificate must still be valid for.
        min_days: Int<1, 3650>, absent "no bound";
    }
}

section! {
    /// A datagram, and what must come back.
    pub(in crate::config) struct UdpProbeKeys = "a UDP probe" {
        /// The datagram: text, or `{ hex = "…" }`.
        send: ToSend, required;
        /// What must appear in the answer.
        expect: Expected, absent "anything: only an ICMP error fails";
    }
}

section! {
    /// A DNS query over UDP.
    pub(in crate::config) struct DnsProbeKeys = "a DNS probe" {
        /// The name asked for.
        name: DnsName, required;
        /// The type of record.
        record: Record, default "\"A\"";
        /// An answer that must be among those that come, as text.
        expect: AnyText, absent "any answer";
    }
}

/// A name of the DNS.
#[derive(Clone, Debug)]
pub(in crate::config) struct DnsName(String);

impl Form for DnsName {
    const WHAT: &'static str = "a name of the DNS";
    const EXAMPLE: &'static str = "health.example";
    const PATTERN: &'static str = r"^(\.|([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?)$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        };
        if text != "." && (name.len() > 253 || !name.split('.').all(label)) {
            return Err(crate::config::form::is_not::<Self>(text));
        }
        Ok(Self(text.into()))
    }
}

/// A type of DNS record.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Record(&'static str);

words!(Record {
    "A" => Record("A"), "IPv4 addresses";
    "AAAA" => Record("AAAA"), "IPv6 addresses";
    "CNAME" => Record("CNAME"), "another name";
    "MX" => Record("MX"), "mail servers";
    "NS" => Record("NS"), "name servers";
    "PTR" => Record("PTR"), "the name of an address";
    "SOA" => Record("SOA"), "the start of a zone";
    "SRV" => Record("SRV"), "servers of a service";
    "TXT" => Record("TXT"), "text";
});

impl TlsProbeKeys {
    fn admit(self, cx: &mut Cx<'_>) -> TlsProbe {
        if let (Some(ca), false) = (&self.ca, *self.verify) {
            let problem = Problem::warning(ca.key, "`ca` has no use without `verify`");
            cx.push(problem.help("write verify = true"));
        }
        TlsProbe {
            server_name: self.server_name.map(|name| name.value.0),
            verify: *self.verify,
            ca: self.ca.map(|ca| ca.value.0),
            min_days: self.min_days.map(|days| days.to()),
        }
    }
}

fn tls(tls: At<Either<On, TlsProbeKeys>>, cx: &mut Cx<'_>) -> Option<TlsProbe> {
    match tls.value {
        Either::One(On) => TlsProbeKeys::read_defaults().map(|keys| keys.admit(cx)),
        Either::Other(keys) => Some(keys.admit(cx)),
    }
}

impl CheckKeys {
    /// The one probe that the check names.
    pub(super) fn probe(self, cx: &mut Cx<'_>) -> Option<ProbeKind> {
        const PROBES: [&str; 6] = ["tcp", "http", "udp", "dns", "exec", "tls"];
        let named: Vec<_> = PROBES
            .into_iter()
            .filter(|name| self.given.has(name))
            .collect();
        let form = match *named.as_slice() {
            [] => {
                let problem = Problem::error(self.span, "the check does not say what it asks");
                cx.push(problem.help(
                    "write one of tcp = true, http = \"/healthz\", tls = true, udp, dns, exec",
                ));
                return None;
            }
            // `tls` in an HTTP check is how it is asked.
            [one] | [one @ "http", "tls"] => one,
            [one, other, ..] => {
                let at = self.given.place(other).unwrap_or(self.span);
                let mut problem = Problem::error(
                    at,
                    format!("a check asks one thing, this one `{one}` and `{other}`"),
                );
                if let Some(first) = self.given.place(one) {
                    problem = problem.related(first, "the first");
                }
                cx.push(problem.help("write several checks as a list: check = [{ … }, { … }]"));
                return None;
            }
        };
        self.given
            .only_of(form, |_| format!("this is a check by {form}"), cx);
        match form {
            "tcp" => match self.tcp?.value {
                Either::One(On) => Some(ProbeKind::Tcp {
                    send: None,
                    expect: None,
                }),
                Either::Other(keys) => Some(ProbeKind::Tcp {
                    send: keys.send.map(to_send),
                    expect: keys.expect.map(expected),
                }),
            },
            "udp" => self.udp.map(|keys| ProbeKind::Udp {
                send: to_send(keys.value.send),
                expect: keys.value.expect.map(expected),
            }),
            "dns" => self.dns.map(|keys| ProbeKind::Dns {
                name: keys.value.name.value.0,
                record: keys.value.record.0.into(),
                expect: keys.value.expect.map(|expect| expect.value.0),
            }),
            "exec" => self.script(cx),
            "tls" => tls(self.tls?, cx).map(ProbeKind::Tls),
            _ => self.http_probe(cx),
        }
    }

    fn script(self, cx: &mut Cx<'_>) -> Option<ProbeKind> {
        let command = self.exec?;
        let span = command.span;
        let words: Vec<String> = command
            .value
            .0
            .into_iter()
            .map(|word| word.value.0)
            .collect();
        let program = words.first().map_or("", |word| word);
        if !program.starts_with('/') {
            let problem = Problem::error(span, "a program is named by its absolute path");
            cx.push(problem.help("write exec = [\"/usr/local/bin/check\", \"argument\"]"));
            return None;
        }
        if words.iter().any(|word| word.contains('\0')) {
            cx.push(Problem::error(
                span,
                "an argument cannot have a zero character",
            ));
            return None;
        }
        Some(ProbeKind::Exec(ScriptSpec {
            command: words,
            max_output: self.max_output.0,
            user: self.user.map(|user| user.value.0),
        }))
    }

    fn http_probe(self, cx: &mut Cx<'_>) -> Option<ProbeKind> {
        let header = match self.header {
            None => None,
            Some(header) => Some(header_check(header, cx)?),
        };
        let tls = match self.tls {
            None => None,
            Some(at) => Some(tls(at, cx)?),
        };
        let headers = self.headers.map_or(Vec::new(), |headers| headers.value.0);
        Some(ProbeKind::Http(HttpProbe {
            method: self.method.value.0,
            path: self.http?.value.0,
            host: self.host.map(|host| host.value.0),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.value.0, value.value.0))
                .collect(),
            statuses: match self.expect.value {
                Either::One(statuses) => statuses.0,
                Either::Other(status) => vec![(status.to(), status.to())],
            },
            body: self.body.map(expected),
            header,
            latency: self.latency.map(|latency| latency.0),
            tls,
        }))
    }
}

fn header_check(header: At<HeaderCheck>, cx: &mut Cx<'_>) -> Option<(String, Option<Expect>)> {
    match header.value {
        Either::One(name) => Some((name.0, None)),
        Either::Other(map) => {
            let mut pairs = map.0.into_iter();
            match (pairs.next(), pairs.next()) {
                (Some((name, expect)), None) => Some((name.value.0, Some(expect.value.0))),
                _ => {
                    let problem = Problem::error(header.span, "a check looks at one header");
                    cx.push(
                        problem.help(
                            "write { name = \"value\" }, and further headers in further checks",
                        ),
                    );
                    None
                }
            }
        }
    }
}
