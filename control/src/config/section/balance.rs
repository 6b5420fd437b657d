//! `balance`: how a backend is chosen.

use toml::de::DeValue;

use crate::{
    config::{
        diagnostic::{Problem, Span},
        document::Value,
        form::{
            Fault, Form,
            http::{HeaderName, Parameter},
            many::Either,
            words::words,
        },
        kind::{Kind, section},
        walk::{At, Cx, Read, quote},
    },
    spec::{Balance, HashKey},
};

/// The algorithms by name.
#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Plain(fn() -> Balance),
    SourceHash,
    UriHash,
    HeaderHash,
    Hash,
    Maglev,
}

words!(Algorithm {
    "rr" => Algorithm::Plain(|| Balance::RoundRobin), "each in turn";
    "wrr" => Algorithm::Plain(|| Balance::WeightedRoundRobin), "each in turn, as often as its weight says, interleaved";
    "lc" => Algorithm::Plain(|| Balance::LeastConnections), "the fewest in flight";
    "wlc" => Algorithm::Plain(|| Balance::WeightedLeastConnections), "the fewest in flight for its weight";
    "sed" => Algorithm::Plain(|| Balance::ShortestExpectedDelay), "the shortest expected delay: (in flight + 1) / weight";
    "nq" => Algorithm::Plain(|| Balance::NeverQueue), "an idle one at once, else as `sed`";
    "random" => Algorithm::Plain(|| Balance::Random), "by weight, at random";
    "p2c" => Algorithm::Plain(|| Balance::LeastOfTwo), "the less loaded of two random ones";
    "first" => Algorithm::Plain(|| Balance::First), "the first that is not full";
    "source-hash" => Algorithm::SourceHash, "by the client's address";
    "sh" => Algorithm::SourceHash, "as `source-hash`";
    "mh" => Algorithm::Maglev, "as `maglev`";
    "twos" => Algorithm::Plain(|| Balance::LeastOfTwo), "as `p2c`";
    "uri-hash" => Algorithm::UriHash, "by path and query";
    "header-hash" => Algorithm::HeaderHash, "by a header: `key` names it";
    "hash" => Algorithm::Hash, "by `key`, all moving when the pool changes";
    "maglev" => Algorithm::Maglev, "by `key` (the source if none is given), consistently: a change moves little more than it must";
    "least-time" => Algorithm::Plain(|| Balance::LeastTime), "the lowest moving average of latency, times what is in flight";
    "dh" => Algorithm::Plain(|| Balance::DestinationHash), "kernel services: by the address that was asked for";
    "lblc" => Algorithm::Plain(|| Balance::LocalityLeastConnections), "kernel services: where that address went before, unless that one is overloaded, else as `wlc`";
    "lblcr" => Algorithm::Plain(|| Balance::ReplicatedLocality), "kernel services: as `lblc`, with several backends for an address that needs them";
    "fo" => Algorithm::Plain(|| Balance::Failover), "kernel services: the heaviest that is not full";
    "ovf" => Algorithm::Plain(|| Balance::Overflow), "kernel services: the heaviest with no more active connections than its weight";
});

/// An algorithm, by our name for it.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct BalanceName(Algorithm);

impl Read for BalanceName {
    fn kind() -> Kind {
        Algorithm::kind()
    }

    fn accepts(value: &DeValue<'_>) -> bool {
        value.is_str()
    }

    fn read(value: &Value<'_>, cx: &mut Cx<'_>) -> Option<Self> {
        if let Some(problem) = elsewhere(value) {
            cx.push(problem);
            return None;
        }
        Algorithm::read(value, cx).map(Self)
    }
}

