//! The words of the admin API: what goes over the wire, for the server and for the command line alike.
//!
//! These types are the contract with operators' scripts. They say the same as the types of `control` and
//! `proxy`, but change only on purpose: fields are added, never renamed. Durations are seconds, sizes bytes.

mod explain;
mod ipvs;
mod l4;
mod problem;
mod stats;
mod status;
mod sync;
mod vip;

pub(crate) use self::{
    explain::{
        Candidate, Explanation, PacketExplanation, PacketFlow, PacketFrame, PacketQuestion,
        Question, RouteTried,
    },
    ipvs::{IpvsConnections, IpvsEdits, IpvsOutcomes, IpvsTable},
    l4::{
        Attachment, Connection, Connections, Decision, Draining, KernelBackend, KernelLoad,
        KernelService, L4Status, ReasonCount, StateTimeout, Sweep, SynCookies, TableFill, Traffic,
    },
    problem::{
        Applied, Change, Diagnostic, Done, DrainRequest, Problem, Severity, StopRequest,
        UpgradeRequest, Upgraded, WeightRequest,
    },
    stats::{
        BackendStats, CheckStats, DaemonStats, ErrorCount, Histogram, L4Stats, PoolStats,
        ResponseCount, ServiceStats, Stats,
    },
    status::{
        BackendState, BackendStatus, CheckStatus, ConfigStatus, Phase, PoolStatus, ServiceStatus,
        Status,
    },
    sync::{IpvsSyncStatus, SyncPeer, SyncStatus},
    vip::{TrackStatus, VipStatus, VipTransitions},
};
