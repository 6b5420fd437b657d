//! An HTTP service's configuration, compiled: what every request is served by.

use std::{fmt, time::Duration};

use control::{
    route::Router,
    spec::{
        HttpSpec, RouteSpec, ServiceKind, ServiceSpec,
        http::{ForwardedSpec, HeaderEdit, HttpTimeouts, RetryOn, RetrySpec, RouteAction},
    },
};

use super::{
    h1::{Field, Known, Limits, write_line},
    template::{Template, Values},
};

/// The rules of one service. They never change; another configuration is another of these.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) router: Router,
    /// In config order, as the router counts them.
    pub(crate) routes: Box<[Route]>,
    pub(crate) timeouts: HttpTimeouts,
    pub(crate) limits: Limits,
    /// The largest body of a request, in bytes.
    pub(crate) body_limit: u64,
    pub(crate) forwarded: ForwardedSpec,
    /// The header that carries a request's id.
    pub(crate) request_id: Option<Box<[u8]>>,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
}

/// One route.
#[derive(Debug)]
pub(crate) struct Route {
    /// Its name in logs: its own, or its place.
    pub(crate) label: Box<str>,
    pub(crate) action: Action,
    pub(crate) request: Edits,
    pub(crate) response: Edits,
    pub(crate) replace_prefix: Option<Box<str>>,
    pub(crate) replace_host: Option<Box<[u8]>>,
    pub(crate) retry: RetrySpec,
    pub(crate) response_timeout: Duration,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Action {
    /// It goes to this pool, by its place in [`ServiceSpec::pools`].
    Pool(usize),
    /// It is sent elsewhere.
    Redirect { status: u16, to: Template },
    /// It is answered.
    Respond {
        status: u16,
        content_type: Box<str>,
        body: Box<[u8]>,
    },
}

/// A service whose rules cannot be compiled, which its admission should have found.
#[derive(Debug)]
pub(crate) struct BadRules(String);

impl fmt::Display for BadRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Rules {
    /// Compiles the rules of an HTTP service.
    pub(crate) fn new(service: &ServiceSpec) -> Result<Self, BadRules> {
        let ServiceKind::Http(http) = &service.kind else {
            return Err(BadRules("it is no HTTP service".into()));
        };
        let router = Router::new(&http.routes).map_err(|bad| BadRules(bad.to_string()))?;
        let routes = http.routes.iter().enumerate();
        Ok(Self {
            router,
            routes: routes
                .map(|(i, route)| Route::new(i, route, http, service))
                .collect(),
            timeouts: http.timeouts.clone(),
            limits: limits(http),
            body_limit: http.limits.body.map_or(u64::MAX, |b| b.0),
            forwarded: http.forwarded.clone(),
            request_id: http.request_id.as_ref().map(|name| name.as_bytes().into()),
            scheme: if http.tls.is_empty() { "http" } else { "https" },
        })
    }
}

fn limits(http: &HttpSpec) -> Limits {
    let head = usize::try_from(http.limits.head.0).unwrap_or(usize::MAX);
    Limits::of(head, http.limits.headers.into())
}

impl Route {
    fn new(index: usize, route: &RouteSpec, http: &HttpSpec, service: &ServiceSpec) -> Self {
        let place = |name| service.pools().iter().position(|pool| *pool == name);
        let action = match &route.action {
            // Every pool that a route names is among the pools of its service.
            RouteAction::Pool(name) => Action::Pool(place(name).unwrap_or(usize::MAX)),
            RouteAction::Redirect { status, to } => Action::Redirect {
                status: *status,
                to: Template::new(to),
            },
            RouteAction::Respond {
                status,
                content_type,
                body,
            } => Action::Respond {
                status: *status,
                content_type: content_type.as_deref().unwrap_or_default().into(),
                body: body.as_bytes().into(),
            },
        };
        Self {
            label: route
                .name
                .as_ref()
                .map_or_else(|| index.to_string(), |n| n.to_string())
                .into(),
            action,
            request: Edits::new(&route.request_headers),
            response: Edits::new(&route.response_headers),
            replace_prefix: route.replace_prefix.as_deref().map(Into::into),
            replace_host: route
                .replace_host
                .as_ref()
                .map(|host| host.as_bytes().into()),
            retry: route.retry.clone().unwrap_or_else(|| http.retry.clone()),
            response_timeout: route.response_timeout.unwrap_or(http.timeouts.response),
        }
    }

    /// Whether this kind of trouble is worth another try.
    pub(crate) fn retries_on(&self, kind: RetryOn) -> bool {
        self.retry.attempts > 0 && self.retry.on.contains(&kind)
    }
}

/// Changes to headers.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    /// Lines of these names go.
    gone: Box<[Box<[u8]>]>,
    /// These lines come.
    lines: Box<[(Box<[u8]>, Template)]>,
}

impl Edits {
    fn new(edits: &[HeaderEdit]) -> Self {
        let (mut gone, mut lines) = (Vec::new(), Vec::new());
        for edit in edits {
            let (name, value, replaces) = match edit {
                HeaderEdit::Add(name, value) => (name, Some(value), false),
                HeaderEdit::Set(name, value) => (name, Some(value), true),
                HeaderEdit::Remove(name) => (name, None, true),
            };
            let known = Known::of(name.as_bytes());
            if known.is_hop() || known == Known::Host {
                // Framing and routing are not a matter of header edits.
                continue;
            }
            if replaces {
                gone.push(name.as_bytes().into());
                lines.retain(|(n, _): &(Box<[u8]>, _)| !n.eq_ignore_ascii_case(name.as_bytes()));
            }
            if let Some(value) = value {
                lines.push((name.as_bytes().into(), Template::new(value)));
            }
        }
        Self {
            gone: gone.into(),
            lines: lines.into(),
        }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.lines.is_empty()
    }

    /// Whether a field is left out.
    pub(crate) fn drops(&self, buf: &[u8], field: &Field) -> bool {
        self.gone
            .iter()
            .any(|name| field.name.of(buf).eq_ignore_ascii_case(name))
    }

    /// Appends the lines that come.
    pub(crate) fn write(&self, out: &mut Vec<u8>, values: &Values<'_>) {
        let mut value = Vec::new();
        for (name, template) in &self.lines {
            value.clear();
            template.write(&mut value, values);
            write_line(out, name, &value);
        }
    }
}
