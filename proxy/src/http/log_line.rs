//! A request's line in the access log, as text or JSON.
//!
//! Text: `TIME SERVICE/ROUTE BACKEND CLIENT "METHOD TARGET VERSION" HOST STATUS in=B out=B queue=US connect=US
//! first=US total=US retries=N fault=SIDE:REASON "DETAIL" id=ID "USER-AGENT"`, with times in microseconds and `-`
//! for what there is not. JSON has the same under the same names.

use std::{io::Write, net::SocketAddr, time::Duration};

use super::{
    h1::{Known, Version},
    note::Entry,
};

/// Appends the line, with its line feed.
pub(crate) fn write(out: &mut Vec<u8>, stamp: &str, json: bool, entry: &Entry<'_>) {
    if json {
        write_json(out, stamp, entry)
    } else {
        write_text(out, stamp, entry)
    }
}

fn write_text(out: &mut Vec<u8>, stamp: &str, entry: &Entry<'_>) {
    let note = entry.note;
    put(out, &[stamp, " ", entry.service, "/", route(entry), " "]);
    address(out, note.backend.as_ref().map(|b| b.address()));
    out.push(b' ');
    address(out, Some(entry.client));
    out.extend_from_slice(b" \"");
    request_line(out, entry);
    out.extend_from_slice(b"\" ");
    let host = if note.has_head {
        entry.head.host.of(entry.buf)
    } else {
        b""
    };
    out.extend_from_slice(if host.is_empty() { b"-" } else { host });
    out.push(b' ');
    number(out, "", note.status.into());
    number(out, " in=", note.bytes_in);
    number(out, " out=", note.bytes_out);
    for (name, time) in times(entry) {
        match time {
            Some(time) => number(out, name.0, micros(time)),
            None => put(out, &[name.0, "-"]),
        }
    }
    number(out, " retries=", note.retries.into());
    match &note.failure {
        None => out.extend_from_slice(b" fault=-"),
        Some(failure) => {
            put(
                out,
                &[
                    " fault=",
                    failure.fault.side.as_str(),
                    ":",
                    failure.fault.reason.as_str(),
                ],
            );
            put(out, &[" \"", failure.detail, "\""]);
        }
    }
    if !note.id.is_empty() {
        out.extend_from_slice(b" id=");
        escape(out, &note.id, false);
    }
    out.extend_from_slice(b" \"");
    escape(out, user_agent(entry), false);
    out.extend_from_slice(b"\"\n");
}

fn write_json(out: &mut Vec<u8>, stamp: &str, entry: &Entry<'_>) {
    let note = entry.note;
    put(
        out,
        &["{\"time\":\"", stamp, "\",\"service\":\"", entry.service],
    );
    put(out, &["\",\"route\":\"", route(entry), "\",\"client\":\""]);
    address(out, Some(entry.client));
    out.push(b'"');
    if let Some(backend) = &note.backend {
        out.extend_from_slice(b",\"backend\":\"");
        address(out, Some(backend.address()));
        out.push(b'"');
    }
    if note.has_head {
        for (name, value) in [
            (",\"method\":\"", entry.head.method_name),
            (",\"target\":\"", entry.head.target),
            (",\"host\":\"", entry.head.host),
        ] {
            out.extend_from_slice(name.as_bytes());
            escape(out, value.of(entry.buf), true);
            out.push(b'"');
        }
        put(
            out,
            &[",\"version\":\"", version(entry), "\",\"user_agent\":\""],
        );
        escape(out, user_agent(entry), true);
        out.push(b'"');
    }
    number(out, ",\"status\":", note.status.into());
    number(out, ",\"bytes_in\":", note.bytes_in);
    number(out, ",\"bytes_out\":", note.bytes_out);
    for (name, time) in times(entry) {
        if let Some(time) = time {
            number(out, name.1, micros(time));
        }
    }
    number(out, ",\"retries\":", note.retries.into());
    if let Some(failure) = &note.failure {
        put(
            out,
            &[
                ",\"side\":\"",
                failure.fault.side.as_str(),
                "\",\"reason\":\"",
            ],
        );
        put(
            out,
            &[
                failure.fault.reason.as_str(),
                "\",\"detail\":\"",
                failure.detail,
                "\"",
            ],
        );
    }
    if !note.id.is_empty() {
        out.extend_from_slice(b",\"id\":\"");
        escape(out, &note.id, true);
        out.push(b'"');
    }
    out.extend_from_slice(b"}\n");
}

type Named = ((&'static str, &'static str), Option<Duration>);

/// The phases, with what goes before each in text and in JSON.
fn times(entry: &Entry<'_>) -> [Named; 4] {
    let note = entry.note;
    [
        ((" queue=", ",\"queue_us\":"), note.queued),
        ((" connect=", ",\"connect_us\":"), note.connected),
        ((" first=", ",\"first_byte_us\":"), note.first_byte),
        ((" total=", ",\"total_us\":"), Some(entry.total)),
    ]
}

fn route<'a>(entry: &Entry<'a>) -> &'a str {
    let route = entry.note.route.and_then(|i| entry.rules.routes.get(i));
    route.map_or("-", |route| &route.label)
}

