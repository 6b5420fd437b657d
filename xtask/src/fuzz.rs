//! Runs the fuzz targets of `fuzz/` for a bounded number of executions, on the stable toolchain.
//!
//! libFuzzer only needs the compiler's coverage counters, which stable rustc can be asked for as an
//! LLVM pass; the nightly flags of cargo-fuzz add address sanitizing, which safe code lives without.
//! Seeds are committed in `fuzz/corpus/TARGET`; what a run finds on top goes to `fuzz/target/corpus`,
//! an input that breaks a target to `fuzz/artifacts`.

use crate::Result;
use clap::Args;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Coverage feedback for libFuzzer, and comparisons, so that it finds magic words.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

/// Memory after which a target counts as broken: parsers bound what they keep.
const RSS_LIMIT_MB: u32 = 512;

/// Seconds after which a single input counts as hanging.
const INPUT_TIMEOUT_S: u32 = 10;

#[derive(Args)]
pub(crate) struct Options {
    /// Only this target
    target: Option<String>,
    /// Executions of each target
    #[arg(long, default_value_t = 100_000)]
    runs: u64,
    /// Longest input, in bytes
    #[arg(long, default_value_t = 4096)]
    max_len: u32,
    /// At most so many seconds for each target
    #[arg(long, default_value_t = 120)]
    seconds: u32,
}

/// Builds all targets and runs them, or only the one named.
///
/// # Errors
/// When a target does not build, breaks on an input, or shows no coverage feedback.
pub(crate) fn run(options: &Options) -> Result {
    let folder = crate::root().join("fuzz");
    let targets = chosen(&folder, options.target.as_deref())?;
    let built = build(&folder, &targets)?;
    for target in &targets {
        let outcome = fuzz(&folder, &built.join(target), target, options)?;
        println!("fuzz: {target}: {outcome}");
    }
    Ok(())
}

/// The targets named in the manifest, or the one that was asked for.
fn chosen(folder: &Path, only: Option<&str>) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Manifest {
        bin: Vec<Bin>,
    }
    #[derive(Deserialize)]
    struct Bin {
        name: String,
    }
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let manifest: Manifest = toml::from_str(&text).map_err(|e| format!("fuzz/Cargo.toml: {e}"))?;
    let all: Vec<String> = manifest.bin.into_iter().map(|bin| bin.name).collect();
    let Some(only) = only else {
        return Ok(all);
    };
    if !all.iter().any(|name| name == only) {
        return Err(format!(
            "no fuzz target {only}; there are {}",
            all.join(", ")
        ));
    }
    Ok(vec![only.to_owned()])
}

/// Builds `targets` with coverage; the folder with the programs. Naming the platform keeps the
/// flags away from build scripts and macros.
fn build(folder: &Path, targets: &[String]) -> Result<PathBuf> {
    let host = host()?;
    // The versions that the product is built with; what only fuzzing needs is added to them, so not `--locked`.
    let (from, to) = (folder.join("../Cargo.lock"), folder.join("Cargo.lock"));
    fs::copy(&from, &to).map_err(|e| format!("{}: {e}", from.display()))?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--target", &host]);
    for target in targets {
        cargo.args(["--bin", target]);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    // Its own folder whatever the caller's environment says: other flags, other objects.
    cargo
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .current_dir(folder);
    let status = cargo.status().map_err(|e| format!("cargo: {e}"))?;
    if !status.success() {
        return Err("fuzz targets do not build".into());
    }
    Ok(folder.join("target").join(host).join("release"))
}

fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .map_err(|e| format!("rustc: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned)
        .ok_or_else(|| "rustc -vV names no host".into())
}

fn fuzz(folder: &Path, program: &Path, target: &str, options: &Options) -> Result<Stats> {
    let finds = folder.join("target/corpus").join(target);
    let seeds = folder.join("corpus").join(target);
    let artifacts = folder.join("artifacts");
    for wanted in [&finds, &seeds, &artifacts] {
        fs::create_dir_all(wanted).map_err(|e| format!("{}: {e}", wanted.display()))?;
    }
    let output = Command::new(program)
        .args([&finds, &seeds])
        .arg(format!("-runs={}", options.runs))
        .arg(format!("-max_len={}", options.max_len))
        .arg(format!("-max_total_time={}", options.seconds))
        .arg(format!("-rss_limit_mb={RSS_LIMIT_MB}"))
        .arg(format!("-timeout={INPUT_TIMEOUT_S}"))
        .arg(format!(
            "-artifact_prefix={}/{target}-",
            artifacts.display()
        ))
        .output()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    judge(target, &output)
}

fn judge(target: &str, output: &Output) -> Result<Stats> {
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{target} broke:\n{}", what_happened(&log)));
    }
    let stats = Stats::read(&log);
    stats.ok_or_else(|| format!("{target}: no coverage feedback: it was built without counters"))
}

/// The panic's own words, and where the input is; else the end of the log.
fn what_happened(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let end = &lines[lines.len().saturating_sub(10)..];
    let Some(panic) = lines.iter().position(|line| line.contains("panicked at")) else {
        return end.join("\n");
    };
    let words = lines[panic..]
        .iter()
        .take_while(|line| !line.starts_with("stack backtrace"));
    let written = end.iter().filter(|line| line.contains("Test unit written"));
    words
        .take(20)
        .chain(written)
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}

/// What libFuzzer says of a run that went well.
#[derive(Debug, PartialEq)]
struct Stats {
    runs: u64,
    /// Places of the code reached by the corpus before, and after the run.
    cover_before: u64,
    cover_after: u64,
    /// Distinct behaviours: places with how often they ran, and comparisons.
    features: u64,
}

impl Stats {
    /// Reads a log; `None` when it shows no coverage.
    fn read(log: &str) -> Option<Stats> {
        let line = |mark: &str| log.lines().find(|l| l.starts_with('#') && l.contains(mark));
        let (first, last) = (line("INITED")?, line("DONE")?);
        Some(Stats {
            runs: figure(last, "#")?,
            cover_before: figure(first, "cov: ")?,
            cover_after: figure(last, "cov: ")?,
            features: figure(last, "ft: ")?,
        })
    }
}

/// The number that follows `mark` in `line`.
fn figure(line: &str, mark: &str) -> Option<u64> {
    let (_, rest) = line.split_once(mark)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

impl std::fmt::Display for Stats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Stats {
            runs,
            cover_before,
            cover_after,
            features,
        } = self;
        write!(
            f,
            "{runs} executions, cover {cover_before} -> {cover_after}, features {features}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 13 ft: 14 corp: 1/1b exec/s: 0 rss: 27Mb\n\
                   #5\tNEW    cov: 16 ft: 16 corp: 2/4b\n\
                   #300000\tDONE   cov: 118 ft: 301 corp: 90/2Kb lim: 1420 exec/s: 300000 rss: 40Mb\n";
        let stats = Stats {
            runs: 300_000,
            cover_before: 13,
            cover_after: 118,
            features: 301,
        };
        assert_eq!(Stats::read(log), Some(stats));
    }

    #[test]
    fn a_log_without_coverage_is_refused() {
        let log = "#2\tINITED exec/s: 0 rss: 27Mb\n#300\tDONE   exec/s: 0 rss: 40Mb\n";
        assert_eq!(Stats::read(log), None);
    }
}
