//! What HTTP is made of: hosts, paths, header names and values, statuses, templates.

use super::{
    Fault, Form, is_not,
    text::{REGEX_MARK, regex},
};
use crate::{
    config::{suggest, walk::quote},
    spec::http::{HostMatch, PathMatch, TextMatch},
};

/// Whether `text` is a token (RFC 9110 section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// A header's name: a token (RFC 9110 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct HeaderName(pub(in crate::config) String);

impl Form for HeaderName {
    const WHAT: &'static str = "the name of a header";
    const EXAMPLE: &'static str = "x-request-id";
    const PATTERN: &'static str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if is_token(text) && text.len() <= 256 {
            return Ok(Self(text.into()));
        }
        let fault = is_not::<Self>(text);
        let stripped = text.trim().trim_end_matches(':');
        Err(if is_token(stripped) {
            fault.help(format!("write \"{}\"", quote(stripped)))
        } else {
            fault.help("write letters, digits and '-'")
        })
    }
}

/// The name of a header that may be edited: not one that frames the message or belongs to the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct EditableHeader(pub(in crate::config) String);

impl Form for EditableHeader {
    const WHAT: &'static str = HeaderName::WHAT;
    const EXAMPLE: &'static str = "x-served-by";
    const PATTERN: &'static str = HeaderName::PATTERN;

    fn parse(text: &str) -> Result<Self, Fault> {
        /// Written anew for each message (RFC 9110 section 7.6.1, RFC 9112 section 6).
        const OURS: [&str; 9] = [
            "connection",
            "content-length",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "expect",
        ];
        let name = HeaderName::parse(text)?.0;
        if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            return Err(Fault::new(format!(
                "`{name}` says how a message is carried and cannot be edited"
            )));
        }
        if name.eq_ignore_ascii_case("host") {
            return Err(Fault::new("`host` cannot be edited as a header")
                .help("write replace-host in the route"));
        }
        Ok(Self(name))
    }
}

/// The value of a header: no control characters, no white space around it (RFC 9110 section 5.5).
#[derive(Clone, Debug)]
pub(in crate::config) struct HeaderValue(pub(in crate::config) String);

impl Form for HeaderValue {
    const WHAT: &'static str = "the value of a header";
    const EXAMPLE: &'static str = "aplomb";

    fn parse(text: &str) -> Result<Self, Fault> {
        if let Some((at, bad)) = text
            .char_indices()
            .find(|(_, c)| c.is_control() && *c != '\t')
        {
            return Err(
                Fault::new("a header's value cannot have control characters")
                    .help("write it in one line")
                    .at(at..at + bad.len_utf8()),
            );
        }
        if text.trim() != text {
            return Err(
                Fault::new("a header's value cannot begin or end with a space")
                    .help(format!("write \"{}\"", quote(text.trim()))),
            );
        }
        Ok(Self(text.into()))
    }
}

/// Text for a header with variables in braces.
#[derive(Clone, Debug)]
pub(in crate::config) struct Template(pub(in crate::config) String);

impl Template {
    /// What may stand in braces.
    pub(in crate::config) const VARIABLES: [&'static str; 11] = [
        "client",
        "client_port",
        "host",
        "path",
        "query",
        "uri",
        "scheme",
        "method",
        "service",
        "backend",
        "request_id",
    ];
}

impl Form for Template {
    const WHAT: &'static str = "the value of a header, with variables such as {client}";
    const EXAMPLE: &'static str = "https://{host}{uri}";

    fn parse(text: &str) -> Result<Self, Fault> {
        let text = HeaderValue::parse(text)?.0;
        let mut at = 0;
        while let Some(open) = text[at..].find('{').map(|found| at + found) {
            let rest = &text[open + 1..];
            if rest.starts_with('{') {
                at = open + 2;
                continue;
            }
            let Some(close) = rest.find('}') else {
                return Err(Fault::new("a brace is opened and not closed")
                    .help("write {{ for a brace itself")
                    .at(open..text.len()));
            };
            let name = &rest[..close];
            if !Self::VARIABLES.contains(&name) {
                let end = open + close + 2;
                let fault =
                    Fault::new(format!("unknown variable {{{}}}", quote(name))).at(open..end);
                return Err(match suggest::nearest(name, Self::VARIABLES) {
                    Some(meant) => fault.help(format!("did you mean {{{meant}}}?")),
                    None => fault.help(format!("the variables are {}", Self::VARIABLES.join(", "))),
                });
            }
            at = open + close + 2;
        }
        Ok(Self(text))
    }
}

