//! `aplomb trace`: decisions of the kernel data plane as they are made.

use std::time::Duration;

use l4::filter::{Filter, KEYS};

use super::{
    backend::duration,
    client::{AdminArgs, Client, block_on, escape},
    exit::{Failure, Outcome, print},
};
use crate::api::model::Decision;

/// What `trace` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Filters are KEY=VALUE, all of them must hold:
  service=NAME       of this service: decisions of others are not even sampled
  backend=PLACE      to this backend; a PLACE is IP, NETWORK/LENGTH or IP:PORT
  client=PLACE       of this client
  target=PLACE       to this address of the service
  address=PLACE      client, target or backend
  port=PORT          of client or target
  protocol=WORD      tcp, udp or sctp
  verdict=WORD       new, established, reply, cookie, drop or pass
  reason=WORD        why it was dropped or passed: no-backend, no-route, …

Decisions are sampled only while somebody looks, and the more sparsely the more there are; what is left out is said.
While it is on, every packet takes the longer road through the program.

Examples:
  aplomb trace service=web-vip
  aplomb trace verdict=drop
  aplomb trace client=192.0.2.0/24 port=443 --for 10s --json")]
pub(super) struct Args {
    /// Only decisions that are like this
    #[arg(value_name = "KEY=VALUE", value_parser = filter)]
    filters: Vec<(String, String)>,
    /// The most decisions a second
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(l4::trace::FASTEST)))]
    rate: u32,
    /// End after this time
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    for_time: Option<Duration>,
    /// End after so many decisions
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Print JSON, a line for each decision
    #[arg(long)]
    json: bool,
}

fn filter(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| {
        let keys = KEYS.map(|(key, _)| key);
        format!("write KEY=VALUE; keys are {}", keys.join(", "))
    })?;
    Filter::default().set(key, value)?;
    Ok((key.to_owned(), value.to_owned()))
}

/// What ends it although nothing is wrong.
enum End {
    Enough,
    Failed(Failure),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Listens and prints.
pub(super) fn run(admin: &AdminArgs, args: &Args) -> Outcome {
    let client = Client::new(admin)?;
    block_on(async {
        let listening = listen(&client, args);
        let ended = match args.for_time {
            None => listening.await,
            Some(time) => match tokio::time::timeout(time, listening).await {
                Ok(ended) => ended,
                Err(_) => return Ok(()),
            },
        };
        match ended {
            End::Enough => Ok(()),
            End::Failed(failure) => Err(failure),
        }
    })
}

/// The daemon ends a stream after some minutes; then the next begins.
async fn listen(client: &Client, args: &Args) -> End {
    let path = path(args);
    let mut printer = Printer {
        json: args.json,
        left: args.count,
        began: None,
    };
    loop {
        let mut end = None;
        let streamed = client
            .lines(&path, &mut |line| match printer.line(line) {
                Ok(()) => true,
                Err(why) => {
                    end = Some(why);
                    false
                }
            })
            .await;
        match (streamed, end) {
            (_, Some(end)) => return end,
            (Err(failure), None) => return End::Failed(failure),
            (Ok(()), None) => {}
        }
    }
}

fn path(args: &Args) -> String {
    let filters = args.filters.iter();
    let pairs: String = filters
        .map(|(key, value)| format!("&{}={}", escape(key), escape(value)))
        .collect();
    format!("/v1/l4/trace?rate={}{pairs}", args.rate)
}

struct Printer {
    json: bool,
    left: Option<u64>,
    /// When the first one was made.
    began: Option<u64>,
}

impl Printer {
    fn line(&mut self, line: &[u8]) -> Result<(), End> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        if self.left == Some(0) {
            return Err(End::Enough);
        }
        let decision: Decision = serde_json::from_slice(line)
            .map_err(|e| Failure::refused("the daemon's answer is not understood", e))?;
        if self.json {
            print(&(String::from_utf8_lossy(line).into_owned() + "\n"))?;
        } else {
            let began = *self.began.get_or_insert(decision.nanos);
            print(&words(&decision, began))?;
        }
        self.left = self.left.map(|left| left - 1);
        match self.left {
            Some(0) => Err(End::Enough),
            _ => Ok(()),
        }
    }
}

/// A decision as a line, its time counted from `began`.
fn words(decision: &Decision, began: u64) -> String {
    let seconds = decision.nanos.saturating_sub(began) as f64 / 1e9;
    let missed = match decision.missed {
        0 => String::new(),
        missed => format!("… {missed} more that were beyond --rate\n"),
    };
    let mut text = format!(
        "{missed}{seconds:>11.6}  {:<11}  {} {} > {}",
        decision.verdict, decision.protocol, decision.source, decision.destination
    );
    if let Some(reason) = &decision.reason {
        text += &format!("  {reason}");
    }
    if let Some(service) = &decision.service {
        text += &format!("  {service}");
    }
    if let Some(backend) = &decision.backend {
        text += &format!(" -> {backend}");
    }
    if let Some(interface) = &decision.interface {
        text += &format!("  {interface}");
    }
    text += &format!("  {}B", decision.length);
    if decision.one_in > 1 {
        text += &format!("  (1 in {})", decision.one_in);
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_one_line() {
        let decision = Decision {
            nanos: 1_500_000_000,
            source: "192.0.2.9:4711".into(),
            destination: "192.168.1.100:80".into(),
            protocol: "tcp".into(),
            verdict: "new".into(),
            service: Some("web".into()),
            backend: Some("10.0.0.11:80".into()),
            interface: Some("eth0".into()),
            length: 74,
            one_in: 1,
            ..Decision::default()
        };
        assert_eq!(
            words(&decision, 1_000_000_000),
            "   0.500000  new          tcp 192.0.2.9:4711 > 192.168.1.100:80  web -> 10.0.0.11:80  eth0  74B\n"
        );
        let dropped = Decision {
            verdict: "drop".into(),
            reason: Some("no-backend".into()),
            backend: None,
            missed: 3,
            one_in: 8,
            ..decision
        };
        let text = words(&dropped, 0);
        assert!(text.starts_with("… 3 more"), "{text}");
        assert!(text.contains("  no-backend  web  eth0") && text.ends_with("(1 in 8)\n"));
    }

    #[test]
    fn filters_are_checked_before_anybody_is_asked() {
        let ok = filter("client=192.0.2.0/24");
        assert_eq!(ok, Ok(("client".into(), "192.0.2.0/24".into())));
        assert!(filter("client").is_err_and(|why| why.contains("KEY=VALUE")));
        assert!(filter("colour=red").is_err_and(|why| why.contains("there are: service")));
        assert!(filter("verdict=maybe").is_err());
    }
}
