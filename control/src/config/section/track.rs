//! What VRRP tracks: what makes this node less fit than others, or unfit.

use std::net::IpAddr;

use super::vip::program;
use crate::{
    config::{
        diagnostic::Problem,
        form::{
            many::{List, On},
            number::{Int, Time},
            text::{AnyText, Interface, Word},
            way::{self, Destination, Table},
        },
        kind::section,
        limits,
        walk::{At, Cx},
    },
    name::Name,
    spec::{
        vip::{TrackKind, TrackSpec},
        ways::WatchedRoute,
    },
};

section! {
    /// Something that is tracked: one of `interface`, `exec`, `process`, `service`, `pool`, `route`, `data-plane`. If it fails,
    /// priority is lost, or without a `weight` this node takes no part.
    pub(in crate::config) struct TrackKeys = "`track`" {
        /// An interface that must be up.
        interface: Interface, absent "not this", only "interface";
        /// A program, an absolute path, and its arguments: exit status 0 is good.
        exec: List<AnyText>, absent "not this", only "exec";
        /// The name of a process that must run, as `/proc/PID/comm` has it.
        process: Word, absent "not this", only "process";
        /// A service that must have backends.
        service: Name, absent "not this", only "service";
        /// A pool that must have backends.
        pool: Name, absent "not this", only "pool";
        /// A route that must be there, to exactly this network, and lead somewhere: by a device that has carrier.
        route: Destination, absent "not this", only "route";
        /// The kernel data plane must be attached.
        data_plane: On, absent "not this", only "data-plane";
        /// The table that the route is in.
        table: Table, default "\"main\"", only "route";
        /// The gateway that the route must have.
        via: IpAddr, absent "any, or none", only "route";
        /// The device that the route must lead by.
        dev: Interface, absent "any", only "route";
        /// How many backends must take work.
        least: Int<1, 65_535>, default "1", only "service" "pool";
        /// Added to the priority: a negative one while it fails, a positive one while it does not.
        weight: Int<-253, 253>, absent "a failure makes this node unfit";
        /// From one look to the next.
        interval: Time<100, { limits::DAY }>, default "\"1s\"", only "exec" "process" "data-plane";
        /// How long the program may take.
        timeout: Time<10, { limits::DAY }>, default "\"1s\"", only "exec";
        /// The user that the program runs as.
        user: Word, absent "the daemon's", only "exec";
        /// How many good looks in a row end a failure.
        rise: Int<1, 1000>, default "1", only "exec" "process" "data-plane";
        /// How many bad looks in a row are a failure.
        fall: Int<1, 1000>, default "1", only "exec" "process" "data-plane";
    }
}

impl TrackKeys {
    /// `owner`: the priority of who owns the addresses does not change.
    pub(super) fn admit(self, owner: bool, cx: &mut Cx<'_>) -> Option<TrackSpec> {
        if let (true, Some(weight)) = (owner, &self.weight) {
            let problem = Problem::error(weight.span, "the owner's priority stays 255");
            cx.push(problem.help("leave `weight` out, or give it a priority of at most 254"));
        }
        let weight = self.weight.as_ref().map(|weight| weight.to::<i16>());
        if let (Some(0), Some(at)) = (weight, &self.weight) {
            let problem = Problem::error(at.span, "a weight of 0 changes nothing");
            cx.push(problem.help("leave `weight` out to make a failure a fault"));
        }
        let (interval, rise, fall) = (self.interval.0, self.rise.to(), self.fall.to());
        Some(TrackSpec {
            what: self.what(cx)?,
            weight,
            interval,
            rise,
            fall,
        })
    }

    fn what(self, cx: &mut Cx<'_>) -> Option<TrackKind> {
        const KINDS: [&str; 7] = [
            "interface",
            "exec",
            "process",
            "service",
            "pool",
            "route",
            "data_plane",
        ];
        let named: Vec<_> = KINDS.into_iter().filter(|k| self.given.has(k)).collect();
        let [one] = *named else {
            let problem = Problem::error(self.span, "one thing is tracked at a time");
            cx.push(problem.help(
                "write one of interface, exec, process, service, pool, route, data-plane = true",
            ));
            return None;
        };
        let form = one.replace('_', "-");
        self.given
            .only_of(&form, |_| format!("this tracks {form}"), cx);
        let least = self.least.to();
        match one {
            "interface" => Some(TrackKind::Interface(self.interface?.value.0)),
            "process" => Some(TrackKind::Process(self.process?.value.0)),
            "service" => self.service.map(|service| TrackKind::Service {
                service: service.value,
                least,
            }),
            "pool" => self.pool.map(|pool| TrackKind::Pool {
                pool: pool.value,
                least,
            }),
            "exec" => self.script(cx),
            "route" => self.watched_route(cx),
            _ => self.data_plane.map(|_| TrackKind::DataPlane),
        }
    }

    fn watched_route(self, cx: &mut Cx<'_>) -> Option<TrackKind> {
        let via = self.via.map(|via| via.value);
        Some(TrackKind::Route(WatchedRoute {
            to: Destination::net(&self.route?, via, cx)?,
            table: way::number(&self.table),
            via,
            dev: self.dev.map(|dev| dev.value.0),
        }))
    }

    fn script(self, cx: &mut Cx<'_>) -> Option<TrackKind> {
        let exec: At<List<AnyText>> = self.exec?;
        let command = program(&exec, "exec", cx);
        if command.is_empty() {
            cx.push(Problem::error(exec.span, "no program is named"));
        }
        Some(TrackKind::Exec {
            command,
            timeout: self.timeout.0,
            user: self.user.map(|user| user.value.0),
        })
    }
}