/// A method: a token, in capitals as all that are registered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Method(pub(in crate::config) String);

impl Form for Method {
    const WHAT: &'static str = "a method such as \"GET\"";
    const EXAMPLE: &'static str = "GET";
    const PATTERN: &'static str = "^[A-Z][A-Z0-9_-]*$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if !is_token(text) {
            return Err(is_not::<Self>(text));
        }
        if text.bytes().any(|b| b.is_ascii_lowercase()) {
            return Err(Fault::new("methods are written in capitals")
                .help(format!("write \"{}\"", quote(&text.to_ascii_uppercase()))));
        }
        Ok(Self(text.into()))
    }
}

/// A host without port, in lower case.
fn host(text: &str) -> Result<String, Fault> {
    let lower = text.to_ascii_lowercase();
    let bracketed = lower
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if bracketed.is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()) {
        return Ok(lower);
    }
    let shown = quote(text);
    let fault = Fault::new(format!("\"{shown}\" is not a host"));
    if let Some((_, rest)) = lower.split_once("://") {
        let name = rest.split(['/', ':']).next().unwrap_or_default();
        return Err(fault.help(format!("write the name alone: \"{}\"", quote(name))));
    }
    if let Some((name, path)) = lower.split_once('/') {
        return Err(fault.help(format!(
            "write host = \"{}\", path = \"/{}\"",
            quote(name),
            quote(path)
        )));
    }
    if lower.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(fault.help(format!("write an IPv6 address in brackets: \"[{lower}]\"")));
    }
    if let Some((name, _)) = lower.rsplit_once(':') {
        return Err(fault.help(format!("write it without the port: \"{}\"", quote(name))));
    }
    if !lower.is_ascii() {
        return Err(fault.help("write the name as DNS has it: xn--…"));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if lower.len() > 253 || !lower.split('.').all(label) {
        return Err(fault.help("write a name such as \"shop.example\""));
    }
    Ok(lower)
}

/// A host to be asked for: a name or an address, maybe with a port.
#[derive(Clone, Debug)]
pub(in crate::config) struct HostName(pub(in crate::config) String);

impl Form for HostName {
    const WHAT: &'static str = "a host such as \"shop.example\"";
    const EXAMPLE: &'static str = "shop.example";
    const PATTERN: &'static str = r"^([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let without_port = match text.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() && !name.contains("://") => name,
            _ => text,
        };
        host(without_port).map(|_| Self(text.into()))
    }
}

/// A server's name as TLS asks for it.
#[derive(Clone, Debug)]
pub(in crate::config) struct ServerName(pub(in crate::config) String);

impl Form for ServerName {
    const WHAT: &'static str = "the name of a server such as \"shop.example\"";
    const EXAMPLE: &'static str = "shop.example";
    const PATTERN: &'static str = "^[A-Za-z0-9._-]+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        host(text).map(Self)
    }
}

impl Form for HostMatch {
    const WHAT: &'static str = "a host such as \"shop.example\" or \"*.example\"";
    const EXAMPLE: &'static str = "shop.example";
    const PATTERN: &'static str = r"^((\*\.)?[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text == "*" {
            return Err(Fault::new("\"*\" is any host").help("leave `host` out"));
        }
        if let Some(below) = text.strip_prefix("*.") {
            if below.contains('*') {
                return Err(star(text));
            }
            return host(below).map(Self::Below);
        }
        if text.contains('*') {
            return Err(star(text));
        }
        host(text).map(Self::Exact)
    }
}

fn star(text: &str) -> Fault {
    Fault::new(format!("\"{}\" is not a host", quote(text)))
        .help("a star stands for whole names at the front only: \"*.example\"")
}