/// What other balancers call the algorithms.
const ELSEWHERE: [(&str, &str); 17] = [
    ("round-robin", "rr"),
    ("roundrobin", "rr"),
    ("round_robin", "rr"),
    ("static-rr", "wrr"),
    ("weighted-round-robin", "wrr"),
    ("leastconn", "lc"),
    ("least_conn", "lc"),
    ("least-connections", "lc"),
    ("weighted-least-connections", "wlc"),
    ("least_request", "p2c"),
    ("power-of-two", "p2c"),
    ("ip_hash", "source-hash"),
    ("source", "source-hash"),
    ("uri", "uri-hash"),
    ("consistent-hash", "maglev"),
    ("ring_hash", "maglev"),
    ("ewma", "least-time"),
];

/// The problem with a name that another balancer gives to an algorithm.
fn elsewhere(value: &Value<'_>) -> Option<Problem> {
    let name = value.get_ref().as_str()?;
    let (_, ours) = ELSEWHERE.iter().find(|(theirs, _)| *theirs == name)?;
    let problem = Problem::error(value.span(), format!("\"{name}\" is not known here"));
    Some(problem.help(format!("it is called \"{ours}\" here")))
}

section! {
    /// How a backend is chosen.
    pub(in crate::config) struct BalanceKeys = "`balance`" {
        /// The algorithm.
        algorithm: BalanceName, required;
        /// What `hash`, `maglev` and their kin take the hash of: `source`, `source:24/64` (the client's network), `uri`, `path`, `host`, `header:NAME`, `cookie:NAME`, `query:NAME`.
        key: HashKey, absent "`source` for `maglev` and `source-hash`, `uri` for `uri-hash`";
    }
}

/// An algorithm with its key, or its name alone.
pub(in crate::config) type BalanceText = Either<BalanceName, BalanceKeys>;

impl Form for HashKey {
    const WHAT: &'static str = "what a hash is taken of, such as \"source\" or \"header:x-user\"";
    const EXAMPLE: &'static str = "source";
    const PATTERN: &'static str =
        r"^(source(:[0-9]+/[0-9]+)?|uri|path|host|header:\S+|cookie:\S+|query:\S+)$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let (kind, name) = match text.split_once(':') {
            Some((kind, name)) => (kind, Some(name)),
            None => (text, None),
        };
        let within = |_: &str| kind.len() + 1..text.len();
        Ok(match (kind, name) {
            ("source", None) => Self::Source,
            ("source", Some(prefixes)) => return source_net(prefixes),
            ("uri", None) => Self::Uri,
            ("path", None) => Self::Path,
            ("host", None) => Self::Host,
            ("header", Some(name)) => Self::Header(
                HeaderName::parse(name)
                    .map_err(|f| f.at(within(name)))?
                    .0
                    .to_ascii_lowercase(),
            ),
            ("cookie", Some(name)) => {
                Self::Cookie(Parameter::parse(name).map_err(|f| f.at(within(name)))?.0)
            }
            ("query", Some(name)) => {
                Self::Query(Parameter::parse(name).map_err(|f| f.at(within(name)))?.0)
            }
            ("header" | "cookie" | "query", None) => {
                return Err(Fault::new(format!("\"{kind}\" needs a name"))
                    .help(format!("write \"{kind}:NAME\"")));
            }
            _ => {
                let words = vec![
                    "source",
                    "uri",
                    "path",
                    "host",
                    "header:NAME",
                    "cookie:NAME",
                    "query:NAME",
                ];
                return Err(Fault::new(format!(
                    "\"{}\" is nothing to take a hash of",
                    quote(text)
                ))
                .meant(text, words));
            }
        })
    }
}

fn source_net(prefixes: &str) -> Result<HashKey, Fault> {
    let lengths = prefixes.split_once('/').and_then(|(v4, v6)| {
        let v4: u8 = v4.parse().ok()?;
        let v6: u8 = v6.parse().ok()?;
        (v4 <= 32 && v6 <= 128).then_some(HashKey::SourceNet { v4, v6 })
    });
    lengths.ok_or_else(|| {
        Fault::new(format!(
            "\"{}\" are not two prefix lengths",
            quote(prefixes)
        ))
        .help("write \"source:24/64\": up to 32 for IPv4, up to 128 for IPv6")
    })
}

