//! The OpenAPI document, made from the handlers and the model.

use utoipa::OpenApi;

use super::routes::doc;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "aplomb admin API",
        description = "How a node is watched and operated. Durations are seconds, sizes bytes. Errors are \
            application/problem+json with `status`, `reason` (a word for programs) and `detail` (for people).",
        license(name = "Apache-2.0 OR MIT")
    ),
    tags(
        (name = "look", description = "What the node is and does"),
        (name = "change", description = "Configuration, backends, the process"),
        (name = "watch", description = "For machines that watch it")
    ),
    paths(
        doc::status, doc::services, doc::service, doc::pools, doc::pool, doc::backends, doc::stats,
        doc::vips, doc::release, doc::promote, doc::resume,
        doc::explain, doc::ipvs::table, doc::ipvs::connections, doc::ipvs::edit, doc::l4::status, doc::l4::connections, doc::l4::trace,
        doc::l4::explain, doc::apply, doc::reload, doc::drain, doc::disable, doc::enable, doc::weight,
        doc::upgrade, doc::stop, doc::reopen_logs, doc::metrics, doc::openapi, doc::healthz, doc::readyz,
    )
)]
struct Document;

/// The document.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::{super::routes, *};

    fn json() -> Value {
        serde_json::to_value(document()).unwrap()
    }

    #[test]
    fn every_route_is_documented_and_nothing_else() {
        let routes: BTreeSet<(String, String)> = routes::table()
            .into_iter()
            .map(|(method, path, _)| (method.to_owned(), path.to_owned()))
            .collect();
        let json = json();
        let documented: BTreeSet<(String, String)> = json["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods
                    .map(|method| (method.clone(), path.clone()))
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(routes, documented);
    }

    #[test]
    fn the_document_holds_together() {
        let json = json();
        assert!(json["openapi"].as_str().unwrap().starts_with("3."));
        assert_eq!(json["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut ids = BTreeSet::new();
        for (path, methods) in json["paths"].as_object().unwrap() {
            for operation in methods.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} is there twice");
                assert!(operation["summary"].is_string(), "{path} has no summary");
                assert!(!operation["responses"].as_object().unwrap().is_empty());
                for response in operation["responses"].as_object().unwrap().values() {
                    let description = response["description"].as_str();
                    assert!(description.is_some_and(|d| !d.is_empty()), "{path}");
                }
                every_placeholder_has_a_parameter(path, operation);
            }
        }
        references_lead_somewhere(&json, &json);
    }

    fn every_placeholder_has_a_parameter(path: &str, operation: &Value) {
        let parameters = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for part in path.split('/').filter_map(|p| p.strip_prefix('{')) {
            let name = part.trim_end_matches('}');
            assert!(
                parameters
                    .iter()
                    .any(|p| p["name"] == name && p["in"] == "path"),
                "{path}: {name} is not described"
            );
        }
    }

    fn references_lead_somewhere(document: &Value, part: &Value) {
        match part {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(
                        document.pointer(pointer).is_some(),
                        "{reference} is missing"
                    );
                }
                for field in fields.values() {
                    references_lead_somewhere(document, field);
                }
            }
            Value::Array(items) => {
                for item in items {
                    references_lead_somewhere(document, item);
                }
            }
            _ => {}
        }
    }
}