/// Why `text` cannot be a path, or part of one.
fn path_fault(text: &str) -> Option<Fault> {
    let bad =
        |c: char| c.is_whitespace() || c.is_control() || c == '?' || c == '#' || !c.is_ascii();
    let (at, found) = text.char_indices().find(|(_, c)| bad(*c))?;
    let fault = Fault::new("a path cannot have this character").at(at..at + found.len_utf8());
    Some(match found {
        '?' => fault.help("a path ends before the '?'; match parameters with `query`"),
        '#' => fault.help("what is behind '#' is never sent"),
        _ => fault.help("write it percent-encoded, as requests have it: %20 for a space"),
    })
}

impl Form for PathMatch {
    const WHAT: &'static str =
        "a path such as \"/exact\", \"/prefix/\", \"/prefix*\" or \"~regex\"";
    const EXAMPLE: &'static str = "/api/";
    const PATTERN: &'static str = r"^(/[^\s?#*]*\*?|~.*)$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(pattern) = text.strip_prefix(REGEX_MARK) {
            return regex(pattern).map(Self::Regex);
        }
        if !text.starts_with('/') {
            let fault = Fault::new("a path begins with '/'");
            return Err(match text {
                "*" => fault.help("leave `path` out to take every path"),
                _ => fault.help(format!(
                    "write \"/{}\", or \"~{}\" for a regular expression",
                    quote(text),
                    quote(text)
                )),
            });
        }
        if let Some(fault) = path_fault(text) {
            return Err(fault);
        }
        let prefix = text.strip_suffix('*');
        if let Some(at) = prefix.unwrap_or(text).find('*') {
            return Err(Fault::new("a star stands at the end of a path only")
                .help("write a regular expression: \"~^/…\"")
                .at(at..at + 1));
        }
        Ok(match prefix {
            Some(prefix) => Self::Prefix(prefix.into()),
            None if text.ends_with('/') => Self::Prefix(text.into()),
            None => Self::Exact(text.into()),
        })
    }
}

/// The beginning of a path, put in place of another.
#[derive(Clone, Debug)]
pub(in crate::config) struct PathPrefix(pub(in crate::config) String);

impl Form for PathPrefix {
    const WHAT: &'static str = "the beginning of a path such as \"/v2/\"";
    const EXAMPLE: &'static str = "/v2/";
    const PATTERN: &'static str = r"^/[^\s?#]*$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if !text.starts_with('/') {
            return Err(
                Fault::new("a path begins with '/'").help(format!("write \"/{}\"", quote(text)))
            );
        }
        match path_fault(text) {
            Some(fault) => Err(fault),
            None => Ok(Self(text.into())),
        }
    }
}

/// What is asked for: path and query.
#[derive(Clone, Debug)]
pub(in crate::config) struct RequestTarget(pub(in crate::config) String);

impl Form for RequestTarget {
    const WHAT: &'static str = "a path such as \"/healthz\"";
    const EXAMPLE: &'static str = "/healthz";
    const PATTERN: &'static str = r"^/[^\s#]*$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if !text.starts_with('/') {
            let fault = Fault::new("a path begins with '/'");
            return Err(match text.contains("://") {
                true => fault.help(
                    "write the path alone; the backend's address is known, `host` names the host",
                ),
                false => fault.help(format!("write \"/{}\"", quote(text))),
            });
        }
        match path_fault(&text.replacen('?', "/", 1)) {
            Some(fault) => Err(fault),
            None => Ok(Self(text.into())),
        }
    }
}

impl Form for TextMatch {
    const WHAT: &'static str = "a value, \"*\" for any, or \"~regex\"";
    const EXAMPLE: &'static str = "*";

    fn parse(text: &str) -> Result<Self, Fault> {
        match text.strip_prefix(REGEX_MARK) {
            Some(pattern) => regex(pattern).map(Self::Regex),
            None if text == "*" => Ok(Self::Present),
            None => HeaderValue::parse(text).map(|value| Self::Exact(value.0)),
        }
    }
}

