//! The report as text, for a terminal.

use std::fmt::Write;

use crate::report::{Report, StageReport, TestReport};
use crate::run::Status;

/// Failures that say the same are shown once, with so many of their names.
const NAMES: usize = 5;

/// The whole tally: what failed and why, then a table, then the total. What matters most is last, where a
/// terminal stops. With `every`, each test has a line.
pub fn render(report: &Report, every: bool) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    for test in report.stages.iter().flat_map(|s| &s.tests).filter(|_| every) {
        let _ = writeln!(out, "{:<11}  {:>7.3} s  {}", test.status, test.seconds, test.name);
    }
    for error in &report.build_errors {
        let _ = writeln!(out, "\nbuild_error\n{}", indent(error));
    }
    for stage in &report.stages {
        let _ = failures(&mut out, stage);
    }
    for trouble in &report.trouble {
        let _ = writeln!(out, "\ninfra_error: {trouble}");
    }
    let _ = table(&mut out, report);
    let _ = match report.score {
        Some(score) => writeln!(out, "\ntotal: {score} of {} points, seed {}", report.max_score, report.seed),
        None => writeln!(
            out,
            "\ntotal: not graded. The grader is in trouble, and that is not the submission's fault: mend it \
             and run again"
        ),
    };
    out
}

fn table(out: &mut String, report: &Report) -> std::fmt::Result {
    let width = report.stages.iter().map(|s| s.title.chars().count()).max().unwrap_or(0).max(5);
    writeln!(out, "\n{:<5}  {:<width$}  {:>9}  {:>13}  status", "stage", "title", "passed", "points")?;
    for stage in &report.stages {
        let passed = format!("{}/{}", stage.passed, stage.total);
        let points = format!("{}/{}", stage.points, stage.max_points);
        writeln!(
            out,
            "{:<5}  {:<width$}  {passed:>9}  {points:>13}  {}",
            stage.id,
            stage.title,
            verdicts(stage)
        )?;
    }
    Ok(())
}

fn verdicts(stage: &StageReport) -> String {
    let all = [Status::Fail, Status::Timeout, Status::BuildError, Status::InfraError];
    let counts: Vec<String> = all
        .into_iter()
        .map(|status| (status, stage.count(status)))
        .filter(|(_, n)| *n > 0)
        .map(|(status, n)| format!("{n} {status}"))
        .collect();
    match (stage.total, counts.as_slice()) {
        (0, _) => "no tests".to_string(),
        (_, []) => "ok".to_string(),
        (_, counts) => counts.join(", "),
    }
}

/// The failed tests of a stage. Those that say the same are put together under the first.
fn failures(out: &mut String, stage: &StageReport) -> std::fmt::Result {
    let mut groups: Vec<Vec<&TestReport>> = Vec::new();
    for test in stage.tests.iter().filter(|t| matches!(t.status, Status::Fail | Status::Timeout)) {
        match groups.iter_mut().find(|g| alike(g[0], test)) {
            Some(group) => group.push(test),
            None => groups.push(vec![test]),
        }
    }
    for group in groups {
        let first = group[0];
        writeln!(out, "\n{} {} {}\n{}", stage.id, first.status, first.name, indent(&first.message))?;
        writeln!(out, "    rerun: {}", first.rerun)?;
        if group.len() > 1 {
            let names: Vec<&str> = group[1..].iter().map(|t| t.name.as_str()).take(NAMES).collect();
            let more = group.len() - 1 - names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            writeln!(out, "    the same in: {}{more}", names.join(", "))?;
        }
    }
    Ok(())
}

/// Whether two failures say the same: up to the first blank line, for what stands below it (the state of
/// every node, the last messages) differs from test to test.
fn alike(a: &TestReport, b: &TestReport) -> bool {
    let head = |test: &'_ TestReport| test.message.split("\n\n").next().unwrap_or_default().to_string();
    a.status == b.status && head(a) == head(b)
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
