//! The commands and options of `ipvsadm`, and which go together.

use super::popt::{Argument, Definition};

/// What `ipvsadm` is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// `-A`
    AddService,
    /// `-E`
    EditService,
    /// `-D`
    DeleteService,
    /// `-C`
    Flush,
    /// `-L`, `-l`
    List,
    /// `-a`
    AddServer,
    /// `-d`
    DeleteServer,
    /// `-e`
    EditServer,
    /// `--set`
    Set,
    /// `--start-daemon`
    StartDaemon,
    /// `--stop-daemon`
    StopDaemon,
    /// `-R`
    Restore,
    /// `-S`
    Save,
    /// `-Z`
    Zero,
    /// `-v`
    Version,
    /// `-h`
    Help,
}

impl Verb {
    /// What messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AddService => "add-service",
            Self::EditService => "edit-service",
            Self::DeleteService => "delete-service",
            Self::Flush => "flush",
            Self::List => "list",
            Self::AddServer => "add-server",
            Self::DeleteServer => "delete-server",
            Self::EditServer => "edit-server",
            Self::Set => "set",
            Self::StartDaemon => "start-daemon",
            Self::StopDaemon => "stop-daemon",
            Self::Restore => "restore",
            Self::Save => "save",
            Self::Zero => "zero",
            Self::Version => "version",
            Self::Help => "help",
        }
    }

    /// How it stands with an option.
    pub(super) fn with(self, option: Given) -> With {
        use Given::{
            Connection, Daemon, Exact, Forward, LThreshold, McastGroup, McastInterface, McastPort,
            McastTtl, Netmask, Nosort, Numeric, Ops, Pe, Persistent, PersistentConn, Rate,
            SchedFlags, Scheduler, Server, Service, Stats, SyncMaxlen, Syncid, Thresholds, Timeout,
            TunCsum, TunInfo, TunNocsum, TunPort, TunRemcsum, TunType, UThreshold, Weight,
        };
        match (self, option) {
            (
                Self::AddService
                | Self::EditService
                | Self::DeleteService
                | Self::AddServer
                | Self::EditServer
                | Self::DeleteServer,
                Service,
            )
            | (Self::AddServer | Self::EditServer | Self::DeleteServer, Server) => With::Must,
            (Self::List, Connection | Service | Timeout | Daemon) => With::OneOf,
            (
                Self::AddService | Self::EditService,
                Scheduler | Pe | Persistent | Netmask | Ops | SchedFlags,
            )
            | (
                Self::AddServer | Self::EditServer,
                Forward | Weight | UThreshold | LThreshold | TunType | TunPort | TunNocsum
                | TunCsum | TunRemcsum,
            )
            | (
                Self::List,
                Numeric | Stats | Rate | Thresholds | PersistentConn | Nosort | Syncid | Exact
                | TunInfo,
            )
            | (Self::Zero, Service)
            | (Self::Save, Numeric)
            | (Self::StopDaemon, Syncid)
            | (
                Self::StartDaemon,
                McastInterface | Syncid | SyncMaxlen | McastGroup | McastPort | McastTtl,
            ) => With::May,
            _ => With::MustNot,
        }
    }
}

/// How a command stands with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    /// It needs it.
    Must,
    /// It takes it.
    May,
    /// It takes it, but only one of its kind.
    OneOf,
    /// It does not take it.
    MustNot,
}

/// What was given, each at most once; in the order in which `ipvsadm` looks whether it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Numeric,
    Connection,
    Service,
    Scheduler,
    Persistent,
    Netmask,
    Server,
    Forward,
    Weight,
    UThreshold,
    LThreshold,
    McastInterface,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    Nosort,
    Syncid,
    Exact,
    Ops,
    Pe,
    SchedFlags,
    TunInfo,
    TunType,
    TunPort,
    TunNocsum,
    TunCsum,
    TunRemcsum,
    SyncMaxlen,
    McastGroup,
    McastPort,
    McastTtl,
}

