//! The program as it is called: as `ipvsadm`, `ipvsadm-save` or `ipvsadm-restore`, or as `aplomb ipvsadm`.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::Parser;
use control::ipvs::Seed;

use super::{Keeper, Output, System, remote::Remote, run};
use crate::cli::client::AdminArgs;

/// Where the daemon is, of an environment that says it: `ipvsadm`'s command line has no room for it.
#[derive(Parser)]
struct Surroundings {
    #[command(flatten)]
    admin: AdminArgs,
}

/// The arguments for [`main`], if the program was called by one of ipvsadm's names, or its first argument is that.
/// The first of them is the name that messages have.
pub(crate) fn called_as(arguments: &[String]) -> Option<Vec<String>> {
    let (program, rest) = arguments.split_first()?;
    let name = Path::new(program).file_name()?.to_str()?;
    let verb = match name {
        "ipvsadm" => None,
        "ipvsadm-save" => Some("-S"),
        "ipvsadm-restore" => Some("-R"),
        _ if rest.first().is_some_and(|word| word == "ipvsadm") => return Some(rest.to_vec()),
        _ => return None,
    };
    let program = match verb {
        None => program.clone(),
        Some(_) => "ipvsadm".to_owned(),
    };
    let verb = verb.map(str::to_owned);
    Some(
        std::iter::once(program)
            .chain(verb)
            .chain(rest.iter().cloned())
            .collect(),
    )
}

/// Runs it: `arguments` begin with the name it was called by.
pub(crate) fn main(arguments: &[String], admin: Option<&AdminArgs>) -> ExitCode {
    let Some((program, rest)) = arguments.split_first() else {
        return ExitCode::from(255);
    };
    let own;
    let admin = match admin {
        Some(admin) => admin,
        None => match Surroundings::try_parse_from(["ipvsadm"]) {
            Ok(surroundings) => {
                own = surroundings.admin;
                &own
            }
            Err(error) => {
                eprint!("{error}");
                return ExitCode::from(2);
            }
        },
    };
    let mut keeper = match Remote::new(admin) {
        Ok(remote) => remote,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let keeper: &mut dyn Keeper = &mut keeper;
    let stdin = &mut io::stdin().lock();
    let output = run(program, rest, stdin, &System, keeper, Seed::default());
    write(&output)
}

/// Writes what it came to. A reader that has gone is no error.
fn write(output: &Output) -> ExitCode {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(output.stdout.as_bytes())
        .and_then(|()| stdout.flush());
    // If even this cannot be written there is nobody to tell.
    let _ = io::stderr().lock().write_all(output.stderr.as_bytes());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "cannot write to standard output: {error}");
            ExitCode::from(1)
        }
        _ => ExitCode::from(output.code),
    }
}

#[cfg(test)]
mod tests {
    use super::called_as;

    #[test]
    fn its_names_are_known() {
        let called = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            called_as(&words).map(|words| words.join(" "))
        };
        for (line, comes_to) in [
            ("/sbin/ipvsadm -Ln", Some("/sbin/ipvsadm -Ln")),
            ("ipvsadm", Some("ipvsadm")),
            ("/usr/sbin/ipvsadm-save -n", Some("ipvsadm -S -n")),
            ("ipvsadm-restore", Some("ipvsadm -R")),
            ("aplomb ipvsadm -Ln", Some("ipvsadm -Ln")),
            ("aplomb status", None),
            ("aplomb", None),
        ] {
            assert_eq!(called(line).as_deref(), comes_to, "{line}");
        }
    }
}
