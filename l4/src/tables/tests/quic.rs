//! QUIC connection IDs: who is named, and that no ID ever leads to a slot that is not its backend's (which
//! [`Model::check`] looks at after each write).

use control::spec::{QuicLbConfig, QuicLbKey, QuicLbSpec, ServerId};
use xdp::quic::config;

use super::*;

fn quic_service(rotations: &[u8], key: Option<[u8; 16]>) -> Arc<ServicePlan> {
    let mut spec = (*service("a", "10.0.0.1:443", "p", false).spec).clone();
    if let ServiceKind::Kernel(kernel) = &mut spec.kind {
        let configs = rotations.iter().map(|rotation| QuicLbConfig {
            rotation: *rotation,
            server_id_length: 1,
            nonce_length: 4,
            key: key.map(QuicLbKey::new),
        });
        kernel.quic_lb = Some(QuicLbSpec {
            configs: configs.collect(),
        });
    }
    Arc::new(ServicePlan {
        spec: Arc::new(spec),
    })
}

/// A pool of members at 10.1.0.N with the server id and duty of each.
fn quic_pool(members: &[(u8, u8, Duty)]) -> Arc<PoolPlan> {
    let addresses: Vec<_> = members
        .iter()
        .map(|(n, ..)| format!("10.1.0.{n}:443"))
        .collect();
    let plain: Vec<_> = addresses.iter().map(|a| (a.as_str(), 1)).collect();
    let pool = pool("p", Balance::RoundRobin, &plain);
    let mut all = pool.members.clone();
    for (member, (_, id, duty)) in all.iter_mut().zip(members) {
        member.kernel.server_id = ServerId::new(&[*id]);
        member.duty = *duty;
    }
    Arc::new(PoolPlan {
        spec: Arc::clone(&pool.spec),
        members: all,
        panic: false,
    })
}

const DRAIN: Duty = Duty::Finish { until: None };

/// Whom the IDs name, by the last number of the address.
fn named(model: &Model) -> Vec<(u8, u8)> {
    let ids = model.quic.ids.iter().map(|(id, slot)| {
        let address = record::address_of(&model.backends[slot]);
        let IpAddr::V4(ip) = address.ip() else {
            panic!("{address}");
        };
        ((id.high >> 56) as u8, ip.octets()[3])
    });
    ids.collect()
}

#[test]
fn who_is_not_down_is_named() {
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let service = quic_service(&[0, 2], None);
    let mut go = |members: &[(u8, u8, Duty)], wanted: &[(u8, u8)]| {
        let plan = plan(&[Arc::clone(&service)], &[quic_pool(members)]);
        apply(&mut tables, &mut model, &plan);
        assert_eq!(named(&model), wanted);
        assert_eq!(model.quic.configs.len(), 2);
        assert_eq!(model.services[&0].quic, 0b101);
    };
    go(&[(1, 7, Duty::Take), (2, 9, Duty::Take)], &[(7, 1), (9, 2)]);
    go(&[(1, 7, DRAIN), (2, 9, Duty::Avoid)], &[(7, 1)]);
    // The id of one that drains is another's already; one is gone.
    go(&[(3, 7, Duty::Take), (1, 7, DRAIN)], &[(7, 3)]);
    go(&[(3, 7, Duty::Take), (2, 8, Duty::Take)], &[(7, 3), (8, 2)]);
}

#[test]
fn what_changed_is_written_and_no_more() {
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let pool = quic_pool(&[(1, 7, Duty::Take), (2, 9, Duty::Take)]);
    let writes = |changes: &Changes| {
        let quic = |w: &&Write| matches!(w, Write::QuicConfig { .. } | Write::QuicId { .. });
        changes.writes.iter().filter(quic).count()
    };
    let mut go = |service: Arc<ServicePlan>, pool: &Arc<PoolPlan>| {
        let plan = plan(&[service], &[Arc::clone(pool)]);
        writes(&apply(&mut tables, &mut model, &plan))
    };
    assert_eq!(go(quic_service(&[0], None), &pool), 3);
    assert_eq!(go(quic_service(&[0, 1], None), &pool), 1);
    assert_eq!(go(quic_service(&[0, 1], Some([1; 16])), &pool), 2);
    assert_eq!(go(quic_service(&[1], Some([1; 16])), &pool), 1);
    let other = quic_pool(&[(1, 7, Duty::Take), (2, 10, Duty::Take)]);
    assert_eq!(go(quic_service(&[1], Some([1; 16])), &other), 2);
    assert_eq!(go(service("a", "10.0.0.1:443", "p", false), &other), 3);
    assert_eq!(model.quic, Quic::default());
    assert_eq!(model.services[&0].quic, 0);
}

#[test]
fn a_successor_takes_out_what_nobody_wants() {
    let (mut tables, mut model) = (Tables::default(), Model::default());
    let pool = quic_pool(&[(1, 7, Duty::Take)]);
    let first = plan(&[quic_service(&[0, 1], None)], &[Arc::clone(&pool)]);
    apply(&mut tables, &mut model, &first);
    let mut next = Tables::adopt(Found {
        services: model.services.clone().into_iter().collect(),
        backends: model.backends.clone().into_iter().collect(),
        places: model.places.clone(),
        answers: model.answers.clone(),
        quic: model.quic.clone(),
    });
    let second = plan(&[quic_service(&[1], None)], &[pool]);
    apply(&mut next, &mut model, &second);
    let rotations: Vec<_> = model.quic.configs.keys().map(|k| k.rotation).collect();
    assert_eq!(rotations, [1]);
    assert_eq!(model.quic.ids.keys().next(), Some(&config::id(0, &[7])));
    apply(&mut next, &mut model, &plan(&[], &[]));
    assert_eq!(model.quic, Quic::default());
}
