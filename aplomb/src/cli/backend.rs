//! `aplomb backend`: what an operator can ask of a backend while all runs.

use std::time::{Duration, Instant};

use control::name::BackendKey;
use serde_json::json;

use super::{
    client::{AdminArgs, Client, block_on, escape},
    exit::{Failure, Outcome, print},
};
use crate::api::model::{BackendState, BackendStatus, PoolStatus};

/// How often `--wait` looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What can be asked of backends.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Give it no new work; what goes on may finish
    Drain {
        #[command(flatten)]
        backends: Backends,
        /// Cut what still goes on after this time (5s, 2min, 1h)
        #[arg(long, value_name = "TIME", value_parser = duration)]
        timeout: Option<Duration>,
        /// Return only when nothing goes on any more
        #[arg(long)]
        wait: bool,
    },
    /// Take it out: no work and no checks
    Disable {
        #[command(flatten)]
        backends: Backends,
    },
    /// Put it back: undoes drain and disable, and ends an ejection
    Enable {
        #[command(flatten)]
        backends: Backends,
        /// Return only when it is up
        #[arg(long)]
        wait: bool,
        /// How long to wait for that
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s", requires = "wait")]
        timeout: Duration,
    },
    /// Give it another weight than the configured one
    Weight {
        /// The backend
        #[arg(value_name = "POOL/ADDRESS")]
        backend: BackendKey,
        /// 0 to 65535, or `config` for the configured one again
        #[arg(value_parser = weight)]
        weight: Weight,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Backends {
    /// The backends, as `aplomb status` names them: web/10.0.0.11:8080
    #[arg(value_name = "POOL/ADDRESS", required = true)]
    backends: Vec<BackendKey>,
}

/// A weight as the command line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight(Option<u16>);

fn weight(text: &str) -> Result<Weight, String> {
    if text == "config" {
        return Ok(Weight(None));
    }
    text.parse()
        .map(|w| Weight(Some(w)))
        .map_err(|_| "a weight is 0 to 65535, or `config`".into())
}

/// A duration as the configuration writes it: a number and `ms`, `s`, `min`, `h` or `d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and its unit: 500ms, 5s, 2min, 1h, 1d".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

/// Asks it.
pub(super) fn run(admin: &AdminArgs, command: Command) -> Outcome {
    let client = Client::new(admin)?;
    block_on(async {
        match command {
            Command::Drain {
                backends,
                timeout,
                wait,
            } => drain(&client, &backends.backends, timeout, wait).await,
            Command::Disable { backends } => {
                each(&client, &backends.backends, "disable", &json!({})).await
            }
            Command::Enable {
                backends,
                wait,
                timeout,
            } => {
                each(&client, &backends.backends, "enable", &json!({})).await?;
                if wait {
                    wait_for_up(&client, &backends.backends, timeout).await?;
                }
                Ok(())
            }
            Command::Weight { backend, weight } => {
                each(&client, &[backend], "weight", &json!({"weight": weight.0})).await
            }
        }
    })
}

async fn drain(
    client: &Client,
    backends: &[BackendKey],
    timeout: Option<Duration>,
    wait: bool,
) -> Outcome {
    let body = match timeout {
        Some(timeout) => json!({"timeout_seconds": timeout.as_secs_f64()}),
        None => json!({}),
    };
    each(client, backends, "drain", &body).await?;
    if !wait {
        return Ok(());
    }
    for key in backends {
        while let Some(backend) = look(client, key).await? {
            if backend.state != BackendState::Draining {
                return Err(Failure::Refused(format!(
                    "{key} drains no longer: it is {} ({})",
                    backend.state.as_str(),
                    backend.why
                )));
            }
            if backend.in_flight == 0 {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        print(&format!("{key}: nothing goes on any more\n"))?;
    }
    Ok(())
}

async fn wait_for_up(client: &Client, backends: &[BackendKey], patience: Duration) -> Outcome {
    let end = Instant::now() + patience;
    for key in backends {
        loop {
            let backend = look(client, key)
                .await?
                .ok_or_else(|| Failure::Refused(format!("{key} is not configured any more")))?;
            if backend.state == BackendState::Up {
                break;
            }
            if Instant::now() >= end {
                return Err(Failure::Refused(format!(
                    "{key} is still {}: {}",
                    backend.state.as_str(),
                    backend.why
                )));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        print(&format!("{key}: up\n"))?;
    }
    Ok(())
}

/// The backend as it is now; none if it is gone.
async fn look(client: &Client, key: &BackendKey) -> Outcome<Option<BackendStatus>> {
    let path = format!("/v1/pools/{}", escape(key.pool.as_str()));
    let pool: PoolStatus = client.get(&path).await?;
    let address = key.address.to_string();
    Ok(pool.backends.into_iter().find(|b| b.address == address))
}

/// Asks the same of each; the first refusal ends it.
async fn each(
    client: &Client,
    backends: &[BackendKey],
    operation: &str,
    body: &serde_json::Value,
) -> Outcome {
    for key in backends {
        let path = format!(
            "/v1/pools/{}/backends/{}/{operation}",
            escape(key.pool.as_str()),
            escape(&key.address.to_string())
        );
        let now: BackendStatus = client.post(&path, body.to_string()).await?;
        print(&format!(
            "{key}: {}, weight {}, {} in flight\n",
            now.state.as_str(),
            now.weight,
            now.in_flight
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_weights_are_understood() {
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2min"), Ok(Duration::from_secs(120)));
        for bad in ["", "5", "s", "-5s", "5 s", "5y", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(weight("config"), Ok(Weight(None)));
        assert_eq!(weight("65535"), Ok(Weight(Some(65535))));
        assert!(weight("65536").is_err());
    }
}
