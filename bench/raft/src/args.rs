//! The command line. Without arguments: the whole table.

/// What the command line offers.
pub const USAGE: &str = "usage: bench-raft [--only ours|raft|raft-batch] [--nodes N] [--inflight N] \
                         [--entries N] [--runs N]";

/// Which rows and columns of the table to measure.
pub struct Args {
    /// One contestant only: what a profiler wants.
    pub only: Option<String>,
    /// Sizes of the group.
    pub nodes: Vec<usize>,
    /// Proposals that wait for their commit at any time.
    pub inflight: Vec<usize>,
    /// Entries committed in one run.
    pub entries: usize,
    /// Runs of which the median counts.
    pub runs: usize,
}

impl Args {
    /// Reads the arguments after the program's name.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut args =
            Args { only: None, nodes: vec![3, 5], inflight: vec![1, 16, 256], entries: 100_000, runs: 5 };
        while let Some(flag) = words.next() {
            let value = words.next().ok_or_else(|| format!("{flag}: a value is missing"))?;
            let number =
                || value.parse().ok().filter(|n| *n > 0).ok_or(format!("{flag} {value}: not a count"));
            match flag.as_str() {
                "--only" => args.only = Some(value),
                "--nodes" => args.nodes = vec![number()?],
                "--inflight" => args.inflight = vec![number()?],
                "--entries" => args.entries = number()?,
                "--runs" => args.runs = number()?,
                _ => return Err(format!("{flag}: unknown")),
            }
        }
        Ok(args)
    }

    /// Whether this contestant runs.
    pub fn takes(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }
}
