//! Where backends answer from, and to which sources of full NAT.

use control::spec::NatSource;

use super::*;

/// A service of full NAT by these sources.
fn full_nat(name: &str, listen: &str, source: NatSource) -> Arc<ServicePlan> {
    let mut spec = ServiceSpec::clone(&service(name, listen, "p", false).spec);
    let mut kernel = KernelSpec::new(Forward::Nat, "p".parse().unwrap());
    kernel.source = source;
    spec.kind = ServiceKind::Kernel(Box::new(kernel));
    Arc::new(ServicePlan {
        spec: Arc::new(spec),
    })
}

fn listed(sources: &[&str]) -> NatSource {
    NatSource::Pool(sources.iter().map(|ip| ip.parse().unwrap()).collect())
}

fn source(ip: &str) -> Place {
    Place::Source(ip.parse().unwrap())
}

#[test]
fn sources_that_may_move_are_there_while_a_service_has_them() {
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let pools = [pool("p", Balance::RoundRobin, &[("10.1.0.1:80", 1)])];
    let from = Place::Backend([10, 1, 0, 1].into(), 80, 6);
    let first = [
        full_nat(
            "a",
            "10.0.0.1:80",
            listed(&["10.0.0.8", "10.0.0.9", "fd00::8"]),
        ),
        full_nat("b", "10.0.0.2:80", listed(&["10.0.0.9"])),
    ];
    apply(&mut tables, &mut model, &plan(&first, &pools));
    // Those of its family.
    let all = [from, source("10.0.0.8"), source("10.0.0.9")];
    assert_eq!(model.answers, all.into());

    // The node's own address moves nowhere, and a client's is none of ours.
    let second = [
        full_nat("a", "10.0.0.1:80", NatSource::Pool(Vec::new())),
        full_nat("b", "10.0.0.2:80", listed(&["10.0.0.9"])),
        full_nat("c", "10.0.0.3:80", NatSource::Client),
    ];
    apply(&mut tables, &mut model, &plan(&second, &pools));
    assert_eq!(model.answers, [from, source("10.0.0.9")].into());

    // A successor finds what was left there.
    model.answers.insert(source("10.0.0.8"));
    let found = Found {
        services: model.services.clone().into_iter().collect(),
        backends: model.backends.clone().into_iter().collect(),
        places: model.places.clone(),
        answers: model.answers.clone(),
        quic: model.quic.clone(),
    };
    let mut next = Tables::adopt(found);
    apply(&mut next, &mut model, &plan(&second, &pools));
    assert_eq!(model.answers, [from, source("10.0.0.9")].into());
    apply(&mut next, &mut model, &plan(&[], &[]));
    assert_eq!(model.answers, BTreeSet::new());
}
