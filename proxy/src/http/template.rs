//! Values with variables: what header edits and redirects put in place of `{client}`, `{host}` and so on.

use std::{io::Write, net::SocketAddr};

/// A value, taken apart once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Box<[Part]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Variable(Variable),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    Client,
    ClientPort,
    Host,
    Path,
    Query,
    Uri,
    Scheme,
    Method,
    Service,
    Backend,
    RequestId,
}

impl Variable {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "client" => Self::Client,
            "client_port" => Self::ClientPort,
            "host" => Self::Host,
            "path" => Self::Path,
            "query" => Self::Query,
            "uri" => Self::Uri,
            "scheme" => Self::Scheme,
            "method" => Self::Method,
            "service" => Self::Service,
            "backend" => Self::Backend,
            "request_id" => Self::RequestId,
            _ => return None,
        })
    }
}

/// What the variables stand for in one request. All of it has been checked to hold no control characters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    /// The client.
    pub(crate) client: SocketAddr,
    /// The host asked for, without port.
    pub(crate) host: &'a [u8],
    /// The path as it was sent.
    pub(crate) path: &'a [u8],
    /// What followed `?`.
    pub(crate) query: Option<&'a [u8]>,
    /// `http` or `https`.
    pub(crate) scheme: &'a str,
    /// The method.
    pub(crate) method: &'a [u8],
    /// The service.
    pub(crate) service: &'a str,
    /// The backend, once there is one.
    pub(crate) backend: Option<SocketAddr>,
    /// The request's id, if it has one.
    pub(crate) request_id: &'a [u8],
}

impl Template {
    /// Takes `text` apart. Admission has refused unknown variables; one that came here would stay as it is written.
    pub(crate) fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            let variable = after
                .split_once('}')
                .filter(|_| brace == "{")
                .and_then(|(name, after)| Some((Variable::named(name)?, after)));
            rest = match variable {
                Some((variable, after)) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain).into()));
                    }
                    parts.push(Part::Variable(variable));
                    after
                }
                None => {
                    plain.push_str(brace);
                    after.strip_prefix(brace).unwrap_or(after)
                }
            };
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Self(parts.into())
    }

    /// Appends the value.
    pub(crate) fn write(&self, out: &mut Vec<u8>, values: &Values<'_>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable(variable) => write_variable(*variable, out, values),
            }
        }
    }
}

fn write_variable(variable: Variable, out: &mut Vec<u8>, values: &Values<'_>) {
    // Writing to a vector cannot fail.
    let _ = match variable {
        Variable::Client => write!(out, "{}", values.client.ip().to_canonical()),
        Variable::ClientPort => write!(out, "{}", values.client.port()),
        Variable::Host => out.write_all(values.host),
        Variable::Path => out.write_all(values.path),
        Variable::Query => out.write_all(values.query.unwrap_or_default()),
        Variable::Uri => {
            out.extend_from_slice(values.path);
            values.query.map_or(Ok(()), |query| {
                out.push(b'?');
                out.write_all(query)
            })
        }
        Variable::Scheme => out.write_all(values.scheme.as_bytes()),
        Variable::Method => out.write_all(values.method),
        Variable::Service => out.write_all(values.service.as_bytes()),
        Variable::Backend => values
            .backend
            .map_or(Ok(()), |backend| write!(out, "{backend}")),
        Variable::RequestId => out.write_all(values.request_id),
    };
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn written(text: &str) -> String {
        let values = Values {
            client: "[::ffff:192.0.2.1]:99".parse().unwrap(),
            host: b"a.example",
            path: b"/x",
            query: Some(b"y=z"),
            scheme: "http",
            method: b"GET",
            service: "shop",
            backend: Some("10.0.0.1:80".parse().unwrap()),
            request_id: b"42",
        };
        let mut out = Vec::new();
        Template::new(text).write(&mut out, &values);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn variables_are_put_in_place() {
        assert_eq!(written("{scheme}://{host}{uri}"), "http://a.example/x?y=z");
        assert_eq!(written("{client}:{client_port}"), "192.0.2.1:99");
        assert_eq!(
            written("{method} {path} {query} {service} {backend} {request_id}"),
            "GET /x y=z shop 10.0.0.1:80 42"
        );
    }

    #[test]
    fn braces_stand_for_themselves_when_doubled_or_unknown() {
        assert_eq!(written("{{host}}"), "{host}");
        assert_eq!(written("{nobody}"), "{nobody}");
        assert_eq!(written("a{"), "a{");
        assert_eq!(written("}b"), "}b");
        assert_eq!(written(""), "");
    }
}
