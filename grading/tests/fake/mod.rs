//! A kit of two stages that builds in a second: what the grader's own tests grade.
//!
//! Its suite uses the real harness (`tests/kit/src/lab.rs`), so the completion record is the true one.

#![allow(dead_code, reason = "each test target uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const LAB: &str = include_str!("../../../tests/kit/src/lab.rs");

const MANIFEST: &str = r#"
[package]
name = "mini"
version = "0.1.0"
edition = "2024"
autotests = false

[workspace]

[features]
stage-1 = []
stage-2 = ["stage-1"]

[[test]]
name = "suite"
path = "tests/suite/main.rs"
required-features = ["stage-1"]

[[test]]
name = "golden"
path = "tests/golden/main.rs"
required-features = ["stage-1"]
"#;

const LABS: &str = r#"
build_limit = 120
leave_out = ["tests/golden", "grading/mutants"]

[[stage]]
id = "1"
title = "Answers"
points = 10
features = "stage-1"
target = "suite"
filter = "one::"
handout = "labs/1.md"
time_limit = 1
memory_limit = 512
editable = ["src/one.rs"]
tests = ["one::answers", "one::counts", "one::names"]

[[stage]]
id = "2"
title = "Doubles"
points = 5
features = "stage-2"
target = "suite"
filter = "two::"
handout = "labs/2.md"
time_limit = 1
memory_limit = 512
editable = ["src/two.rs"]
tests = ["two::doubles"]
"#;

/// The first stage of the reference.
pub const ONE: &str = "//! One.

/// The answer.
pub fn answer() -> u32 {
    // LAB 1 BEGIN: think for a while.
    base() + 2
    // LAB 1 END
}

/// How many letters a text has.
pub fn count(text: &str) -> usize {
    // LAB 1 BEGIN: count them.
    let mut letters = 0;
    for c in text.chars() {
        match c.is_alphabetic() {
            true => letters += 1,
            false => {}
        }
    }
    letters
    // LAB 1 END
}

/// Called by the first stage, done in the second.
pub fn note() {
    super::two::note();
}

// SOLUTION 1 BEGIN
fn base() -> u32 {
    40
}
// SOLUTION 1 END
";

const TWO: &str = "//! Two.

/// Twice `x`.
pub fn double(x: u32) -> u32 {
    // LAB 2 BEGIN: add it to itself.
    x + x
    // LAB 2 END
}

/// Nothing yet.
pub fn note() {
    // LAB 2 BEGIN idle: note it.
    assert_eq!(double(2), 4);
    // LAB 2 END
}
";

const SUITE: &str = r#"//! The suite.
#[macro_use]
#[path = "../lab.rs"]
mod lab;
pub use lab::Lab;

mod one {
    #[test]
    fn answers() {
        let _lab = lab!();
        assert_eq!(mini::one::answer(), 42, "the answer");
        mini::one::note();
    }

    #[test]
    fn counts() {
        let _lab = lab!();
        assert_eq!(mini::one::count("a b c"), 3);
    }

    #[test]
    fn names() {
        let lab = lab!();
        assert!(lab.seed() > 0);
        assert_eq!(mini::one::count(""), 0);
    }
}

#[cfg(feature = "stage-2")]
mod two {
    #[test]
    fn doubles() {
        let _lab = lab!();
        assert_eq!(mini::two::double(21), 42);
    }
}
"#;

/// A folder with the kit in it.
pub struct Fake {
    /// Removed at the end.
    pub dir: tempfile::TempDir,
}

/// How a call of the grader ended.
pub struct Called {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Fake {
    /// The kit with its reference.
    pub fn new() -> Fake {
        let fake = Fake { dir: tempfile::tempdir().expect("a temporary folder") };
        for (path, text) in [
            ("Cargo.toml", MANIFEST),
            ("Cargo.lock", "version = 4\n\n[[package]]\nname = \"mini\"\nversion = \"0.1.0\"\n"),
            ("README.md", "Read me.\n"),
            ("labs/labs.toml", LABS),
            ("src/lib.rs", "//! Mini.\npub mod one;\npub mod two;\n"),
            ("src/one.rs", ONE),
            ("src/two.rs", TWO),
            // The only thing in it that is not the standard library's.
            ("tests/lab.rs", &LAB.replace("yansi::disable();", "")),
            ("tests/suite/main.rs", SUITE),
            ("tests/golden/main.rs", "//! The reference only.\n"),
        ] {
            fake.write("kit", path, text);
        }
        fake
    }

