//! Routes of an HTTP service: which requests they take, and what becomes of them.

use super::http::RetryKeys;
use crate::{
    config::{
        diagnostic::{Problem, Span},
        form::{
            http::{
                EditableHeader, HeaderName, HeaderValue, HostName, Method, Parameter, PathPrefix,
                Template,
            },
            many::{Either, List, Map, Off, OneOrMany},
            number::{Int, Time},
            text::AnyText,
        },
        kind::section,
        limits,
        walk::{At, Cx, unique},
    },
    name::Name,
    spec::{
        RouteSpec,
        http::{HeaderEdit, HostMatch, PathMatch, RetrySpec, RouteAction, RouteMatch, TextMatch},
    },
};

section! {
    /// Which requests are taken (all that is given must match), and what becomes of them: one of `pool`,
    /// `redirect`, `respond`.
    pub(in crate::config) struct RouteKeys = "a route" {
        /// The route's name in logs and metrics.
        name: Name, absent "its place in the list";
        /// The host, any of these: `shop.example`, `*.example` for any name below.
        host: OneOrMany<HostMatch>, absent "any host";
        /// The path: `/exact`, `/prefix/` or `/prefix*`, or a regular expression behind `~`.
        path: PathMatch, absent "any path";
        /// The method, any of these.
        method: OneOrMany<Method>, absent "any method";
        /// Headers, all of these: `{ "x-a" = "value" }`, `"*"` for any value, `"~regex"`.
        headers: Map<HeaderName, TextMatch>, absent "any headers";
        /// Query parameters, all of these, written as headers are.
        query: Map<Parameter, TextMatch>, absent "any query";
        /// The pool that requests go to.
        pool: Name, absent "not this";
        /// Requests are sent elsewhere: where to, or a table of it and the status. Variables as in header values.
        redirect: Either<Template, RedirectKeys>, absent "not this";
        /// Requests are answered.
        respond: RespondKeys, absent "not this";
        /// What is done to the request's headers before the backend sees them.
        request_headers: EditKeys, absent "nothing";
        /// What is done to the response's headers before the client sees them.
        response_headers: EditKeys, absent "nothing";
        /// Replaces the part of the path that `path` names as a prefix.
        replace_prefix: PathPrefix, absent "the path stays";
        /// Replaces the host that the backend is asked for.
        replace_host: HostName, absent "the host stays";
        /// When requests are tried again, where it differs from the service; `false`: never.
        retry: Either<RetryKeys, Off>, absent "as the service says";
        /// Another bound on the response's first byte than the service's `timeouts.response`.
        response_timeout: Time<1, { limits::DAY }>, absent "as the service says";
    }
}

section! {
    /// Requests are sent elsewhere.
    pub(in crate::config) struct RedirectKeys = "`redirect`" {
        /// Where to: a URL or a path, with variables such as `{host}` and `{uri}`.
        to: Template, required;
        /// The status: 301, 302, 303, 307 or 308.
        status: Int<301, 308>, default "302";
    }
}

section! {
    /// Requests are answered.
    pub(in crate::config) struct RespondKeys = "`respond`" {
        /// The status.
        status: Int<200, 599>, default "200";
        /// The body.
        body: AnyText, default "\"\"";
        /// The body's Content-Type.
        content_type: HeaderValue, absent "text/plain; charset=utf-8, none for an empty body";
    }
}

section! {
    /// Changes to headers, made in the order remove, set, add. Values may hold `{client}`, `{client_port}`,
    /// `{host}`, `{path}`, `{query}`, `{uri}`, `{scheme}`, `{method}`, `{service}`, `{backend}` and
    /// `{request_id}`; `{{` is a brace.
    pub(in crate::config) struct EditKeys = "changes to headers" {
        /// Further lines, by name.
        add: Map<EditableHeader, Template>, absent "none";
        /// Lines in place of all of their name.
        set: Map<EditableHeader, Template>, absent "none";
        /// Names of which none is left.
        remove: OneOrMany<EditableHeader>, absent "none";
    }
}

impl EditKeys {
    fn admit(self) -> Vec<HeaderEdit> {
        let pairs = |map: Option<At<Map<EditableHeader, Template>>>| {
            let pairs = map.map_or(Vec::new(), |map| map.value.0);
            pairs
                .into_iter()
                .map(|(name, value)| (name.value.0, value.value.0))
        };
        let names = self.remove.map_or(Vec::new(), |names| names.value.0);
        names
            .into_iter()
            .map(|name| HeaderEdit::Remove(name.value.0))
            .chain(pairs(self.set).map(|(name, value)| HeaderEdit::Set(name, value)))
            .chain(pairs(self.add).map(|(name, value)| HeaderEdit::Add(name, value)))
            .collect()
    }
}

/// A route, and where it stands.
pub(in crate::config) struct PlacedRoute {
    pub(in crate::config) spec: RouteSpec,
    pub(in crate::config) span: Span,
    /// Where it names its pool.
    pub(in crate::config) pool: Option<Span>,
}

/// The routes of a service. `retry` is what the service says of it.
pub(in crate::config) fn admit_all(
    routes: List<RouteKeys>,
    retry: &RetrySpec,
    cx: &mut Cx<'_>,
) -> Vec<PlacedRoute> {
    let names: Vec<At<Name>> = routes.0.iter().filter_map(|r| r.name.clone()).collect();
    unique(&names, "the route", |name| format!("\"{name}\""), cx);
    routes
        .0
        .into_iter()
        .filter_map(|route| {
            let pool = route.pool.as_ref().map(|pool| pool.span);
            let span = route.span;
            let spec = route.value.admit(retry, cx)?;
            Some(PlacedRoute { spec, span, pool })
        })
        .collect()
}

