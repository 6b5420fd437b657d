//! The schema, against what parsing takes and refuses.

use serde_json::Value;

use super::{
    super::{NoSources, parse, schema},
    EXAMPLES,
};

/// Whether `value` follows `schema`; as much of JSON Schema as ours uses. The error is where it does not.
fn follows(value: &Value, schema: &Value, root: &Value, at: &str) -> Result<(), String> {
    let fail = |why: &str| Err(format!("{at}: {value} {why} {schema}"));
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let definition = root.pointer(name.trim_start_matches('#')).unwrap();
        return follows(value, definition, root, at);
    }
    if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
        let tried: Vec<_> = any.iter().map(|s| follows(value, s, root, at)).collect();
        if tried.iter().all(Result::is_err) {
            return Err(tried
                .into_iter()
                .filter_map(Result::err)
                .collect::<Vec<_>>()
                .join("\n  or "));
        }
        return Ok(());
    }
    if schema.get("const").is_some_and(|wanted| wanted != value) {
        return fail("is not the constant of");
    }
    let wanted = schema.get("type").and_then(Value::as_str).unwrap_or("");
    let is_type = match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    };
    if !is_type {
        return fail("is not of the type of");
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        return fail("is not in");
    }
    if let (Some(pattern), Some(text)) = (schema.get("pattern"), value.as_str())
        && !regex::Regex::new(pattern.as_str().unwrap())
            .unwrap()
            .is_match(text)
    {
        return fail("does not match");
    }
    if let Some(number) = value.as_f64() {
        let bound = |name| schema.get(name).and_then(Value::as_f64);
        if bound("minimum").is_some_and(|min| number < min)
            || bound("maximum").is_some_and(|max| number > max)
        {
            return fail("is out of the range of");
        }
    }
    if let (Some(items), Some(entries)) = (schema.get("items"), value.as_array()) {
        for (i, entry) in entries.iter().enumerate() {
            follows(entry, items, root, &format!("{at}[{i}]"))?;
        }
    }
    let Some(fields) = value.as_object() else {
        return Ok(());
    };
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if !fields.contains_key(name.as_str().unwrap()) {
            return fail(&format!("lacks {name} of"));
        }
    }
    for (name, field) in fields {
        let at = format!("{at}.{name}");
        match (
            schema.pointer(&format!("/properties/{name}")),
            &schema["additionalProperties"],
        ) {
            (Some(property), _) => follows(field, property, root, &at)?,
            (None, Value::Bool(false)) => return Err(format!("{at}: unknown")),
            (None, other) => follows(field, other, root, &at)?,
        }
    }
    Ok(())
}

#[test]
fn the_schema_takes_the_examples() {
    let schema = schema();
    for (name, text) in EXAMPLES {
        let value = serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
        if let Err(why) = follows(&value, &schema, &schema, name) {
            panic!("{why}");
        }
    }
}

#[test]
fn the_schema_refuses_what_parsing_refuses_by_form() {
    let schema = schema();
    for text in [
        "zebra = 1",
        "pool = 1",
        "[pool]\nname = \"a\"",
        "[[pool]]\nname = \"a\"",
        "[[pool]]\nname = \"a b\"\nbackends = []",
        "[[pool]]\nname = \"a\"\nbackends = [\"10.0.0.1:\"]",
        "[[pool]]\nname = \"a\"\nbackends = []\nslow-start = 5",
        "[[pool]]\nname = \"a\"\nbackends = []\nslow-start = \"5\"",
        "[[pool]]\nname = \"a\"\nbackends = []\nbalance = \"zebra\"",
        "[[pool]]\nname = \"a\"\nbackends = []\npassive = true",
        "[[pool]]\nname = \"a\"\nbackends = []\ncheck = { http = \"x\" }",
        "[[pool]]\nname = \"a\"\nbackends = []\ncheck = { http = \"/\", rise = 0 }",
        "[[service]]\nname = \"a\"\nlisten = \"ftp://0.0.0.0:21\"",
        "[[service]]\nname = \"a\"\nlisten = \"http://0.0.0.0:80\"\nroutes = [{ poool = \"a\" }]",
    ] {
        assert!(parse(text, "t", &NoSources).is_err(), "{text}");
        let value = serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
        assert!(follows(&value, &schema, &schema, "").is_err(), "{text}");
    }
}
