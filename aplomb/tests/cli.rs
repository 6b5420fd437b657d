//! The command line where no daemon is needed, as a user calls it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};

fn aplomb(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aplomb"));
    let command = command.args(arguments).stdin(Stdio::null());
    command
        .env_remove("APLOMB_ADMIN")
        .env_remove("APLOMB_TOKEN")
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A file of this text, in a folder that goes with the test.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("site.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

const GOOD: &str = r#"
[[pool]]
name = "web"
backends = [{ address = "127.0.0.1:9" }]

[[service]]
name = "shop"
listen = "http://127.0.0.1:8080"
routes = [{ pool = "web" }]
"#;

#[test]
fn a_good_file_is_in_order() {
    let (_dir, path) = file(GOOD);
    let output = aplomb(&["check", "-c", path.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let expected = "is in order: 1 service, 1 pool, 1 backend.\n";
    assert!(printed(&output).ends_with(expected), "{}", printed(&output));
}

#[test]
fn all_errors_are_shown_with_their_place() {
    let text = GOOD.replace("backends", "backend").replace("8080", "80800");
    let (_dir, path) = file(&text);
    let output = aplomb(&["check", "-c", path.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    let said = said(&output);
    for expected in [
        "site.toml:4:1",
        "did you mean `backends`?",
        "site.toml:8:",
        "^^^^^",
        "not a port",
    ] {
        assert!(said.contains(expected), "{expected} is missing:\n{said}");
    }

    let output = aplomb(&["check", "--json", "-c", path.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["problems"].as_array().unwrap().len() >= 2, "{json}");
    assert_eq!(json["problems"][1]["line"], 4, "{json}");
}

#[test]
fn a_warning_is_shown_and_all_is_well() {
    let text = format!(
        "{GOOD}\n[[pool]]\nname = \"idle\"\nbackends = [{{ address = \"127.0.0.1:9\" }}]\n"
    );
    let (_dir, path) = file(&text);
    let output = aplomb(&["check", "-c", path.to_str().unwrap()]);
    assert_eq!(code(&output), 0);
    assert!(said(&output).contains("idle"), "{}", said(&output));
}

#[test]
fn a_missing_file_is_an_error_of_its_own() {
    let output = aplomb(&["check", "-c", "/nonexistent/site.toml"]);
    assert_eq!(code(&output), 1);
    assert!(said(&output).contains("cannot read /nonexistent/site.toml"));
}

#[test]
fn an_absent_daemon_has_its_own_exit_code_and_advice() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    let admin = format!("unix:{}", socket.display());
    for arguments in [
        &["status"][..],
        &["top", "--plain", "--for", "1s"],
        &["backend", "drain", "web/127.0.0.1:80"],
        &["explain", "GET", "http://a/"],
        &["upgrade"],
        &["reload"],
        &["stop"],
        &["logs", "reopen"],
    ] {
        let all: Vec<&str> = ["--admin", &admin]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let output = aplomb(&all);
        assert_eq!(code(&output), 3, "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains("no such file. Is it running?"));
    }

    // A socket file that its daemon left behind.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let output = aplomb(&["status", "--admin", &admin]);
    assert_eq!(code(&output), 3);
    assert!(
        said(&output).contains("nobody listens"),
        "{}",
        said(&output)
    );

    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = aplomb(&["status", "--admin", &format!("http://{port}")]);
    assert_eq!(code(&output), 3);
    assert!(
        said(&output).contains("connection refused"),
        "{}",
        said(&output)
    );
}

#[test]
fn nonsense_is_a_usage_error() {
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["status", "--admin", "ftp://x"],
        &["backend", "drain"],
        &["backend", "drain", "web"],
        &["backend", "weight", "web/127.0.0.1:80", "70000"],
        &["backend", "drain", "web/127.0.0.1:80", "--timeout", "5"],
        &["explain"],
        &["explain", "GET"],
        &["explain", "GET", "/", "--header", "nonsense"],
        &["lab", "http", "--load", "100000"],
        &["top", "--interval", "1ms"],
        &["status", "--token-file", "/nonexistent/token"],
    ] {
        let output = aplomb(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", said(&output));
        assert!(!said(&output).is_empty());
    }
}

#[test]
fn completions_manual_and_schema_are_made() {
    for shell in ["bash", "zsh", "fish"] {
        let output = aplomb(&["completions", shell]);
        assert_eq!(code(&output), 0);
        assert!(printed(&output).contains("drain"), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("man");
    let output = aplomb(&["man", "--out", out.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    for page in ["aplomb.1", "aplomb-status.1", "aplomb-backend-drain.1"] {
        let text = std::fs::read_to_string(out.join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
    let schema: serde_json::Value = serde_json::from_slice(&aplomb(&["schema"]).stdout).unwrap();
    assert!(schema["properties"]["pool"].is_object());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aplomb"))
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = said(&output);
    assert!(!said.contains("panicked") && said.is_empty(), "{said}");
}
