//! What the manifests and the lock file say, reduced to names.

use crate::Result;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::Command;

/// A member of the workspace and the names (not the renames) of all it depends on.
#[derive(Debug, PartialEq)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) dependencies: BTreeSet<String>,
}

/// The members of the workspace in `root`, from `cargo metadata`, which needs no network for this.
///
/// # Errors
/// When cargo cannot be run or refuses a manifest: its own words.
pub(super) fn crates(root: &Path) -> Result<Vec<Crate>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        dependencies: Vec<Dependency>,
    }
    #[derive(Deserialize)]
    struct Dependency {
        name: String,
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("cargo metadata: {e}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata: {e}"))?;
    let member = |package: Package| Crate {
        name: package.name,
        dependencies: package.dependencies.into_iter().map(|d| d.name).collect(),
    };
    Ok(metadata.packages.into_iter().map(member).collect())
}

/// Who depends on whom in `Cargo.lock`, by name; versions of one crate are taken together, and a
/// dependency for tests or another platform counts: what may not be reached is not reached at all.
#[derive(Debug, Default)]
pub(super) struct Lock(BTreeMap<String, Vec<String>>);

impl Lock {
    /// Reads the lock file at `path`.
    pub(super) fn read(path: &Path) -> Result<Lock> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Lock::parse(&text)
    }

    /// Understands the text of a lock file.
    pub(super) fn parse(text: &str) -> Result<Lock> {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            package: Vec<Package>,
        }
        #[derive(Deserialize)]
        struct Package {
            name: String,
            #[serde(default)]
            dependencies: Vec<String>,
        }
        let file: File = toml::from_str(text).map_err(|e| format!("Cargo.lock: {e}"))?;
        let mut edges: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for package in file.package {
            // An entry is "name", or "name version" where there are several versions.
            let names = package
                .dependencies
                .iter()
                .filter_map(|d| d.split(' ').next());
            edges
                .entry(package.name)
                .or_default()
                .extend(names.map(str::to_owned));
        }
        Ok(Lock(edges))
    }

    /// All that `name` reaches, each with a shortest way there ("a -> b -> c").
    pub(super) fn reached(&self, name: &str) -> BTreeMap<&str, String> {
        let mut found: BTreeMap<&str, String> = BTreeMap::new();
        let mut queue = VecDeque::from([(name.to_owned(), name.to_owned())]);
        while let Some((at, path)) = queue.pop_front() {
            for next in self.0.get(&at).into_iter().flatten() {
                if found.contains_key(next.as_str()) {
                    continue;
                }
                let path = format!("{path} -> {next}");
                let _ = found.insert(next, path.clone());
                queue.push_back((next.clone(), path));
            }
        }
        found
    }
}
