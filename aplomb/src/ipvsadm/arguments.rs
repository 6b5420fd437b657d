//! From arguments to a [`Command`], with ipvsadm's messages and in its order of looking: the command first, each
//! option as it comes, then what must, may and must not go together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use control::ipvs::{
    Checksum, Destination, Edit, Method, Persistence, Protocol, SchedulerFlags, Service, ServiceId,
    Timeouts, Tunnel, TunnelKind,
};

use super::{
    Names, address,
    number::{bounded, leading},
    options::{DEFINITIONS, Given, Meaning, Verb, With},
    popt::Scanner,
};

/// The longest timeout, seconds: 31 days.
const MAX_TIMEOUT: u32 = 86_400 * 31;
/// How long a client is remembered by `-p` alone, seconds.
const DEFAULT_PERSISTENCE: u32 = 360;
/// The longest name of a scheduler or persistence engine, bytes; what is beyond is cut off.
const NAME: usize = 15;
/// The largest number of weights and thresholds.
const MAX: u32 = i32::MAX as u32;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The table is changed.
    Edit(Edit),
    /// Something is shown.
    List(What, Format),
    /// The table is written as arguments.
    Save {
        /// Without names.
        numeric: bool,
    },
    /// Arguments are read, a line each.
    Restore,
    /// A daemon of connection sync is started.
    StartDaemon,
    /// It is stopped.
    StopDaemon,
    /// The version is shown.
    Version,
    /// What there is is shown.
    Help,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// All services.
    Table,
    /// One.
    Service(ServiceId),
    /// Connections.
    Connections,
    /// Timeouts.
    Timeouts,
    /// Daemons of connection sync.
    Daemons,
}

/// How it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// Without names.
    pub numeric: bool,
    /// All digits.
    pub exact: bool,
    /// In IPVS's order.
    pub unsorted: bool,
    /// Counters.
    pub stats: bool,
    /// Rates.
    pub rate: bool,
    /// Thresholds.
    pub thresholds: bool,
    /// Remembered clients; of connections, persistence engines.
    pub persistent: bool,
    /// Encapsulation.
    pub tunnel: bool,
}

/// Why there is no command in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It ends the program at once, a restore in the middle included.
    Fatal(u8, String),
    /// A restore goes on with the next line; else it ends with code 255.
    Line(String),
}

fn fatal<T>(message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong::Fatal(2, message.into()))
}

/// What is said of a command that begins with no command.
fn try_help<T>(program: &str) -> Result<T, Wrong> {
    let message = format!("Try `{program} -h' or '{program} --help' for more information.");
    Err(Wrong::Fatal(255, message))
}

/// The command in these arguments; `program` is what it was called as, `restoring` whether they are of a restore.
///
/// # Errors
/// What is wrong with them.
pub fn parse(
    program: &str,
    arguments: &[String],
    restoring: bool,
    names: &dyn Names,
) -> Result<Command, Wrong> {
    if arguments.is_empty() {
        return Ok(Command::List(What::Table, Format::default()));
    }
    let mut scanner = Scanner::new(&DEFINITIONS, arguments);
    let (verb, argument) = match scanner.option() {
        Ok(Some((Meaning::Verb(verb), argument))) => (verb, argument),
        _ => return try_help(program),
    };
    match verb {
        Verb::Version => return Ok(Command::Version),
        Verb::Help => return Ok(Command::Help),
        Verb::Restore if restoring => return try_help(program),
        Verb::StartDaemon if !matches!(argument, Some("master" | "backup")) => {
            return fatal("illegal start-daemon parameter specified");
        }
        Verb::StopDaemon if !matches!(argument, Some("master" | "backup")) => {
            return fatal("illegal start_daemon specified");
        }
        _ => {}
    }
    let mut entry = Entry::new(names);
    loop {
        match scanner.option() {
            Ok(None) => break,
            Ok(Some((Meaning::Verb(_), _))) => {
                return fatal(format!("invalid option `{}'", scanner.last()));
            }
            Ok(Some((meaning, argument))) => {
                entry.take(meaning, argument.unwrap_or_default(), argument.is_some())?
            }
            Err(fault) => return Err(Wrong::Line(format!("{}: {fault}", scanner.last()))),
        }
    }
    let mut words = scanner.words().iter();
    let mut timeouts = None;
    if verb == Verb::Set {
        timeouts = Some(set(&mut words)?);
    }
    if let Some(word) = words.next() {
        return fatal(format!("unexpected argument {word}"));
    }
    entry.command(verb, timeouts)
}

