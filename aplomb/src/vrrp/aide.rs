//! The thread that does for virtual routers whatever may take a while: log lines, hooks, and looking at what is tracked.

use std::{
    collections::BTreeMap,
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use control::{
    engine::Event,
    name::Name,
    plan::VipPlan,
    role::{Role, RoleChange},
    spec::vip::{TrackKind, TrackSpec},
};
use proto::vrrp::machine::State;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{AbortHandle, spawn_blocking},
};

use super::{
    grace::Grace,
    mailbox::{Command, Sender},
    report::{Report, called},
    script,
};

/// How long a hook may take.
const HOOK: Duration = Duration::from_secs(30);
/// How long the last ones may take when the process ends.
const LAST_HOOKS: Duration = Duration::from_secs(2);

/// Says whether the kernel data plane is attached, or why not.
pub type DataPlane = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the aide works with.
pub(super) struct Inputs {
    pub(super) reports: UnboundedReceiver<Report>,
    pub(super) plans: UnboundedReceiver<Arc<[Arc<VipPlan>]>>,
    pub(super) mailbox: Sender,
    pub(super) engine: UnboundedSender<Event>,
    pub(super) data_plane: DataPlane,
    pub(super) grace: Arc<Grace>,
    pub(super) in_sync: Arc<AtomicBool>,
}

/// How often it is looked whether connections are known.
const SYNC: Duration = Duration::from_millis(100);

/// Starts the thread. It ends when nobody can send it reports any more.
pub(super) fn start(inputs: Inputs) -> io::Result<thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new()
        .name("vip-aide".into())
        .spawn(move || runtime.block_on(run(inputs)))
}

type Watched = BTreeMap<(Name, usize), (TrackSpec, AbortHandle)>;

async fn run(mut inputs: Inputs) {
    let (hooks, mut hooked) = unbounded_channel::<Hook>();
    let hooking = tokio::spawn(async move {
        // One after the other, so that the last to be run is the last that happened.
        while let Some(hook) = hooked.recv().await {
            hook.run().await;
        }
    });
    let mut watched = Watched::new();
    let mut known = inputs.in_sync.load(Ordering::Relaxed);
    let mut looks = tokio::time::interval(SYNC);
    loop {
        tokio::select! {
            _ = looks.tick() => {
                let now = inputs.in_sync.load(Ordering::Relaxed);
                if now != known {
                    known = now;
                    inputs.mailbox.send(Command::InSync(now));
                }
                inputs.grace.look();
            }
            report = inputs.reports.recv() => match report {
                Some(report) => {
                    inputs.grace.note(&report);
                    say(report, &inputs.engine, &hooks);
                }
                None => break,
            },
            Some(plans) = inputs.plans.recv() => {
                inputs.grace.plan(&plans);
                watch(&mut watched, &plans, &inputs);
            }
        }
    }
    // Who is told of transitions is told of the last one too.
    drop(hooks);
    let _ = tokio::time::timeout(LAST_HOOKS, hooking).await;
}

fn say(report: Report, engine: &UnboundedSender<Event>, hooks: &UnboundedSender<Hook>) {
    match report {
        Report::Moved {
            vip,
            family,
            from,
            to,
            why,
            priority,
        } => {
            let vip = called(&vip, family);
            if to == State::Fault {
                tracing::warn!(vip, %from, %to, priority, why, "vip {vip} is {to}: {why}");
            } else {
                tracing::info!(vip, %from, %to, priority, why, "vip {vip} is {to}: {why}");
            }
        }
        Report::Role {
            vip,
            group,
            from,
            to,
            why,
            priority,
            notify,
        } => {
            tell(engine, &vip, Some(role(to)));
            if !notify.is_empty() {
                let environment = vec![
                    ("APLOMB_VIP", vip.to_string()),
                    ("APLOMB_GROUP", group.to_string()),
                    ("APLOMB_STATE", to.to_string()),
                    ("APLOMB_BEFORE", from.to_string()),
                    ("APLOMB_WHY", why),
                    ("APLOMB_PRIORITY", priority.to_string()),
                ];
                // The other end ends with this one.
                let _ = hooks.send(Hook {
                    vip,
                    command: notify,
                    environment,
                });
            }
        }
        Report::Gone(vip) => tell(engine, &vip, None),
        Report::Trouble { vip, what } => tracing::warn!(%vip, "vip {vip}: {what}"),
        Report::CoreStoodStill(times) => {
            tracing::info!(
                times,
                "a core stood still: virtual routers were moved to another"
            );
        }
        Report::Note { vip, what } => tracing::info!(%vip, "vip {vip}: {what}"),
    }
}

