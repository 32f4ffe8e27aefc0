//! A store of a RaftKV cluster, or one server alone (`--standalone`).

use std::process::ExitCode;

use clap::Parser;
use raftkv::server::process::{asked_to_stop, init_log};
use raftkv::server::settings::{Flags, Settings};
use raftkv::server::start::start;

/// A call allocates dozens of small pieces, most of them for HTTP/2: with the system's allocator that is a sixth of
/// what a busy server does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raftkv-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), String> {
    let settings = Settings::of(Flags::parse())?;
    init_log()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let asked = asked_to_stop().map_err(|error| error.to_string())?;
        let mut asked = std::pin::pin!(asked);
        let running = tokio::select! {
            () = &mut asked => return Ok(()),
            running = start(&settings) => running?,
        };
        let failed = tokio::select! {
            () = asked => Ok(()),
            end = running.failed() => end,
        };
        let stopped = running.stop().await;
        failed.and(stopped)
    })
}
