//! Moves the service back and forth between the directors, with connections open all the while.

use super::super::replay::site::enter;
use super::client::Open;
use super::site::{DIRECT, NAMES, NAT, STICKY, Site, TUNNEL, VIP, VIP6};
use crate::Result;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

/// Connections to each service.
const EACH: usize = 4;
/// How often it is looked whether a director was told, at intervals of [`PAUSE`].
const LOOKS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

fn services() -> Result<Vec<SocketAddr>> {
    let (v4, v6): (IpAddr, IpAddr) = (
        VIP.parse().map_err(|_| "VIP")?,
        VIP6.parse().map_err(|_| "VIP6")?,
    );
    let mut all: Vec<SocketAddr> = [NAT, DIRECT, TUNNEL, STICKY]
        .map(|port| SocketAddr::new(v4, port))
        .into();
    all.push(SocketAddr::new(v6, NAT));
    Ok(all)
}

/// Opens connections to all services, and says something on each, as often as IPVS wants before it tells of it.
fn open() -> Result<Vec<Open>> {
    let mut all = Vec::new();
    for to in services()? {
        for _ in 0..EACH {
            let open = Open::new(to).map_err(|e| format!("a connection to {to}: {e}"))?;
            all.push(open);
        }
    }
    let names = SocketAddr::new(VIP.parse().map_err(|_| "VIP")?, NAMES);
    for _ in 0..EACH {
        let open = Open::datagrams(names).map_err(|e| format!("datagrams to {names}: {e}"))?;
        all.push(open);
    }
    talk(&mut all, 3)?;
    Ok(all)
}

/// Says something on each connection: that server answers which it began with.
fn talk(all: &mut [Open], times: u32) -> Result {
    for open in all {
        for _ in 0..times {
            let answered = open.talk().map_err(|e| format!("to {}: {e}", open.to))?;
            if answered != open.server {
                let (to, server) = (open.to, open.server);
                return Err(format!(
                    "to {to}: {answered} answers, it began with {server}"
                ));
            }
        }
    }
    Ok(())
}

/// The rows of a listing of connections without their expiries, spelled alike by both directors: protocol, state, client,
/// service, server.
fn rows(listing: &str) -> BTreeSet<String> {
    let rows = listing.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words {
            [protocol, _, state, client, service, server, ..] => {
                format!("{protocol} {state} {client} {service} {server}")
            }
            _ => String::new(),
        }
    });
    let known = |row: &String| row.starts_with("TCP") || row.starts_with("UDP");
    rows.filter(known).collect()
}

