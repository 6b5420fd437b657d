//! Where the daemon is: `unix:/path`, `http://host:port` or `https://host:port`.

use std::{fmt, path::PathBuf, str::FromStr};

/// Where the admin API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AdminAddress {
    /// A unix socket.
    Unix(PathBuf),
    /// TCP, with or without TLS.
    Tcp {
        /// Name or address of the host.
        host: String,
        /// The port.
        port: u16,
        /// Whether TLS is spoken.
        tls: bool,
    },
}

impl FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            // unix:///path is how others write it.
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') {
                return Err("the path of a unix socket begins with '/': unix:/run/…".into());
            }
            return Ok(Self::Unix(path.into()));
        }
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let (tls, rest) = if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err("write unix:/path, http://host:port or https://host:port".into());
        };
        tcp(rest.trim_end_matches('/'), tls)
    }
}

fn tcp(authority: &str, tls: bool) -> Result<AdminAddress, String> {
    if authority.contains(['/', '?', '#', '@']) {
        return Err("only host and port: https://host:port".into());
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6
            .split_once("]:")
            .ok_or("an IPv6 address is written https://[2001:db8::1]:port")?,
        None => authority
            .rsplit_once(':')
            .ok_or("the port is missing: https://host:port")?,
    };
    if host.is_empty() {
        return Err("the host is missing: https://host:port".into());
    }
    let port = port
        .parse()
        .map_err(|_| format!("{port:?} is not a port"))?;
    Ok(AdminAddress::Tcp {
        host: host.to_owned(),
        port,
        tls,
    })
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port, tls } => {
                let scheme = if *tls { "https" } else { "http" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}")
                } else {
                    write!(f, "{scheme}://{host}:{port}")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AdminAddress;

    #[test]
    fn addresses_are_understood() {
        for (text, shown) in [
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("unix:///run/a.sock", "unix:/run/a.sock"),
            ("/run/a.sock", "unix:/run/a.sock"),
            ("http://127.0.0.1:9900", "http://127.0.0.1:9900"),
            ("https://[::1]:9900/", "https://[::1]:9900"),
            ("https://lb.example:443", "https://lb.example:443"),
        ] {
            let address = text.parse::<AdminAddress>();
            assert_eq!(address.map(|a| a.to_string()).as_deref(), Ok(shown));
        }
        for bad in [
            "",
            "unix:run/a.sock",
            "ftp://a:1",
            "http://a",
            "http://a:b",
            "http://:1",
            "http://a:1/v1",
            "https://::1:9900x",
        ] {
            assert!(bad.parse::<AdminAddress>().is_err(), "{bad}");
        }
    }
}
