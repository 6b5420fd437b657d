//! Reads Prometheus' text format strictly, to hold what is served against it.

use std::collections::{BTreeMap, BTreeSet};

/// A sample: name, labels in order, value.
#[derive(Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

/// Reads a text.
///
/// # Errors
/// The first thing that the format does not allow: samples without a type, families in pieces, series that are there
/// twice, counters without `_total`, histograms that do not add up.
pub fn read(text: &str) -> Result<Vec<Sample>, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line does not end".into());
    }
    let mut samples = Vec::new();
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut current = String::new();
    let mut series = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or(format!("bad line: {line}"))?;
            if !["counter", "gauge", "histogram"].contains(&kind) {
                return Err(format!("no such type: {line}"));
            }
            if (kind == "counter") != name.ends_with("_total") {
                return Err(format!("{name} is a {kind}"));
            }
            if types.insert(name.into(), kind.into()).is_some() {
                return Err(format!("{name} comes in pieces"));
            }
            if !helped.contains(name) {
                return Err(format!("{name} has no help before its type"));
            }
            current = name.into();
            continue;
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or(format!("bad line: {line}"))?;
            if help.is_empty() || !helped.insert(name.to_owned()) {
                return Err(format!("bad help: {line}"));
            }
            continue;
        }
        let sample = sample(line).ok_or(format!("bad sample: {line}"))?;
        if family(&sample.name, &types) != Some(current.as_str()) {
            return Err(format!("{} is not of {current}", sample.name));
        }
        if !series.insert(format!("{}{:?}", sample.name, sample.labels)) {
            return Err(format!("there twice: {line}"));
        }
        samples.push(sample);
    }
    for (name, _) in types.iter().filter(|(_, kind)| *kind == "histogram") {
        histogram(name, &samples)?;
    }
    Ok(samples)
}

fn family<'a>(name: &'a str, types: &'a BTreeMap<String, String>) -> Option<&'a str> {
    if types.get(name).is_some_and(|kind| kind != "histogram") {
        return Some(name);
    }
    ["_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix))
        .find(|base| types.get(*base).is_some_and(|kind| kind == "histogram"))
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        number => number.parse().ok().filter(|v: &f64| v.is_finite())?,
    };
    let (name, labels) = match series.split_once('{') {
        None => (series, Vec::new()),
        Some((name, rest)) => (name, labels(rest.strip_suffix('}')?)?),
    };
    is_name(name).then(|| Sample {
        name: name.into(),
        labels,
        value,
    })
}

fn labels(mut text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    loop {
        let (name, rest) = text.split_once("=\"")?;
        if !is_name(name) || labels.iter().any(|(n, _)| n == name) {
            return None;
        }
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    _ => return None,
                }),
                (_, c) => value.push(c),
            }
        };
        labels.push((name.to_owned(), value));
        match rest[end..].strip_prefix(',') {
            Some(more) => text = more,
            None if rest.len() == end => return Some(labels),
            None => return None,
        }
    }
}

/// Buckets grow, the last is +Inf and says the same as the count.
fn histogram(name: &str, samples: &[Sample]) -> Result<(), String> {
    let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in samples
        .iter()
        .filter(|s| s.name == format!("{name}_bucket"))
    {
        let (le, others): (Vec<_>, Vec<_>) = sample.labels.iter().partition(|(n, _)| n == "le");
        let bound = match le.first().map(|(_, v)| v.as_str()) {
            Some("+Inf") => f64::INFINITY,
            Some(number) => number.parse().map_err(|_| format!("{name}: le={number}"))?,
            None => return Err(format!("{name}: a bucket without le")),
        };
        buckets
            .entry(format!("{others:?}"))
            .or_default()
            .push((bound, sample.value));
    }
    for (labels, buckets) in &buckets {
        let grows = buckets
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let count = samples
            .iter()
            .find(|s| {
                let own: Vec<_> = s.labels.iter().collect();
                s.name == format!("{name}_count") && format!("{own:?}") == *labels
            })
            .map(|s| s.value);
        let last = buckets.last().copied();
        if !grows || last.map(|b| b.0) != Some(f64::INFINITY) || last.map(|b| b.1) != count {
            return Err(format!("{name}{labels} does not add up"));
        }
    }
    Ok(())
}
