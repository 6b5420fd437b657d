//! Builds the XDP program from the crate `xdp` into the object that is committed beside it, or checks that the
//! committed one is what the source makes.
//!
//! The object must not depend on where it is built: paths are replaced, debug information but BTF is taken out, and
//! the compiler is Debian's of one version (`scripts/setup.sh bpf`). BPF's linker writes BTF, by which the kernel
//! checks functions one by one and user space finds the maps.

use crate::Result;
use clap::Args;
use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What is to be done with the object.
#[derive(Args)]
pub(crate) struct Options {
    /// Build it elsewhere and compare with the committed one
    #[arg(long)]
    check: bool,
}

/// The compiler: it has core's source beside it, and a version that all share.
const RUSTC: &str = "/usr/bin/rustc";
/// The kernel's machine.
const TARGET: &str = "bpfel-unknown-none";
/// What takes the debug information out.
const OBJCOPY: &str = "llvm-objcopy-22";

/// Builds the object.
///
/// # Errors
/// If a tool is missing or fails, or, with `check`, if the object is another.
pub(crate) fn run(options: &Options) -> Result {
    let root = crate::root();
    let committed = root.join("xdp/aplomb-xdp.bpf.o");
    let built = build("aplomb-xdp")?;
    let bytes = fs::read(&built).map_err(|error| format!("{}: {error}", built.display()))?;
    if !options.check {
        fs::write(&committed, &bytes)
            .map_err(|error| format!("{}: {error}", committed.display()))?;
        println!("{}: {} bytes", committed.display(), bytes.len());
        return Ok(());
    }
    let old = fs::read(&committed).map_err(|error| format!("{}: {error}", committed.display()))?;
    if old != bytes {
        return Err(format!(
            "{} is not what the source makes; build it with `cargo xtask bpf` (compare with {})",
            committed.display(),
            built.display()
        ));
    }
    println!("{} is what the source makes", committed.display());
    Ok(())
}

/// Compiles and strips one of the crate's programs. Where the result is.
pub(crate) fn build(name: &str) -> Result<PathBuf> {
    let root = &crate::root();
    let target = root.join("target/bpf");
    let home = env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    let flags = [
        "-Cdebuginfo=2".to_owned(),
        "-Clinker=bpf-linker".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        "-Ctarget-cpu=v3".to_owned(),
        format!("--remap-path-prefix={}=/aplomb", root.display()),
        format!("--remap-path-prefix={}=/cargo", home.display()),
    ];
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root)
        .args(["build", "--quiet", "--locked", "--release", "--package=xdp"])
        .args(["--features=kernel", "-Zbuild-std=core"])
        .arg(format!("--bin={name}"))
        .arg(format!("--target={TARGET}"))
        .env("RUSTC", RUSTC)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTUP_TOOLCHAIN");
    tool(&mut cargo)?;
    let linked = target.join(TARGET).join("release").join(name);
    let stripped = target.join(format!("{name}.bpf.o"));
    tool(
        Command::new(OBJCOPY)
            .args(["--strip-debug".as_ref(), linked.as_os_str()])
            .arg(&stripped),
    )?;
    Ok(stripped)
}

/// Runs a command to its end.
fn tool(command: &mut Command) -> Result {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(OsStr::new("?"))
        .display()
        .to_string();
    let status = command.status().map_err(|error| {
        format!("{name}: {error} (scripts/setup.sh bpf installs what is needed)")
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{name}: {status}"))
    }
}