fn set<'a>(words: &mut impl Iterator<Item = &'a &'a str>) -> Result<Timeouts, Wrong> {
    let (Some(tcp), Some(tcp_fin), Some(udp)) = (words.next(), words.next(), words.next()) else {
        return fatal("--set option requires 3 timeout values");
    };
    Ok(Timeouts {
        tcp: timeout(tcp, 0)?,
        tcp_fin: timeout(tcp_fin, 0)?,
        udp: timeout(udp, 0)?,
    })
}

fn timeout(text: &str, least: u32) -> Result<u32, Wrong> {
    match bounded(text, least, MAX_TIMEOUT) {
        Some(seconds) => Ok(seconds),
        None => fatal(format!("invalid timeout value `{text}' specified")),
    }
}

fn number(text: &str, least: u32, most: u32, what: &str) -> Result<u32, Wrong> {
    match bounded(text, least, most) {
        Some(number) => Ok(number),
        None => fatal(format!("illegal {what} specified")),
    }
}

/// A name as long as IPVS keeps one.
fn name(text: &str) -> String {
    let end = (0..=NAME.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

/// What options came to so far.
struct Entry<'n> {
    names: &'n dyn Names,
    given: u64,
    protocol: Protocol,
    address: SocketAddr,
    scheduler: String,
    flags: String,
    engine: Option<String>,
    persistence: Option<u32>,
    mask4: Ipv4Addr,
    prefix6: u8,
    server: SocketAddr,
    method: Method,
    weight: u32,
    upper: u32,
    lower: u32,
    tunnel: Tunnel,
}

impl<'n> Entry<'n> {
    fn new(names: &'n dyn Names) -> Self {
        let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        Self {
            names,
            given: 0,
            protocol: Protocol::Tcp,
            address: nowhere,
            scheduler: "wlc".into(),
            flags: String::new(),
            engine: None,
            persistence: None,
            mask4: Ipv4Addr::BROADCAST,
            prefix6: 128,
            server: nowhere,
            method: Method::Direct,
            weight: 1,
            upper: 0,
            lower: 0,
            tunnel: Tunnel::IPIP,
        }
    }

    fn has(&self, given: Given) -> bool {
        self.given & (1 << given as u32) != 0
    }

    fn set(&mut self, given: Given) -> Result<(), Wrong> {
        if self.has(given) {
            return fatal(format!("multiple '{}' options specified", given.name()));
        }
        self.given |= 1 << given as u32;
        Ok(())
    }

    /// Takes one option; `is_given` tells an empty argument from none.
    fn take(&mut self, meaning: Meaning, argument: &str, is_given: bool) -> Result<(), Wrong> {
        match meaning {
            // The caller has dealt with commands.
            Meaning::Verb(_) | Meaning::Sort => {}
            Meaning::Tcp => self.take_service(Protocol::Tcp, argument)?,
            Meaning::Udp => self.take_service(Protocol::Udp, argument)?,
            Meaning::Sctp => self.take_service(Protocol::Sctp, argument)?,
            Meaning::Mark => {
                self.set(Given::Service)?;
                if bounded(argument, 1, u32::MAX).is_none() {
                    return fatal(format!("invalid fwmark value `{argument}' specified"));
                }
                return fatal(
                    "firewall marks are set by netfilter, which packets reach only after XDP: use a service \
                     with an address and port 0 (all ports), or one of the configuration with several addresses \
                     or a range of ports",
                );
            }
            // Marks being refused, it always comes before one.
            Meaning::Six => return fatal("-6 used before -f\n"),
            Meaning::Scheduler => {
                self.set(Given::Scheduler)?;
                if !argument.is_empty() {
                    self.scheduler = name(argument);
                }
            }
            Meaning::Engine => {
                self.set(Given::Pe)?;
                self.engine = Some(name(argument)).filter(|engine| !engine.is_empty());
            }
            Meaning::Persistent => {
                self.set(Given::Persistent)?;
                self.persistence = Some(if is_given {
                    timeout(argument, 1)?
                } else {
                    DEFAULT_PERSISTENCE
                });
            }
            Meaning::Netmask => self.take_mask(argument)?,
            Meaning::Server => self.take_server(argument)?,
            Meaning::Direct => self.take_method(Method::Direct)?,
            Meaning::Tunnel => self.take_method(Method::Tunnel)?,
            Meaning::Masquerade => self.take_method(Method::Masquerade)?,
            Meaning::Weight => {
                self.set(Given::Weight)?;
                self.weight = number(argument, 0, MAX, "weight")?;
            }
            Meaning::Upper => {
                self.set(Given::UThreshold)?;
                self.upper = number(argument, 0, MAX, "u_threshold")?;
            }
            Meaning::Lower => {
                self.set(Given::LThreshold)?;
                self.lower = number(argument, 0, MAX, "l_threshold")?;
            }
            Meaning::SchedFlags => {
                self.set(Given::SchedFlags)?;
                argument.clone_into(&mut self.flags);
            }
            Meaning::TunType
            | Meaning::TunPort
            | Meaning::TunNocsum
            | Meaning::TunCsum
            | Meaning::TunRemcsum => self.take_tunnel(meaning, argument)?,
            Meaning::Syncid
            | Meaning::SyncMaxlen
            | Meaning::McastInterface
            | Meaning::McastGroup
            | Meaning::McastPort
            | Meaning::McastTtl => self.take_of_daemon(meaning, argument)?,
            Meaning::Connection => self.set(Given::Connection)?,
            Meaning::Timeout => self.set(Given::Timeout)?,
            Meaning::Daemon => self.set(Given::Daemon)?,
            Meaning::Stats => self.set(Given::Stats)?,
            Meaning::Rate => self.set(Given::Rate)?,
            Meaning::Exact => self.set(Given::Exact)?,
            Meaning::Thresholds => self.set(Given::Thresholds)?,
            Meaning::PersistentConn => self.set(Given::PersistentConn)?,
            Meaning::TunInfo => self.set(Given::TunInfo)?,
            Meaning::Nosort => self.set(Given::Nosort)?,
            Meaning::Ops => self.set(Given::Ops)?,
            Meaning::Numeric => self.set(Given::Numeric)?,
        }
        Ok(())
    }

    fn take_service(&mut self, protocol: Protocol, argument: &str) -> Result<(), Wrong> {
        self.set(Given::Service)?;
        let Some((ip, port)) = address::parse(argument, protocol, self.names) else {
            return fatal("illegal virtual server address[:port] specified");
        };
        self.protocol = protocol;
        self.address = SocketAddr::new(ip, port.unwrap_or(0));
        if ip.is_ipv6() {
            // As `ipvsadm`: a mask before an IPv6 address is forgotten.
            self.prefix6 = 128;
        }
        Ok(())
    }

    fn take_mask(&mut self, argument: &str) -> Result<(), Wrong> {
        self.set(Given::Netmask)?;
        if self.address.is_ipv6() {
            let bits = u8::try_from(leading(argument)).ok();
            return match bits.filter(|bits| (1..=128).contains(bits)) {
                Some(bits) => {
                    self.prefix6 = bits;
                    Ok(())
                }
                None => fatal("illegal ipv6 netmask specified"),
            };
        }
        match address::aton(argument) {
            Some(mask) => {
                self.mask4 = mask;
                Ok(())
            }
            None => fatal("illegal virtual server persistent mask specified"),
        }
    }

    fn take_server(&mut self, argument: &str) -> Result<(), Wrong> {
        self.set(Given::Server)?;
        let Some((ip, port)) = address::parse(argument, self.protocol, self.names) else {
            return fatal("illegal real server address[:port] specified");
        };
        self.server = SocketAddr::new(ip, port.unwrap_or(self.address.port()));
        Ok(())
    }

    fn take_method(&mut self, method: Method) -> Result<(), Wrong> {
        self.set(Given::Forward)?;
        self.method = method;
        Ok(())
    }

    fn take_tunnel(&mut self, meaning: Meaning, argument: &str) -> Result<(), Wrong> {
        match meaning {
            Meaning::TunType => {
                self.set(Given::TunType)?;
                self.tunnel.kind = match argument {
                    "ipip" => TunnelKind::IpIp,
                    "gue" => TunnelKind::Gue,
                    "gre" => TunnelKind::Gre,
                    _ => return fatal("illegal tunnel type specified"),
                };
            }
            Meaning::TunPort => {
                self.set(Given::TunPort)?;
                let port = number(argument, 1, 65_535, "tunnel port")?;
                self.tunnel.port = u16::try_from(port).unwrap_or(u16::MAX);
            }
            Meaning::TunNocsum => {
                self.set(Given::TunNocsum)?;
                self.tunnel.checksum = Checksum::None;
            }
            Meaning::TunCsum => {
                self.set(Given::TunCsum)?;
                self.tunnel.checksum = Checksum::Full;
            }
            _ => {
                self.set(Given::TunRemcsum)?;
                self.tunnel.checksum = Checksum::Remote;
            }
        }
        Ok(())
    }

    /// Options of connection sync are looked at, though nothing is done with them.
    fn take_of_daemon(&mut self, meaning: Meaning, argument: &str) -> Result<(), Wrong> {
        match meaning {
            Meaning::Syncid => {
                self.set(Given::Syncid)?;
                let _ = number(argument, 0, 255, "syncid")?;
            }
            Meaning::SyncMaxlen => {
                self.set(Given::SyncMaxlen)?;
                let _ = number(argument, 1, 65_535 - 20 - 8, "sync-maxlen")?;
            }
            Meaning::McastGroup => {
                self.set(Given::McastGroup)?;
                let group = argument.parse::<IpAddr>().ok();
                if !group.is_some_and(|group| group.is_multicast()) {
                    let family = if argument.contains(':') {
                        "IPv6"
                    } else {
                        "IPv4"
                    };
                    return fatal(format!("invalid {family} mcast-group `{argument}'"));
                }
            }
            Meaning::McastPort => {
                self.set(Given::McastPort)?;
                let _ = number(argument, 1, 65_535, "mcast-port")?;
            }
            Meaning::McastTtl => {
                self.set(Given::McastTtl)?;
                let _ = number(argument, 1, 255, "mcast-ttl")?;
            }
            _ => self.set(Given::McastInterface)?,
        }
        Ok(())
    }

    /// What it all comes to.
    fn command(self, verb: Verb, timeouts: Option<Timeouts>) -> Result<Command, Wrong> {
        let flags = self.scheduler_flags()?;
        self.check(|option| verb.with(option), "command", verb.name())?;
        let id = ServiceId {
            protocol: self.protocol,
            address: self.address,
        };
        Ok(match verb {
            Verb::AddService => Command::Edit(Edit::AddService(self.service(id, flags)?)),
            Verb::EditService => Command::Edit(Edit::EditService(self.service(id, flags)?)),
            Verb::DeleteService => Command::Edit(Edit::DeleteService(id)),
            Verb::Flush => Command::Edit(Edit::Flush),
            Verb::AddServer => Command::Edit(Edit::AddDestination(id, self.destination()?)),
            Verb::EditServer => Command::Edit(Edit::EditDestination(id, self.destination()?)),
            Verb::DeleteServer => Command::Edit(Edit::DeleteDestination(id, self.server)),
            Verb::Zero => Command::Edit(Edit::Zero(self.has(Given::Service).then_some(id))),
            Verb::Set => Command::Edit(Edit::SetTimeouts(timeouts.unwrap_or_default())),
            Verb::List => self.list(id)?,
            Verb::Save => Command::Save {
                numeric: self.has(Given::Numeric),
            },
            Verb::Restore => Command::Restore,
            Verb::StartDaemon => Command::StartDaemon,
            Verb::StopDaemon => Command::StopDaemon,
            Verb::Version => Command::Version,
            Verb::Help => Command::Help,
        })
    }

    /// Whether what is given goes with a command or a tunnel.
    fn check(&self, with: impl Fn(Given) -> With, what: &str, which: &str) -> Result<(), Wrong> {
        let mut one: Option<&str> = None;
        for (option, name) in Given::ALL {
            match (self.has(option), with(option)) {
                (false, With::Must) => {
                    return fatal(format!(
                        "You need to supply the '{name}' option for the '{which}' {what}"
                    ));
                }
                (true, With::MustNot) => {
                    return fatal(format!("Illegal '{name}' option with the '{which}' {what}"));
                }
                (true, With::OneOf) => {
                    if let Some(before) = one {
                        return fatal(format!(
                            "The option '{name}' conflicts with the '{before}' option in the '{which}' {what}"
                        ));
                    }
                    one = Some(name);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn scheduler_flags(&self) -> Result<SchedulerFlags, Wrong> {
        let mut flags = 0;
        for word in self.flags.split(',').filter(|word| !word.is_empty()) {
            let (scheduler, flag) = match word {
                "flag-1" => (None, 1),
                "flag-2" => (None, 2),
                "flag-3" => (None, SchedulerFlags::THIRD),
                "sh-fallback" => (Some("sh"), SchedulerFlags::FALLBACK),
                "sh-port" => (Some("sh"), SchedulerFlags::PORT),
                "mh-fallback" => (Some("mh"), SchedulerFlags::FALLBACK),
                "mh-port" => (Some("mh"), SchedulerFlags::PORT),
                _ => return fatal(format!("invalid scheduler flag `{word}'")),
            };
            if scheduler.is_some_and(|scheduler| scheduler != self.scheduler) {
                return fatal(format!("incompatible scheduler flag `{word}'"));
            }
            flags |= flag;
        }
        Ok(SchedulerFlags(flags))
    }

    fn service(self, id: ServiceId, flags: SchedulerFlags) -> Result<Service, Wrong> {
        if id.address.port() == 0 && self.persistence.is_none() {
            return fatal("Zero port specified for non-persistent service");
        }
        let one_packet = self.has(Given::Ops);
        if one_packet && id.protocol != Protocol::Udp {
            return fatal("One-Packet Scheduling is only for UDP virtual services");
        }
        Ok(Service {
            flags,
            persistence: self.persistence.map(|timeout| Persistence {
                timeout,
                mask4: self.mask4,
                prefix6: self.prefix6,
            }),
            scheduler: self.scheduler,
            engine: self.engine,
            one_packet,
            ..Service::new(id)
        })
    }

    fn destination(&self) -> Result<Destination, Wrong> {
        let tunnels = self.method == Method::Tunnel;
        if self.server.is_ipv6() != self.address.is_ipv6() && !tunnels {
            return fatal("Different address family is allowed only for tunneling servers");
        }
        let options = [
            Given::TunType,
            Given::TunPort,
            Given::TunNocsum,
            Given::TunCsum,
            Given::TunRemcsum,
        ];
        if !tunnels && options.into_iter().any(|option| self.has(option)) {
            return fatal("Tunnel options conflict with forward method");
        }
        if tunnels {
            self.check_tunnel()?;
        }
        // Without translation the port stays what the client asked for.
        let port = match self.method {
            Method::Masquerade => self.server.port(),
            Method::Direct | Method::Tunnel => self.address.port(),
        };
        Ok(Destination {
            address: SocketAddr::new(self.server.ip(), port),
            method: self.method,
            weight: self.weight,
            upper: self.upper,
            lower: self.lower,
            tunnel: if tunnels { self.tunnel } else { Tunnel::IPIP },
        })
    }

    fn check_tunnel(&self) -> Result<(), Wrong> {
        let (name, port, checksum, remote) = match self.tunnel.kind {
            TunnelKind::IpIp => ("ipip", With::MustNot, With::MustNot, With::MustNot),
            TunnelKind::Gre => ("gre", With::MustNot, With::OneOf, With::MustNot),
            TunnelKind::Gue => ("gue", With::Must, With::OneOf, With::OneOf),
        };
        let with = |option| match option {
            Given::TunPort => port,
            Given::TunNocsum | Given::TunCsum => checksum,
            Given::TunRemcsum => remote,
            _ => With::May,
        };
        self.check(with, "tunnel type", name)
    }

    fn list(&self, id: ServiceId) -> Result<Command, Wrong> {
        let format = Format {
            numeric: self.has(Given::Numeric),
            exact: self.has(Given::Exact),
            unsorted: self.has(Given::Nosort),
            stats: self.has(Given::Stats),
            rate: self.has(Given::Rate),
            thresholds: self.has(Given::Thresholds),
            persistent: self.has(Given::PersistentConn),
            tunnel: self.has(Given::TunInfo),
        };
        let (connections, timeouts) = (self.has(Given::Connection), self.has(Given::Timeout));
        let daemons = self.has(Given::Daemon);
        let counts = format.stats || format.rate || format.thresholds;
        if (connections || timeouts || daemons) && counts
            || (timeouts || daemons) && format.persistent
        {
            return fatal("options conflicts in the list command");
        }
        let what = if connections {
            What::Connections
        } else if self.has(Given::Service) {
            What::Service(id)
        } else if timeouts {
            What::Timeouts
        } else if daemons {
            What::Daemons
        } else {
            What::Table
        };
        Ok(Command::List(what, format))
    }
}
