//! `[l4]`: the kernel data plane as a whole.

use crate::{
    config::{
        diagnostic::Problem,
        form::{
            Fault, Form, is_not,
            many::OneOrMany,
            number::{Int, Time},
            text::{FilePath, Interface},
            words::words,
        },
        kind::section,
        section::kernel::LONGEST,
        walk::{Cx, unique},
    },
    spec::{Interfaces, L4Spec, TimeoutsSpec, XdpMode},
};

section! {
    /// The kernel data plane as a whole: it carries services with `forward = "nat"`, `"direct"` and `"tunnel"`. Where it is in the file, if only as an empty `[l4]`, the daemon keeps what it needs for the first such service, which `ipvsadm` or `apply` may bring later.
    pub(in crate::config) struct L4Keys = "[l4]" {
        /// The interfaces that packets come in by, or `"auto"`: all that they can.
        interfaces: OneOrMany<Interface>, default "\"auto\"";
        /// How the program is attached to them.
        mode: XdpMode, default "\"auto\"";
        /// The most established flows that are remembered, of each family; past it, one that would end soon gives way. Memory is taken at the start: 108 bytes a flow for IPv4 and 176 for IPv6.
        max_flows: Int<1024, 134_217_728>, default "1048576";
        /// The same for those that are not established yet.
        max_handshakes: Int<1024, 16_777_216>, default "131072";
        /// How long idle flows are remembered, by their state.
        timeouts: L4TimeoutKeys, default "{}";
        /// The ports that `source = "pool"` uses. They should not be those that the system takes for connections of its own (`net.ipv4.ip_local_port_range`).
        source_ports: PortRange, default "\"1024-32767\"";
        /// Where programs and tables are pinned, so that they outlive the daemon: a folder of a BPF file system.
        pin: FilePath, default "\"/sys/fs/bpf/aplomb\"";
    }
}

section! {
    /// How long idle flows are remembered, by their state; IPVS's states and defaults.
    pub(in crate::config) struct L4TimeoutKeys = "`timeouts` of `[l4]`" {
        /// An established TCP connection.
        tcp: Time<1000, LONGEST>, default "\"15min\"";
        /// A TCP connection that one side has closed (FIN_WAIT).
        tcp_fin: Time<1000, LONGEST>, default "\"2min\"";
        /// A flow of UDP.
        udp: Time<1000, LONGEST>, default "\"5min\"";
        /// An association of SCTP.
        sctp: Time<1000, LONGEST>, default "\"15min\"";
        /// SYN_SENT.
        syn_sent: Time<1000, LONGEST>, default "\"2min\"";
        /// SYN_RECV.
        syn_recv: Time<1000, LONGEST>, default "\"1min\"";
        /// TIME_WAIT.
        time_wait: Time<1000, LONGEST>, default "\"2min\"";
        /// CLOSE.
        close: Time<1000, LONGEST>, default "\"10s\"";
        /// CLOSE_WAIT.
        close_wait: Time<1000, LONGEST>, default "\"1min\"";
        /// LAST_ACK.
        last_ack: Time<1000, LONGEST>, default "\"30s\"";
        /// LISTEN.
        listen: Time<1000, LONGEST>, default "\"2min\"";
        /// SYNACK.
        synack: Time<1000, LONGEST>, default "\"2min\"";
        /// NONE: nothing is known of it.
        none: Time<1000, LONGEST>, default "\"2s\"";
    }
}

words!(XdpMode {
    "auto" => XdpMode::Auto, "in the driver if it can, else as `generic`";
    "native" => XdpMode::Native, "in the driver, or not at all";
    "generic" => XdpMode::Generic, "behind the driver: slower, on any interface";
});

/// Ports, first and last.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct PortRange(pub(in crate::config) u16, pub(in crate::config) u16);

impl Form for PortRange {
    const WHAT: &'static str = "ports such as \"1024-32767\"";
    const EXAMPLE: &'static str = "1024-32767";
    const PATTERN: &'static str = "^[0-9]+-[0-9]+$";

    fn parse(text: &str) -> Result<Self, Fault> {
        let ports = text.split_once('-').and_then(|(first, last)| {
            let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
            (0 < first && first <= last).then_some(Self(first, last))
        });
        ports.ok_or_else(|| is_not::<Self>(text).help("write \"1024-32767\""))
    }
}

impl L4Keys {
    /// `asked`: the section is there, however empty.
    pub(in crate::config) fn admit(self, asked: bool, cx: &mut Cx<'_>) -> L4Spec {
        let named = &self.interfaces.value.0;
        unique(named, "the interface", |name| format!("\"{}\"", name.0), cx);
        let is_auto = |name: &Interface| name.0 == "auto";
        let interfaces = match named.as_slice() {
            [only] if is_auto(only) => Interfaces::Auto,
            several => {
                if let Some(auto) = several.iter().find(|name| is_auto(name)) {
                    let problem = Problem::error(auto.span, "\"auto\" stands alone");
                    cx.push(problem.help("write interfaces = \"auto\", or name interfaces only"));
                }
                Interfaces::Named(several.iter().map(|name| name.0.clone()).collect())
            }
        };
        if !self.pin.0.is_absolute() {
            let problem = Problem::error(self.pin.span, "the place to pin is absolute");
            cx.push(problem.help(format!("write \"{}\"", L4Spec::DEFAULT_PIN)));
        }
        L4Spec {
            asked,
            interfaces,
            mode: *self.mode,
            max_flows: self.max_flows.to(),
            max_handshakes: self.max_handshakes.to(),
            timeouts: self.timeouts.value.admit(),
            source_ports: (self.source_ports.0, self.source_ports.1),
            pin: self.pin.value.0,
        }
    }
}

impl L4TimeoutKeys {
    fn admit(self) -> TimeoutsSpec {
        TimeoutsSpec {
            tcp: self.tcp.0,
            tcp_fin: self.tcp_fin.0,
            udp: self.udp.0,
            sctp: self.sctp.0,
            syn_sent: self.syn_sent.0,
            syn_recv: self.syn_recv.0,
            time_wait: self.time_wait.0,
            close: self.close.0,
            close_wait: self.close_wait.0,
            last_ack: self.last_ack.0,
            listen: self.listen.0,
            synack: self.synack.0,
            none: self.none.0,
        }
    }
}
