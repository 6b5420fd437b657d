//! Code named in a page: is it in the sources? A search for definitions, not a compiler: it finds
//! the names that a rename left behind.

use super::files_below;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands before a name where it is defined.
const DEFINES: &[&str] = &[
    "fn ",
    "struct ",
    "enum ",
    "trait ",
    "mod ",
    "type ",
    "const ",
    "static ",
    "macro_rules! ",
];

/// The names and files in backticks in `text` that `root` does not have, a sentence each.
pub(super) fn missing(root: &Path, text: &str) -> Vec<String> {
    // Between every second pair of backticks is code.
    let spans = text.split('`').skip(1).step_by(2);
    spans.filter_map(|span| problem(root, span)).collect()
}

fn problem(root: &Path, span: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-/.:".contains(c);
    let name = span.strip_suffix("()").unwrap_or(span);
    if !name.chars().all(plain) {
        return None;
    }
    if let Some((member, path)) = name.split_once("::") {
        let sources = root.join(member).join("src");
        let known = !sources.is_dir() || is_defined(&sources, path);
        return (!known).then(|| format!("`{span}` is not in the sources"));
    }
    let (top, _) = name.split_once('/')?;
    let known = top.is_empty() || !root.join(top).is_dir() || root.join(name).exists();
    (!known).then(|| format!("`{span}` does not exist"))
}

/// Follows the modules of `path` as far as they are files, then looks for the rest within.
fn is_defined(sources: &Path, path: &str) -> bool {
    let mut folder = sources.to_path_buf();
    let mut scope = files_below(sources);
    for name in path.split("::") {
        let deeper = folder.join(name);
        let file = folder.join(format!("{name}.rs"));
        if file.is_file() || deeper.is_dir() {
            scope = files_below(&deeper);
            scope.extend(file.is_file().then_some(file));
            folder = deeper;
        } else if !scope.iter().any(|file| defines(file, name)) {
            return false;
        }
    }
    true
}

fn defines(file: &PathBuf, name: &str) -> bool {
    let Ok(text) = fs::read_to_string(file) else {
        return false;
    };
    // A variant or a re-exported type has no keyword before it, but it is a word of its own.
    let variant = name.starts_with(|c: char| c.is_ascii_uppercase());
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let whole = !after.starts_with(word) && !before.ends_with(word);
        whole && (variant || DEFINES.iter().any(|keyword| before.ends_with(keyword)))
    })
}
