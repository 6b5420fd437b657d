//! The kernel's words of a flow in those of the protocol, and the other way round.

use l4::sync::{FlowName, Method as KernelMethod, Told, ToldFlow, ToldTemplate};
use proto::sync::{Flow, FlowKey, Method, Record, Template};

/// A flow's name for the wire.
pub(super) fn key(name: &FlowName) -> FlowKey {
    FlowKey {
        template: name.template,
        protocol: name.protocol,
        client: name.client,
        target: name.target,
    }
}

/// A flow's name from the wire.
pub(super) fn name(key: &FlowKey) -> FlowName {
    FlowName {
        template: key.template,
        protocol: key.protocol,
        client: key.client,
        target: key.target,
    }
}

/// For the wire.
pub(super) fn record(told: &Told) -> Record {
    match told {
        Told::Gone(name) => Record::Gone(key(name)),
        Told::Template(template) => Record::Template(Template {
            key: key(&template.name),
            backend: template.backend,
            remaining: template.remaining,
            idle: template.idle,
        }),
        Told::Flow(flow) => Record::Flow(Flow {
            key: key(&flow.name),
            backend: flow.backend,
            method: match flow.method {
                KernelMethod::Nat => Method::Nat,
                KernelMethod::Direct => Method::Direct,
                KernelMethod::Tunnel => Method::Tunnel,
                KernelMethod::Local => Method::Local,
            },
            state: flow.state,
            persistent: flow.persistent,
            remaining: flow.remaining,
            idle: flow.idle,
            source: flow.source,
            delta: flow.delta,
        }),
    }
}

/// From the wire.
pub(super) fn told(record: &Record) -> Told {
    match record {
        Record::Gone(key) => Told::Gone(name(key)),
        Record::Template(template) => Told::Template(ToldTemplate {
            name: name(&template.key),
            backend: template.backend,
            remaining: template.remaining,
            idle: template.idle,
        }),
        Record::Flow(flow) => Told::Flow(ToldFlow {
            name: name(&flow.key),
            backend: flow.backend,
            method: match flow.method {
                Method::Nat => KernelMethod::Nat,
                Method::Direct => KernelMethod::Direct,
                Method::Tunnel => KernelMethod::Tunnel,
                Method::Local => KernelMethod::Local,
            },
            state: flow.state,
            persistent: flow.persistent,
            remaining: flow.remaining,
            idle: flow.idle,
            source: flow.source,
            delta: flow.delta,
            heard: false,
        }),
    }
}
