//! Building the suites over submitted code.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::limit::Limits;
use crate::process::{Ended, supervise};
use crate::text;

/// Compiler output is long, but not endless.
const OUTPUT_CAP: usize = 32 << 20;

/// For a build of which a test or two run: what the compiler saves on optimising and on line tables is a third
/// of its work, and more than the tests lose.
const QUICK: [&str; 4] =
    ["--config", "profile.dev.package.raftkv.opt-level=0", "--config", "profile.dev.debug=0"];

/// A place to build in: the sources, and where cargo keeps its results.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The workspace. Its path stays the same from one submission to the next, so that cargo rebuilds only
    /// what changed.
    pub tree: PathBuf,
    /// The target directory.
    pub target: PathBuf,
    /// Seconds of wall time, and of processor time of each compiler process.
    pub limit: u64,
}

/// What a build gave.
#[derive(Debug, Default)]
pub struct Build {
    /// The test programs that were built, by target.
    pub programs: BTreeMap<String, PathBuf>,
    /// The compiler's errors, as it shows them.
    pub errors: Vec<String>,
    /// Its warnings.
    pub warnings: Vec<String>,
    /// Whether everything that was asked for was built.
    pub success: bool,
}

impl Build {
    /// The test program of a target, for whoever can do nothing without it.
    pub fn program(&self, target: &str) -> Result<&Path> {
        let why = self.errors.first().map_or("", String::as_str);
        self.programs.get(target).map(PathBuf::as_path).ok_or_else(|| does_not_compile(target, why))
    }
}

/// That a target, which is the kit's own, is not there.
pub fn does_not_compile(target: &str, why: &str) -> Error {
    Error::input(format!("{target} does not compile: {}", text::one_line(why)))
}

