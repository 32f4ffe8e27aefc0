//! What grading found: the data behind the tally and the JSON file.
//!
//! Points are computed in hundredths, per stage, so that what is shown adds up: a stage is worth its
//! points times the weight of its passed tests over the weight of all, rounded to the nearest hundredth.

use serde::{Serialize, Serializer};

use crate::labs::{Stage, Suite};
use crate::run::{Outcome, Status};

/// The name and version of the JSON format. A change that could mislead a reader gets a new number.
pub const SCHEMA: &str = "raftkv-grade/1";

/// A number of points, in hundredths. In JSON it is a number of points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Points(pub u64);

impl Serialize for Points {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 100.0)
    }
}

impl std::fmt::Display for Points {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}

/// The result of one submission. `docs/instructor.md` describes the JSON form.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The folder that was graded, as it was named.
    pub submission: String,
    /// The seed that was given to every test.
    pub seed: u64,
    /// Whether the numbers stand: false when the grader was in trouble.
    pub graded: bool,
    /// All points; null when not graded.
    pub score: Option<Points>,
    /// What the graded stages are worth together.
    pub max_score: Points,
    /// Why nothing was built: what the compiler or the source check says.
    pub build_errors: Vec<String>,
    /// The grader's own trouble.
    pub trouble: Vec<String>,
    /// The stages that were graded, in order.
    pub stages: Vec<StageReport>,
}

/// One stage of a report.
#[derive(Debug, Serialize)]
pub struct StageReport {
    /// "2ab".
    pub id: String,
    /// Its title.
    pub title: String,
    /// How many tests passed.
    pub passed: usize,
    /// How many there are.
    pub total: usize,
    /// The points reached.
    pub points: Points,
    /// The points to be had.
    pub max_points: Points,
    /// Every test of the stage.
    pub tests: Vec<TestReport>,
}

/// One test of a report.
#[derive(Debug, Serialize)]
pub struct TestReport {
    /// Its path in the suite.
    pub name: String,
    /// The verdict.
    pub status: Status,
    /// What it counts within its stage.
    pub weight: u32,
    /// Wall time.
    pub seconds: f64,
    /// The seed to run it with again.
    pub seed: u64,
    /// Why it is no pass; safe to show as plain text.
    pub message: String,
    /// The command that runs it again; empty where there is nothing to run.
    pub rerun: String,
}

impl StageReport {
    /// Puts the outcomes of a stage's tests together, in the order of [`Stage::tests`].
    pub fn new(stage: &Stage, outcomes: Vec<Outcome>) -> StageReport {
        let mut reached = 0;
        let mut tests = Vec::new();
        for ((suite, name), outcome) in stage.tests().zip(outcomes) {
            let weight = suite.weight(name);
            let failed = matches!(outcome.status, Status::Fail | Status::Timeout);
            reached += if outcome.status == Status::Pass { u64::from(weight) } else { 0 };
            tests.push(TestReport {
                name: name.to_string(),
                status: outcome.status,
                weight,
                seconds: (outcome.took.as_secs_f64() * 1000.0).round() / 1000.0,
                seed: outcome.seed,
                message: outcome.message,
                rerun: if failed { rerun(suite, name, outcome.seed) } else { String::new() },
            });
        }
        let all: u64 = stage.tests().map(|(suite, test)| u64::from(suite.weight(test))).sum();
        StageReport {
            id: stage.id.clone(),
            title: stage.title.clone(),
            passed: tests.iter().filter(|t| t.status == Status::Pass).count(),
            total: tests.len(),
            points: share(stage.points, reached, all),
            max_points: Points(u64::from(stage.points) * 100),
            tests,
        }
    }

    /// How many tests have this verdict.
    pub fn count(&self, status: Status) -> usize {
        self.tests.iter().filter(|t| t.status == status).count()
    }
}

impl Report {
    /// The report on graded stages.
    pub fn new(submission: String, seed: u64, build_errors: Vec<String>, stages: Vec<StageReport>) -> Report {
        let trouble: Vec<String> = stages
            .iter()
            .flat_map(|s| &s.tests)
            .filter(|t| t.status == Status::InfraError)
            .map(|t| format!("{}: {}", t.name, t.message))
            .collect();
        let graded = trouble.is_empty();
        let sum = |of: fn(&StageReport) -> Points| Points(stages.iter().map(|s| of(s).0).sum());
        Report {
            schema: SCHEMA,
            submission,
            seed,
            graded,
            score: graded.then(|| sum(|s| s.points)),
            max_score: sum(|s| s.max_points),
            build_errors,
            trouble,
            stages,
        }
    }

    /// The report of a run that could not grade: every test is the grader's fault.
    pub fn not_graded(submission: String, seed: u64, stages: &[&Stage], trouble: Vec<String>) -> Report {
        let stages = stages.iter().map(|stage| uniform(stage, Status::InfraError, seed, "not run")).collect();
        Report { graded: false, score: None, trouble, ..Report::new(submission, seed, Vec::new(), stages) }
    }
}

/// A stage whose tests all have one verdict, for one reason.
pub fn uniform(stage: &Stage, status: Status, seed: u64, message: &str) -> StageReport {
    let outcome = Outcome::of(status, seed, message);
    StageReport::new(stage, vec![outcome; stage.tests().count()])
}

/// The command that runs one test again with one seed.
pub fn rerun(suite: &Suite, test: &str, seed: u64) -> String {
    format!("SIM_SEED={seed} SIM_SEEDS=1 just {} {test}", suite.recipe)
}

/// `points` times `reached` of `all`, in hundredths, half a hundredth rounded up.
fn share(points: u32, reached: u64, all: u64) -> Points {
    Points((u64::from(points) * 200 * reached + all) / (2 * all.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_shares_of_the_weight_in_hundredths() {
        assert_eq!(share(10, 0, 3), Points(0));
        assert_eq!(share(10, 1, 3), Points(333));
        assert_eq!(share(10, 2, 3), Points(667));
        assert_eq!(share(10, 3, 3), Points(1000));
        assert_eq!(share(1, 1, 8), Points(13), "12.5 hundredths");
        assert_eq!(share(10, 0, 0), Points(0), "a stage without tests");
        assert_eq!(Points(1203).to_string(), "12.03");
        assert_eq!(serde_json::to_string(&Points(1203)).expect("a number"), "12.03");
    }
}