fn request_line(out: &mut Vec<u8>, entry: &Entry<'_>) {
    if !entry.note.has_head {
        return out.push(b'-');
    }
    out.extend_from_slice(entry.head.method_name.of(entry.buf));
    out.push(b' ');
    escape(out, entry.head.target.of(entry.buf), false);
    put(out, &[" ", version(entry)]);
}

fn version(entry: &Entry<'_>) -> &'static str {
    match entry.head.version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    }
}

fn user_agent<'a>(entry: &Entry<'a>) -> &'a [u8] {
    if !entry.note.has_head {
        return b"-";
    }
    let field = entry
        .head
        .fields
        .iter()
        .find(|f| f.known == Known::UserAgent);
    field.map_or(b"-", |f| f.value.of(entry.buf))
}

fn put(out: &mut Vec<u8>, texts: &[&str]) {
    texts
        .iter()
        .for_each(|text| out.extend_from_slice(text.as_bytes()));
}

fn number(out: &mut Vec<u8>, name: &str, n: u64) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn address(out: &mut Vec<u8>, address: Option<SocketAddr>) {
    let Some(address) = address else {
        return out.push(b'-');
    };
    match address.ip().to_canonical() {
        std::net::IpAddr::V4(ip) => {
            let mut digits = itoa::Buffer::new();
            for (i, octet) in ip.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(digits.format(octet).as_bytes());
            }
        }
        std::net::IpAddr::V6(ip) => {
            // Writing to a vector cannot fail.
            let _ = write!(out, "[{ip}]");
        }
    }
    number(out, ":", address.port().into());
}

/// Appends what a client sent so that it can neither end a quotation nor a line.
fn escape(out: &mut Vec<u8>, bytes: &[u8], json: bool) {
    let is_plain = |b: u8| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\';
    if bytes.iter().all(|&b| is_plain(b)) {
        return out.extend_from_slice(bytes);
    }
    let is_text = json && std::str::from_utf8(bytes).is_ok();
    for &b in bytes {
        if is_plain(b) || (is_text && b >= 0x80) {
            out.push(b);
        } else {
            // Writing to a vector cannot fail. In JSON, a byte of no known encoding is taken for Latin-1.
            let _ = if json {
                write!(out, "\\u{b:04x}")
            } else {
                write!(out, "\\x{b:02x}")
            };
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use control::spec::{HttpSpec, RouteSpec, ServiceKind, ServiceSpec};

    use super::*;
    use crate::http::{
        failure::Failure,
        h1::{Limits, RequestHead, RequestParser},
        note::Note,
        rules::Rules,
    };

    fn line(json: bool, request: &str, set: impl FnOnce(&mut Note)) -> String {
        let service = ServiceSpec {
            name: "shop".parse().unwrap(),
            listen: Vec::new(),
            kind: ServiceKind::Http(Box::new(HttpSpec::to_routes(vec![RouteSpec::to_pool(
                "web".parse().unwrap(),
            )]))),
            accept_proxy_protocol: Vec::new(),
            max_connections: None,
            access_log: None,
        };
        let rules = Rules::new(&service).unwrap();
        let mut head = RequestHead::default();
        let _ = RequestParser::default().parse(request.as_bytes(), &Limits::DEFAULT, &mut head);
        let mut note = Note {
            has_head: true,
            route: Some(0),
            status: 200,
            ..Note::default()
        };
        set(&mut note);
        let entry = Entry {
            note: &note,
            head: &head,
            buf: request.as_bytes(),
            rules: &rules,
            service: "shop",
            client: "192.0.2.1:999".parse().unwrap(),
            total: Duration::from_micros(1234),
        };
        let mut out = Vec::new();
        write(&mut out, "T", json, &entry);
        String::from_utf8(out).unwrap()
    }

    const REQUEST: &str = "GET /a\"b HTTP/1.1\r\nHost: a\r\nUser-Agent: x\\y\"\r\n\r\n";

    #[test]
    fn text() {
        let text = line(false, REQUEST, |note| {
            note.first_byte = Some(Duration::from_micros(99));
            note.bytes_out = 7;
        });
        assert_eq!(
            text,
            "T shop/0 - 192.0.2.1:999 \"GET /a\\x22b HTTP/1.1\" a 200 in=0 out=7 queue=- connect=- \
             first=99 total=1234 retries=0 fault=- \"x\\x5cy\\x22\"\n"
        );
    }

    #[test]
    fn json_is_json_and_names_the_fault() {
        let text = line(true, REQUEST, |note| {
            note.failure = Some(Failure::CONNECT);
            note.status = 502;
            note.retries = 2;
            note.id = b"42".to_vec();
        });
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["target"], "/a\"b");
        assert_eq!(value["user_agent"], "x\\y\"");
        assert_eq!(
            (&value["side"], &value["reason"]),
            (&"backend".into(), &"connect".into())
        );
        assert_eq!(
            (&value["status"], &value["retries"], &value["id"]),
            (&502.into(), &2.into(), &"42".into())
        );
    }

    #[test]
    fn a_request_that_was_no_request() {
        let text = line(false, "", |note| {
            (note.has_head, note.route, note.status) = (false, None, 400);
            note.failure = Some(Failure::HEADER_TIMEOUT);
        });
        assert!(
            text.starts_with("T shop/- - 192.0.2.1:999 \"-\" - 400 "),
            "{text}"
        );
        assert!(
            text.contains(" fault=client:timeout \"the request's head did not"),
            "{text}"
        );
    }
}