impl Given {
    /// All, with what messages call them.
    pub(super) const ALL: [(Self, &'static str); 34] = [
        (Self::Numeric, "numeric"),
        (Self::Connection, "connection"),
        (Self::Service, "service-address"),
        (Self::Scheduler, "scheduler"),
        (Self::Persistent, "persistent"),
        (Self::Netmask, "netmask"),
        (Self::Server, "real-server"),
        (Self::Forward, "forwarding-method"),
        (Self::Weight, "weight"),
        (Self::UThreshold, "u-threshold"),
        (Self::LThreshold, "l-threshold"),
        (Self::McastInterface, "mcast-interface"),
        (Self::Timeout, "timeout"),
        (Self::Daemon, "daemon"),
        (Self::Stats, "stats"),
        (Self::Rate, "rate"),
        (Self::Thresholds, "thresholds"),
        (Self::PersistentConn, "persistent-conn"),
        (Self::Nosort, "nosort"),
        (Self::Syncid, "syncid"),
        (Self::Exact, "exact"),
        (Self::Ops, "ops"),
        (Self::Pe, "pe"),
        (Self::SchedFlags, "sched-flags"),
        (Self::TunInfo, "tun-info"),
        (Self::TunType, "tun-type"),
        (Self::TunPort, "tun-port"),
        (Self::TunNocsum, "tun-nocsum"),
        (Self::TunCsum, "tun-csum"),
        (Self::TunRemcsum, "tun-remcsum"),
        (Self::SyncMaxlen, "sync-maxlen"),
        (Self::McastGroup, "mcast-group"),
        (Self::McastPort, "mcast-port"),
        (Self::McastTtl, "mcast-ttl"),
    ];

    pub(super) fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(given, _)| *given == self);
        found.map_or("", |(_, name)| name)
    }
}

/// What an argument means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A command.
    Verb(Verb),
    /// `-t`
    Tcp,
    /// `-u`
    Udp,
    /// `--sctp-service`
    Sctp,
    /// `-f`
    Mark,
    /// `-6`
    Six,
    /// `-s`
    Scheduler,
    /// `--pe`
    Engine,
    /// `-p`
    Persistent,
    /// `-M`
    Netmask,
    /// `-r`
    Server,
    /// `-g`
    Direct,
    /// `-i`
    Tunnel,
    /// `-m`
    Masquerade,
    /// `--tun-type`
    TunType,
    /// `--tun-port`
    TunPort,
    /// `--tun-nocsum`
    TunNocsum,
    /// `--tun-csum`
    TunCsum,
    /// `--tun-remcsum`
    TunRemcsum,
    /// `-w`
    Weight,
    /// `-x`
    Upper,
    /// `-y`
    Lower,
    /// `-c`
    Connection,
    /// `--timeout`
    Timeout,
    /// `--daemon`
    Daemon,
    /// `--stats`
    Stats,
    /// `--rate`
    Rate,
    /// `--exact`
    Exact,
    /// `--thresholds`
    Thresholds,
    /// `--persistent-conn`
    PersistentConn,
    /// `--tun-info`
    TunInfo,
    /// `--nosort`
    Nosort,
    /// `--sort`
    Sort,
    /// `-o`
    Ops,
    /// `-n`
    Numeric,
    /// `-b`
    SchedFlags,
    /// `--syncid`
    Syncid,
    /// `--sync-maxlen`
    SyncMaxlen,
    /// `--mcast-interface`
    McastInterface,
    /// `--mcast-group`
    McastGroup,
    /// `--mcast-port`
    McastPort,
    /// `--mcast-ttl`
    McastTtl,
}

const fn flag(long: &'static str, short: Option<char>, meaning: Meaning) -> Definition<Meaning> {
    Definition {
        long,
        short,
        argument: Argument::None,
        meaning,
    }
}

const fn with(long: &'static str, short: Option<char>, meaning: Meaning) -> Definition<Meaning> {
    Definition {
        long,
        short,
        argument: Argument::Required,
        meaning,
    }
}

