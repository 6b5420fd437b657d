//! TOML text to a [`Spec`], with every error at once and where it stands.
//!
//! The text becomes a table of spanned values ([`document`]), which is walked by the tables of keys in
//! [`section`]: they alone say which keys there are, of which kind, with which default, so that parsing,
//! messages, the JSON schema and the reference cannot drift apart. [`form`] holds the kinds of values,
//! [`cross`] what no section can tell alone, [`unsupported`] what this build refuses, [`limits`] how much is
//! too much. What is wrong is a [`Diagnostic`]. [`parse`] is the one way in, [`diff`](fn@diff) tells two results apart;
//! [`schema`](fn@schema) and [`reference`](fn@reference) write the key tables down for editors and people.

mod cross;
mod diagnostic;
mod diff;
mod document;
mod form;
mod kind;
pub mod limits;
mod reference;
mod render;
mod schema;
mod section;
mod suggest;
#[cfg(test)]
mod tests;
mod unsupported;
mod walk;

use std::{collections::BTreeSet, path::Path, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use self::{
    cross::OwnListeners,
    diagnostic::{Problem, Report},
    section::{
        RootKeys,
        pool::PlacedPool,
        service::{PlacedService, unique_names},
        vip::PlacedVip,
    },
    walk::{At, Cx, Read},
};
pub use self::{
    diagnostic::{Diagnostic, Diagnostics, Position, Related, Severity, Style},
    diff::{Change, diff},
    reference::reference,
    schema::schema,
};
use crate::spec::{AdminSpec, Spec};

/// Where secrets are read from: the program's environment and files, which are not this crate's.
pub trait Sources {
    /// The environment variable `name`.
    ///
    /// # Errors
    /// Why it cannot be had, in words.
    fn env(&self, name: &str) -> Result<String, String>;

    /// The text of the file at `path`; a relative one starts at the folder of the config.
    ///
    /// # Errors
    /// Why it cannot be had, in words.
    fn file(&self, path: &Path) -> Result<String, String>;
}

/// No environment and no files: each secret is missing.
#[derive(Clone, Copy, Debug)]
pub struct NoSources;

impl Sources for NoSources {
    fn env(&self, name: &str) -> Result<String, String> {
        Err(format!("no environment to read {name} from"))
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        Err(format!("no file {}", path.display()))
    }
}

/// A configuration that was taken.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// What it asks for.
    pub spec: Spec,
    /// What is likely not meant as it is written.
    pub warnings: Diagnostics,
}

/// Reads the configuration `text`; `name` is what messages call the file.
///
/// # Errors
/// All that is wrong with it, warnings included.
pub fn parse(text: &str, name: &str, sources: &dyn Sources) -> Result<Admitted, Diagnostics> {
    let mut cx = Cx {
        text,
        report: Report::default(),
        sources,
        is_toml: true,
    };
    let spec = read(&mut cx);
    let has_errors = cx.report.has_errors();
    let diagnostics = cx.report.finish(name, text);
    match spec {
        Some(spec) if !has_errors => Ok(Admitted {
            spec,
            warnings: diagnostics,
        }),
        _ => Err(diagnostics),
    }
}

fn read(cx: &mut Cx<'_>) -> Option<Spec> {
    if cx.text.len() > limits::TEXT {
        let message = format!(
            "{} bytes are too many: at most {}",
            cx.text.len(),
            limits::TEXT
        );
        cx.push(Problem::error(0..0, message));
        return None;
    }
    let table = document::read(cx.text, &mut cx.report);
    cx.is_toml = cx.report.is_toml();
    let declared = declared_pools(&table);
    let root = Spanned::new(0..0, DeValue::Table(table));
    let root = RootKeys::read(&root, cx)?;
    admit(root, &declared, cx)
}

