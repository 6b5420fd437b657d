//! What IPVS answers to an edit that it does not take, in the words that `ipvsadm` prints.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an edit was not done; the table is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Error {
    /// There is a service at that address.
    ServiceExists,
    /// There is none, for what is done to a service.
    NoSuchService,
    /// There is none, for what is done to a destination.
    ServiceNotDefined,
    /// The service has that destination.
    DestinationExists,
    /// It has not.
    NoSuchDestination,
    /// No scheduler or persistence engine of that name.
    NoScheduler,
    /// A lower threshold above the upper one.
    OutOfRange,
    /// An address that nothing can be sent to, or what this data plane cannot do.
    Invalid,
    /// What the daemon has against it, in its own words.
    Refused(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServiceExists => "Service already exists",
            Self::NoSuchService => "No such service",
            Self::ServiceNotDefined => "Service not defined",
            Self::DestinationExists => "Destination already exists",
            Self::NoSuchDestination => "No such destination",
            Self::NoScheduler => "Scheduler or persistence engine not found",
            Self::OutOfRange => "Numerical result out of range",
            Self::Invalid => {
                "Invalid operation.  Possibly wrong module version, address not unicast, ..."
            }
            Self::Refused(why) => why,
        })
    }
}

impl std::error::Error for Error {}
