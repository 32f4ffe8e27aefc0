//! Processes of ours, and of etcd. They are killed when they are dropped.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What takes longer to start, does not start.
const LIMIT: Duration = Duration::from_secs(30);

/// One process.
pub struct Process {
    _child: Child,
}

/// Starts a program, and waits for a line of its log with `marker`. Returns what stands behind it.
pub async fn start(mut command: Command, marker: &'static str) -> Result<(Process, String)> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child =
        command.spawn().with_context(|| format!("{command:?} does not start: is it installed?"))?;
    let Some(log) = child.stderr.take() else { bail!("it has no log") };
    let mut lines = BufReader::new(log).lines();
    let (found, answer) = oneshot::channel();
    tokio::spawn(async move {
        let mut found = Some(found);
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some((_, rest)) = line.split_once(marker)
                && let Some(found) = found.take()
            {
                // Whoever waited may have given up.
                let _ = found.send(rest.trim().to_string());
            }
        }
    });
    let place = timeout(LIMIT, answer).await.with_context(|| format!("{command:?} does not get ready"))?;
    let place = place.with_context(|| format!("{command:?} has ended"))?;
    Ok((Process { _child: child }, place))
}
