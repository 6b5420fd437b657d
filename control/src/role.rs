//! The third fact: what VRRP made of this node, for each vip.
//!
//! Who decides is not here: a virtual router's times do not bear waiting for anything, so it runs on a thread of its own, which
//! tells the engine what became of it.

use crate::name::Name;

/// What this node is for a vip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It takes no part: not started, or in its start delay.
    Initialize,
    /// It takes no part: something is in the way.
    Fault,
    /// Another node has the addresses, as far as is known.
    Backup,
    /// It has the addresses.
    Master,
}

impl Role {
    /// For logs, metrics and the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Fault => "fault",
            Self::Backup => "backup",
            Self::Master => "master",
        }
    }
}

/// A vip's role changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleChange {
    /// The vip.
    pub vip: Name,
    /// What this node is for it now; none: the vip is gone.
    pub role: Option<Role>,
}
