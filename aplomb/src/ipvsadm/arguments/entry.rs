//! Options as they come, one after the other: each is looked at by itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use control::ipvs::{Checksum, Method, Protocol, Tunnel, TunnelKind};

use super::{
    super::{
        Names, address,
        number::{bounded, leading},
        options::{Given, Meaning},
        sync::Wanted,
    },
    DEFAULT_PERSISTENCE, MAX, Wrong, fatal, name, number, timeout,
};

/// What options came to so far.
pub(super) struct Entry<'n> {
    pub(super) names: &'n dyn Names,
    pub(super) given: u64,
    pub(super) protocol: Protocol,
    pub(super) address: SocketAddr,
    pub(super) scheduler: String,
    pub(super) flags: String,
    pub(super) engine: Option<String>,
    pub(super) persistence: Option<u32>,
    pub(super) mask4: Ipv4Addr,
    pub(super) prefix6: u8,
    pub(super) server: SocketAddr,
    pub(super) method: Method,
    pub(super) weight: u32,
    pub(super) upper: u32,
    pub(super) lower: u32,
    pub(super) tunnel: Tunnel,
    pub(super) sync: Wanted,
}

impl<'n> Entry<'n> {
    pub(super) fn new(names: &'n dyn Names) -> Self {
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
            sync: Wanted::default(),
        }
    }

    pub(super) fn has(&self, given: Given) -> bool {
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
    pub(super) fn take(
        &mut self,
        meaning: Meaning,
        argument: &str,
        is_given: bool,
    ) -> Result<(), Wrong> {
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

    fn take_of_daemon(&mut self, meaning: Meaning, argument: &str) -> Result<(), Wrong> {
        match meaning {
            Meaning::Syncid => {
                self.set(Given::Syncid)?;
                self.sync.id = Some(number(argument, 0, 255, "syncid")?);
            }
            Meaning::SyncMaxlen => {
                self.set(Given::SyncMaxlen)?;
                let longest = number(argument, 1, 65_535 - 20 - 8, "sync-maxlen")?;
                self.sync.longest = Some(longest);
            }
            Meaning::McastGroup => {
                self.set(Given::McastGroup)?;
                let group = argument.parse::<IpAddr>().ok();
                self.sync.group = group.filter(IpAddr::is_multicast);
                if self.sync.group.is_none() {
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
                let port = number(argument, 1, 65_535, "mcast-port")?;
                self.sync.port = u16::try_from(port).ok();
            }
            Meaning::McastTtl => {
                self.set(Given::McastTtl)?;
                self.sync.ttl = Some(number(argument, 1, 255, "mcast-ttl")?);
            }
            _ => {
                self.set(Given::McastInterface)?;
                self.sync.interface = Some(argument.to_owned());
            }
        }
        Ok(())
    }
}
