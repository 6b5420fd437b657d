//! Routing as its users see it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod indexed;
mod matching;
mod shadowing;

use super::*;
use crate::spec::http::{HostMatch, PathMatch, RouteMatch, TextMatch};

/// `host` as in config: `*.example` is a wildcard.
fn host(text: &str) -> HostMatch {
    match text.strip_prefix("*.") {
        Some(parent) => HostMatch::Below(parent.into()),
        None => HostMatch::Exact(text.into()),
    }
}

/// `path` as in config: `~` begins a regular expression, `/` or `*` ends a prefix.
fn path(text: &str) -> PathMatch {
    if let Some(regex) = text.strip_prefix('~') {
        PathMatch::Regex(regex.into())
    } else if let Some(prefix) = text.strip_suffix('*') {
        PathMatch::Prefix(prefix.into())
    } else if text.ends_with('/') {
        PathMatch::Prefix(text.into())
    } else {
        PathMatch::Exact(text.into())
    }
}

fn text(text: &str) -> TextMatch {
    match (text, text.strip_prefix('~')) {
        ("*", _) => TextMatch::Present,
        (_, Some(regex)) => TextMatch::Regex(regex.into()),
        _ => TextMatch::Exact(text.into()),
    }
}

fn on(hosts: &[&str], at: &str) -> RouteMatch {
    RouteMatch {
        hosts: hosts.iter().map(|h| host(h)).collect(),
        path: (!at.is_empty()).then(|| path(at)),
        ..RouteMatch::default()
    }
}

fn router(routes: &[RouteMatch]) -> Router {
    Router::of(routes.iter()).unwrap()
}

/// A request line and headers, with `host` apart.
struct Request<'a> {
    method: &'a str,
    host: &'a str,
    target: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

fn get<'a>(host: &'a str, target: &'a str) -> Request<'a> {
    Request {
        method: "GET",
        host,
        target,
        headers: Vec::new(),
    }
}

impl Request<'_> {
    fn view<T>(&self, see: impl FnOnce(&RequestView<'_>) -> T) -> T {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.target, None),
        };
        see(&RequestView {
            method: self.method,
            host: self.host,
            path: &Path::clean(path).unwrap(),
            query,
            headers: &self.headers,
        })
    }

    fn find(&self, router: &Router) -> Option<usize> {
        self.view(|view| router.find(view))
    }
}
