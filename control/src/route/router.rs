//! The routes of a service as one matcher.

use super::{
    hosts::{self, Hosts},
    matcher::{BadRoute, Conditions, Mismatch, PathTest},
    path::Path,
    request::RequestView,
};
use crate::spec::http::{HostMatch, RouteMatch, RouteSpec};

/// The compiled routes of one HTTP service.
#[derive(Debug)]
pub struct Router {
    pub(super) hosts: Hosts,
    pub(super) routes: Box<[Compiled]>,
}

#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) hosts: Box<[HostMatch]>,
    pub(super) conditions: Conditions,
}

/// A route that was looked at for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Its place in the list.
    pub route: usize,
    /// What did not match; none: it takes the request.
    pub mismatch: Option<Mismatch>,
}

impl Router {
    /// Compiles routes.
    ///
    /// # Errors
    /// [`BadRoute`] names a regular expression that is none or is too large. Config compiles routes with this
    /// at admission, so that of an admitted service always compile.
    pub fn new(routes: &[RouteSpec]) -> Result<Self, BadRoute> {
        Self::of(routes.iter().map(|r| &r.matches))
    }

    pub(super) fn of<'a>(routes: impl Iterator<Item = &'a RouteMatch>) -> Result<Self, BadRoute> {
        let compile = |(route, matches): (usize, &RouteMatch)| {
            let bad = |(pattern, reason)| BadRoute {
                route,
                pattern,
                reason,
            };
            Ok(Compiled {
                hosts: matches.hosts.clone().into(),
                conditions: Conditions::new(matches).map_err(bad)?,
            })
        };
        let routes: Box<[Compiled]> = routes.enumerate().map(compile).collect::<Result<_, _>>()?;
        Ok(Self {
            hosts: Hosts::new(routes.iter().map(|r| &*r.hosts)),
            routes,
        })
    }

    /// The place of the first route in config order that takes the request; none: 404.
    #[must_use]
    pub fn find(&self, request: &RequestView<'_>) -> Option<usize> {
        self.hosts
            .routes_for(request.host)
            .map(|place| place as usize)
            .find(|&place| self.routes[place].conditions.mismatch(request).is_none())
    }

    /// Every route up to the one that takes the request, and the first thing in each that did not match.
    #[must_use]
    pub fn explain(&self, request: &RequestView<'_>) -> Vec<Tried> {
        let mut tried = Vec::new();
        for (route, compiled) in self.routes.iter().enumerate() {
            let mismatch = if hosts::take(&compiled.hosts, request.host) {
                compiled.conditions.mismatch(request).map(Mismatch::from)
            } else {
                Some(Mismatch::Host)
            };
            let takes = mismatch.is_none();
            tried.push(Tried { route, mismatch });
            if takes {
                break;
            }
        }
        tried
    }

    /// The path that is forwarded when the prefix that `route` matches by is replaced by `with`; none if it
    /// does not match the path by a prefix.
    ///
    /// A prefix that ends in a slash names whole segments: with `/api/` replaced by `/v2`, `/api/x` becomes
    /// `/v2/x`. Otherwise what follows is appended as it is, but never with two slashes in a row at the seam.
    #[must_use]
    pub fn replace_prefix(&self, route: usize, path: &Path<'_>, with: &str) -> Option<String> {
        let test = self.routes.get(route)?.conditions.path()?;
        let rest = path.forwarded_after(test.prefix_len(path.compared())?);
        let by_segment = matches!(test, PathTest::Prefix(prefix) if prefix.ends_with(b"/"));
        let mut out = String::with_capacity(with.len() + rest.len() + 1);
        out.push_str(with);
        if rest.starts_with('/') && with.ends_with('/') {
            let _ = out.pop();
        } else if by_segment && !rest.is_empty() && !with.ends_with('/') {
            out.push('/');
        }
        out.push_str(rest);
        if !out.starts_with('/') {
            out.insert(0, '/');
        }
        Some(out)
    }
}
