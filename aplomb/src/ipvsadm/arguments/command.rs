//! What options come to together: the command, or which of them do not go together.

use std::net::SocketAddr;

use control::ipvs::{
    Destination, Edit, Method, Persistence, Protocol, SchedulerFlags, Service, ServiceId, Timeouts,
    Tunnel, TunnelKind,
};

use super::{
    super::options::{Given, Verb, With},
    Command, Format, What, Wrong,
    entry::Entry,
    fatal,
};

impl Entry<'_> {
    /// What it all comes to.
    pub(super) fn command(self, verb: Verb, timeouts: Option<Timeouts>) -> Result<Command, Wrong> {
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
            Verb::StartDaemon => Command::StartDaemon(self.sync),
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
