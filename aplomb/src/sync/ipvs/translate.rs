//! The kernel data plane's words of a flow in IPVS's, and the other way round.

use std::{net::SocketAddr, time::Duration};

use l4::sync::{
    FlowName, FlowState, Heard, HeardFlow, HeardTemplate, Method as KernelMethod, ToldFlow,
    ToldTemplate,
};
use proto::sync::{
    Method,
    ipvs::{
        Flags, Record,
        record::{SCTP_ESTABLISHED, protocol},
    },
};

/// FTP's port: its clients are remembered for all of their ports.
const FTP: u16 = 21;

/// Why a flow cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unspeakable {
    /// Its backend sees another address than the client's.
    FullNat,
    /// A SYN cookie opened it: its sequence numbers are changed for as long as it lives.
    Cookie,
    /// The backend has addresses of the other family.
    Families,
}

impl Unspeakable {
    /// The word for it in metrics.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::FullNat => "full-nat",
            Self::Cookie => "syn-cookie",
            Self::Families => "families",
        }
    }
}

/// Why what a director tells is nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It goes past the services.
    Bypass,
    /// A template of a firewall mark.
    Mark,
    /// A connection that a helper expects.
    Expected,
    /// Its sequence numbers are changed by a helper.
    Sequences,
    /// A persistence engine's.
    Engine,
    /// An association that is not established.
    Handshake,
}

impl Unknown {
    /// The word for it in metrics.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Mark => "firewall-mark",
            Self::Expected => "expected",
            Self::Sequences => "sequences",
            Self::Engine => "engine",
            Self::Handshake => "handshake",
        }
    }
}

/// A flow for directors.
pub(super) fn flow(told: &ToldFlow) -> Result<Record, Unspeakable> {
    let FlowName {
        protocol,
        client,
        target,
        ..
    } = told.name;
    if told.source.is_some() {
        return Err(Unspeakable::FullNat);
    }
    if told.delta.is_some() {
        return Err(Unspeakable::Cookie);
    }
    let state = FlowState::of(told.state);
    let number = match state {
        FlowState::Udp => 0,
        FlowState::Sctp => SCTP_ESTABLISHED,
        _ => u16::from(told.state),
    };
    let is_active = matches!(state, FlowState::Established | FlowState::Sctp);
    let activity = if is_active {
        Flags::default()
    } else {
        Flags::INACTIVE
    };
    Ok(Record {
        protocol,
        flags: flags(told.method).with(activity),
        state: number,
        client,
        target,
        backend: backend(told.backend, client, target.port())?,
        mark: 0,
        timeout: seconds(told.remaining),
        sequences: None,
        engine: None,
    })
}

/// A remembered client for directors: it is remembered from now on for all of its time, as its connections are told.
pub(super) fn template(told: &ToldTemplate, method: KernelMethod) -> Result<Record, Unspeakable> {
    let FlowName {
        protocol,
        client,
        mut target,
        ..
    } = told.name;
    let mut to = backend(told.backend, client, target.port())?;
    if target.port() == 0 || target.port() == FTP {
        target.set_port(0);
        to.set_port(0);
    }
    Ok(Record {
        protocol,
        flags: flags(method).with(Flags::TEMPLATE).with(Flags::INACTIVE),
        // A connection of it was established: those that are not are not told.
        state: 1,
        client,
        target,
        backend: to,
        mark: 0,
        timeout: seconds(told.remaining + told.idle),
        sequences: None,
        engine: None,
    })
}

const fn flags(method: KernelMethod) -> Flags {
    Flags::of(match method {
        KernelMethod::Nat => Method::Nat,
        KernelMethod::Direct => Method::Direct,
        KernelMethod::Tunnel => Method::Tunnel,
        KernelMethod::Local => Method::Local,
    })
}

/// Where packets go, whatever the configuration calls it.
fn backend(
    mut backend: SocketAddr,
    client: SocketAddr,
    port: u16,
) -> Result<SocketAddr, Unspeakable> {
    if backend.is_ipv6() != client.is_ipv6() {
        return Err(Unspeakable::Families);
    }
    if backend.port() == 0 {
        backend.set_port(port);
    }
    Ok(backend)
}

/// Whole seconds, rounded up: 0 would mean that the state says it.
fn seconds(time: Duration) -> u32 {
    let whole = time.as_millis().div_ceil(1000).max(1);
    u32::try_from(whole).unwrap_or(u32::MAX)
}

/// What a director tells.
pub(super) fn heard(record: &Record) -> Result<Heard, Unknown> {
    let template = record.flags.has(Flags::TEMPLATE);
    let name = FlowName {
        template,
        protocol: record.protocol,
        client: record.client,
        target: record.target,
    };
    let remaining = (record.timeout > 0).then(|| Duration::from_secs(record.timeout.into()));
    let method = record.flags.method().ok_or(Unknown::Bypass)?;
    if template {
        return match (record.protocol, &record.engine) {
            (0, _) => Err(Unknown::Mark),
            (_, Some(_)) => Err(Unknown::Engine),
            _ => Ok(Heard::Template(HeardTemplate {
                name,
                backend: record.backend,
                remaining,
            })),
        };
    }
    if record.flags.has(Flags::NO_CLIENT_PORT) {
        return Err(Unknown::Expected);
    }
    let changed = |sequences: &[_; 2]| {
        let mut sequences = sequences.iter();
        sequences.any(|one: &proto::sync::ipvs::Sequence| one.delta != 0 || one.before != 0)
    };
    if record.sequences.as_ref().is_some_and(changed) {
        return Err(Unknown::Sequences);
    }
    let state = match record.protocol {
        protocol::TCP => FlowState::of(u8::try_from(record.state).unwrap_or(0)),
        protocol::UDP => FlowState::Udp,
        _ if record.state < SCTP_ESTABLISHED => return Err(Unknown::Handshake),
        _ => FlowState::Sctp,
    };
    Ok(Heard::Flow(HeardFlow {
        name,
        backend: record.backend,
        method: match method {
            Method::Nat => Some(KernelMethod::Nat),
            Method::Direct => Some(KernelMethod::Direct),
            Method::Tunnel => Some(KernelMethod::Tunnel),
            Method::Local => None,
        },
        state,
        remaining,
    }))
}

