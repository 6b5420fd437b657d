//! Which service a question is about.

use axum::http::Uri;
use control::{
    plan::Plan,
    spec::{Listen, Scheme, ServiceKind, ServiceSpec},
};

use super::super::super::model::{Problem, Question};

/// The URL of a question, taken apart.
pub(super) struct Target {
    pub(super) scheme: Option<Scheme>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
    pub(super) query: Option<String>,
}

/// Takes a URL apart.
pub(super) fn target(url: &str) -> Result<Target, Problem> {
    let uri: Uri = url
        .parse()
        .map_err(|error| Problem::bad_request(format!("the URL {url:?}: {error}")))?;
    let scheme = match uri.scheme_str() {
        None => None,
        Some("http") => Some(Scheme::Http),
        Some("https") => Some(Scheme::Https),
        Some(other) => {
            return Err(Problem::bad_request(format!(
                "{other}: is neither http: nor https:; for TCP and UDP name the service"
            )));
        }
    };
    let default = match scheme {
        Some(Scheme::Https) => Some(443),
        Some(_) => Some(80),
        None => None,
    };
    Ok(Target {
        scheme,
        host: uri.host().unwrap_or_default().to_owned(),
        port: uri.port_u16().or(default),
        path: uri.path().to_owned(),
        query: uri.query().map(str::to_owned),
    })
}

/// The service that is asked about, and why it is that one.
pub(super) fn service<'a>(
    question: &Question,
    target: Option<&Target>,
    plan: &'a Plan,
) -> Result<(&'a ServiceSpec, String), Problem> {
    let all = || plan.services.values().map(|service| &*service.spec);
    let names = |services: &[&ServiceSpec]| {
        let names: Vec<&str> = services.iter().map(|s| s.name.as_str()).collect();
        names.join(", ")
    };
    if let Some(name) = &question.service {
        let found = all().find(|service| service.name.as_str() == name);
        let missing = || {
            let there: Vec<&ServiceSpec> = all().collect();
            let detail = format!("there is no service {name:?}; there are: {}", names(&there));
            Problem::not_found("no-such-service", detail)
        };
        return Ok((found.ok_or_else(missing)?, "named in the question".into()));
    }
    let Some(target) = target else {
        return Err(Problem::bad_request("name a service, or give a URL"));
    };
    let http: Vec<&ServiceSpec> = all()
        .filter(|service| matches!(service.kind, ServiceKind::Http(_)))
        .collect();
    let Some(port) = target.port else {
        return match http[..] {
            [only] => Ok((only, "it is the only HTTP service".into())),
            _ => Err(Problem::bad_request(format!(
                "name one of the HTTP services ({}), or give the whole URL",
                names(&http)
            ))),
        };
    };
    let listens = |service: &ServiceSpec| {
        let mut fitting = service.listen.iter().filter(|l| fits(l, target, port));
        fitting.next().copied()
    };
    let mut fitting = http.iter().filter_map(|s| Some((*s, listens(s)?)));
    // One that listens on the very address goes before one that listens on all.
    let best = fitting
        .clone()
        .find(|(_, listen)| !listen.address.ip().is_unspecified())
        .or_else(|| fitting.next());
    best.map(|(service, listen)| (service, format!("it listens on {listen}")))
        .ok_or_else(|| {
            let detail = format!(
                "no HTTP service listens on port {port} of that address; name one of: {}",
                names(&http)
            );
            Problem::not_found("no-such-service", detail)
        })
}

/// Whether what is sent to `target` could come in at this listener. A name could lead to any address.
fn fits(listen: &Listen, target: &Target, port: u16) -> bool {
    let host = target.host.trim_start_matches('[').trim_end_matches(']');
    let ip = listen.address.ip();
    listen.address.port() == port
        && target.scheme.is_none_or(|scheme| scheme == listen.scheme)
        && (ip.is_unspecified()
            || host
                .parse()
                .map_or(true, |asked: std::net::IpAddr| asked == ip))
}
