//! One route's conditions, compiled. Its hosts are not among them: the index by host has seen to those.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use super::{path, query, request::RequestView};
use crate::spec::http::{PathMatch, RouteMatch, TextMatch};

/// What a route asks of a request besides the host.
#[derive(Debug)]
pub(super) struct Conditions {
    path: Option<PathTest>,
    methods: Box<[String]>,
    headers: Box<[(String, TextTest)]>,
    query: Box<[(String, TextTest)]>,
}

/// The first condition of a route that a request does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// None of its hosts.
    Host,
    /// Not its path.
    Path,
    /// None of its methods.
    Method,
    /// The header of this name.
    Header(String),
    /// The query parameter of this name.
    Query(String),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Path => f.write_str("path"),
            Self::Method => f.write_str("method"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Query(name) => write!(f, "query parameter {name}"),
        }
    }
}

/// A route that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRoute {
    /// Its place in the list.
    pub route: usize,
    /// The regular expression at fault.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for BadRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.pattern, self.reason)
    }
}

impl std::error::Error for BadRoute {}

/// The error is the pattern at fault and what is wrong with it.
type Compiled<T> = Result<T, (String, String)>;

#[derive(Debug)]
pub(super) enum PathTest {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Regex(Regex),
}

#[derive(Debug)]
pub(super) enum TextTest {
    Present,
    Exact(String),
    Regex(Regex),
}

impl Conditions {
    pub(super) fn new(matches: &RouteMatch) -> Compiled<Self> {
        Ok(Self {
            path: matches.path.as_ref().map(PathTest::new).transpose()?,
            methods: matches.methods.clone().into(),
            headers: text_tests(&matches.headers)?,
            query: text_tests(&matches.query)?,
        })
    }

    /// The first condition that the request does not meet, cheap ones first.
    pub(super) fn mismatch(&self, request: &RequestView<'_>) -> Option<Unmet<'_>> {
        if self
            .path
            .as_ref()
            .is_some_and(|p| !p.matches(request.path.compared()))
        {
            return Some(Unmet::Path);
        }
        if !self.methods.is_empty() && !self.methods.iter().any(|m| m == request.method) {
            return Some(Unmet::Method);
        }
        let header = |(name, test): &&(String, TextTest)| {
            !request.headers.any(name, &mut |value| test.matches(value))
        };
        if let Some((name, _)) = self.headers.iter().find(header) {
            return Some(Unmet::Header(name));
        }
        let text = request.query.unwrap_or("");
        let parameter = |(name, test): &&(String, TextTest)| {
            !query::values(text, name).any(|value| test.matches_encoded(value))
        };
        self.query
            .iter()
            .find(parameter)
            .map(|(name, _)| Unmet::Query(name))
    }

    pub(super) fn path(&self) -> Option<&PathTest> {
        self.path.as_ref()
    }

    pub(super) fn headers(&self) -> &[(String, TextTest)] {
        &self.headers
    }

    pub(super) fn query(&self) -> &[(String, TextTest)] {
        &self.query
    }
}

/// [`Mismatch`] without copying.
#[derive(Clone, Copy)]
pub(super) enum Unmet<'a> {
    Path,
    Method,
    Header(&'a str),
    Query(&'a str),
}

impl From<Unmet<'_>> for Mismatch {
    fn from(unmet: Unmet<'_>) -> Self {
        match unmet {
            Unmet::Path => Self::Path,
            Unmet::Method => Self::Method,
            Unmet::Header(name) => Self::Header(name.to_owned()),
            Unmet::Query(name) => Self::Query(name.to_owned()),
        }
    }
}

impl PathTest {
    pub(super) fn new(path: &PathMatch) -> Compiled<Self> {
        Ok(match path {
            PathMatch::Exact(text) => Self::Exact(path::pattern(text).into()),
            PathMatch::Prefix(text) => Self::Prefix(path::pattern(text).into()),
            PathMatch::Regex(text) => Self::Regex(regex(text)?),
        })
    }

    /// Whether it takes a path in its compared form.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(wanted) => **wanted == *path,
            Self::Prefix(_) => self.prefix_len(path).is_some(),
            Self::Regex(regex) => regex.is_match(path),
        }
    }

    /// How much of the path a prefix takes; none if it does not match. `/api/` takes all of `/api`, too.
    pub(super) fn prefix_len(&self, path: &[u8]) -> Option<usize> {
        let Self::Prefix(prefix) = self else {
            return None;
        };
        let takes = path.starts_with(prefix) || prefix.strip_suffix(b"/") == Some(path);
        takes.then(|| prefix.len().min(path.len()))
    }
}

impl TextTest {
    pub(super) fn new(text: &TextMatch) -> Compiled<Self> {
        Ok(match text {
            TextMatch::Present => Self::Present,
            TextMatch::Exact(text) => Self::Exact(text.clone()),
            TextMatch::Regex(text) => Self::Regex(regex(text)?),
        })
    }

    pub(super) fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(wanted) => wanted.as_bytes() == value,
            Self::Regex(regex) => regex.is_match(value),
        }
    }

    /// The same for a value of a query.
    fn matches_encoded(&self, value: &str) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(wanted) => query::equals(value, wanted.as_bytes()),
            Self::Regex(regex) => regex.is_match(&query::decoded(value)),
        }
    }
}

fn text_tests(list: &[(String, TextMatch)]) -> Compiled<Box<[(String, TextTest)]>> {
    let compile = |(name, text): &(String, TextMatch)| Ok((name.clone(), TextTest::new(text)?));
    list.iter().map(compile).collect()
}

/// Compiles a regular expression. Matching takes time linear in the text, whatever the pattern; the bound is
/// on memory.
fn regex(pattern: &str) -> Compiled<Regex> {
    const MAX_BYTES: usize = 1 << 20;
    RegexBuilder::new(pattern)
        .size_limit(MAX_BYTES)
        .build()
        .map_err(|error| (pattern.to_owned(), error.to_string()))
}