/// Waits until a director knows all of these connections as established.
fn told(all: &[Open], who: &str, list: impl Fn() -> Result<String>) -> Result {
    let mut missing = Vec::new();
    let mut listing = String::new();
    for _ in 0..LOOKS {
        listing = list()?;
        let known = rows(&listing);
        missing.clear();
        for open in all {
            let begins = open.row().map_err(|e| e.to_string())?;
            if !known.iter().any(|row| row.starts_with(&begins)) {
                missing.push(begins);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        sleep(PAUSE);
    }
    Err(format!(
        "{who} was not told of\n{}\nit knows\n{listing}",
        missing.join("\n")
    ))
}

/// What the two directors know alike, for the last listing of each.
fn alike(site: &Site) -> Result {
    let (ours, theirs) = (site.aplomb("ipvsadm -Lnc")?, site.kernel("-Lnc")?);
    // Remembered clients have a word for their state with IPVS.
    let plain = |row: String| row.replace(" NONE ", " ").replace(" ASSURED ", " ");
    let ours: BTreeSet<_> = rows(&ours).into_iter().map(plain).collect();
    let theirs: BTreeSet<_> = rows(&theirs).into_iter().map(plain).collect();
    if ours == theirs {
        return Ok(());
    }
    Err(format!(
        "the directors do not know the same\nIPVS: {theirs:#?}\naplomb: {ours:#?}"
    ))
}

/// Goes through it all.
pub(super) fn tell(site: &Site) -> Result {
    let daemon = site.start()?;
    let done = go(site);
    if done.is_err() {
        println!("{}", site.log());
        println!("{}", site.aplomb("status --json").unwrap_or_else(|e| e));
    }
    drop(daemon);
    done
}

fn go(site: &Site) -> Result {
    let mut all = open()?;
    site.start_daemons()?;
    print!(
        "{}{}",
        site.kernel("-L --daemon")?,
        site.aplomb("ipvsadm -L --daemon")?
    );
    talk(&mut all, 1)?;
    told(&all, "aplomb", || site.aplomb("ipvsadm -Lnc"))?;
    alike(site)?;
    println!("{} connections by IPVS; aplomb knows them", all.len());

    site.lead(2)?;
    talk(&mut all, 1)?;
    println!("aplomb has taken over: all of them go on");
    let server = |to: u16, all: &[Open]| all.iter().find(|o| o.to.port() == to).map(|o| o.server);
    let sticky = server(STICKY, &all);
    // Who listens only later is told even so.
    let _ = site.kernel("--stop-daemon backup")?;
    let mut more = open()?;
    sleep(Duration::from_secs(1));
    site.start_daemon("backup")?;
    if server(STICKY, &more) != sticky {
        return Err("a client that IPVS remembers came to another server by aplomb".into());
    }
    told(&more, "IPVS", || site.kernel("-Lnc"))?;
    alike(site)?;
    println!("{} connections by aplomb; IPVS knows them", more.len());

    site.lead(1)?;
    talk(&mut more, 1)?;
    talk(&mut all, 1)?;
    println!("IPVS has taken over: all of them go on");
    all.extend(more);

    // What ends by one is over for the other; but aplomb's refresh (5 s) may still be under way with what it knew.
    sleep(Duration::from_secs(7));
    let kernel = || site.kernel("-Lnc");
    let ours = || site.aplomb("ipvsadm -Lnc");
    let half = all.len() / 2;
    let ended = all.split_off(half);
    ends(ended, &all, "aplomb", ours)?;
    println!("what ended by IPVS is over for aplomb");
    site.lead(2)?;
    talk(&mut all, 1)?;
    // So that IPVS has not just seen them itself.
    told(&all, "IPVS", kernel)?;
    let ended = all.split_off(half / 2);
    ends(ended, &all, "IPVS", kernel)?;
    println!("what ended by aplomb is over for IPVS");
    talk(&mut all, 1)
}

/// Ends connections of TCP, and waits until a director knows of no others as established than those that are left.
fn ends(ended: Vec<Open>, left: &[Open], who: &str, list: impl Fn() -> Result<String>) -> Result {
    let is_tcp = |open: &&Open| open.to.port() != NAMES;
    let left = left.iter().filter(is_tcp).count();
    drop(ended);
    let mut listing = String::new();
    for _ in 0..LOOKS {
        listing = list()?;
        let rows = rows(&listing);
        let open = rows.iter().filter(|row| row.starts_with("TCP ESTABLISHED"));
        if open.count() == left {
            return Ok(());
        }
        sleep(PAUSE);
    }
    Err(format!(
        "{who} knows more than the {left} that are open\n{listing}"
    ))
}

/// Prints what IPVS sends.
pub(super) fn show(site: &Site) -> Result {
    let (send, heard) = std::sync::mpsc::channel();
    let (ready, started) = std::sync::mpsc::channel();
    let _detached = std::thread::spawn(move || {
        let listening = enter("d2").and_then(|()| listen().map_err(|e| e.to_string()));
        let _ = ready.send(listening.as_ref().map(drop).map_err(String::clone));
        let mut space = [0; 65_536];
        while let Ok(socket) = &listening
            && let Ok(length) = socket.recv(&mut space)
        {
            let _ = send.send(space[..length].to_vec());
        }
    });
    started.recv().map_err(|e| e.to_string())??;
    site.start_daemons()?;
    let all = open()?;
    sleep(Duration::from_secs(3));
    drop(all);
    sleep(Duration::from_secs(3));
    while let Ok(message) = heard.try_recv() {
        let hex: Vec<String> = message.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{}", hex.join(""));
    }
    print!("{}", site.kernel("-Lnc")?);
    Ok(())
}

fn listen() -> std::io::Result<UdpSocket> {
    let group = Ipv4Addr::new(224, 0, 0, 81);
    let socket = UdpSocket::bind((group, 8848))?;
    socket.join_multicast_v4(&group, &Ipv4Addr::new(10, 9, 0, 2))?;
    Ok(socket)
}
