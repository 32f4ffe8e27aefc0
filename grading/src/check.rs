//! What must hold between the reference, its markers, labs.toml and the suites, so that nothing drifts.
//!
//! The quick part reads and type-checks; `--full` also grades the starter of every stage with the suites.

use std::collections::BTreeSet;

use crate::build::{needs, own_suites, program_suites};
use crate::error::{Error, Result};
use crate::grade;
use crate::kit::{self, Kit};
use crate::labs::Stage;
use crate::lists;
use crate::mutants;
use crate::run::Status;
use crate::scratch::Scratch;
use crate::starter;
use crate::strip::{Kind, regions};
use crate::text;
use crate::tree::Tree;

/// Everything that is wrong, one finding an item.
pub fn check(kit: &Kit, full: bool, jobs: usize) -> Result<Vec<String>> {
    if kit.root.join(kit::HANDED_OUT).exists() {
        return Err(Error::input("this kit is starter code, and the check is of the reference"));
    }
    let tree = kit.pristine()?;
    let mut findings = markers(kit, &tree)?;
    findings.extend(stages(kit));
    findings.extend(lists::compare(kit)?);
    if kit.root.join(mutants::FOLDER).is_dir() {
        mutants::read(kit, &tree, &[])?;
    }
    if !findings.is_empty() {
        // What follows would only say the same in more words.
        return Ok(findings);
    }
    let checkpoints = std::iter::once(None).chain(kit.labs.stages.iter().map(Some));
    for upto in checkpoints {
        eprintln!("checking the {}", name(upto));
        findings.extend(builds(kit, upto)?);
        if full && findings.is_empty() {
            findings.extend(scores(kit, upto, jobs)?);
        }
    }
    Ok(findings)
}

fn name(upto: Option<&Stage>) -> String {
    upto.map_or("starter".to_string(), |stage| format!("starter --upto {}", stage.id))
}

/// A file with markers is editable, in the stage that its markers name, and the other way round.
fn markers(kit: &Kit, tree: &Tree) -> Result<Vec<String>> {
    let ids = kit.labs.ids();
    let mut findings = Vec::new();
    for path in tree.files.keys().filter(|path| path.starts_with("src/") && path.ends_with(".rs")) {
        let found = regions(path, tree.text(path).unwrap_or_default(), &ids)?;
        let owner = kit.labs.stages.iter().find(|s| s.editable.contains(path));
        let named: BTreeSet<&str> = found.iter().map(|r| r.stage.as_str()).collect();
        match owner {
            None if !found.is_empty() => {
                findings.push(format!("{path} has markers, but no stage of labs.toml lists it as editable"));
            }
            Some(stage) if named.iter().any(|id| *id != stage.id) => {
                let named = named.into_iter().collect::<Vec<_>>().join(", ");
                findings.push(format!("{path} is editable in {}, but its markers name {named}", stage.id));
            }
            Some(stage) if !found.iter().any(|r| matches!(r.kind, Kind::Lab { .. })) => {
                findings.push(format!("{path} is editable in {}, but has nothing to write in it", stage.id));
            }
            _ => {}
        }
    }
    for path in kit.labs.editable().into_iter().filter(|path| !tree.files.contains_key(*path)) {
        findings.push(format!("labs.toml lists {path} as editable, and there is no such file"));
    }
    Ok(findings)
}

/// Every stage has its text and its tests, and what is soaked is among them.
fn stages(kit: &Kit) -> Vec<String> {
    let of_none = |s: &Stage, prefix: &str| !s.suite.tests.iter().any(|test| test.starts_with(prefix));
    let no_text = kit.labs.stages.iter().filter(|s| !kit.root.join(&s.handout).is_file());
    let no_tests = kit.labs.stages.iter().filter(|s| s.suites().any(|suite| suite.tests.is_empty()));
    let no_text = no_text.map(|s| format!("stage {}: there is no handout {}", s.id, s.handout));
    let no_tests = no_tests.map(|s| format!("stage {}: there is no test", s.id));
    let idle = kit.labs.stages.iter().flat_map(|s| s.soak.iter().map(move |prefix| (s, prefix)));
    let idle = idle.filter(|(s, prefix)| !s.suite.tests.is_empty() && of_none(s, prefix));
    let idle = idle.map(|(s, prefix)| format!("stage {}: no test begins with {prefix}, to be soaked", s.id));
    no_text.chain(no_tests).chain(idle).collect()
}

/// A starter, and over it the suites and the programs, compile without a warning.
fn builds(kit: &Kit, upto: Option<&Stage>) -> Result<Vec<String>> {
    let kept = starter::kept(&kit.labs, upto.map(|s| s.id.as_str()))?;
    let scratch = Scratch::open(kit, 0)?;
    let workshop = scratch.lay_out(&starter::tree(kit, &kept)?, kit.labs.build_limit)?;
    let stages: Vec<&Stage> = kit.labs.stages.iter().collect();
    let mut complaints = BTreeSet::new();
    for suites in [own_suites(&stages), program_suites(&stages)].iter().filter(|suites| !suites.is_empty()) {
        let (features, targets) = needs(suites);
        let build = workshop.check(&features, &targets);
        scratch.built()?;
        let build = build?;
        complaints.extend(build.errors.into_iter().chain(build.warnings));
    }
    let shown = |c: &String| format!("{}: {}", name(upto), text::trim(&text::neutralise(c), 12, 200));
    Ok(complaints.iter().map(shown).collect())
}

/// Stages that are kept get full marks, and no test of the others passes, or hangs.
fn scores(kit: &Kit, upto: Option<&Stage>, jobs: usize) -> Result<Vec<String>> {
    let kept = starter::kept(&kit.labs, upto.map(|s| s.id.as_str()))?;
    let folder = tempfile::tempdir().map_err(|e| Error::infra_io(&std::env::temp_dir(), &e))?;
    starter::tree(kit, &kept)?.write(folder.path())?;
    let options = grade::Options { stages: Vec::new(), seed: 1, jobs };
    let report = grade::grade(kit, folder.path(), &options)?;
    let mut findings = report.trouble.clone();
    for stage in &report.stages {
        let wanted = if kept.contains(&stage.id) { Status::Pass } else { Status::Fail };
        let others: Vec<String> = stage
            .tests
            .iter()
            .filter(|test| test.status != wanted)
            .map(|test| format!("{} ({})", test.name, test.status))
            .collect();
        if !others.is_empty() {
            findings.push(format!("{}: not a {wanted}: {}", name(upto), others.join(", ")));
        }
    }
    Ok(findings)
}