/// The same of FTP's port, if it is a client without one.
pub(super) fn of_ftp(heard: &Heard) -> Option<Heard> {
    let Heard::Template(mut template) = *heard else {
        return None;
    };
    if template.name.target.port() != 0 {
        return None;
    }
    template.name.target.set_port(FTP);
    if template.backend.port() == 0 {
        template.backend.set_port(FTP);
    }
    Some(Heard::Template(template))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn told() -> ToldFlow {
        ToldFlow {
            name: FlowName {
                template: false,
                protocol: 6,
                client: "192.0.2.9:40000".parse().unwrap(),
                target: "192.0.2.1:80".parse().unwrap(),
            },
            backend: "10.0.0.11:0".parse().unwrap(),
            method: KernelMethod::Direct,
            state: FlowState::Established as u8,
            persistent: false,
            remaining: Duration::from_millis(299_100),
            idle: Duration::from_millis(900),
            source: None,
            delta: None,
            heard: false,
        }
    }

    #[test]
    fn what_is_told_is_understood() {
        let record = flow(&told()).unwrap();
        assert_eq!(record.flags, Flags(0x83), "DROUTE, NOOUTPUT, active");
        assert_eq!(
            (record.state, record.timeout, record.backend.port()),
            (1, 300, 80)
        );
        let Heard::Flow(heard) = heard(&record).unwrap() else {
            panic!("a template");
        };
        assert_eq!(
            (heard.name, heard.method),
            (told().name, Some(KernelMethod::Direct))
        );
        assert_eq!(heard.state, FlowState::Established);
        assert_eq!(heard.remaining, Some(Duration::from_secs(300)));
    }

    #[test]
    fn states_have_their_numbers_and_closing_is_inactive() {
        for (state, protocol, number, flags) in [
            (FlowState::FinWait, 6, 4, 0x183),
            (FlowState::Udp, 17, 0, 0x183),
            (FlowState::Sctp, 132, 8, 0x83),
        ] {
            let mut told = told();
            (told.state, told.name.protocol) = (state as u8, protocol);
            let record = flow(&told).unwrap();
            assert_eq!((record.state, record.flags), (number, Flags(flags)));
            assert!(matches!(heard(&record), Ok(Heard::Flow(heard)) if heard.state == state));
        }
    }

    #[test]
    fn what_has_no_word_is_not_told() {
        let source = ToldFlow {
            source: Some("10.0.0.1:1".parse().unwrap()),
            ..told()
        };
        assert_eq!(flow(&source), Err(Unspeakable::FullNat));
        let delta = ToldFlow {
            delta: Some(1),
            ..told()
        };
        assert_eq!(flow(&delta), Err(Unspeakable::Cookie));
        let other = ToldFlow {
            backend: "[fd00::1]:80".parse().unwrap(),
            ..told()
        };
        assert_eq!(flow(&other), Err(Unspeakable::Families));
    }

    #[test]
    fn what_is_nothing_here_is_not_taken() {
        let record = flow(&told()).unwrap();
        let with = |flags: u32| Record {
            flags: Flags(flags),
            ..record.clone()
        };
        assert_eq!(heard(&with(4)), Err(Unknown::Bypass));
        assert_eq!(heard(&with(0x800)), Err(Unknown::Expected));
        let of_mark = Record {
            protocol: 0,
            ..with(0x1000)
        };
        assert_eq!(heard(&of_mark), Err(Unknown::Mark));
        let handshake = Record {
            protocol: 132,
            state: 3,
            ..record.clone()
        };
        assert_eq!(heard(&handshake), Err(Unknown::Handshake));
        let changed = proto::sync::ipvs::Sequence {
            delta: 4,
            ..Default::default()
        };
        let ftp = Record {
            sequences: Some([Default::default(), changed]),
            ..record.clone()
        };
        assert_eq!(heard(&ftp), Err(Unknown::Sequences));
        let local = heard(&with(1));
        assert!(matches!(local, Ok(Heard::Flow(flow)) if flow.method.is_none()));
    }

    #[test]
    fn clients_of_all_ports_and_of_ftp_have_none() {
        let mut client = ToldTemplate {
            name: FlowName {
                template: true,
                client: "192.0.2.0:0".parse().unwrap(),
                ..told().name
            },
            backend: "10.0.0.11:8080".parse().unwrap(),
            remaining: Duration::from_secs(250),
            idle: Duration::from_secs(50),
        };
        let record = template(&client, KernelMethod::Nat).unwrap();
        assert_eq!((record.flags, record.timeout), (Flags(0x1100), 300));
        assert_eq!((record.target.port(), record.backend.port()), (80, 8080));
        client.name.target.set_port(FTP);
        let record = template(&client, KernelMethod::Nat).unwrap();
        assert_eq!((record.target.port(), record.backend.port()), (0, 0));
        let Some(Heard::Template(ftp)) = of_ftp(&heard(&record).unwrap()) else {
            panic!("none");
        };
        assert_eq!((ftp.name.target.port(), ftp.backend.port()), (FTP, FTP));
    }
}