fn tell(engine: &UnboundedSender<Event>, vip: &Name, role: Option<Role>) {
    let vip = vip.clone();
    // An engine that is gone needs to know nothing.
    let _ = engine.send(Event::Role(RoleChange { vip, role }));
}

const fn role(state: State) -> Role {
    match state {
        State::Initialize => Role::Initialize,
        State::Fault => Role::Fault,
        State::Backup => Role::Backup,
        State::Master => Role::Master,
    }
}

struct Hook {
    vip: Name,
    command: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Hook {
    async fn run(self) {
        if let Err(why) = script::run(&self.command, &self.environment, None, HOOK).await {
            tracing::warn!(vip = %self.vip, "vip {}: its `notify` failed: {why}", self.vip);
        }
    }
}

/// Looks at what these vips track, and at nothing else.
fn watch(watched: &mut Watched, plans: &[Arc<VipPlan>], inputs: &Inputs) {
    let mut wanted: BTreeMap<(Name, usize), TrackSpec> = BTreeMap::new();
    for plan in plans {
        let tracks = plan.spec.vrrp.iter().flat_map(|vrrp| &vrrp.track);
        for (at, track) in tracks.enumerate() {
            let ours = matches!(
                track.what,
                TrackKind::Exec { .. } | TrackKind::Process(_) | TrackKind::DataPlane
            );
            if ours {
                drop(wanted.insert((plan.spec.name.clone(), at), track.clone()));
            }
        }
    }
    watched.retain(|key, (track, task)| {
        let stays = wanted.get(key) == Some(track);
        if !stays {
            task.abort();
        }
        stays
    });
    for (key, track) in wanted {
        if watched.contains_key(&key) {
            continue;
        }
        let work = look(
            key.clone(),
            track.clone(),
            inputs.mailbox.clone(),
            Arc::clone(&inputs.data_plane),
        );
        let task = tokio::spawn(work).abort_handle();
        drop(watched.insert(key, (track, task)));
    }
}

/// Looks again and again, and tells what it comes to after rise and fall.
async fn look((vip, at): (Name, usize), track: TrackSpec, mailbox: Sender, data_plane: DataPlane) {
    let (mut failing, mut against) = (None::<String>, 0_u16);
    loop {
        let outcome = once(&track.what, &data_plane).await;
        against = match (&outcome, &failing) {
            (Ok(()), None) => 0,
            (Err(_), Some(_)) => 0,
            _ => against.saturating_add(1),
        };
        let enough = if failing.is_some() {
            track.rise
        } else {
            track.fall
        };
        let turned = against >= enough;
        if turned {
            against = 0;
            failing = outcome.err();
        }
        // A failure is told again: a vip that was configured anew has forgotten it.
        if turned || failing.is_some() {
            mailbox.send(Command::Tracked(vip.clone(), at, failing.clone()));
        }
        tokio::time::sleep(track.interval).await;
    }
}

async fn once(what: &TrackKind, data_plane: &DataPlane) -> Result<(), String> {
    match what {
        TrackKind::Exec {
            command,
            timeout,
            user,
        } => script::run(command, &[], user.as_deref(), *timeout).await,
        TrackKind::Process(name) => {
            let name = name.clone();
            let found = spawn_blocking(move || is_running(&name)).await;
            match found {
                Ok(true) => Ok(()),
                _ => Err("it does not run".into()),
            }
        }
        TrackKind::DataPlane => data_plane(),
        // Others look at these.
        TrackKind::Interface(_)
        | TrackKind::Service { .. }
        | TrackKind::Pool { .. }
        | TrackKind::Route(_) => Ok(()),
    }
}

/// Whether a process has this name, as far as the kernel keeps it: 15 bytes.
fn is_running(name: &str) -> bool {
    let kept = name.as_bytes().get(..15).unwrap_or(name.as_bytes());
    let Ok(processes) = fs::read_dir("/proc") else {
        return false;
    };
    processes.flatten().any(|process| {
        let comm = fs::read(process.path().join("comm")).unwrap_or_default();
        comm.strip_suffix(b"\n").unwrap_or(&comm) == kept
    })
}