/// The balance asked for.
pub(in crate::config) fn admit(text: At<BalanceText>, cx: &mut Cx<'_>) -> Option<Balance> {
    let (algorithm, key, span) = match text.value {
        Either::One(name) => (name.0, None, text.span),
        // A key that could not be read was complained of.
        Either::Other(keys) if keys.key.is_none() && keys.given.has("key") => return None,
        Either::Other(keys) => (keys.algorithm.value.0, keys.key, keys.algorithm.span),
    };
    let given = key.as_ref().map(|key| key.value.clone());
    match algorithm {
        Algorithm::Plain(balance) => {
            if let Some(key) = key {
                let problem =
                    Problem::error(key.key, "this algorithm takes no hash and has no key");
                cx.push(
                    problem.help("write algorithm = \"hash\" or \"maglev\", or leave `key` out"),
                );
            }
            Some(balance())
        }
        Algorithm::Maglev => Some(Balance::Maglev(given.unwrap_or(HashKey::Source))),
        Algorithm::Hash => match given {
            Some(key) => Some(Balance::Hash(key)),
            None => needs_key(span, "hash", "source", cx),
        },
        Algorithm::SourceHash => {
            let key = given.unwrap_or(HashKey::Source);
            fits(key.is_of_connection(), key, span, "source-hash", cx)
        }
        Algorithm::UriHash => {
            let key = given.unwrap_or(HashKey::Uri);
            fits(
                matches!(key, HashKey::Uri | HashKey::Path),
                key,
                span,
                "uri-hash",
                cx,
            )
        }
        Algorithm::HeaderHash => match given {
            Some(key) => fits(
                matches!(key, HashKey::Header(_)),
                key,
                span,
                "header-hash",
                cx,
            ),
            None => needs_key(span, "header-hash", "header:x-user", cx),
        },
    }
}

fn needs_key(span: Span, name: &str, example: &str, cx: &mut Cx<'_>) -> Option<Balance> {
    let problem = Problem::error(span, format!("`{name}` needs a key"));
    cx.push(problem.help(format!(
        "write balance = {{ algorithm = \"{name}\", key = \"{example}\" }}"
    )));
    None
}

fn fits(does: bool, key: HashKey, span: Span, name: &str, cx: &mut Cx<'_>) -> Option<Balance> {
    if !does {
        let problem = Problem::error(span, format!("`{name}` does not go with this key"));
        cx.push(problem.help("write algorithm = \"hash\""));
        return None;
    }
    Some(Balance::Hash(key))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::config::{NoSources, parse};

    #[test]
    fn hash_keys_read_as_they_are_shown() {
        for text in [
            "source",
            "source:24/64",
            "uri",
            "path",
            "host",
            "header:x-user",
            "cookie:session",
            "query:id",
        ] {
            assert_eq!(HashKey::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn algorithms_are_called_alike_in_the_config_and_in_a_difference() {
        let Kind::Words(words) = Algorithm::kind() else {
            panic!("algorithms are words");
        };
        assert_eq!(words.len(), 23);
        for (word, _) in words {
            let text = format!("[[pool]]\nname = \"p\"\nbackends = []\nbalance = \"{word}\"");
            let Ok(admitted) = parse(&text, "t", &NoSources) else {
                assert!(
                    ["hash", "header-hash"].contains(word),
                    "{word} needs no key"
                );
                continue;
            };
            let shown = serde_json::to_value(&admitted.spec.pools[0].balance).unwrap();
            match shown.as_str() {
                Some("p2c") if *word == "twos" => {}
                Some(shown) => assert_eq!(shown, *word),
                None => assert!(word.contains('h') || *word == "maglev", "{word}: {shown}"),
            }
        }
    }
}
