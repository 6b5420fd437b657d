//! What this process may do: as another user if asked to, and nothing beyond what it needs.
//!
//! Capabilities and users are each thread's own, so all of this happens before there is a second one. What stays is
//! CAP_NET_BIND_SERVICE, which a later configuration with a low port needs, and what the configuration asks for:
//! CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON for services that the kernel forwards, CAP_NET_RAW, CAP_NET_ADMIN and
//! CAP_SYS_NICE for vips, others for scripts of other users.
//! All of it is also ambient, so that a successor of another binary has it too; scripts are rid of it.

use std::{fmt, io, path::Path};

use caps::{CapSet, Capability, CapsHashSet};
use control::spec::{AdminListen, ProbeKind, Spec, vip::TrackKind};
use rustix::{
    process::{Gid, Uid, getegid, geteuid},
    thread,
};

use super::user::{User, group};

/// What could not be given up.
#[derive(Debug)]
pub struct Stuck(String);

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stuck {}

/// Becomes `user` and `group` as far as given, and gives up all capabilities but those that `spec` needs. Whether
/// [those of the kernel data plane](KERNEL) were there and are among what was given up.
///
/// # Errors
/// No such user or group, or no right to become it. Capabilities that cannot be given up are no error: a process
/// without any has nothing to give.
pub fn give_up(spec: &Spec, user: Option<&str>, to_group: Option<&str>) -> Result<bool, Stuck> {
    let keep = needed(spec);
    let had = caps::read(None, CapSet::Permitted).unwrap_or_default();
    drop_bounding(&keep);
    if user.is_some() || to_group.is_some() {
        let pins = uses_kernel(spec).then_some(&*spec.l4.pin);
        become_user(user, to_group, pins)?;
    }
    let may = caps::read(None, CapSet::Permitted).unwrap_or_default();
    let may: CapsHashSet = may.intersection(&keep).copied().collect();
    // Inheritable before ambient, which must be a part of it; permitted last, for it bounds the others.
    for set in [
        CapSet::Effective,
        CapSet::Inheritable,
        CapSet::Permitted,
        CapSet::Ambient,
    ] {
        if let Err(error) = caps::set(None, set, &may) {
            tracing::debug!(%error, ?set, "capabilities stay as they are");
        }
    }
    if !scripts_have_users(spec) {
        thread::set_no_new_privs(true).map_err(|e| stuck("cannot renounce new privileges", e))?;
    }
    let all = |set: &CapsHashSet| KERNEL.iter().all(|capability| set.contains(capability));
    Ok(all(&had) && !all(&may))
}

/// What loading the program and its tables, attaching it, and following routes and neighbours needs.
const KERNEL: [Capability; 3] = [
    Capability::CAP_BPF,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_PERFMON,
];

/// The capabilities that a configuration needs.
fn needed(spec: &Spec) -> CapsHashSet {
    let mut keep = CapsHashSet::from([Capability::CAP_NET_BIND_SERVICE]);
    if scripts_have_users(spec) {
        keep.extend([
            Capability::CAP_SETUID,
            Capability::CAP_SETGID,
            Capability::CAP_KILL,
        ]);
    }
    if let AdminListen::Unix { group: Some(_), .. } = spec.admin.listen {
        let _ = keep.insert(Capability::CAP_CHOWN);
    }
    if uses_kernel(spec) {
        keep.extend(KERNEL);
    }
    if !spec.vips.is_empty() {
        // Adverts, addresses, and a thread that nothing delays.
        keep.extend([
            Capability::CAP_NET_RAW,
            Capability::CAP_NET_ADMIN,
            Capability::CAP_SYS_NICE,
        ]);
    }
    keep
}

/// Whether services may be forwarded by the kernel. Who writes `[l4]`, however empty, without a service for it means to
/// make them with `ipvsadm` or later.
fn uses_kernel(spec: &Spec) -> bool {
    l4::is_needed(spec) || spec.l4.asked
}

fn scripts_have_users(spec: &Spec) -> bool {
    spec.pools
        .iter()
        .flat_map(|pool| &pool.checks)
        .any(|check| matches!(&check.probe, ProbeKind::Exec(script) if script.user.is_some()))
        || spec
            .vips
            .iter()
            .flat_map(|vip| vip.vrrp.iter().flat_map(|vrrp| &vrrp.track))
            .any(|track| matches!(&track.what, TrackKind::Exec { user: Some(_), .. }))
}

