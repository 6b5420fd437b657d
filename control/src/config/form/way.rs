//! Where routes lead, the tables they are in, the marks that rules go by.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Fault, Form, is_not, many::Either, number::Int, words::words};
use crate::{
    config::{
        diagnostic::Problem,
        walk::{At, Cx},
    },
    spec::ways::{MAIN, Mark, everything},
};
use proto::vrrp::terms::Family;

/// Where a route leads: a network, an address, or all that no other leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Destination {
    /// Everything of a family that the rest must tell.
    Default,
    /// This network.
    Net(IpNet),
}

impl Form for Destination {
    const WHAT: &'static str = "a network such as \"10.0.0.0/8\", or \"default\"";
    const EXAMPLE: &'static str = "10.0.0.0/8";
    const PATTERN: &'static str = "^(default|[0-9a-fA-F:.]+(/[0-9]+)?)$";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text == "default" {
            return Ok(Self::Default);
        }
        if text.parse::<IpNet>().is_err() && text.parse::<IpAddr>().is_err() {
            return Err(is_not::<Self>(text));
        }
        IpNet::parse(text).map(Self::Net)
    }
}

impl Destination {
    /// The network; `hint` is an address that it has to do with. What stands at `at` says it if nothing does.
    pub(in crate::config) fn net(
        at: &At<Self>,
        hint: Option<IpAddr>,
        cx: &mut Cx<'_>,
    ) -> Option<IpNet> {
        match (at.value, hint) {
            (Self::Net(net), _) => Some(net),
            (Self::Default, Some(hint)) => Some(everything(Family::of(hint))),
            (Self::Default, None) => {
                let message = "nothing says whether this is IPv4's default or IPv6's";
                let problem = Problem::error(at.span, message);
                cx.push(problem.help("write \"0.0.0.0/0\" or \"::/0\""));
                None
            }
        }
    }
}

/// A routing table: its number, or one of the names that all have.
pub(in crate::config) type Table = Either<Int<1, { u32::MAX as i64 }>, TableName>;

/// A table that has a name everywhere.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct TableName(u32);

words!(TableName {
    "main" => TableName(MAIN), "the ordinary one";
    "default" => TableName(253), "what is asked last";
    "local" => TableName(255), "this host's own addresses";
});

/// Its number.
pub(in crate::config) fn number(table: &Table) -> u32 {
    match table {
        Either::One(number) => number.to(),
        Either::Other(name) => name.0,
    }
}

/// A mark of packets: a number, or one with a mask.
pub(in crate::config) type AnyMark = Either<Int<0, { u32::MAX as i64 }>, MaskedMark>;

/// `0x10/0xff`: a mark and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct MaskedMark(Mark);

impl Form for MaskedMark {
    const WHAT: &'static str = "a mark such as \"0x10/0xff\"";
    const EXAMPLE: &'static str = "0x10/0xff";
    const PATTERN: &'static str = "^(0x[0-9a-fA-F]{1,8}|[0-9]+)(/(0x[0-9a-fA-F]{1,8}|[0-9]+))?$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let (value, mask) = match text.split_once('/') {
            Some((value, mask)) => (whole(value), whole(mask)),
            None => (whole(text), Some(u32::MAX)),
        };
        let (Some(value), Some(mask)) = (value, mask) else {
            return Err(is_not::<Self>(text).help("write \"0x10\", or \"0x10/0xff\" with a mask"));
        };
        if value & !mask != 0 {
            let fault = Fault::new(format!(
                "no packet has this mark: {mask:#x} leaves bits of it out"
            ));
            return Err(fault.help(format!(
                "write \"{value:#x}\", or a mask that has all its bits"
            )));
        }
        Ok(Self(Mark { value, mask }))
    }
}

/// A number of 32 bits, decimal or behind `0x`.
fn whole(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // A sign is none of it, though `from_str_radix` takes one.
    let plain = digits.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then(|| u32::from_str_radix(digits, radix).ok())?
}

/// The mark.
pub(in crate::config) fn mark(mark: &AnyMark) -> Mark {
    match mark {
        Either::One(value) => Mark {
            value: value.to(),
            mask: u32::MAX,
        },
        Either::Other(masked) => masked.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        assert_eq!(
            Destination::parse("default").ok(),
            Some(Destination::Default)
        );
        for good in ["10.0.0.0/8", "10.1.2.3", "::/0", "2001:db8::/32"] {
            assert!(
                matches!(Destination::parse(good), Ok(Destination::Net(_))),
                "{good}"
            );
        }
        for bad in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "defaults",
            "eth0",
            "::/129",
        ] {
            assert!(Destination::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn marks() {
        let read = |text| MaskedMark::parse(text).ok().map(|m| (m.0.value, m.0.mask));
        assert_eq!(read("0x10/0xff"), Some((16, 255)));
        assert_eq!(read("16"), Some((16, u32::MAX)));
        assert_eq!(read("0xffffffff"), Some((u32::MAX, u32::MAX)));
        for bad in [
            "",
            "0x",
            "+1",
            "0x+1",
            "1/",
            "/1",
            "0x100/0xff",
            "0x1ffffffff",
            "1/2/3",
            "x",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
