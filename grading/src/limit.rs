//! The wrapper that puts limits on a process and then becomes it.
//!
//! `raftkv-grade __limit ... -- PROGRAM ARGS` sets resource limits on itself and executes the program, so
//! that the limits hold from the program's first instruction, and no `unsafe` code runs between fork and
//! exec in the grader. It is not for people to call.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::resource::{Resource, rlim_t, setrlimit};

use crate::error::{Error, Result};

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "__limit";
/// The wrapper's exit status when it cannot start the program.
pub const FAILED: i32 = 125;
/// What its message then starts with.
pub const FAILED_PREFIX: &str = "raftkv-grade __limit: ";

/// What a process may use. `None` is no limit of ours.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Processor time, in seconds. It decides about a hang, so that a busy machine costs nobody a point.
    pub cpu: Option<u64>,
    /// Address space, in MB. Not on macOS, which does not enforce it.
    pub memory_mb: Option<u64>,
    /// The largest file that may be written, in MB.
    pub file_mb: Option<u64>,
}

/// The grader's own program. On Linux by a name that holds even if the file is replaced by a newer build
/// while this one runs.
fn own_path() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().map_err(|e| Error::infra(format!("the grader's own path: {e}")))
}

impl Limits {
    /// A command that runs `program` under these limits.
    pub fn command(&self, program: &Path) -> Result<Command> {
        let mut command = Command::new(own_path()?);
        command.arg(SUBCOMMAND);
        for (option, value) in
            [("--cpu", self.cpu), ("--memory-mb", self.memory_mb), ("--file-mb", self.file_mb)]
        {
            if let Some(value) = value {
                command.arg(option).arg(value.to_string());
            }
        }
        command.arg("--").arg(program);
        Ok(command)
    }

    /// Sets the limits on this process and becomes `program`. Returns only if that fails.
    pub fn exec(&self, program: &[OsString]) -> String {
        let Some((name, args)) = program.split_first() else {
            return format!("{FAILED_PREFIX}no program given");
        };
        if let Err(e) = self.apply() {
            return format!("{FAILED_PREFIX}setting limits: {e}");
        }
        let error = Command::new(name).args(args).exec();
        format!("{FAILED_PREFIX}{}: {error}", name.to_string_lossy())
    }

    fn apply(&self) -> nix::Result<()> {
        // Whoever starts the grader ends all of it with Ctrl-C, although tests have process groups of their own.
        #[cfg(target_os = "linux")]
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        if let Some(seconds) = self.cpu {
            // The soft limit is a signal that says why; the hard one comes to whoever ignores it.
            setrlimit(Resource::RLIMIT_CPU, seconds as rlim_t, seconds as rlim_t + 1)?;
        }
        if let Some(mb) = self.file_mb {
            setrlimit(Resource::RLIMIT_FSIZE, (mb << 20) as rlim_t, (mb << 20) as rlim_t)?;
        }
        #[cfg(not(target_os = "macos"))]
        if let Some(mb) = self.memory_mb {
            setrlimit(Resource::RLIMIT_AS, (mb << 20) as rlim_t, (mb << 20) as rlim_t)?;
        }
        Ok(())
    }
}
