//! The JSON schema of a configuration (2020-12), for editors: the key tables in another form.

use serde_json::{Map, Value, json};
use toml::de::DeValue;

use super::{
    kind::{Key, Kind, Presence, Section},
    section::RootKeys,
};

/// A duration as the config has it: numbers with units, in a row.
const DURATION: &str = r"^([0-9]+(\.[0-9]{1,9})?(ns|us|µs|ms|s|min|m|h|d|w))+$";
/// A size as the config has it.
const SIZE: &str = r"^[0-9]+ *(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$";
/// A share as the config has it in text.
const SHARE: &str = r"^([0-9]+(\.[0-9]+)? *%|0(\.[0-9]+)?|1(\.0+)?)$";

/// The schema of a whole configuration.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    for section in sections() {
        let _ = definitions.insert(slug(section.title), table(section));
    }
    let mut root = table(RootKeys::SECTION);
    if let Some(root) = root.as_object_mut() {
        let _ = root.insert(
            "$schema".into(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        let _ = root.insert("title".into(), json!("aplomb configuration"));
        let _ = root.insert("$defs".into(), definitions.into());
    }
    root
}

/// All sections below the root, each once, in the order in which the key tables name them.
pub(super) fn sections() -> Vec<&'static Section> {
    fn visit(section: &'static Section, seen: &mut Vec<&'static Section>) {
        for key in section.keys {
            visit_kind(&(key.kind)(), seen);
        }
    }
    fn visit_kind(kind: &Kind, seen: &mut Vec<&'static Section>) {
        match kind {
            Kind::Table(section) if seen.iter().any(|known| known.title == section.title) => {}
            Kind::Table(section) => {
                seen.push(section);
                visit(section, seen);
            }
            Kind::List { of, .. } | Kind::Map { of, .. } => visit_kind(of, seen),
            Kind::Any(kinds) => kinds.iter().for_each(|kind| visit_kind(kind, seen)),
            _ => {}
        }
    }
    let mut seen = Vec::new();
    visit(RootKeys::SECTION, &mut seen);
    seen
}

/// A section's title as the name of its definition: `[[pool]]` is `pool`, `a TLS probe` is `tls-probe`.
pub(super) fn slug(title: &str) -> String {
    let title = title.trim_start_matches("a ").trim_start_matches("an ");
    let plain: String = title
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == ' ' || *c == '-')
        .collect();
    plain.trim().replace(' ', "-").to_ascii_lowercase()
}

fn table(section: &Section) -> Value {
    let properties: Map<String, Value> = section
        .keys
        .iter()
        .map(|key| (key.name().into_owned(), property(key)))
        .collect();
    let required: Vec<_> = section
        .keys
        .iter()
        .filter(|key| key.presence == Presence::Required)
        .map(Key::name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "description": section.doc.trim(),
        "properties": properties,
        "additionalProperties": false,
    });
    if let (Some(schema), false) = (schema.as_object_mut(), required.is_empty()) {
        let _ = schema.insert("required".into(), json!(required));
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = of((key.kind)());
    let Some(fields) = schema.as_object_mut() else {
        return schema;
    };
    let mut description = key.doc.trim().to_owned();
    if !key.only.is_empty() {
        description += &format!(" Of {} only.", key.only.join(" and "));
    }
    match key.presence {
        Presence::Required => {}
        Presence::Absent(without) => description += &format!(" Without it: {without}."),
        Presence::Default(text) => {
            if let Some(default) = from_toml(text) {
                let _ = fields.insert("default".into(), default);
            }
        }
    }
    if let Some(meanings) = fields.remove("description") {
        description += &format!("\n\n{}", meanings.as_str().unwrap_or_default());
    }
    let _ = fields.insert("description".into(), description.into());
    schema
}

fn of(kind: Kind) -> Value {
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Off => json!({ "const": false }),
        Kind::On => json!({ "const": true }),
        Kind::Int { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Time { .. } => json!({ "type": "string", "pattern": DURATION, "examples": ["5s"] }),
        Kind::Size { min, max } => json!({ "anyOf": [
            { "type": "string", "pattern": SIZE, "examples": ["16KiB"] },
            { "type": "integer", "minimum": min, "maximum": max },
        ]}),
        Kind::Share => json!({ "anyOf": [
            { "type": "string", "pattern": SHARE, "examples": ["50%"] },
            { "type": "number", "minimum": 0, "maximum": 1 },
        ]}),
        Kind::Text {
            example, pattern, ..
        } => {
            let mut schema = json!({ "type": "string" });
            if !example.is_empty() {
                schema["examples"] = json!([example]);
            }
            if !pattern.is_empty() {
                schema["pattern"] = json!(pattern);
            }
            schema
        }
        Kind::Words(words) => {
            let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let meanings: Vec<_> = words
                .iter()
                .map(|(word, meaning)| format!("{word}: {meaning}"))
                .collect();
            json!({ "type": "string", "enum": names, "description": meanings.join("\n") })
        }
        Kind::List { of: entry, or_one } => {
            let entry = of(*entry);
            let list = json!({ "type": "array", "items": entry });
            if or_one {
                json!({ "anyOf": [entry, list] })
            } else {
                list
            }
        }
        Kind::Map { of: value, .. } => {
            json!({ "type": "object", "additionalProperties": of(*value) })
        }
        Kind::Table(section) => json!({ "$ref": format!("#/$defs/{}", slug(section.title)) }),
        Kind::Any(kinds) => json!({ "anyOf": kinds.into_iter().map(of).collect::<Vec<_>>() }),
    }
}

/// A default of the key tables, which is TOML, as JSON.
fn from_toml(text: &str) -> Option<Value> {
    fn convert(value: &DeValue<'_>) -> Option<Value> {
        Some(match value {
            DeValue::String(text) => json!(text),
            DeValue::Integer(number) => {
                json!(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
            }
            DeValue::Float(number) => json!(number.as_str().parse::<f64>().ok()?),
            DeValue::Boolean(yes) => json!(yes),
            DeValue::Datetime(_) => return None,
            DeValue::Array(entries) => entries
                .iter()
                .map(|entry| convert(entry.get_ref()))
                .collect::<Option<Value>>()?,
            DeValue::Table(table) => {
                let fields: Option<Map<String, Value>> = table
                    .iter()
                    .map(|(key, value)| {
                        Some((key.get_ref().to_string(), convert(value.get_ref())?))
                    })
                    .collect();
                Value::Object(fields?)
            }
        })
    }
    convert(DeValue::parse(text).ok()?.get_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid_and_every_key_documented() {
        let all = sections();
        assert!(all.len() > 20, "the tables are walked");
        for section in all.into_iter().chain([RootKeys::SECTION]) {
            assert!(!section.doc.trim().is_empty(), "{}", section.title);
            for key in section.keys {
                let name = format!("{} {}", section.title, key.name());
                assert!(key.doc.trim().ends_with('.'), "{name}: {}", key.doc);
                if let Presence::Default(text) = key.presence {
                    assert!(from_toml(text).is_some(), "{name}: {text}");
                }
            }
        }
    }

    #[test]
    fn titles_make_different_names() {
        let mut names: Vec<_> = sections().iter().map(|s| slug(s.title)).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(names.contains(&"pool".to_owned()) && names.contains(&"tls-probe".to_owned()));
    }
}
