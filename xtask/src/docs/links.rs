//! Relative links of a Markdown page, and the headings they may point at.

use std::fs;
use std::path::Path;

/// What is wrong with the relative links of `page`, whose content is `text`.
pub(super) fn broken(page: &Path, text: &str) -> Vec<String> {
    let folder = page.parent().unwrap_or(page);
    targets(text)
        .filter_map(|target| problem(page, folder, target))
        .collect()
}

fn problem(page: &Path, folder: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        page.to_path_buf()
    } else {
        folder.join(file)
    };
    if !path.exists() {
        return Some(format!("link to {target} leads nowhere"));
    }
    if heading.is_empty() || path.extension().is_none_or(|e| e != "md") {
        return None;
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let known = lines_outside_code(&there).any(|line| anchor(line).as_deref() == Some(heading));
    (!known).then(|| format!("{file} has no heading #{heading}"))
}

/// The targets of `[text](target)` and `[text](target "title")`, outside code blocks.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    lines_outside_code(text).flat_map(|line| {
        line.split("](").skip(1).filter_map(|rest| {
            let target = rest.split(')').next()?;
            target.split_whitespace().next()
        })
    })
}

fn lines_outside_code(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// The anchor that a heading's line gets when it is rendered; `None` for other lines.
fn anchor(line: &str) -> Option<String> {
    let title = line.trim_start_matches('#');
    let title = (title.len() < line.len()).then(|| title.strip_prefix(' '))??;
    let kept = title
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    Some(
        kept.map(|c| {
            if c == ' ' {
                '-'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_become_anchors() {
        assert_eq!(
            anchor("## First steps, `again`!").as_deref(),
            Some("first-steps-again")
        );
        assert_eq!(anchor("text # no heading"), None);
        assert_eq!(anchor("#!/bin/sh"), None);
    }

    #[test]
    fn targets_are_found_outside_code_only() {
        let text = "[a](x.md) and ![b](y.png \"title\")\n```\n[c](z.md)\n```\n[d](w.md)";
        assert_eq!(targets(text).collect::<Vec<_>>(), ["x.md", "y.png", "w.md"]);
    }
}