impl RouteKeys {
    fn admit(self, retry: &RetrySpec, cx: &mut Cx<'_>) -> Option<RouteSpec> {
        self.check_replacements(cx);
        let action = self.action(cx)?;
        let edits = |edits: Option<At<EditKeys>>| edits.map_or(Vec::new(), |at| at.value.admit());
        Some(RouteSpec {
            action,
            name: self.name.map(|name| name.value),
            matches: RouteMatch {
                hosts: list(self.host, "the host", show_host, cx),
                path: self.path.map(|path| path.value),
                methods: list(self.method, "the method", |m| m.0.clone(), cx)
                    .into_iter()
                    .map(|method| method.0)
                    .collect(),
                headers: self.headers.map_or(Vec::new(), |map| {
                    texts(map.value, |name| name.0.to_ascii_lowercase())
                }),
                query: self
                    .query
                    .map_or(Vec::new(), |map| texts(map.value, |name| name.0)),
            },
            request_headers: edits(self.request_headers),
            response_headers: edits(self.response_headers),
            replace_prefix: self.replace_prefix.map(|at| at.value.0),
            replace_host: self.replace_host.map(|at| at.value.0),
            retry: self.retry.map(|at| match at.value {
                Either::One(keys) => keys.over(retry),
                Either::Other(Off) => RetrySpec {
                    attempts: 0,
                    ..retry.clone()
                },
            }),
            response_timeout: self.response_timeout.map(|at| at.0),
        })
    }

    fn action(&self, cx: &mut Cx<'_>) -> Option<RouteAction> {
        let given: Vec<(&str, Span)> = [
            ("pool", self.pool.as_ref().map(|at| at.key)),
            ("redirect", self.redirect.as_ref().map(|at| at.key)),
            ("respond", self.respond.as_ref().map(|at| at.key)),
        ]
        .into_iter()
        .filter_map(|(name, key)| key.map(|key| (name, key)))
        .collect();
        match given.as_slice() {
            [_] => {}
            [] => {
                // One that is given and could not be read was complained of.
                let unread = ["pool", "redirect", "respond"]
                    .iter()
                    .any(|key| self.given.has(key));
                if cx.is_toml && !unread {
                    let problem = Problem::error(
                        self.span,
                        "the route does not say what becomes of requests",
                    );
                    cx.push(problem.help(
                        "write pool = \"NAME\", redirect = \"URL\" or respond = { status = 404 }",
                    ));
                }
                return None;
            }
            [(one, first), (other, at), ..] => {
                let message = format!("a route does one thing, this one `{one}` and `{other}`");
                let problem = Problem::error(*at, message).related(*first, "the first");
                cx.push(problem.help("keep one of them"));
                return None;
            }
        }
        if let Some(pool) = &self.pool {
            return Some(RouteAction::Pool(pool.value.clone()));
        }
        if let Some(redirect) = &self.redirect {
            return redirect_action(redirect, cx);
        }
        self.respond.as_ref().map(|at| at.value.action())
    }

    fn check_replacements(&self, cx: &mut Cx<'_>) {
        let Some(replace) = &self.replace_prefix else {
            return;
        };
        if !matches!(
            self.path.as_ref().map(|path| &path.value),
            Some(PathMatch::Prefix(_))
        ) {
            let problem = Problem::error(
                replace.key,
                "`replace-prefix` needs a `path` that is a prefix",
            );
            cx.push(problem.help("write path = \"/prefix/\" or \"/prefix*\""));
        }
    }
}

fn show_host(host: &HostMatch) -> String {
    match host {
        HostMatch::Exact(name) => format!("\"{name}\""),
        HostMatch::Below(name) => format!("\"*.{name}\""),
    }
}

fn list<T: Ord>(
    list: Option<At<OneOrMany<T>>>,
    what: &str,
    show: impl Fn(&T) -> String,
    cx: &mut Cx<'_>,
) -> Vec<T> {
    let entries = list.map_or(Vec::new(), |list| list.value.0);
    unique(&entries, what, show, cx);
    entries.into_iter().map(|entry| entry.value).collect()
}

fn texts<K>(map: Map<K, TextMatch>, name: impl Fn(K) -> String) -> Vec<(String, TextMatch)> {
    map.0
        .into_iter()
        .map(|(key, value)| (name(key.value), value.value))
        .collect()
}

fn redirect_action(
    redirect: &At<Either<Template, RedirectKeys>>,
    cx: &mut Cx<'_>,
) -> Option<RouteAction> {
    let (to, at, status, status_at) = match &redirect.value {
        Either::One(to) => (to.0.clone(), redirect.span, 302, redirect.span),
        Either::Other(keys) => (
            keys.to.0.clone(),
            keys.to.span,
            keys.status.to(),
            keys.status.span,
        ),
    };
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        let problem = Problem::error(status_at, format!("{status} does not redirect"));
        cx.push(problem.help("write 301, 302, 303, 307 or 308"));
        return None;
    }
    let is_target = to.starts_with(['/', '{']) || to.contains("://");
    if !is_target || to.contains(char::is_whitespace) {
        let problem = Problem::error(at, "a redirect leads to a URL or a path");
        cx.push(problem.help("write \"https://{host}{uri}\" or \"/elsewhere\""));
        return None;
    }
    Some(RouteAction::Redirect { status, to })
}

impl RespondKeys {
    fn action(&self) -> RouteAction {
        let body = self.body.0.clone();
        let content_type = match &self.content_type {
            Some(given) => Some(given.0.clone()),
            None if body.is_empty() => None,
            None => Some("text/plain; charset=utf-8".into()),
        };
        RouteAction::Respond {
            status: self.status.to(),
            content_type,
            body,
        }
    }
}
