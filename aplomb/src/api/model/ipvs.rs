//! The words of `/v1/ipvs`, which `ipvsadm` speaks. What is within is `control::ipvs`'s.

use control::ipvs::{
    Edit, Error,
    listing::{Connection, Listing},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Edits to the table of virtual services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IpvsEdits {
    /// What is to be done, in order: `{"add-service": {…}}`, `{"delete-service": {…}}`, `{"add-destination": [{…}, {…}]}`, `"flush"` …
    #[schema(value_type = Vec<Object>)]
    pub edits: Vec<Edit>,
}

/// What came of edits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct IpvsOutcomes {
    /// For each edit null, or why it was not done: `no-such-service`, `{"refused": "…"}` …
    #[schema(value_type = Vec<Option<Object>>)]
    pub outcomes: Vec<Option<Error>>,
}

/// Virtual services and what they count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct IpvsTable {
    /// The table: its size, timeouts in seconds, and services with their destinations, in the order of being added.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub listing: Listing,
}

/// Connections of virtual services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct IpvsConnections {
    /// Connections, and clients that are remembered (with port 0).
    #[schema(value_type = Vec<Object>)]
    pub connections: Vec<Connection>,
}
