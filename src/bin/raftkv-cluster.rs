//! A whole cluster on this machine: a scheduler and some stores, as processes, with one log.
//!
//! What it starts are the programs beside it, with the flags that it prints: any of them can be killed, and started
//! again by hand.

#![expect(clippy::disallowed_methods, reason = "a program around the core, like src/server")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use clap::Parser;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use raftkv::server::disk::{DEFAULT_ENGINE, EngineKind};
use raftkv::server::process::asked_to_stop;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What does not end when it is asked to, is ended after so long.
const GRACE: Duration = Duration::from_secs(10);

/// A RaftKV cluster on this machine; Ctrl-C ends it.
#[derive(Parser)]
#[command(name = "raftkv-cluster", version)]
struct Flags {
    /// How many stores
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=50))]
    stores: u16,
    /// Where the data is kept; without it, it is thrown away at the end
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// What the data is kept in
    #[arg(long, default_value_t = DEFAULT_ENGINE, value_enum)]
    engine: EngineKind,
    /// The scheduler's port; its status page has the one after the next
    #[arg(long, default_value_t = 2379)]
    scheduler_port: u16,
    /// The first store's port; the others have the next ones, and their status pages are 100 higher
    #[arg(long, default_value_t = 20160)]
    store_port: u16,
}

/// One process of the cluster.
struct Part {
    name: String,
    program: PathBuf,
    flags: Vec<OsString>,
}

impl Part {
    /// As one types it.
    fn command_line(&self) -> String {
        let words =
            std::iter::once(self.program.as_os_str()).chain(self.flags.iter().map(OsString::as_os_str));
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raftkv-cluster: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let flags = Flags::parse();
    // Dropped at the end, and with it what is in it.
    let thrown_away = match flags.data_dir {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(|error| format!("no folder for the data: {error}"))?),
    };
    let data = match (&flags.data_dir, &thrown_away) {
        (Some(data), _) => data.clone(),
        (None, thrown_away) => thrown_away.as_ref().map(|dir| dir.path().to_path_buf()).unwrap_or_default(),
    };
    let parts = parts(&flags, &data)?;
    // From here on it is for us to end what has begun.
    let signal = asked_to_stop().map_err(|error| error.to_string())?;
    tokio::pin!(signal);
    let (lines, printed) = mpsc::channel(1024);
    let printer = tokio::spawn(print(printed));
    let (ended_sender, mut ended) = mpsc::channel(parts.len());
    let mut running = BTreeMap::new();
    for (color, part) in parts.iter().enumerate() {
        let child = start(part)?;
        running.extend(child.id().map(|pid| (part.name.clone(), pid)));
        println!("{}\n    {}", part.name, part.command_line());
        let watch =
            watch(part.name.clone(), 31 + color as u8 % 6, child, lines.clone(), ended_sender.clone());
        tokio::spawn(watch);
    }
    drop((lines, ended_sender));
    println!("status pages: http://127.0.0.1:{}/ and the ports in the lines above", flags.scheduler_port + 2);
    println!("try it:       {0} put a 1 && {0} get a", beside("raftkv-ctl")?.display());
    println!(
        "Ctrl-C ends it; the data is {}",
        if thrown_away.is_some() { "thrown away then" } else { "kept" }
    );
    loop {
        tokio::select! {
            () = &mut signal => break,
            Some((name, status)) = ended.recv() => {
                running.remove(&name);
                let part = parts.iter().find(|part| part.name == name);
                let again = part.map(Part::command_line).unwrap_or_default();
                eprintln!("{name} has ended ({status}). To start it again:\n    {again}");
            }
            else => return Err("all parts have ended".to_string()),
        }
    }
    stop(running, &mut ended).await;
    printer.await.map_err(|error| error.to_string())
}