/// All that there are.
pub(super) const DEFINITIONS: [Definition<Meaning>; 58] = [
    flag("add-service", Some('A'), Meaning::Verb(Verb::AddService)),
    flag("edit-service", Some('E'), Meaning::Verb(Verb::EditService)),
    flag(
        "delete-service",
        Some('D'),
        Meaning::Verb(Verb::DeleteService),
    ),
    flag("clear", Some('C'), Meaning::Verb(Verb::Flush)),
    flag("list", Some('L'), Meaning::Verb(Verb::List)),
    flag("list", Some('l'), Meaning::Verb(Verb::List)),
    flag("zero", Some('Z'), Meaning::Verb(Verb::Zero)),
    flag("add-server", Some('a'), Meaning::Verb(Verb::AddServer)),
    flag("edit-server", Some('e'), Meaning::Verb(Verb::EditServer)),
    flag(
        "delete-server",
        Some('d'),
        Meaning::Verb(Verb::DeleteServer),
    ),
    flag("set", None, Meaning::Verb(Verb::Set)),
    with("start-daemon", None, Meaning::Verb(Verb::StartDaemon)),
    with("stop-daemon", None, Meaning::Verb(Verb::StopDaemon)),
    flag("restore", Some('R'), Meaning::Verb(Verb::Restore)),
    flag("save", Some('S'), Meaning::Verb(Verb::Save)),
    flag("version", Some('v'), Meaning::Verb(Verb::Version)),
    flag("help", Some('h'), Meaning::Verb(Verb::Help)),
    with("tcp-service", Some('t'), Meaning::Tcp),
    with("udp-service", Some('u'), Meaning::Udp),
    with("sctp-service", None, Meaning::Sctp),
    with("fwmark-service", Some('f'), Meaning::Mark),
    flag("ipv6", Some('6'), Meaning::Six),
    with("scheduler", Some('s'), Meaning::Scheduler),
    with("pe", None, Meaning::Engine),
    Definition {
        long: "persistent",
        short: Some('p'),
        argument: Argument::Optional,
        meaning: Meaning::Persistent,
    },
    with("netmask", Some('M'), Meaning::Netmask),
    with("real-server", Some('r'), Meaning::Server),
    flag("gatewaying", Some('g'), Meaning::Direct),
    flag("ipip", Some('i'), Meaning::Tunnel),
    flag("masquerading", Some('m'), Meaning::Masquerade),
    with("tun-type", None, Meaning::TunType),
    with("tun-port", None, Meaning::TunPort),
    flag("tun-nocsum", None, Meaning::TunNocsum),
    flag("tun-csum", None, Meaning::TunCsum),
    flag("tun-remcsum", None, Meaning::TunRemcsum),
    with("weight", Some('w'), Meaning::Weight),
    with("u-threshold", Some('x'), Meaning::Upper),
    with("l-threshold", Some('y'), Meaning::Lower),
    flag("connection", Some('c'), Meaning::Connection),
    flag("timeout", None, Meaning::Timeout),
    flag("daemon", None, Meaning::Daemon),
    flag("stats", None, Meaning::Stats),
    flag("rate", None, Meaning::Rate),
    flag("exact", None, Meaning::Exact),
    flag("thresholds", None, Meaning::Thresholds),
    flag("persistent-conn", None, Meaning::PersistentConn),
    flag("tun-info", None, Meaning::TunInfo),
    flag("nosort", None, Meaning::Nosort),
    flag("sort", None, Meaning::Sort),
    flag("ops", Some('o'), Meaning::Ops),
    flag("numeric", Some('n'), Meaning::Numeric),
    with("sched-flags", Some('b'), Meaning::SchedFlags),
    with("syncid", None, Meaning::Syncid),
    with("sync-maxlen", None, Meaning::SyncMaxlen),
    with("mcast-interface", None, Meaning::McastInterface),
    with("mcast-group", None, Meaning::McastGroup),
    with("mcast-port", None, Meaning::McastPort),
    with("mcast-ttl", None, Meaning::McastTtl),
];
