//! What there is no room for: source ports, and headers in front of a frame.

use std::net::SocketAddr;

use control::spec::{Balance, Forward, KernelSpec, L4Spec, NatSource, Scheme};
use xdp::{abi::Reason, testing::Builder};

use super::{
    behaviour::{ACK, SYN, VIP, backends, client, one, rig, service},
    plans::{at, plan},
    rig::{Rig, small},
};

const DROP: u32 = 1;
const PASS: u32 = 2;

fn full_nat(kernel: &mut KernelSpec) {
    kernel.source = NatSource::Pool(vec!["10.1.255.1".parse().unwrap()]);
}

#[test]
fn when_all_source_ports_are_taken_a_new_flow_is_dropped_and_others_go_on() {
    let spec = L4Spec {
        source_ports: (2000, 2003),
        ..small()
    };
    let Some(mut rig) = Rig::of(&spec) else {
        return;
    };
    let service = service(one(Scheme::Udp), Forward::Nat, full_nat);
    let pool = backends(Balance::RoundRobin, &[1]);
    rig.harness.apply(&plan(&[service], &[pool])).unwrap();
    let ask = |port: u16| {
        rig.harness
            .run(&Builder::new(client(1, port), at(VIP)).udp(b"?"), rig.out)
            .unwrap()
    };
    let source = |frame: &[u8]| u16::from_be_bytes([frame[34], frame[35]]);
    let mut ports: Vec<u16> = (5000..5004).map(|port| source(&ask(port).packet)).collect();
    ports.sort_unstable();
    assert_eq!(ports, [2000, 2001, 2002, 2003]);
    assert_eq!(ask(5004).verdict, DROP);
    assert_eq!(rig.harness.drops(Reason::NoPort).unwrap(), 1);
    for port in 5000..5004 {
        assert!(ask(port).verdict > PASS, "a flow that is there goes on");
    }
    assert_eq!(rig.harness.drops(Reason::NoPort).unwrap(), 1);
}

#[test]
fn a_frame_without_room_for_the_tunnel_s_header_is_dropped() {
    for (backend, grows) in [
        ("10.1.0.1:80", true),
        ("[fd01::1]:80", true),
        ("10.1.0.1:80", false),
    ] {
        let forward = if grows {
            Forward::Tunnel
        } else {
            Forward::Direct
        };
        let service = service(one(Scheme::Tcp), forward, |_| {});
        let pool = super::plans::pool("web", Balance::RoundRobin, &[(backend, 1)]);
        let Some(rig) = rig(&service, &pool) else {
            return;
        };
        let dropped = || rig.harness.drops(Reason::NoRoom).unwrap();
        let frame = |flags| {
            Builder::new(SocketAddr::from(([192, 0, 2, 1], 5000)), at(VIP)).tcp(flags, &[], b"data")
        };
        // The first begins a flow, the others go the short road.
        for (n, flags) in (1..).zip([SYN, ACK, ACK]) {
            // A driver's metadata takes all but the last bytes of the 256 in front.
            let outcome = match rig.harness.run_behind(&frame(flags), rig.out, 212) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    eprintln!("SKIPPED: this kernel has no metadata as long as that");
                    return;
                }
                outcome => outcome.unwrap(),
            };
            assert_eq!(outcome.verdict > PASS, !grows, "{backend}");
            assert_eq!(dropped(), if grows { n } else { 0 }, "{backend}");
        }
        assert!(rig.harness.run(&frame(ACK), rig.out).unwrap().verdict > PASS);
    }
}