/// A line of cargo's JSON output.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Line {
    CompilerMessage {
        message: Diagnostic,
    },
    CompilerArtifact {
        target: Target,
        profile: Profile,
        executable: Option<PathBuf>,
    },
    BuildFinished {
        success: bool,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

impl Workshop {
    /// Builds test targets with the given features. That code does not compile is a result; that cargo
    /// cannot do its work is an error.
    pub fn build(&self, features: &[&str], targets: &[&str]) -> Result<Build> {
        // With --keep-going, one suite that does not fit the submission leaves the others standing.
        let mut args = vec!["build", "--keep-going"];
        args.extend(targets.iter().flat_map(|target| ["--test", target]));
        self.cargo(&args, features)
    }

    /// Builds one test target of which little will run.
    pub fn build_quickly(&self, features: &[&str], target: &str) -> Result<Build> {
        let mut args = vec!["build", "--test", target];
        args.extend(QUICK);
        self.cargo(&args, features)
    }

    /// Type-checks the library and the given test targets, for the warnings.
    pub fn check(&self, features: &[&str], targets: &[&str]) -> Result<Build> {
        let mut args = vec!["check", "--lib"];
        args.extend(targets.iter().flat_map(|target| ["--test", target]));
        self.cargo(&args, features)
    }

    fn cargo(&self, args: &[&str], features: &[&str]) -> Result<Build> {
        let features = features.join(",");
        let mut args: Vec<&str> = args.to_vec();
        args.extend(["--locked", "--no-default-features", "--features", &features]);
        args.push("--message-format=json");
        // A kit that has been built once needs no network, and then must not wait for one.
        let mut ended = self.run(&args, true)?;
        if !ended.status.success() && !has_begun(&ended.stdout) {
            ended = self.run(&args, false)?;
        }
        if ended.timed_out {
            let what = format!("error: the build did not end within {} s", self.limit);
            return Ok(Build { errors: vec![what], ..Build::default() });
        }
        let build = read(&ended.stdout);
        let full_disk = build.errors.iter().any(|e| e.contains("No space left on device"));
        if full_disk || ended.stderr.contains("No space left on device") {
            return Err(Error::infra(
                "building: the disk is full: free some space and run the command again",
            ));
        }
        if !build.success && build.errors.is_empty() {
            let lines: Vec<&str> = ended.stderr.lines().filter(|l| !l.trim().is_empty()).collect();
            let last = lines[lines.len().saturating_sub(4)..].join("; ");
            return Err(Error::infra(format!("cargo did not build the suites: {}", text::one_line(&last))));
        }
        Ok(build)
    }

    fn run(&self, args: &[&str], offline: bool) -> Result<Ended> {
        let limits = Limits { cpu: Some(self.limit), ..Limits::default() };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = limits.command(Path::new(&cargo))?;
        command.args(args).args(offline.then_some("--offline")).current_dir(&self.tree);
        clean_env(&mut command);
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_TERM_COLOR", "never");
        // One build after the other differs in a file or two, even where CI has turned this off.
        command.env("CARGO_INCREMENTAL", "1");
        supervise(command, "", Duration::from_secs(self.limit), OUTPUT_CAP)
    }
}

/// Takes away what cargo itself sets when it runs the grader: it describes another package.
fn clean_env(command: &mut Command) {
    let own = |name: &OsStr| {
        let name = name.to_string_lossy();
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "CARGO_LOG"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| own(name)) {
        command.env_remove(name);
    }
}

/// Whether cargo came as far as compiling: what went wrong then is not for want of a download.
fn has_begun(stdout: &str) -> bool {
    stdout.lines().any(|line| line.contains("\"reason\":\"build-finished\""))
}

fn read(stdout: &str) -> Build {
    let mut build = Build::default();
    for line in stdout.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        match line {
            Line::CompilerMessage { message: Diagnostic { level, rendered: Some(text) } } => {
                // The last line of every failed compilation repeats what stands above it.
                if level == "warning" {
                    build.warnings.push(text);
                } else if level.starts_with("error") && !text.starts_with("error: aborting due to") {
                    build.errors.push(text);
                }
            }
            Line::CompilerArtifact { target, profile: Profile { test: true }, executable: Some(path) } => {
                build.programs.insert(target.name, path);
            }
            Line::BuildFinished { success } => build.success = success,
            _ => {}
        }
    }
    build
}

/// The tests that a test program holds, sorted. Listing runs no submitted code, but the program is linked
/// with it, so it is not trusted either.
pub fn list_tests(program: &Path, scratch: &Path) -> Result<Vec<String>> {
    let limits = Limits { cpu: Some(10), memory_mb: Some(2048), file_mb: Some(1) };
    let mut command = limits.command(program)?;
    command.args(["--list", "--format=terse"]).current_dir(scratch).env_clear();
    let ended = supervise(command, "", Duration::from_secs(30), 4 << 20)?;
    if !ended.status.success() {
        return Err(Error::infra(format!(
            "{} --list: {}",
            text::path(program),
            text::one_line(&ended.stderr)
        )));
    }
    let mut tests: Vec<String> =
        ended.stdout.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_string).collect();
    tests.sort();
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_messages_become_programs_and_errors() {
        let build = read(concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"raftkv"},"profile":{"test":false},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"stage_1"},"profile":{"test":true},"executable":"/t/s1"}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-message","message":{"level":"error","rendered":"error[E0308]: x"}}"#,
            "\n",
            r#"{"reason":"compiler-message","message":{"level":"error","rendered":"error: aborting due to 1"}}"#,
            "\n",
            r#"{"reason":"compiler-message","message":{"level":"warning","rendered":"warning: y"}}"#,
            "\n",
            r#"{"reason":"build-finished","success":false}"#,
        ));
        assert_eq!(build.programs, BTreeMap::from([("stage_1".to_string(), PathBuf::from("/t/s1"))]));
        assert_eq!(build.errors, ["error[E0308]: x"]);
        assert_eq!(build.warnings, ["warning: y"]);
        assert!(!build.success);
    }
}
