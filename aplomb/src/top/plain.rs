//! A line per look, where there is no terminal.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    Extras,
    frame::{Frame, VipRow},
    poller::Poller,
};
use crate::cli::{
    exit::{Outcome, print},
    table::{latency, rate},
};

/// How soon an end is noticed.
const STEP: Duration = Duration::from_millis(50);

/// Prints a line per interval until the end.
pub(super) fn run(
    poller: &mut Poller,
    interval: Duration,
    end: Option<Instant>,
    extras: &dyn Extras,
) -> Outcome {
    let mut next = Instant::now();
    loop {
        next += interval;
        while Instant::now() < next {
            if extras.is_over() || end.is_some_and(|end| Instant::now() >= end) {
                return Ok(());
            }
            thread::sleep(STEP.min(next.saturating_duration_since(Instant::now())));
        }
        print(&(line(&poller.look()?) + "\n"))?;
    }
}

/// One look in one line.
fn line(frame: &Frame) -> String {
    let sum =
        |of: fn(&super::frame::ServiceRow) -> f64| rate(frame.services.iter().map(of).sum::<f64>());
    let connections: u64 = frame.services.iter().map(|s| s.connections).sum();
    let quantile = |share| frame.quantile(share).map_or("-".into(), latency);
    let (up, all) = frame.up();
    let mut line = format!(
        "rate {}/s, errors {}/s, p50 {}, p99 {}, {connections} connections, {up} of {all} backends up",
        sum(|s| s.rate),
        sum(|s| s.error_rate),
        quantile(0.5),
        quantile(0.99),
    );
    if let Some(drops) = frame.kernel.as_deref().and_then(|k| k.split_once("; ")) {
        line += &format!("; kernel data plane: {}", drops.1);
    }
    // Both families of a vip are mostly the same thing.
    let mut vips: Vec<String> = frame.vips.iter().map(vip).collect();
    vips.dedup();
    for vip in vips {
        line += &format!("; {vip}");
    }
    for sync in frame.sync.iter().filter(|_| !frame.in_sync) {
        line += &format!("; {sync}");
    }
    for backend in frame.backends.iter().filter(|b| !b.state.is_up()) {
        line += &format!("; {} {}", backend.name, backend.state.as_str());
        if !backend.why.is_empty() {
            line += &format!(" ({})", backend.why);
        }
    }
    line
}

/// A vip that is master or backup says no more than that.
fn vip(vip: &VipRow) -> String {
    let mut text = format!("vip {} {}", vip.name, vip.state);
    if vip.state == "fault" {
        text += &format!(" ({})", vip.why);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_rate_and_trouble() {
        let (_, before) = super::super::frame::tests::node(10.0, 100);
        let (status, now) = super::super::frame::tests::node(12.0, 150);
        let line = line(&Frame::new(&status, &now, Some(&before)));
        assert!(line.starts_with("rate 25/s, errors 0/s, p50 "), "{line}");
        assert!(
            line.ends_with("1 of 2 backends up; web/10.0.0.2:80 down (connection refused)"),
            "{line}"
        );
    }

    #[test]
    fn it_says_who_has_an_address_and_what_is_not_in_sync() {
        let (status, now) = super::super::frame::tests::node(12.0, 150);
        let mut frame = Frame::new(&super::super::frame::tests::with_vip(status), &now, None);
        frame.vips.push(frame.vips[0].clone());
        assert!(line(&frame).contains("backends up; vip edge master; web/"));
        frame.in_sync = false;
        frame.vips[0].state = "fault".into();
        frame.vips[0].why = "eth1 is down".into();
        let line = line(&frame);
        assert!(
            line.contains("; vip edge fault (eth1 is down); vip edge master; connection sync: "),
            "{line}"
        );
    }
}