/// The name of a query parameter or a cookie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Parameter(pub(in crate::config) String);

impl Form for Parameter {
    const WHAT: &'static str = "the name of a parameter";
    const EXAMPLE: &'static str = "id";
    const PATTERN: &'static str = r"^[^\s&=#]+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let bad = |c: char| c.is_whitespace() || c.is_control() || "&=#".contains(c);
        if text.is_empty() || text.contains(bad) {
            return Err(is_not::<Self>(text));
        }
        Ok(Self(text.into()))
    }
}

/// Statuses as inclusive ranges: `200-299,304`.
#[derive(Clone, Debug)]
pub(in crate::config) struct Statuses(pub(in crate::config) Vec<(u16, u16)>);

impl Form for Statuses {
    const WHAT: &'static str = "statuses such as \"200-299,304\"";
    const EXAMPLE: &'static str = "200-299";
    const PATTERN: &'static str =
        "^[1-5][0-9]{2}(-[1-5][0-9]{2})?(\\s*,\\s*[1-5][0-9]{2}(-[1-5][0-9]{2})?)*$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let mut ranges = Vec::new();
        let mut start = 0;
        for part in text.split(',') {
            let at = start..start + part.len();
            start += part.len() + 1;
            let part = part.trim();
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let fault =
                || Fault::new(format!("\"{}\" is not a status", quote(part))).at(at.clone());
            let class = part.strip_suffix("xx").or_else(|| part.strip_suffix("XX"));
            if let Some(digit @ ("1" | "2" | "3" | "4" | "5")) = class {
                return Err(fault().help(format!("write \"{digit}00-{digit}99\"")));
            }
            match (low.trim().parse::<u16>(), high.trim().parse::<u16>()) {
                (Ok(low), Ok(high)) if low > high => {
                    return Err(Fault::new(format!("{low}-{high} holds no status"))
                        .help(format!("write \"{high}-{low}\""))
                        .at(at));
                }
                (Ok(low @ 100..), Ok(high @ ..=599)) => ranges.push((low, high)),
                _ => return Err(fault().help("a status is a number from 100 to 599")),
            }
        }
        Ok(Self(ranges))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn paths() {
        let path = |text| PathMatch::parse(text).unwrap();
        assert_eq!(path("/about"), PathMatch::Exact("/about".into()));
        assert_eq!(path("/api/"), PathMatch::Prefix("/api/".into()));
        assert_eq!(path("/api*"), PathMatch::Prefix("/api".into()));
        assert_eq!(path("~^/v[0-9]+/"), PathMatch::Regex("^/v[0-9]+/".into()));
        for bad in ["", "api", "/a b", "/a?b", "/a#b", "/a*b", "~(", "*", "/ä"] {
            assert!(PathMatch::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts() {
        let host = |text| HostMatch::parse(text).unwrap();
        assert_eq!(
            host("Shop.Example"),
            HostMatch::Exact("shop.example".into())
        );
        assert_eq!(host("*.example"), HostMatch::Below("example".into()));
        assert_eq!(host("[::1]"), HostMatch::Exact("[::1]".into()));
        for bad in [
            "",
            "*",
            "a.*",
            "*.*.a",
            "a:80",
            "http://a/",
            "a/b",
            "a..b",
            "::1",
            "ä.de",
            ".",
        ] {
            assert!(HostMatch::parse(bad).is_err(), "{bad}");
        }
        assert!(HostName::parse("shop.example:8080").is_ok());
    }

    #[test]
    fn templates() {
        for good in ["", "x", "{client}:{client_port}", "{{literal}", "a}b"] {
            assert!(Template::parse(good).is_ok(), "{good}");
        }
        for bad in ["{", "{}", "{clinet}", "{client", "a\nb", " a"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn statuses() {
        let ranges = |text: &str| Statuses::parse(text).map(|s| s.0).ok();
        assert_eq!(ranges("200-299,304"), Some(vec![(200, 299), (304, 304)]));
        for bad in ["", "2xx", "299-200", "99", "600", "200,", "a", "200-"] {
            assert!(ranges(bad).is_none(), "{bad}");
        }
    }
}
