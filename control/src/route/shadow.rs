//! Routes that can never match, since an earlier one takes all that they would.
//!
//! What is reported is certain; not everything is found. A route shadowed only by several others together is
//! not, nor one by a regular expression that happens to take all of its paths.

use super::{
    hosts::parents,
    matcher::{PathTest, TextTest},
    router::Router,
};
use crate::spec::http::{HostMatch, RouteMatch, RouteSpec, TextMatch};

/// A route that an earlier one leaves nothing to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// The place of the route that can never match.
    pub route: usize,
    /// The place of the earlier one.
    pub by: usize,
}

impl Router {
    /// The routes among `routes` (those that this router was made of) that can never match, each with the
    /// first that takes all it would.
    #[must_use]
    pub fn shadowed(&self, routes: &[RouteSpec]) -> Vec<Shadowed> {
        let matches: Vec<&RouteMatch> = routes.iter().map(|r| &r.matches).collect();
        self.shadowed_among(&matches)
    }

    pub(super) fn shadowed_among(&self, routes: &[&RouteMatch]) -> Vec<Shadowed> {
        let shadowed = |(route, later): (usize, &&RouteMatch)| {
            let by = self
                .candidates(later)
                .take_while(|&earlier| earlier < route)
                .find(|&earlier| self.covers((earlier, routes[earlier]), (route, *later)))?;
            Some(Shadowed { route, by })
        };
        routes.iter().enumerate().filter_map(shadowed).collect()
    }

    /// The routes that take the first host of `later` (or any host, if it names none), in config order: only
    /// they can cover it.
    fn candidates<'h>(&'h self, later: &RouteMatch) -> impl Iterator<Item = usize> + use<'h> {
        let host = match later.hosts.first() {
            None => String::new(),
            Some(HostMatch::Exact(name)) => name.clone(),
            // A name that only the wildcard and those above it take: no host has a label of one space.
            Some(HostMatch::Below(parent)) => format!(" .{parent}"),
        };
        self.hosts.routes_for(&host).map(|place| place as usize)
    }

    /// Whether the route `earlier` takes every request that `later` takes, each with its place among those that
    /// the router was made of: what it compiled is not compiled again for each pair.
    fn covers(
        &self,
        (earlier_place, earlier): (usize, &RouteMatch),
        (later_place, later): (usize, &RouteMatch),
    ) -> bool {
        let tests = &self.routes[earlier_place].conditions;
        let later_path = self.routes[later_place].conditions.path();
        let is_same_path = earlier.path == later.path;
        covers_hosts(&earlier.hosts, &later.hosts)
            && (is_same_path || covers_path(tests.path(), later_path))
            && covers_methods(&earlier.methods, &later.methods)
            && covers_texts(
                &earlier.headers,
                tests.headers(),
                &later.headers,
                str::eq_ignore_ascii_case,
            )
            && covers_texts(&earlier.query, tests.query(), &later.query, str::eq)
    }
}

fn covers_hosts(earlier: &[HostMatch], later: &[HostMatch]) -> bool {
    let covered = |host: &HostMatch| earlier.iter().any(|e| covers_host(e, host));
    earlier.is_empty() || (!later.is_empty() && later.iter().all(covered))
}

fn covers_host(earlier: &HostMatch, later: &HostMatch) -> bool {
    match (earlier, later) {
        (HostMatch::Exact(e), HostMatch::Exact(l)) => e == l,
        (HostMatch::Exact(_), HostMatch::Below(_)) => false,
        (HostMatch::Below(e), HostMatch::Exact(l)) => parents(l).any(|p| p == e),
        (HostMatch::Below(e), HostMatch::Below(l)) => e == l || parents(l).any(|p| p == e),
    }
}

fn covers_path(earlier: Option<&PathTest>, later: Option<&PathTest>) -> bool {
    let Some(earlier) = earlier else { return true };
    let Some(later) = later else { return false };
    match (earlier, later) {
        (test, PathTest::Exact(path)) => test.matches(path),
        // What begins with the longer begins with the shorter.
        (PathTest::Prefix(e), PathTest::Prefix(l)) => l.starts_with(e),
        _ => false,
    }
}

fn covers_methods(earlier: &[String], later: &[String]) -> bool {
    earlier.is_empty() || (!later.is_empty() && later.iter().all(|m| earlier.contains(m)))
}

fn covers_texts(
    earlier: &[(String, TextMatch)],
    tests: &[(String, TextTest)],
    later: &[(String, TextMatch)],
    same: fn(&str, &str) -> bool,
) -> bool {
    let implied = |((name, wanted), (_, test)): (&(String, TextMatch), &(String, TextTest))| {
        later
            .iter()
            .any(|(n, given)| same(n, name) && covers_text(wanted, test, given))
    };
    earlier.iter().zip(tests).all(implied)
}

fn covers_text(earlier: &TextMatch, test: &TextTest, later: &TextMatch) -> bool {
    match (earlier, later) {
        (TextMatch::Present, _) => true,
        (TextMatch::Regex(_), TextMatch::Exact(value)) => test.matches(value.as_bytes()),
        (earlier, later) => earlier == later,
    }
}