fn drop_bounding(keep: &CapsHashSet) {
    for capability in caps::all().difference(keep) {
        // Capabilities that this kernel does not know, or no right to: nothing is lost.
        let _ = caps::drop(None, CapSet::Bounding, *capability);
    }
}

/// `pins` is the directory of pins of the kernel data plane, which the user is to have.
fn become_user(
    user: Option<&str>,
    to_group: Option<&str>,
    pins: Option<&Path>,
) -> Result<(), Stuck> {
    let user = user
        .map(User::named)
        .transpose()
        .map_err(|e| stuck("--user", e))?;
    let gid = to_group
        .map(group)
        .transpose()
        .map_err(|e| stuck("--group", e))?
        .or(user.map(|u| u.gid));
    if user.is_some_and(|u| Uid::from_raw(u.uid) == geteuid()) {
        return Ok(());
    }
    if let Some(pins) = pins {
        let uid = user.map_or(geteuid().as_raw(), |u| u.uid);
        let gid = gid.unwrap_or_else(|| getegid().as_raw());
        l4::give_pins(pins, uid, gid).map_err(|e| Stuck(e.to_string()))?;
    }
    thread::set_keep_capabilities(true).map_err(|e| stuck("cannot keep capabilities", e))?;
    if let Some(gid) = gid {
        let gid = Gid::from_raw(gid);
        thread::set_thread_groups(&[gid]).map_err(|e| stuck("cannot change groups", e))?;
        thread::set_thread_res_gid(gid, gid, gid)
            .map_err(|e| stuck("cannot change the group", e))?;
    }
    if let Some(user) = user {
        let uid = Uid::from_raw(user.uid);
        thread::set_thread_res_uid(uid, uid, uid)
            .map_err(|e| stuck("cannot change the user", e))?;
    }
    Ok(())
}

fn stuck(what: &str, error: impl Into<io::Error>) -> Stuck {
    Stuck(format!("{what}: {}", error.into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// In a thread of its own, whose capabilities are its own too.
    fn apart<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(what).join().unwrap()
    }

    #[test]
    fn a_thread_keeps_only_what_it_needs() {
        let before = caps::read(None, CapSet::Permitted).unwrap();
        apart(|| {
            let _ = give_up(&Spec::default(), None, None).unwrap();
            let kept = caps::read(None, CapSet::Permitted).unwrap();
            let only = CapsHashSet::from([Capability::CAP_NET_BIND_SERVICE]);
            assert!(kept.is_subset(&only), "{kept:?}");
            assert!(thread::no_new_privs().unwrap());
        });
        assert_eq!(caps::read(None, CapSet::Permitted).unwrap(), before);
    }

    #[test]
    fn an_l4_section_keeps_what_its_first_service_needs() {
        let had = caps::read(None, CapSet::Permitted).unwrap();
        if !KERNEL.iter().all(|capability| had.contains(capability)) {
            eprintln!("SKIPPED: needs root");
            return;
        }
        for asked in [false, true] {
            apart(move || {
                let mut spec = Spec::default();
                spec.l4.asked = asked;
                assert_eq!(give_up(&spec, None, None).unwrap(), !asked);
                let kept = caps::read(None, CapSet::Permitted).unwrap();
                assert!(KERNEL.iter().all(|c| kept.contains(c) == asked), "{kept:?}");
            });
        }
    }

    #[test]
    fn a_thread_becomes_another_user_that_may_still_bind_low_ports() {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: needs root");
            return;
        }
        apart(|| {
            let _ = give_up(&Spec::default(), Some("nobody"), None).unwrap();
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(
                status.contains("Uid:\t65534\t65534\t65534\t65534"),
                "{status}"
            );
            assert!(status.contains("Groups:\t65534"), "{status}");
            let all = [CapSet::Permitted, CapSet::Effective, CapSet::Ambient];
            for set in all {
                let kept = caps::read(None, set).unwrap();
                assert_eq!(kept, CapsHashSet::from([Capability::CAP_NET_BIND_SERVICE]));
            }
        });
    }

    #[test]
    fn an_unknown_user_is_refused() {
        let refused = apart(|| give_up(&Spec::default(), Some("no-such-user"), None));
        assert!(refused.unwrap_err().to_string().contains("no-such-user"));
    }
}