/// The program of that name, beside this one.
fn beside(name: &str) -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name(name);
    if !program.is_file() {
        return Err(format!(
            "{} is missing: build all programs first (`just cluster` does)",
            program.display()
        ));
    }
    Ok(program)
}

/// The scheduler, then the stores.
fn parts(flags: &Flags, data: &Path) -> Result<Vec<Part>, String> {
    let engine = match flags.engine {
        EngineKind::Rocksdb => "rocksdb",
        EngineKind::Memory => "memory",
    };
    let words = |pairs: Vec<(&str, String)>| -> Vec<OsString> {
        pairs.into_iter().flat_map(|(flag, value)| [OsString::from(flag), OsString::from(value)]).collect()
    };
    let scheduler = format!("127.0.0.1:{}", flags.scheduler_port);
    let folder = |name: &str| data.join(name).to_string_lossy().into_owned();
    let mut parts = vec![Part {
        name: "scheduler".to_string(),
        program: beside("raftkv-scheduler")?,
        flags: words(vec![
            ("--listen", scheduler.clone()),
            ("--status", format!("127.0.0.1:{}", flags.scheduler_port + 2)),
            ("--data-dir", folder("scheduler")),
            ("--engine", engine.to_string()),
        ]),
    }];
    for n in 0..flags.stores {
        let (name, port) = (format!("store-{}", n + 1), flags.store_port + n);
        parts.push(Part {
            program: beside("raftkv-server")?,
            flags: words(vec![
                ("--listen", format!("127.0.0.1:{port}")),
                ("--status", format!("127.0.0.1:{}", port + 100)),
                ("--scheduler", scheduler.clone()),
                ("--data-dir", folder(&name)),
                ("--engine", engine.to_string()),
            ]),
            name,
        });
    }
    Ok(parts)
}

fn start(part: &Part) -> Result<Child, String> {
    let mut command = Command::new(&part.program);
    command
        .args(&part.flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // A group of its own: Ctrl-C comes here alone, and the parts end in order.
    command.process_group(0);
    if std::io::stdout().is_terminal() {
        command.env("CLICOLOR_FORCE", "1");
    }
    command.spawn().map_err(|error| format!("{} does not start: {error}", part.program.display()))
}

/// Follows one process to its end.
async fn watch(
    name: String,
    color: u8,
    mut child: Child,
    lines: mpsc::Sender<String>,
    ended: mpsc::Sender<(String, ExitStatus)>,
) {
    let prefix = if std::io::stdout().is_terminal() {
        format!("\x1b[{color}m{name:>9} |\x1b[0m")
    } else {
        format!("{name:>9} |")
    };
    let (out, err) = (child.stdout.take(), child.stderr.take());
    tokio::join!(forward(&prefix, out, &lines), forward(&prefix, err, &lines));
    if let Ok(status) = child.wait().await {
        // Nobody listens any more once the cluster has ended.
        let _ = ended.send((name, status)).await;
    }
}

async fn forward(prefix: &str, from: Option<impl AsyncRead + Unpin>, to: &mpsc::Sender<String>) {
    let Some(from) = from else { return };
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if to.send(format!("{prefix} {line}")).await.is_err() {
            return;
        }
    }
}

async fn print(mut lines: mpsc::Receiver<String>) {
    while let Some(line) = lines.recv().await {
        println!("{line}");
    }
}

/// Asks all to end, the stores first, and waits for them.
async fn stop(mut running: BTreeMap<String, u32>, ended: &mut mpsc::Receiver<(String, ExitStatus)>) {
    // `store-...` comes behind `scheduler`.
    for pid in running.values().rev() {
        // One that has ended a moment ago has no need of it.
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
    }
    let all = async {
        while let Some((name, _)) = ended.recv().await {
            running.remove(&name);
        }
    };
    if timeout(GRACE, all).await.is_err() {
        eprintln!("these do not end in {} s, and are killed: {:?}", GRACE.as_secs(), running.keys());
        for pid in running.values() {
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
    }
}
