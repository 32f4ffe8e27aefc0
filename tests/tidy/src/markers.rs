//! Rules for the markers from which the starter code is made (docs/instructor.md). The generator checks
//! what they enclose; here only their form is checked, so that a slip is found by `just verify` in a second.

use crate::Repo;

/// The stages that may be marked, in order.
const STAGES: [&str; 10] = ["1", "2aa", "2ab", "2ac", "2b", "2c", "3a", "3b", "3c", "4"];

/// Markers come in pairs, of the same kind and stage, never nested, with a hint where one is due.
pub fn pairs(repo: &Repo) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in repo.files("src/", ".rs") {
        let mut open: Option<(usize, &str, &str)> = None;
        for (i, line) in text.lines().enumerate() {
            let mut say = |problem: &str| findings.push(format!("{path}:{}: {problem}", i + 1));
            let Some(marker) = line.trim().strip_prefix("// ").and_then(Marker::parse) else {
                if line.contains("// LAB ") || line.contains("// SOLUTION ") {
                    say(
                        "a marker is `// LAB 2ab BEGIN: hint`, `// SOLUTION 2ab BEGIN` or `... END`, on a line of its own",
                    );
                }
                continue;
            };
            if !STAGES.contains(&marker.stage) {
                say(&format!("there is no stage {}", marker.stage));
            }
            match (open, marker.begins) {
                (None, true) => open = Some((i + 1, marker.kind, marker.stage)),
                (None, false) => say("an END without a BEGIN"),
                (Some((start, ..)), true) => {
                    say(&format!("a BEGIN inside the pair that starts in line {start}"))
                }
                (Some((start, kind, stage)), false) => {
                    if (kind, stage) != (marker.kind, marker.stage) {
                        say(&format!("this END is of another kind or stage than the BEGIN in line {start}"));
                    }
                    open = None;
                }
            }
        }
        if let Some((start, ..)) = open {
            findings.push(format!("{path}:{start}: a BEGIN without an END"));
        }
    }
    findings
}

struct Marker<'a> {
    kind: &'a str,
    stage: &'a str,
    begins: bool,
}

impl Marker<'_> {
    fn parse(text: &str) -> Option<Marker<'_>> {
        let (kind, rest) = text.split_once(' ')?;
        let (stage, rest) = rest.split_once(' ')?;
        let hinted = |start| rest.strip_prefix(start).is_some_and(|hint: &str| !hint.trim().is_empty());
        let begins = match (kind, rest) {
            ("LAB" | "SOLUTION", "END") => false,
            ("SOLUTION", "BEGIN") => true,
            ("LAB", _) if hinted("BEGIN: ") || hinted("BEGIN idle: ") => true,
            _ => return None,
        };
        Some(Marker { kind, stage, begins })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert_clean;

    #[test]
    fn the_repository_keeps_the_rules_for_markers() {
        assert_clean(&pairs(&Repo::here()));
    }

    #[test]
    fn a_broken_pair_is_found() {
        let findings = |text: &str| pairs(&Repo::of(&[("src/raft/a.rs", text)])).len();
        assert_eq!(findings("// LAB 2ab BEGIN: think\nx\n// LAB 2ab END\n"), 0);
        assert_eq!(findings("// LAB 2ab BEGIN idle: think\nx\n// LAB 2ab END\n"), 0);
        assert_eq!(findings("  // SOLUTION 1 BEGIN\nx\n  // SOLUTION 1 END\n"), 0);
        assert_eq!(findings("// LAB 2ab BEGIN: think\nx\n"), 1, "no END");
        assert_eq!(findings("// LAB 2ab END\n"), 1, "no BEGIN");
        assert_eq!(findings("// LAB 2ab BEGIN: think\n// LAB 2aa END\n"), 1, "another stage");
        assert_eq!(findings("// LAB 2ab BEGIN: think\n// SOLUTION 2ab END\n"), 1, "another kind");
        assert_eq!(findings("// LAB 9z BEGIN: think\n// LAB 9z END\n"), 2, "no such stage");
        assert_eq!(findings("// LAB 2ab BEGIN\nx\n// LAB 2ab END\n"), 2, "no hint, so the END is alone");
        assert_eq!(findings("let x = 1; // LAB 2ab BEGIN: think\n"), 1, "not on a line of its own");
        assert_eq!(findings("// LAB 2ab BEGIN: a\n// SOLUTION 2ab BEGIN\n// LAB 2ab END\n"), 1, "nested");
    }
}
