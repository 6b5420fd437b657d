//! `[[vip]]`: virtual addresses.

use crate::{
    config::{
        form::{
            address::Assigned,
            many::OneOrMany,
            number::{Int, Time},
            text::Interface,
        },
        kind::section,
    },
    name::Name,
};

section! {
    /// A virtual address, or several that move together: held by this node or another of its group.
    pub(in crate::config) struct VipKeys = "[[vip]]" {
        /// The name.
        name: Name, required;
        /// The addresses, each with its prefix length.
        addresses: OneOrMany<Assigned>, required;
        /// The interface that has them.
        interface: Interface, required;
        /// Which node has them is decided by VRRP (RFC 9568).
        vrrp: VrrpKeys, absent "always this node";
    }
}

section! {
    /// VRRP (RFC 9568).
    pub(in crate::config) struct VrrpKeys = "`vrrp`" {
        /// The virtual router's id.
        id: Int<1, 255>, required;
        /// This node's priority.
        priority: Int<1, 254>, default "100";
        /// From one advertisement to the next.
        interval: Time<10, 40_950>, default "\"1s\"";
    }
}
