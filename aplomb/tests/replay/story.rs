//! Stories: what was done at a site with IPVS, and what came of it. One step a line:
//!
//! ```text
//! ## a title: a new site begins
//! $ -A -t 192.168.1.100:80 -s rr      ipvsadm is called
//! sysctl expire_nodest_conn 1         that of IPVS
//! sleep 200                           seconds go by
//! visit 3 172.16.0.1 80 = 3 2 1       as many connections from there to the virtual address's port, one after another,
//!                                     each closed before the next: which server answered each
//! hold a,b 192.168.1.10 80 = 3 2      connections that stay open, by names
//! talk a,b = 3 -                      something is sent on each: who answered
//! close a, reset a                    the client closes, or aborts
//! knock a 192.168.1.10 80 = 3         a connection to a server that says nothing
//! refuse a                            the server resets what knocked
//! ask a 192.168.1.10 53 = 3           a datagram and its answer
//! list -Ln                            the lines of services and servers that ipvsadm prints are those that follow
//! > -> 10.0.0.11:80 Masq 1 0 3
//! connections                         those of `-Lnc`, in any order; `*` is a port that does not matter
//! > TCP 01:59 TIME_WAIT 172.16.0.1:* 192.168.1.100:80 10.0.0.11:80
//! ```
//!
//! Answers: the server's number; `R`, refused; `-`, nothing; `X`, reset by the balancer's own stack. A client is an
//! address, with a port if that matters.

/// A story.
pub(crate) struct Story {
    pub(crate) title: String,
    pub(crate) steps: Vec<Step>,
}

/// A step of one.
pub(crate) struct Step {
    /// Its line in the file.
    pub(crate) line: usize,
    pub(crate) verb: String,
    pub(crate) words: Vec<String>,
    /// What came of it.
    pub(crate) answers: Vec<String>,
    /// The lines that follow.
    pub(crate) rows: Vec<String>,
}

/// Reads a file of them.
pub(crate) fn stories(text: &str) -> Vec<Story> {
    let mut all: Vec<Story> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let words =
            |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        if let Some(title) = line.strip_prefix("## ") {
            all.push(Story {
                title: title.to_owned(),
                steps: Vec::new(),
            });
            continue;
        }
        let Some(story) = all
            .last_mut()
            .filter(|_| !line.is_empty() && !line.starts_with('#'))
        else {
            continue;
        };
        if let Some(row) = line.strip_prefix("> ") {
            let step = story.steps.last_mut().expect("a row follows a step");
            step.rows.push(words(row).join(" "));
            continue;
        }
        let (what, answers) = line.split_once(" = ").unwrap_or((line, ""));
        let mut what = words(what).into_iter();
        story.steps.push(Step {
            line: at + 1,
            verb: what.next().expect("the line is not empty"),
            words: what.collect(),
            answers: words(answers),
            rows: Vec::new(),
        });
    }
    all
}

/// The lines of services and servers of a listing, without the width of its columns.
pub(crate) fn rows(listing: &str) -> Vec<String> {
    let lines = listing.lines().map(str::trim_start);
    let is_row = |line: &&str| {
        ["TCP", "UDP"].iter().any(|p| line.starts_with(p))
            || line
                .strip_prefix("-> ")
                .is_some_and(|rest| rest.starts_with(char::is_numeric))
    };
    lines
        .filter(is_row)
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// Whether these are the connections: each of one has its like among the other, but for `slack` seconds of the time that
/// is left, and for ports written `*`.
pub(crate) fn same_connections(expected: &[String], found: &[String], slack: u64) -> bool {
    let mut left: Vec<&String> = found.iter().collect();
    for wanted in expected {
        let Some(at) = left
            .iter()
            .position(|row| same_connection(wanted, row, slack))
        else {
            return false;
        };
        let _ = left.swap_remove(at);
    }
    left.is_empty()
}

fn same_connection(expected: &str, found: &str, slack: u64) -> bool {
    let (a, b): (Vec<_>, Vec<_>) = (expected.split(' ').collect(), found.split(' ').collect());
    let ([pro, time, state, client, rest @ ..], [pro2, time2, state2, client2, rest2 @ ..]) =
        (&*a, &*b)
    else {
        return false;
    };
    let seconds = |time: &str| -> Option<u64> {
        let (minutes, seconds) = time.split_once(':')?;
        Some(minutes.parse::<u64>().ok()? * 60 + seconds.parse::<u64>().ok()?)
    };
    let near = match (seconds(time), seconds(time2)) {
        (Some(a), Some(b)) => a.abs_diff(b) <= slack,
        _ => false,
    };
    let from = match client.strip_suffix(":*") {
        Some(ip) => client2
            .rsplit_once(':')
            .is_some_and(|(ip2, port)| ip == ip2 && port != "0"),
        None => client == client2,
    };
    near && from && (pro, state, rest) == (pro2, state2, rest2)
}
