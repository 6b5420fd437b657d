//! `aplomb explain`: where would this request go, and why; [`packet`] is for packets.

mod packet;

use std::path::PathBuf;

use super::{
    client::{AdminArgs, Client, block_on, escape},
    exit::{Failure, Outcome, print},
    table::Table,
};
use crate::api::model::Explanation;

/// What `explain` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  aplomb explain GET http://shop.example/api/items
  aplomb explain POST /cart --service shop --header 'Cookie: id=7' --client 192.0.2.7
  aplomb explain --service mail --client 192.0.2.7:40000
  aplomb explain tcp 192.0.2.9:4711 192.168.1.100:80
  aplomb explain --pcap capture.pcapng --count 20

Packets are decided by the code of the kernel data plane itself against its live tables; nothing comes of it. Those of
a capture are decided one after the other: each finds what those before it would have left behind.")]
pub(super) struct Args {
    /// The method of an HTTP request; `tcp`, `udp` or `sctp` for a packet
    #[arg(requires = "url", value_name = "METHOD|PROTOCOL")]
    method: Option<String>,
    /// Its URL, or only the path with --service; for a packet whom it comes from
    #[arg(value_name = "URL|IP:PORT")]
    url: Option<String>,
    /// For a packet: whom it is for
    #[arg(value_name = "IP:PORT")]
    target: Option<String>,
    /// The packets of a capture, pcap or pcapng
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "service", "headers"])]
    pcap: Option<PathBuf>,
    /// The most packets of it
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = count)]
    count: usize,
    /// A TCP packet's flags, as syn or fin,ack; without it that of a known connection, else syn
    #[arg(long, value_name = "FLAGS", requires = "target")]
    flags: Option<String>,
    /// The length of the IP packet, in bytes
    #[arg(long, value_name = "BYTES", requires = "target")]
    length: Option<u16>,
    /// A header of the request; may be given again
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Who asks: an address, with or without port
    #[arg(long, value_name = "IP[:PORT]", default_value = "127.0.0.1")]
    client: String,
    /// The service that it comes to; without it, the one that listens where the URL says
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn count(text: &str) -> Result<usize, String> {
    let most = l4::explain::AT_ONCE;
    text.parse()
        .ok()
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| format!("a number from 1 to {most}"))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("a header is written NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Asks the daemon.
pub(super) fn run(admin: &AdminArgs, args: &Args) -> Outcome {
    if packet::is_meant(args) {
        return packet::run(&Client::new(admin)?, args);
    }
    if args.target.is_some() {
        return Err(Failure::Usage(
            "a request has a method and a URL; a packet begins with tcp, udp or sctp".into(),
        ));
    }
    if args.url.is_none() && args.service.is_none() {
        return Err(Failure::Usage(
            "name a request (aplomb explain GET http://host/path), or a TCP or UDP service with --service".into(),
        ));
    }
    let client = Client::new(admin)?;
    let explanation: Explanation = block_on(client.get(&format!("/v1/explain?{}", query(args))))?;
    if args.json {
        let json = serde_json::to_string_pretty(&explanation)
            .map_err(|error| Failure::refused("cannot print this", error))?;
        return print(&(json + "\n"));
    }
    print(&render(&explanation))
}

fn query(args: &Args) -> String {
    let mut pairs = vec![("client", args.client.clone())];
    pairs.extend(args.service.clone().map(|s| ("service", s)));
    pairs.extend(args.method.clone().map(|m| ("method", m)));
    pairs.extend(args.url.clone().map(|u| ("url", u)));
    pairs.extend(
        args.headers
            .iter()
            .map(|(name, value)| ("header", format!("{name}: {value}"))),
    );
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", escape(value)))
        .collect();
    pairs.join("&")
}

fn render(explanation: &Explanation) -> String {
    let mut text = format!(
        "service {}: {}\n",
        explanation.service, explanation.service_why
    );
    for route in &explanation.routes {
        let mark = if route.matched { "=>" } else { "  " };
        text += &format!("{mark} route {}: {}\n", route.route, route.why);
    }
    let Some(pool) = &explanation.pool else {
        let (action, why) = (&explanation.action, &explanation.why);
        return text + &format!("action: {action}: {why}\n");
    };
    text += &format!("action: {}\n", explanation.action);
    let balance = explanation.balance.as_deref().unwrap_or("");
    text += &format!("pool {pool}, balance {balance}:\n");
    let mut table = Table::new(&["", "BACKEND", ">SCORE", "WHY"]);
    for candidate in &explanation.candidates {
        table.row(vec![
            if candidate.chosen { "=>" } else { "" }.into(),
            candidate.address.clone(),
            candidate.score.map_or("-".into(), |s| format!("{s:.3}")),
            candidate.why.clone(),
        ]);
    }
    text += &table.render("");
    text += &match &explanation.backend {
        Some(backend) => format!("backend {backend}: {}\n", explanation.why),
        None => format!("no backend: {}\n", explanation.why),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::model::{Candidate, RouteTried};

    #[test]
    fn an_explanation_names_route_and_backend() {
        let text = render(&Explanation {
            service: "shop".into(),
            service_why: "it listens on http://127.0.0.1:80".into(),
            routes: vec![
                RouteTried {
                    route: "api".into(),
                    matched: false,
                    why: "the path is not /api/".into(),
                },
                RouteTried {
                    route: "2".into(),
                    matched: true,
                    why: "takes everything".into(),
                },
            ],
            action: "pool web".into(),
            pool: Some("web".into()),
            balance: Some("wlc".into()),
            backend: Some("10.0.0.1:80".into()),
            why: "the fewest in flight for its weight".into(),
            candidates: vec![Candidate {
                address: "10.0.0.1:80".into(),
                chosen: true,
                usable: true,
                score: Some(0.5),
                why: "1 in flight, weight 2".into(),
            }],
        });
        assert!(text.contains("   route api: the path is not /api/\n=> route 2"));
        assert!(text.contains("=>  10.0.0.1:80  0.500  1 in flight, weight 2\n"));
        assert!(text.ends_with("backend 10.0.0.1:80: the fewest in flight for its weight\n"));
    }
}
