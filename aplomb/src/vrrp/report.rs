//! What the thread of virtual routers has to say. It neither logs nor waits for anybody: this goes to a thread that does.

use control::name::Name;
use proto::vrrp::{
    machine::{State, Why},
    terms::Family,
};

/// Something to be said.
#[derive(Debug)]
pub(super) enum Report {
    /// A virtual router is something else now.
    Moved {
        vip: Name,
        family: Family,
        from: State,
        to: State,
        why: String,
        priority: u8,
    },
    /// A vip is something else now, with all of its group.
    Role {
        vip: Name,
        group: Name,
        from: State,
        to: State,
        why: String,
        priority: u8,
        notify: Vec<String>,
    },
    /// There is no such vip any more.
    Gone(Name),
    /// Something that whoever runs this node should know.
    Trouble { vip: Name, what: String },
    /// A core stood still, and the thread of virtual routers was moved to another: so often since it started.
    CoreStoodStill(u64),
    /// Something worth a line.
    Note { vip: Name, what: String },
}

/// A reason without its details: a bounded set for metrics.
pub(super) const fn cause(why: &Why) -> &'static str {
    match why {
        Why::Started => "started",
        Why::Stopped => "stopped",
        Why::Owner => "owner",
        Why::MasterDown { .. } => "master-down",
        Why::MasterLeft => "master-left",
        Why::PreemptDelayOver => "preempt-delay-over",
        Why::HigherPriority { .. } => "higher-priority",
        Why::HigherAddress { .. } => "higher-address",
        Why::LinkDown => "link-down",
        Why::Fault(..) => "fault",
        Why::Repaired => "repaired",
        Why::Released => "released",
        Why::Promoted => "promoted",
        Why::Configured => "configured",
        Why::Group => "group",
    }
}

/// As logs, metrics and the API call it.
pub(super) const fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

/// How a vip's virtual router is called in a log line.
pub(super) fn called(vip: &Name, family: Family) -> String {
    format!("{vip} ({})", family_name(family))
}
