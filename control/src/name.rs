//! Names of services and pools, and the keys that name a backend across plans.

use std::{fmt, net::SocketAddr, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The name of a service, pool, route or vip: 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The longest name, in bytes: a metric label and a column of `status` must stay readable.
    pub const MAX: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > Self::MAX {
            return Err("a name has 1 to 64 characters");
        }
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err("a name begins with a letter or a digit");
        }
        if !text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        {
            return Err("a name is made of letters, digits, '.', '_' and '-'");
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// What names one backend for as long as it is configured: its pool and its address, written `POOL/ADDRESS`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BackendKey {
    /// The pool it belongs to.
    pub pool: Name,
    /// Where it listens.
    pub address: SocketAddr,
}

impl fmt::Display for BackendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pool, self.address)
    }
}

impl FromStr for BackendKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pool, address) = text
            .split_once('/')
            .ok_or("a backend is written POOL/ADDRESS:PORT")?;
        Ok(Self {
            pool: pool.parse()?,
            address: address
                .parse()
                .map_err(|_| "the address of a backend is written IP:PORT or [IPv6]:PORT")?,
        })
    }
}

impl Serialize for BackendKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BackendKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "web-vip", "0", "a.b_c", &"x".repeat(64)] {
            assert_eq!(
                good.parse::<Name>().map(|n| n.to_string()).as_deref(),
                Ok(good)
            );
        }
        for bad in ["", "-a", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn backend_keys_round_trip() {
        for text in ["web/10.0.0.1:80", "web/[2001:db8::1]:443"] {
            assert_eq!(
                text.parse::<BackendKey>().map(|k| k.to_string()).as_deref(),
                Ok(text)
            );
        }
        let json = serde_json::to_string(&"web/10.0.0.1:80".parse::<BackendKey>().unwrap());
        let back: BackendKey = serde_json::from_str(&json.unwrap()).unwrap();
        assert_eq!(back.to_string(), "web/10.0.0.1:80");
        assert!("web".parse::<BackendKey>().is_err());
        assert!("web/10.0.0.1".parse::<BackendKey>().is_err());
    }
}
