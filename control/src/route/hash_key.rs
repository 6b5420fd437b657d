//! The key that `hash` and `maglev` go by, taken of a request.
//!
//! Keys are the same on every node and in every version: they are [`hash64`] of bytes that are written down
//! here.

use std::net::IpAddr;

use super::{
    hosts::{MAX_HOST, lower},
    query,
    request::RequestView,
};
use crate::{
    balance::{hash64, mix64},
    spec::HashKey,
};

/// The key of a request from `client`. Where a header, cookie or parameter that it is to be taken of is
/// missing, it is taken of the client's address.
///
/// Bytes that are hashed: of a path, its compared form ([`super::Path`]), so that all spellings of one go
/// together; of a URI, that and then the query as it came; of a host, the name in lower case without the last
/// dot; of the first header line of that name, its value; of a cookie, its value; of the first query
/// parameter, its decoded value; of an address, see [`connection_key`].
#[must_use]
pub fn hash_key(key: &HashKey, request: &RequestView<'_>, client: IpAddr) -> u64 {
    let path = || hash64(request.path.compared());
    let found = match key {
        HashKey::Source | HashKey::SourceNet { .. } => None,
        HashKey::Path => Some(path()),
        HashKey::Uri => Some(
            request
                .query
                .map_or_else(path, |query| mix64(path()) ^ hash64(query.as_bytes())),
        ),
        HashKey::Host => {
            let mut buffer = [0; MAX_HOST];
            Some(lower(request.host, &mut buffer).map_or(0, |host| hash64(host.as_bytes())))
        }
        HashKey::Header(name) => header(request, name),
        HashKey::Cookie(name) => cookie(request, name),
        HashKey::Query(name) => request
            .query
            .and_then(|text| query::values(text, name).next())
            .map(|value| hash64(&query::decoded(value))),
    };
    found.unwrap_or_else(|| connection_key(key, client))
}

/// The key of a connection from `client`: of its address, or for [`HashKey::SourceNet`] of its network (the
/// address with all bits behind the prefix zero), as 4 or 16 bytes. An IPv4-mapped address counts as IPv4.
#[must_use]
pub fn connection_key(key: &HashKey, client: IpAddr) -> u64 {
    let (v4, v6) = match *key {
        HashKey::SourceNet { v4, v6 } => (v4, v6),
        _ => (32, 128),
    };
    match client.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(v4.min(32)))
                .unwrap_or(0);
            hash64(&(address.to_bits() & mask).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(v6.min(128)))
                .unwrap_or(0);
            hash64(&(address.to_bits() & mask).to_be_bytes())
        }
    }
}

fn header(request: &RequestView<'_>, name: &str) -> Option<u64> {
    let mut found = None;
    let _ = request.headers.any(name, &mut |value| {
        found = Some(hash64(value));
        true
    });
    found
}

/// The first cookie of that name (RFC 6265 section 4.2.1); quotes are part of its value.
fn cookie(request: &RequestView<'_>, name: &str) -> Option<u64> {
    let mut found = None;
    let _ = request.headers.any("cookie", &mut |line| {
        found = line.split(|&b| b == b';').find_map(|pair| {
            let rest = pair.trim_ascii().strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=").map(hash64)
        });
        found.is_some()
    });
    found
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::route::Path;

    const CLIENT: &str = "192.0.2.77";

    fn key(key: &HashKey, target: &str, headers: &[(&str, &str)]) -> u64 {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let view = RequestView {
            method: "GET",
            host: "Shop.Example",
            path: &Path::clean(path).unwrap(),
            query,
            headers: &headers.to_vec(),
        };
        hash_key(key, &view, CLIENT.parse().unwrap())
    }

    fn source(spec: &HashKey, client: &str) -> u64 {
        connection_key(spec, client.parse().unwrap())
    }

    /// Written down, so that a change that would move every client of a site is noticed.
    #[test]
    fn keys_never_change() {
        assert_eq!(source(&HashKey::Source, CLIENT), hash64(&[192, 0, 2, 77]));
        assert_eq!(key(&HashKey::Path, "/abc", &[]), hash64(b"/abc"));
        assert_eq!(key(&HashKey::Host, "/", &[]), hash64(b"shop.example"));
        let uri = key(&HashKey::Uri, "/abc?x=1", &[]);
        assert_eq!(uri, mix64(hash64(b"/abc")) ^ hash64(b"x=1"));
    }

    #[test]
    fn spellings_share_a_key() {
        let path = |target| key(&HashKey::Path, target, &[]);
        assert_eq!(path("/a/../%61bc?x"), path("/abc"));
        let uri = |target| key(&HashKey::Uri, target, &[]);
        assert_eq!(uri("/%61?x"), uri("/a?x"));
        assert_ne!(uri("/a?x"), uri("/a?y"));
        assert_ne!(uri("/a?"), uri("/a"));
    }

    #[test]
    fn headers_cookies_and_parameters_or_else_the_source() {
        let fallback = source(&HashKey::Source, CLIENT);
        let header = HashKey::Header("x-user".into());
        assert_eq!(
            key(&header, "/", &[("X-User", "7"), ("X-User", "8")]),
            hash64(b"7")
        );
        assert_eq!(key(&header, "/", &[]), fallback);

        let cookie = HashKey::Cookie("sid".into());
        let lines = [
            ("Cookie", "a=1; xsid=2;sid2=3"),
            ("Cookie", "b=4;  sid=five"),
        ];
        assert_eq!(key(&cookie, "/", &lines), hash64(b"five"));
        assert_eq!(key(&cookie, "/", &lines[..1]), fallback);

        let parameter = HashKey::Query("u".into());
        assert_eq!(key(&parameter, "/?a=1&u=x%20y&u=z", &[]), hash64(b"x y"));
        assert_eq!(key(&parameter, "/?a=1", &[]), fallback);
    }

    #[test]
    fn networks_share_a_key() {
        let net = HashKey::SourceNet { v4: 24, v6: 64 };
        assert_eq!(source(&net, "192.0.2.1"), source(&net, "192.0.2.254"));
        assert_ne!(source(&net, "192.0.2.1"), source(&net, "192.0.3.1"));
        assert_eq!(source(&net, "::ffff:192.0.2.9"), source(&net, "192.0.2.1"));
        assert_eq!(
            source(&net, "2001:db8::1"),
            source(&net, "2001:db8::2:0:0:1")
        );
        assert_ne!(source(&net, "2001:db8::1"), source(&net, "2001:db8:0:1::1"));
        let all = HashKey::SourceNet { v4: 0, v6: 0 };
        assert_eq!(source(&all, "192.0.2.1"), source(&all, "10.0.0.1"));
        assert_eq!(source(&all, "2001:db8::1"), source(&all, "fe80::1"));
    }
}
