//! What every program of ours does as a process: its settings, its log, and its end.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;

use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// Reads settings from a TOML file. What is not in it, keeps its default; what should not be in it, is an error, for it
/// is most often a misspelt name.
///
/// # Errors
/// A text for whoever wrote the file: what is wrong, and where.
pub fn read_settings<T: DeserializeOwned + Default>(file: Option<&Path>) -> Result<T, String> {
    let Some(file) = file else { return Ok(T::default()) };
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Begins the log, on standard error: colours for a terminal, plain lines for a file. What is in it, `RAFTKV_LOG` says
/// (`info` if it does not): `debug`, or by module, as in `info,raftkv::raft=debug`.
///
/// # Errors
/// A filter that makes no sense.
pub fn init_log() -> Result<(), String> {
    let filter = match std::env::var("RAFTKV_LOG") {
        Ok(text) => EnvFilter::try_new(&text).map_err(|error| format!("RAFTKV_LOG={text}: {error}"))?,
        Err(_) => EnvFilter::new("info"),
    };
    let stderr = std::io::stderr;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal() || std::env::var_os("CLICOLOR_FORCE").is_some())
        .with_target(false)
        .init();
    Ok(())
}

/// Returns when somebody wants this process to end: SIGTERM, or Ctrl-C. From this call on they do not end it any more,
/// so it comes before the process says that it serves.
///
/// # Errors
/// The system gives no signals.
pub fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM"),
            _ = interrupt.recv() => tracing::info!("SIGINT"),
        }
    })
}

/// Tells everything in a process to end.
pub struct Stopper(watch::Sender<bool>);

/// Learns of the end of the process.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A pair of the two.
pub fn stop_pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Everything that waits for it hears of it; so does whoever asks later.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns when the process is to end. A [`Stopper`] that is dropped means that, too.
    pub async fn wait(mut self) {
        // An error says that there is no stopper any more.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }

    /// Is it to end?
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// Where others reach a program: at the address that was given, or where it listens.
///
/// # Errors
/// It listens everywhere, and was given nothing.
pub fn advertised(given: Option<&str>, listens: SocketAddr) -> Result<String, String> {
    match given {
        Some(given) => Ok(given.to_string()),
        None if listens.ip().is_unspecified() => Err(format!(
            "it listens at {listens}, which nobody can call: give --advertise HOST:PORT, with a host that the others reach"
        )),
        None => Ok(listens.to_string()),
    }
}

/// Serves a small web page until the end.
///
/// # Errors
/// The socket fails.
pub async fn serve_http(
    listener: tokio::net::TcpListener,
    pages: axum::Router,
    stop: Stop,
) -> std::io::Result<()> {
    axum::serve(listener, pages).with_graceful_shutdown(stop.wait()).await
}
