//! Broken configurations and what is said of them.
//!
//! Each file of `config_corpus/` holds cases: a title behind `==`, the configuration, and behind `--` every error
//! with its line, column, the column behind its end, and every help, note and related place. Warnings are
//! compared where a case lists one. `APLOMB_BLESS=1` writes what is said now; read it before it is kept.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "the tables are files")]

use std::{fmt::Write as _, fs, path::Path};

use control::config::{Diagnostic, Severity, Sources, Style, parse};

struct Case {
    title: String,
    config: String,
    expected: String,
}

/// A token, and nothing else.
struct Secrets;

impl Sources for Secrets {
    fn env(&self, name: &str) -> Result<String, String> {
        match name {
            "TOKEN" => Ok("0123456789abcdef".into()),
            "SHORT" => Ok("short".into()),
            _ => Err(format!("the environment variable {name} is not set")),
        }
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        Err(format!("{}: no such file", path.display()))
    }
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for block in text.split("\n== ").skip(1) {
        let (title, rest) = block.split_once('\n').unwrap();
        let (config, expected) = rest.split_once("--\n").unwrap_or((rest, ""));
        cases.push(Case {
            title: title.into(),
            config: config.into(),
            expected: expected.trim_end().into(),
        });
    }
    cases
}

fn describe(diagnostics: &[Diagnostic], with_warnings: bool) -> String {
    let mut out = String::new();
    for d in diagnostics {
        let severity = match d.severity {
            Severity::Error => "error",
            Severity::Warning if with_warnings => "warning",
            Severity::Warning => continue,
        };
        let (start, end) = (d.start, d.end);
        assert_eq!(start.line, end.line, "a caret is on one line");
        let at = format!("{}:{}-{}", start.line, start.column, end.column);
        writeln!(out, "{at} {severity}: {}", d.message).unwrap();
        for related in &d.related {
            let (start, end) = (related.start, related.end);
            let at = format!("{}:{}-{}", start.line, start.column, end.column);
            writeln!(out, "    {at} {}", related.message).unwrap();
        }
        for help in &d.help {
            writeln!(out, "    help: {help}").unwrap();
        }
        for note in &d.notes {
            writeln!(out, "    note: {note}").unwrap();
        }
    }
    out.trim_end().into()
}

/// What is said of a configuration, errors only unless warnings are asked for.
fn said(config: &str, with_warnings: bool) -> String {
    match parse(config, "test.toml", &Secrets) {
        Ok(admitted) => describe(&admitted.warnings.problems, with_warnings),
        Err(diagnostics) => {
            assert!(!diagnostics.render(Style::Plain).is_empty());
            describe(&diagnostics.problems, with_warnings)
        }
    }
}

#[test]
fn every_error_is_said_with_its_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_corpus");
    let bless = std::env::var_os("APLOMB_BLESS").is_some();
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    let (mut count, mut failed) = (0, Vec::new());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let mut blessed = text.split("\n== ").next().unwrap().to_owned();
        for case in cases(&text) {
            count += 1;
            let with_warnings =
                case.title.starts_with("warning") || case.expected.contains(" warning: ");
            let said = said(&case.config, with_warnings);
            if said != case.expected {
                failed.push(format!(
                    "{}: {}\nexpected:\n{}\nsaid:\n{said}\n",
                    file.display(),
                    case.title,
                    case.expected
                ));
            }
            let end = if case.config.is_empty() || case.config.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            write!(
                blessed,
                "\n== {}\n{}{end}--\n{said}\n",
                case.title, case.config
            )
            .unwrap();
        }
        if bless {
            fs::write(&file, blessed).unwrap();
        }
    }
    assert!(count >= 100, "{count} cases");
    assert!(bless || failed.is_empty(), "{}", failed.join("\n"));
}
