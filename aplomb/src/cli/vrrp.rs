//! `aplomb vrrp`: virtual addresses, and moving them by hand.

use super::{
    client::{AdminArgs, Client, block_on, escape},
    exit::{Failure, Outcome, print},
    table::{Table, span},
};
use crate::api::model::{Status, VipStatus};

/// What can be asked of virtual addresses.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show them: who has them and why, what is tracked, adverts
    Status {
        /// Only this vip or group
        #[arg(value_name = "VIP|GROUP")]
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Hand over to another node, and keep back until `resume` or `promote`
    Release(Group),
    /// Take over, and keep it until `resume` or `release`
    Promote(Group),
    /// Have the configuration decide again
    Resume(Group),
}

#[derive(Debug, clap::Args)]
pub(super) struct Group {
    /// The group, or a vip that moves alone
    #[arg(value_name = "GROUP")]
    group: String,
}

/// Asks it.
pub(super) fn run(admin: &AdminArgs, command: &Command) -> Outcome {
    let client = Client::new(admin)?;
    block_on(async {
        match command {
            Command::Status { name, json } => status(&client, name.as_deref(), *json).await,
            Command::Release(group) => order(&client, group, "release").await,
            Command::Promote(group) => order(&client, group, "promote").await,
            Command::Resume(group) => order(&client, group, "resume").await,
        }
    })
}

async fn status(client: &Client, name: Option<&str>, json: bool) -> Outcome {
    let status: Status = client.get("/v1/status").await?;
    let mut vips = status.vips;
    if let Some(name) = name {
        vips.retain(|vip| vip.name == name || vip.group == name);
        if vips.is_empty() {
            return Err(Failure::Refused(format!(
                "there is no vip and no group {name:?}"
            )));
        }
    }
    if json {
        let text = serde_json::to_string_pretty(&vips)
            .map_err(|error| Failure::refused("cannot print this", error))?;
        return print(&(text + "\n"));
    }
    if vips.is_empty() {
        return print("no vips are configured\n");
    }
    let details: String = vips.iter().map(detail).collect();
    print(&(table(&vips) + &details))
}

async fn order(client: &Client, group: &Group, order: &str) -> Outcome {
    let path = format!("/v1/vrrp/{}/{order}", escape(&group.group));
    // Connections by the address finish first.
    let vips: Vec<VipStatus> = client.post_patiently(&path, "{}".to_owned()).await?;
    print(&table(&vips))
}

/// One line for each vip and family.
pub(super) fn table(vips: &[VipStatus]) -> String {
    let mut table = Table::new(&[
        "VIP",
        "STATE",
        "FOR",
        "PRIORITY",
        "INTERFACE",
        "ADDRESSES",
        "WHY",
    ]);
    for vip in vips {
        table.row(vec![
            name(vip),
            vip.state.clone(),
            span(vip.since_seconds),
            priority(vip),
            vip.interface.clone(),
            vip.addresses.join(" "),
            vip.whole_why(),
        ]);
    }
    table.render("")
}

/// Its name, and its group if that is another.
pub(crate) fn name(vip: &VipStatus) -> String {
    if vip.group == vip.name {
        return vip.name.clone();
    }
    format!("{} ({})", vip.name, vip.group)
}

/// The priority that counts, and the configuration's if that is another; none without VRRP.
pub(crate) fn priority(vip: &VipStatus) -> String {
    match (vip.id, vip.priority == vip.configured_priority) {
        (0, _) => "-".into(),
        (_, true) => vip.priority.to_string(),
        (_, false) => format!("{} (of {})", vip.priority, vip.configured_priority),
    }
}

/// What a line does not say.
fn detail(vip: &VipStatus) -> String {
    let mut lines = Vec::new();
    if vip.id != 0 {
        let master = vip.master.as_ref().map_or_else(String::new, |master| {
            format!(
                ", master {master} with priority {}",
                vip.master_priority.unwrap_or_default()
            )
        });
        lines.push(format!(
            "VRRP version {}, id {}, every {} s{master}",
            vip.version, vip.id, vip.interval_seconds
        ));
        lines.push(format!(
            "adverts: {} sent, {} received, {} refused",
            vip.adverts_sent,
            vip.adverts_received,
            vip.refused.values().sum::<u64>()
        ));
    }
    lines.extend(
        vip.last_refusal
            .iter()
            .map(|what| format!("last refused: {what}")),
    );
    lines.extend(
        vip.split_brain_with
            .iter()
            .map(|peer| format!("SPLIT BRAIN: {peer} is master too")),
    );
    lines.extend(vip.faults.iter().map(|fault| format!("fault: {fault}")));
    lines.extend(vip.routes.iter().map(|route| format!("route {route}")));
    lines.extend(vip.rules.iter().map(|rule| format!("rule {rule}")));
    if vip.refuses {
        lines.push("packets to it are not taken (accept = false)".into());
    }
    for track in &vip.track {
        let state = track.failing.as_deref().unwrap_or("good");
        let weight = track
            .weight
            .map_or("fault".into(), |weight| format!("weight {weight:+}"));
        lines.push(format!("track {} ({weight}): {state}", track.name));
    }
    if vip.released {
        lines.push("handed over by an operator: it keeps back until `aplomb vrrp resume`".into());
    }
    if vip.promoted {
        lines.push(
            "taken over by an operator: it keeps others away until `aplomb vrrp resume`".into(),
        );
    }
    lines.extend(vip.error.iter().map(|error| format!("error: {error}")));
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("\n{} ({})\n{lines}", vip.name, vip.family)
}
