//! A program as a process. The suite of the published client and the benchmark take this file in, too: their workspaces
//! are others.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What takes longer to start, does not start.
const LIMIT: Duration = Duration::from_secs(30);

/// A process of ours. It is killed when this is dropped.
pub struct Process {
    pub child: Child,
    /// What its log has behind the marker: where it listens.
    pub address: String,
    pub log: Log,
}

/// The lines that a process has written to its log so far.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn text(&self) -> String {
        self.0.lock().expect("nobody panics with it").join("\n")
    }

    fn push(&self, line: String) {
        self.0.lock().expect("nobody panics with it").push(line);
    }
}

/// Starts a program, and waits for a line of its log with `marker`.
pub async fn start(command: Command, marker: &'static str) -> Process {
    try_start(command, marker, |_| {}).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The same. `begun` gets the number of the process as soon as it runs. The error is what was called, and all of its
/// log.
pub async fn try_start(
    mut command: Command,
    marker: &'static str,
    begun: impl FnOnce(u32),
) -> Result<Process, String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("{command:?} is not there: {error}"))?;
    child.id().map(begun);
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let (found, address) = oneshot::channel();
    let log = Log::default();
    let seen = log.clone();
    tokio::spawn(async move {
        let mut found = Some(found);
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some((_, place)) = line.split_once(marker)
                && let Some(found) = found.take()
            {
                // Whoever waited may have given up.
                let _ = found.send(place.trim().to_string());
            }
            seen.push(line);
        }
    });
    match timeout(LIMIT, address).await {
        Ok(Ok(address)) => Ok(Process { child, address, log }),
        _ => Err(format!("{command:?} does not start: {}", log.text())),
    }
}

/// An address that was free a moment ago, for whoever has to be told where to listen before it starts.
pub fn free_address() -> String {
    free_addresses(1).remove(0)
}

/// The same, of several that differ.
pub fn free_addresses(count: usize) -> Vec<String> {
    let bind = |_| std::net::TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    // All of them are held until the last one is chosen.
    let listeners: Vec<std::net::TcpListener> = (0..count).map(bind).collect();
    let address = |listener: &std::net::TcpListener| listener.local_addr().expect("it is bound").to_string();
    listeners.iter().map(address).collect()
}