    /// The kit, or another folder beside it.
    pub fn path(&self, folder: &str) -> PathBuf {
        self.dir.path().join(folder)
    }

    /// Writes a file of the kit or of a folder beside it.
    pub fn write(&self, folder: &str, path: &str, text: &str) {
        let full = self.path(folder).join(path);
        fs::create_dir_all(full.parent().expect("a folder")).expect("folders");
        fs::write(full, text).expect("a file");
    }

    /// The text of such a file.
    pub fn read(&self, folder: &str, path: &str) -> String {
        fs::read_to_string(self.path(folder).join(path)).unwrap_or_else(|e| panic!("{folder}/{path}: {e}"))
    }

    /// A submission `folder` with this text for stage 1, and the reference's for stage 2.
    pub fn submit(&self, folder: &str, one: &str) {
        self.write(folder, "src/one.rs", one);
        self.write(folder, "src/two.rs", TWO);
    }

    /// Lets submitted code of stage 1 name what the source check forbids, to see what happens then.
    pub fn allow(&self, what: &[&str]) {
        self.change(
            "kit",
            "labs/labs.toml",
            "[[stage]]\nid = \"1\"",
            &format!("[allow]\n\"src/one.rs\" = {what:?}\n\n[[stage]]\nid = \"1\""),
        );
    }

    /// Replaces text that is there.
    pub fn change(&self, folder: &str, path: &str, from: &str, to: &str) {
        let text = self.read(folder, path);
        assert!(text.contains(from), "{path} has {from:?}");
        self.write(folder, path, &text.replacen(from, to, 1));
    }

    /// Calls the grader in a kit.
    pub fn call(&self, kit: &str, args: &[&str]) -> Called {
        self.call_with(kit, args, None)
    }

    /// The same, with another target directory than the kit's own.
    pub fn call_with(&self, kit: &str, args: &[&str], target: Option<&Path>) -> Called {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raftkv-grade"));
        command
            .args(args)
            .current_dir(self.path(kit))
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTFLAGS")
            .envs(target.map(|target| ("CARGO_TARGET_DIR", target)))
            .stdin(Stdio::null());
        let output = command.output().expect("the grader runs");
        Called {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Grades and returns the JSON report too.
    pub fn grade(&self, kit: &str, submission: &str, args: &[&str]) -> (Called, serde_json::Value) {
        let json = self.dir.path().join("grade.json");
        let _ = fs::remove_file(&json);
        let json = json.to_string_lossy().into_owned();
        let called = self.call(kit, &[&["grade", submission, "--json", &json], args].concat());
        let text = fs::read_to_string(&json)
            .unwrap_or_else(|e| panic!("no report: {e}\n{}\n{}", called.out, called.err));
        (called, serde_json::from_str(&text).expect("JSON"))
    }

    /// The verdicts of a report, in order.
    pub fn verdicts(report: &serde_json::Value) -> Vec<String> {
        let stages = report["stages"].as_array().expect("stages");
        let tests = stages.iter().flat_map(|s| s["tests"].as_array().expect("tests"));
        tests.map(|t| t["status"].as_str().expect("a status").to_string()).collect()
    }
}

/// A call that must be refused with one clear line.
pub fn refused(called: &Called, wanted: &str) {
    assert_eq!(called.code, 1, "{}{}", called.out, called.err);
    assert_eq!(called.err.trim().lines().count(), 1, "one line: {}", called.err);
    assert!(called.err.contains(wanted), "wanted {wanted:?}, got {}", called.err);
}

/// Whether a path exists, links not followed.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
