//! The documentation check: relative links lead to files and headings that exist, and code named in
//! ARCHITECTURE.md (`crate::module::name`, `crate/src/file.rs`) is there.
//!
//! [`links`] reads Markdown, [`names`] reads sources.

mod links;
mod names;

use crate::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// Checks this workspace's documentation.
pub(crate) fn run() -> Result {
    let pages = check(&crate::root())?;
    println!("docs: {pages} pages, every link and name leads somewhere");
    Ok(())
}

/// Checks all pages of the project in `root`: their number, or what is wrong, a line each.
fn check(root: &Path) -> Result<usize> {
    let pages = pages(root);
    let mut wrong = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(page).map_err(|e| format!("{}: {e}", page.display()))?;
        let shown = page.strip_prefix(root).unwrap_or(page).display();
        let complain = |what: String| format!("{shown}: {what}");
        wrong.extend(links::broken(page, &text).into_iter().map(complain));
        if page.ends_with("ARCHITECTURE.md") {
            wrong.extend(names::missing(root, &text).into_iter().map(complain));
        }
    }
    if wrong.is_empty() {
        return Ok(pages.len());
    }
    Err(format!(
        "documentation leads nowhere:\n  {}",
        wrong.join("\n  ")
    ))
}

/// The Markdown pages in the project's root, of the benchmarks, and anywhere below `docs`.
fn pages(root: &Path) -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = files_in(root);
    pages.extend(files_in(&root.join("bench")));
    pages.extend(files_below(&root.join("docs")));
    pages.retain(|path| path.extension().is_some_and(|e| e == "md"));
    pages.sort();
    pages
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    entries(folder)
        .into_iter()
        .filter(|p| p.is_file())
        .collect()
}

/// All files below `folder`; none when there is no such folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = files_in(folder);
    for path in entries(folder) {
        if path.is_dir() {
            found.extend(files_below(&path));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_project_s_pages_lead_somewhere() {
        if let Err(message) = check(&crate::root()) {
            panic!("{message}");
        }
    }

    #[test]
    fn broken_pages_are_named() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let put = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap_or(dir.path()))?;
            fs::write(path, text)
        };
        put(
            "control/src/engine/mod.rs",
            "pub fn handle_event() {}\npub enum Action { Swap }",
        )?;
        put(
            "README.md",
            "# One\n[a](docs/a.md) [b](docs/a.md#first-steps) [c](#one)",
        )?;
        put("docs/a.md", "## First steps!\n[up](../README.md)")?;
        put(
            "ARCHITECTURE.md",
            "`control::engine::handle_event`, `control::engine::Action::Swap`",
        )?;
        assert_eq!(check(dir.path()), Ok(3));

        put("docs/a.md", "## Second steps\n[up](../READM.md)")?;
        put(
            "ARCHITECTURE.md",
            "`control::engine::handle`, `control/src/engine/no.rs`",
        )?;
        let message = check(dir.path()).err().unwrap_or_default();
        let lines: Vec<&str> = message.lines().skip(1).map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "ARCHITECTURE.md: `control::engine::handle` is not in the sources",
                "ARCHITECTURE.md: `control/src/engine/no.rs` does not exist",
                "README.md: docs/a.md has no heading #first-steps",
                "docs/a.md: link to ../READM.md leads nowhere",
            ]
        );
        Ok(())
    }
}
