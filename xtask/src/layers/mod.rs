//! The layer check: a crate exists where the compiler can enforce a rule, and this holds the rules.
//!
//! [`table`] says what each crate may depend on and what it must never reach; [`workspace`] reads
//! the manifests and the lock file; [`check`] compares the two and names every arrow that is wrong.

mod table;
mod workspace;

use crate::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use table::{External, Rule};
use workspace::{Crate, Lock};

/// Checks this workspace.
pub(crate) fn run() -> Result {
    let crates = check_workspace(&crate::root())?;
    println!("layers: {crates} crates, every arrow allowed");
    Ok(())
}

/// Checks the workspace in `root`; the number of crates seen, or all wrong arrows, a line each.
fn check_workspace(root: &Path) -> Result<usize> {
    let crates = workspace::crates(root)?;
    let lock = Lock::read(&root.join("Cargo.lock"))?;
    let mut wrong = check(&crates, &lock);
    wrong.extend(
        crates
            .iter()
            .filter_map(|member| unguarded(root, &member.name)),
    );
    if wrong.is_empty() {
        return Ok(crates.len());
    }
    Err(format!("layers broken:\n  {}", wrong.join("\n  ")))
}

/// Every wrong arrow of `crates`, one sentence each; none when the table holds.
fn check(crates: &[Crate], lock: &Lock) -> Vec<String> {
    let members: BTreeSet<&str> = crates.iter().map(|c| c.name.as_str()).collect();
    let mut wrong = Vec::new();
    for member in crates {
        let Some(rule) = table::rule(&member.name) else {
            wrong.push(format!(
                "{}: not in the layer table (xtask/src/layers/table.rs): say what it may depend on",
                member.name
            ));
            continue;
        };
        check_direct(member, rule, &members, &mut wrong);
        check_reached(member, rule, lock, &mut wrong);
    }
    wrong
}

fn check_direct(member: &Crate, rule: &Rule, members: &BTreeSet<&str>, wrong: &mut Vec<String>) {
    for dependency in &member.dependencies {
        let name = dependency.as_str();
        if members.contains(name) || table::rule(name).is_some() {
            if !rule.may.contains(&name) {
                wrong.push(format!("{} must not depend on {name}", member.name));
            }
            continue;
        }
        let refused = match rule.external {
            External::Any => false,
            External::Not(banned) => banned.contains(&name),
            External::Only(allowed) => !allowed.contains(&name),
        };
        if refused || rule.never.contains(&name) {
            wrong.push(format!("{} must not depend on {name}", member.name));
        }
    }
}

/// What a rule calls `never` may not come in through another crate either.
fn check_reached(member: &Crate, rule: &Rule, lock: &Lock, wrong: &mut Vec<String>) {
    let paths: BTreeMap<&str, String> = lock.reached(&member.name);
    for never in rule.never {
        if let Some(path) = paths.get(never)
            && !member.dependencies.contains(*never)
        {
            wrong.push(format!("{} must not reach {never}: {path}", member.name));
        }
    }
}

/// A pure crate without the lints that keep clocks and sockets of std out of it.
fn unguarded(root: &Path, member: &str) -> Option<String> {
    if !table::rule(member).is_some_and(|rule| rule.pure) {
        return None;
    }
    let bans = std::fs::read_to_string(root.join(member).join("clippy.toml")).unwrap_or_default();
    let absent: Vec<&str> = table::BANNED_IN_PURE
        .iter()
        .copied()
        .filter(|path| !bans.contains(path))
        .collect();
    let absent = absent.join(", ");
    (!absent.is_empty()).then(|| format!("{member}/clippy.toml must ban {absent}"))
}

#[cfg(test)]
mod tests;