/// The names of all pools of the text, also of those with errors.
fn declared_pools(table: &DeTable<'_>) -> BTreeSet<String> {
    let pools = table
        .get("pool")
        .and_then(|pools| pools.get_ref().as_array());
    pools
        .into_iter()
        .flat_map(|pools| pools.iter())
        .filter_map(|pool| pool.get_ref().get("name")?.get_ref().as_str())
        .map(str::to_owned)
        .collect()
}

fn admit(root: RootKeys, declared: &BTreeSet<String>, cx: &mut Cx<'_>) -> Option<Spec> {
    counts(&root, cx);
    unsupported::refuse(&root, cx);
    let names: Vec<_> = root.pool.0.iter().map(|pool| pool.name.clone()).collect();
    unique_names(&names, "the pool", cx);
    let names: Vec<_> = root.service.0.iter().map(|s| s.name.clone()).collect();
    let declared_services = names.iter().map(|name| name.value.to_string()).collect();
    unique_names(&names, "the service", cx);
    let names: Vec<_> = root.vip.0.iter().map(|vip| vip.name.clone()).collect();
    unique_names(&names, "the vip", cx);

    let listen_at = root.admin.listen.span;
    let metrics_at = root.admin.metrics.as_ref().map(|at| At {
        value: at.0,
        span: at.span,
        key: at.key,
        given: at.given,
    });
    let admin = root.admin.value.admit(cx);
    let log = root.log.value.admit();
    let proxy = root.proxy.value.admit();
    let l4 = root.l4.value.admit(root.l4.given, cx);
    let sync_at = root.sync.as_ref().map(|sync| sync.key);
    let sync_listen = root
        .sync
        .as_ref()
        .and_then(|sync| sync.value.listen.as_ref());
    let sync_listen = sync_listen.map(|listen| (listen.value.0, listen.span));
    let (sync, ipvs_sync) = root.sync.map_or((None, None), |sync| sync.value.admit(cx));
    let pools: Vec<PlacedPool> = root
        .pool
        .value
        .0
        .into_iter()
        .filter_map(|pool| pool.value.admit(cx))
        .collect();
    let services: Vec<PlacedService> = root
        .service
        .value
        .0
        .into_iter()
        .filter_map(|service| service.value.admit(log.access.as_ref(), cx))
        .collect();

    let vips: Vec<PlacedVip> = root
        .vip
        .value
        .0
        .into_iter()
        .filter_map(|vip| vip.value.admit(cx))
        .collect();

    if cx.is_toml {
        cross::vips(&vips, &declared_services, declared, cx);
        cross::ways(&vips, cx);
        cross::pools(&services, &pools, declared, cx);
        let fallback = AdminSpec::default();
        let listen = admin
            .as_ref()
            .map_or(&fallback.listen, |admin| &admin.listen);
        let own = OwnListeners::of(listen, listen_at, metrics_at.as_ref());
        cross::routes(&services, cx);
        cross::sync(&services, sync_at, cx);
        cross::listeners(&services, &own, cx);
        cross::refused(&vips, &services, &own, sync_listen, cx);
    }
    Some(Spec {
        admin: admin?,
        log,
        proxy,
        l4,
        sync,
        ipvs_sync,
        pools: pools.into_iter().map(|pool| Arc::new(pool.spec)).collect(),
        services: services.into_iter().map(|s| Arc::new(s.spec)).collect(),
        vips: vips.into_iter().map(|vip| Arc::new(vip.spec)).collect(),
    })
}

/// How many of each there may be.
fn counts(root: &RootKeys, cx: &mut Cx<'_>) {
    let backends: usize = root.pool.0.iter().map(|pool| pool.backends.0.len()).sum();
    for (count, limit, what, at) in [
        (root.pool.0.len(), limits::POOLS, "pools", root.pool.key),
        (
            root.service.0.len(),
            limits::SERVICES,
            "services",
            root.service.key,
        ),
        (root.vip.0.len(), limits::VIPS, "vips", root.vip.key),
        (backends, limits::BACKENDS, "backends", root.pool.key),
    ] {
        let _ = walk::too_many(count, limit, what, at, cx);
    }
}
