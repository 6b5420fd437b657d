//! Persistence: where a client's earlier connections went, its new ones go too.

use super::{Entry, Tables, get, put};
use crate::abi::{Family, Service, Template, TemplateKey, backend_flags, service_flags};

/// What names a client's template.
#[inline(always)]
fn key<F: Family>(client: F::Addr, service: Entry<Service>, slot: u32) -> TemplateKey<F> {
    let mask = get!(service.mask);
    TemplateKey {
        client: F::mask(client, &mask),
        service: slot,
    }
}

/// The backend that a client is to be given again; none if it has no template, or its backend is gone.
///
/// A backend of weight 0 keeps its clients, unless the service says otherwise (`expire_quiescent_template`). One that
/// is full keeps them too, as with IPVS.
#[inline(always)]
pub(super) fn recall<F: Family, T: Tables<F>>(
    tables: &T,
    client: F::Addr,
    service: Entry<Service>,
    slot: u32,
) -> Option<u32> {
    let template = tables.template(&key::<F>(client, service, slot))?;
    let now = tables.now();
    if now.is_past(get!(template.expires)) {
        return None;
    }
    let chosen = get!(template.backend);
    let backend = tables.backend(chosen)?;
    let flags = get!(backend.flags);
    let wanted = backend_flags::PRESENT | backend_flags::TAKES;
    if flags & (wanted | backend_flags::REMOVED) != wanted || get!(backend.service) != slot {
        return None;
    }
    if get!(backend.weight) == 0 && get!(service.flags) & service_flags::EXPIRE_QUIESCENT != 0 {
        return None;
    }
    put!(template.expires = now.0.wrapping_add(get!(service.persistence)));
    Some(chosen)
}

/// Remembers where a client's connection went.
#[inline(always)]
pub(super) fn keep<F: Family, T: Tables<F>>(
    tables: &T,
    client: F::Addr,
    service: Entry<Service>,
    slot: u32,
    backend: u32,
) {
    let template = Template {
        backend,
        expires: tables.now().0.wrapping_add(get!(service.persistence)),
    };
    tables.remember(&key::<F>(client, service, slot), &template);
}
