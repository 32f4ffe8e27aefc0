//! Committed entries a second: our Raft and the `raft` crate, in one harness and one run.
//!
//! `docs/benchmarks.md` says what is measured and how to read it. [`group`] is the harness, [`ours`] and
//! [`peer`] are the two implementations behind its one trait.

mod args;
mod group;
mod ours;
mod peer;

use std::process::ExitCode;

use args::Args;
use group::{Load, Peer, measure};

/// A contestant: what the table calls it, and the function that runs it once.
struct Contestant {
    name: &'static str,
    run: fn(&Load) -> f64,
}

const CONTESTANTS: [Contestant; 3] = [
    Contestant { name: "ours", run: rate::<ours::Ours> },
    Contestant { name: "raft", run: rate::<peer::Plain> },
    Contestant { name: "raft-batch", run: rate::<peer::Batching> },
];

fn rate<P: Peer>(load: &Load) -> f64 {
    load.entries as f64 / measure::<P>(load).as_secs_f64()
}

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            eprintln!("{message}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    let chosen: Vec<&Contestant> = CONTESTANTS.iter().filter(|c| args.takes(c.name)).collect();
    if chosen.is_empty() {
        eprintln!("--only: one of ours, raft, raft-batch");
        return ExitCode::from(2);
    }

    print!("{:>5} {:>9}", "nodes", "in flight");
    for contestant in &chosen {
        print!(" {:>12}", contestant.name);
    }
    println!("{}", if chosen.len() == CONTESTANTS.len() { "   ours/raft  ours/raft-batch" } else { "" });
    for &nodes in &args.nodes {
        for &inflight in &args.inflight {
            let load = Load { nodes, inflight, entries: args.entries };
            let rates = medians(&chosen, &load, args.runs);
            print!("{nodes:>5} {inflight:>9}");
            for rate in &rates {
                print!(" {:>10.0} k", rate / 1e3);
            }
            match rates[..] {
                [ours, plain, batching] => println!("   {:>9.2}  {:>15.2}", ours / plain, ours / batching),
                _ => println!(),
            }
        }
    }
    ExitCode::SUCCESS
}

/// The median of `runs` runs of each contestant. They take turns, so that a machine which slows down or
/// speeds up meanwhile does so for all of them.
fn medians(contestants: &[&Contestant], load: &Load, runs: usize) -> Vec<f64> {
    let mut rates = vec![Vec::new(); contestants.len()];
    for _ in 0..runs {
        for (contestant, rates) in contestants.iter().zip(&mut rates) {
            rates.push((contestant.run)(load));
        }
    }
    rates.iter_mut().for_each(|rates| rates.sort_by(f64::total_cmp));
    rates.iter().map(|rates| rates[rates.len() / 2]).collect()
}
