//! What the configuration can say and this build cannot do yet. It is understood, and refused here alone.

use super::{diagnostic::Problem, section::RootKeys, walk::Cx};
use crate::spec::Scheme;

/// Complains of all that is asked for and cannot be done.
pub(super) fn refuse(root: &RootKeys, cx: &mut Cx<'_>) {
    for service in &root.service.0 {
        let https = service
            .listen
            .value
            .0
            .iter()
            .find(|listen| listen.scheme == Scheme::Https);
        let place = https
            .map(|listen| listen.span)
            .or(service.tls.as_ref().map(|tls| tls.key));
        if let Some(place) = place {
            let problem = Problem::error(place, "TLS termination is not in this build");
            cx.push(problem.help("listen for http, or pass TLS through as tcp"));
        }
    }
}
