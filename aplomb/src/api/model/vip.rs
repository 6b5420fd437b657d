//! Virtual addresses at one moment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A virtual router of this node, or a vip of one family that this node always has.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct VipStatus {
    /// The vip's name.
    pub name: String,
    /// What it moves with: its group's name, or its own.
    pub group: String,
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// The interface.
    pub interface: String,
    /// The addresses that come and go with it.
    pub addresses: Vec<String>,
    /// `initialize`, `fault`, `backup` or `master`.
    pub state: String,
    /// For how long it has been that, in seconds.
    pub since_seconds: f64,
    /// Why it became that.
    pub why: String,
    /// Whether the addresses are on the interface, as far as is known.
    pub held: bool,
    /// Routes that come and go with it, as `ip route` has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Rules that come and go with it, as `ip rule` has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Packets to the addresses are not taken (`accept = false`).
    #[serde(default)]
    pub refuses: bool,
    /// The virtual router's id; 0 without VRRP.
    pub id: u8,
    /// The version of VRRP; 0 without it.
    pub version: u8,
    /// The priority that counts now.
    pub priority: u8,
    /// The priority of the configuration.
    pub configured_priority: u8,
    /// Between adverts, in seconds.
    pub interval_seconds: f64,
    /// The address that adverts come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The master as a backup hears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// Its priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master_priority: Option<u8>,
    /// An operator had it hand over; it keeps back.
    pub released: bool,
    /// An operator had it take over; it keeps others away.
    pub promoted: bool,
    /// What keeps it from taking part.
    pub faults: Vec<String>,
    /// What is tracked.
    pub track: Vec<TrackStatus>,
    /// The other master, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_brain_with: Option<String>,
    /// How often another was master at the same time.
    pub split_brains: u64,
    /// Adverts sent.
    pub adverts_sent: u64,
    /// Adverts taken.
    pub adverts_received: u64,
    /// Adverts sent with priority 0.
    pub releases_sent: u64,
    /// Adverts taken with priority 0.
    pub releases_received: u64,
    /// How often it became master.
    pub became_master: u64,
    /// Adverts that could not be sent.
    pub send_errors: u64,
    /// Adverts that were not obeyed, by the reason.
    pub refused: BTreeMap<String, u64>,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<String>,
    /// Changes of state, by what it became and why.
    pub transitions: Vec<VipTransitions>,
    /// What is wrong with sending, with the addresses or with what goes with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl VipStatus {
    /// Why it is what it is, and what is wrong with that.
    pub(crate) fn whole_why(&self) -> String {
        let mut why = self.why.clone();
        if let Some(peer) = &self.split_brain_with {
            why += &format!("; SPLIT BRAIN: {peer} is master too");
        }
        if let Some(error) = &self.error {
            why += &format!("; ERROR: {error}");
        }
        why
    }
}

/// How often it became something for a reason.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct VipTransitions {
    /// What it became.
    pub to: String,
    /// Why.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// Something that is tracked.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct TrackStatus {
    /// What.
    pub name: String,
    /// What it adds to the priority; none: a failure is a fault.
    pub weight: Option<i16>,
    /// Why it fails, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
}
