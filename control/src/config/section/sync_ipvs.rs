//! `[sync.ipvs]`: IPVS's own sync protocol, to take over from a director of Linux's own, or have it take over.

use std::net::IpAddr;

use proto::sync::ipvs;

use crate::{
    config::{
        diagnostic::Problem,
        form::{
            many::OneOrMany,
            number::{Int, Size, Time},
            text::Interface,
            words::words,
        },
        kind::section,
        walk::{Cx, unique},
    },
    spec::{Bytes, IpvsSyncSpec},
};

/// The rarest refresh, milliseconds.
const LONGEST_REFRESH: u64 = 86_400_000;

section! {
    /// IPVS's own sync protocol, version 1, with directors that run LVS. It has no authentication: who can send to the group can invent connections.
    pub(in crate::config) struct IpvsKeys = "[sync.ipvs]" {
        /// The interface of the group.
        interface: Interface, required;
        /// Whether this node tells of connections, takes in those that others tell of, or both.
        roles: OneOrMany<Role>, default "[\"master\", \"backup\"]";
        /// The sync id, as in `ipvsadm --syncid`: messages of this node have it, and of others only those are taken; 0 takes all.
        id: Int<0, 255>, default "0";
        /// The multicast group.
        group: IpAddr, default "\"224.0.0.81\"";
        /// Its port.
        port: Int<1, 65_535>, default "8848";
        /// How many hops messages go.
        ttl: Int<1, 255>, default "1";
        /// The longest message that is sent, in bytes of UDP; directors take none that are longer than theirs.
        max_size: Int<{ ipvs::SHORTEST as i64 }, { ipvs::LONGEST as i64 }>, absent "what fits an MTU of 1500: 1472, with an IPv6 group 1452";
        /// The most that is sent a second.
        rate: Size<10_000, 10_000_000_000>, default "\"10MiB\"";
        /// After how long all connections of this node are told again, for who came later or missed some.
        refresh: Time<1_000, LONGEST_REFRESH>, default "\"1m\"";
    }
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) enum Role {
    Master,
    Backup,
}

words!(Role {
    "master" => Role::Master, "tells of the connections that it forwards";
    "backup" => Role::Backup, "takes in the connections that masters tell of";
});

impl IpvsKeys {
    pub(in crate::config) fn admit(self, cx: &mut Cx<'_>) -> IpvsSyncSpec {
        let group = self.group.value;
        if !group.is_multicast() {
            let message = format!("{group} is no multicast group");
            let problem = Problem::error(self.group.span, message);
            cx.push(problem.help("leave `group` out: directors speak to 224.0.0.81"));
        }
        let roles = &self.roles.value.0;
        unique(
            roles,
            "the role",
            |role| format!("{role:?}").to_lowercase(),
            cx,
        );
        let has = |role: Role| roles.iter().any(|at| at.value == role);
        let longest = match group {
            IpAddr::V4(_) => ipvs::LONGEST_V4,
            IpAddr::V6(_) => ipvs::LONGEST_V6,
        };
        IpvsSyncSpec {
            interface: self.interface.value.0,
            master: has(Role::Master),
            backup: has(Role::Backup),
            id: self.id.value.to(),
            group,
            port: self.port.value.to(),
            ttl: self.ttl.value.to(),
            max_size: self.max_size.map_or(longest, |at| at.value.to()),
            rate: Bytes(self.rate.value.0.0),
            refresh: self.refresh.value.0,
        }
    }
}
