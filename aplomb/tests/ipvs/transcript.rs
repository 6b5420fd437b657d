//! Transcripts as data: `$ ipvsadm ARGUMENTS`, what it printed, `[stderr]` and what it printed there, `[rc=CODE]`.

/// One call of the original.
pub(crate) struct Call {
    pub(crate) arguments: Vec<String>,
    pub(crate) stdin: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: u8,
}

/// All calls of ipvsadm in a transcript; calls of other programs are passed over.
pub(crate) fn calls(text: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else {
            continue;
        };
        let (mut stdout, mut stderr, mut in_stderr) = (String::new(), String::new(), false);
        for line in lines.by_ref() {
            if let Some(code) = line.strip_prefix("[rc=") {
                let code = code.trim_end_matches(']').parse().unwrap();
                if let Some((arguments, stdin)) = parse(command) {
                    calls.push(Call {
                        arguments,
                        stdin,
                        stdout,
                        stderr,
                        code,
                    });
                }
                break;
            }
            if line == "[stderr]" {
                in_stderr = true;
                continue;
            }
            let stream = if in_stderr { &mut stderr } else { &mut stdout };
            stream.push_str(line);
            stream.push('\n');
        }
    }
    calls
}

fn parse(command: &str) -> Option<(Vec<String>, String)> {
    let (command, stdin) = match command.split_once("  # stdin: ") {
        Some((command, stdin)) => (command, stdin),
        None => (command, ""),
    };
    let stdin = stdin
        .replace("\\n", "\n")
        .replace("\\t", "\t")
        .replace("\\r", "\r");
    let stdin = if stdin.is_empty() {
        stdin
    } else {
        stdin + "\n"
    };
    let mut words = split(command);
    let verb = match words.remove(0).as_str() {
        "ipvsadm" => None,
        "ipvsadm-save" => Some("-S"),
        _ => return None,
    };
    words.splice(0..0, verb.map(str::to_owned));
    Some((words, stdin))
}

/// Words as a shell splits them, of which some are in single quotes.
fn split(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in command.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                let _ = word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What was printed, as text.
pub(crate) struct Printed(pub(crate) String);

impl std::ops::Deref for Printed {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Call {
    /// What was printed, without services by firewall mark and their servers.
    pub(crate) fn without_marks(&self) -> Printed {
        let mut out = String::new();
        let mut marked = false;
        for line in self.stdout.lines() {
            if !line.starts_with("  ->") {
                marked = line.starts_with("FWM ")
                    || line.starts_with("-A -f ")
                    || line.starts_with("-a -f ");
            }
            if !marked {
                out.push_str(line);
                out.push('\n');
            }
        }
        Printed(out)
    }
}
