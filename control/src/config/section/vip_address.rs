//! The addresses of a vip, each with what there is to say of it.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{
    config::{
        diagnostic::{Problem, Span},
        form::{address::Assigned, many::Either, text::Interface, words::words},
        kind::section,
        walk::{At, Cx},
    },
    spec::vip::{Scope, VipAddress},
};

/// An address with its prefix length, or a table with more of it.
pub(in crate::config) type Address = Either<Assigned, AddressKeys>;

section! {
    /// An address as it is put on the interface.
    pub(in crate::config) struct AddressKeys = "a virtual address" {
        /// The address with its prefix length.
        address: Assigned, required;
        /// Its label, which begins with the interface's name.
        label: Interface, absent "none";
        /// How far it is valid.
        scope: Scope, default "\"global\"";
    }
}

words!(Scope {
    "global" => Scope::Global, "everywhere";
    "link" => Scope::Link, "on the link";
    "host" => Scope::Host, "on this host";
});

pub(super) fn place(at: &At<VipAddress>) -> At<IpAddr> {
    At {
        value: at.value.address.addr(),
        span: at.span,
        key: at.key,
        given: at.given,
    }
}

pub(super) fn read_addresses(list: &[At<Address>], cx: &mut Cx<'_>) -> Vec<At<VipAddress>> {
    let mut read = Vec::new();
    for at in list {
        let value = match &at.value {
            Either::One(address) => VipAddress {
                address: address.0,
                label: None,
                scope: Scope::Global,
            },
            Either::Other(keys) => VipAddress {
                address: keys.address.0,
                label: label(keys, cx),
                scope: *keys.scope,
            },
        };
        check_address(value.address, at.span, cx);
        read.push(At {
            value,
            span: at.span,
            key: at.key,
            given: at.given,
        });
    }
    read
}

fn label(keys: &AddressKeys, cx: &mut Cx<'_>) -> Option<String> {
    let label = keys.label.as_ref()?;
    if keys.address.0.addr().is_ipv6() {
        let problem = Problem::error(label.span, "only IPv4 addresses have labels");
        cx.push(problem.help("leave `label` out"));
    }
    Some(label.value.0.clone())
}

fn check_address(net: IpNet, span: Span, cx: &mut Cx<'_>) {
    let ip = net.addr();
    let wrong = if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() {
        Some("no address that a node can hold for others")
    } else if net.prefix_len() == 0 {
        Some("no address with a prefix: everything would be on this link")
    } else {
        None
    };
    if let Some(wrong) = wrong {
        cx.push(Problem::error(span, format!("{net} is {wrong}")));
    }
}
