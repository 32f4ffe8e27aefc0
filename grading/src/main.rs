//! The command line of the grader. `just starter`, `just grade`, `just mutants` and `just soak` call it.
//!
//! Exit status: 0 the command did its work (a submission was graded, whatever its score); 1 the caller gave
//! something that cannot be used, or what was to be shown does not hold (a check, a mutant, a soak); 2 the grader
//! is in trouble, and nothing is graded.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use raftkv_grading::error::{Error, Result};
use raftkv_grading::grade::{self, Options};
use raftkv_grading::json::JsonFile;
use raftkv_grading::kit::Kit;
use raftkv_grading::limit::{FAILED, Limits};
use raftkv_grading::{check, labs, lists, mutants, soak, starter, tally};

/// Starter code, grading and mutants of RaftKV Labs.
#[derive(Parser)]
#[command(name = "raftkv-grade")]
struct Cli {
    /// The kit to work from. Default: the one that the current folder lies in.
    #[arg(long, global = true, value_name = "DIR")]
    kit: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the starter code in a new folder.
    Starter {
        /// Where.
        dir: PathBuf,
        /// Keep the solution of the stages up to this one: a checkpoint.
        #[arg(long, value_name = "STAGE")]
        upto: Option<String>,
    },
    /// Grades the submission in a folder.
    Grade(GradeArgs),
    /// Checks that markers, labs.toml, suites and starters agree.
    Check {
        /// Also grade the starter of every stage.
        #[arg(long)]
        full: bool,
        /// How many tests run at the same time.
        #[arg(long, default_value_t = 2)]
        jobs: usize,
    },
    /// Shows that the suites fail every wrong version of the reference in grading/mutants.
    Mutants(MutantArgs),
    /// Runs the tests of a stage under many seeds, on all cores.
    Soak(SoakArgs),
    /// Compares the test lists of labs.toml with the suites.
    Tests {
        /// Write the lists instead.
        #[arg(long)]
        write: bool,
    },
    #[command(name = "__limit", hide = true)]
    Limit(LimitArgs),
}

#[derive(clap::Args)]
struct GradeArgs {
    /// The submission: a folder with the kit's layout.
    dir: PathBuf,
    /// Grade this stage (2ab) or group (2a) only. May be given several times.
    #[arg(long = "stage", value_name = "STAGE")]
    stages: Vec<String>,
    /// The seed of the simulated tests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many tests run at the same time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Show a line for every test.
    #[arg(long, short)]
    verbose: bool,
    /// Also write the result to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(clap::Args)]
struct MutantArgs {
    /// Stages (2ab) or groups (2a). Default: all.
    stages: Vec<String>,
    /// How many are built and run at the same time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Try only so many, chosen by the seed.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "12", require_equals = true)]
    sample: Option<usize>,
    /// The seed of the choice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run the whole suite over each mutant, to count the tests that notice.
    #[arg(long)]
    all_tests: bool,
}

#[derive(clap::Args)]
struct SoakArgs {
    /// A stage (2ab), or a group of stages of one suite (2a).
    stage: String,
    /// How many seeds.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    first: u64,
    /// How many run at the same time. Default: one on each core.
    #[arg(long)]
    jobs: Option<usize>,
    /// Only tests with one of these in their names. Default: the ones that labs.toml names for this.
    filters: Vec<String>,
}

#[derive(clap::Args)]
struct LimitArgs {
    #[arg(long)]
    cpu: Option<u64>,
    #[arg(long)]
    memory_mb: Option<u64>,
    #[arg(long)]
    file_mb: Option<u64>,
    #[arg(last = true)]
    program: Vec<OsString>,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            // Clap's own status for a bad command line is the one that means trouble here.
            return ExitCode::from(u8::from(e.use_stderr()));
        }
    };
    if let Command::Limit(args) = cli.command {
        let limits = Limits { cpu: args.cpu, memory_mb: args.memory_mb, file_mb: args.file_mb };
        eprintln!("{}", limits.exec(&args.program));
        return ExitCode::from(FAILED as u8);
    }
    match run(cli) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(e.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let kit = Kit::find(cli.kit.as_deref())?;
    match cli.command {
        Command::Starter { dir, upto } => {
            starter::starter(&kit, &dir, upto.as_deref())?;
            println!("starter code is in {}", dir.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Grade(args) => run_grade(&kit, args),
        Command::Mutants(args) => {
            let MutantArgs { stages, jobs, sample, seed, all_tests } = args;
            let verdicts = mutants::run(&kit, &mutants::Options { stages, jobs, sample, seed, all_tests })?;
            print!("{}", mutants::render(&verdicts));
            Ok(ExitCode::from(u8::from(!mutants::all_killed(&verdicts))))
        }
        Command::Soak(SoakArgs { stage, seeds, first, jobs, filters }) => {
            let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
            let soak = soak::soak(&kit, &soak::Options { stage, first, seeds, jobs, filters })?;
            print!("{}", soak::render(&soak));
            Ok(ExitCode::from(u8::from(!soak.failures.is_empty())))
        }
        Command::Check { full, jobs } => Ok(findings(&check::check(&kit, full, jobs)?)),
        Command::Tests { write: true } => {
            println!("{} tests in {}", lists::write(&kit)?, labs::PATH);
            Ok(ExitCode::SUCCESS)
        }
        Command::Tests { write: false } => Ok(findings(&lists::compare(&kit)?)),
        Command::Limit(_) => Err(Error::infra("the wrapper was called with a kit")),
    }
}

/// Prints what is wrong; nothing is a success.
fn findings(found: &[String]) -> ExitCode {
    found.iter().for_each(|line| println!("{line}"));
    ExitCode::from(u8::from(!found.is_empty()))
}

fn run_grade(kit: &Kit, args: GradeArgs) -> Result<ExitCode> {
    let json = args.json.as_deref().map(JsonFile::open).transpose()?;
    let options = Options { stages: args.stages, seed: args.seed, jobs: args.jobs };
    let report = match grade::grade(kit, &args.dir, &options) {
        // Whoever reads the file must not find the one of an earlier run.
        Err(Error::Infra(what)) => grade::not_graded(kit, &args.dir, &options, what)?,
        other => other?,
    };
    print!("{}", tally::render(&report, args.verbose));
    if let Some(json) = json {
        json.write(&report)?;
    }
    Ok(ExitCode::from(if report.graded { 0 } else { 2 }))
}
