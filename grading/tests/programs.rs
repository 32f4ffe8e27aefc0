//! Grading the programs, on the fake kit with a server.

mod fake;

use fake::{Fake, ONE};

/// A server that says how many letters its greeting has.
const SERVER: &str = "//! The server.
fn main() {
    let letters: usize = mini::one::count(\"server\");
    println!(\"{letters}\");
}
";

const PROGRAMS: &str = r#"//! The programs.
#[macro_use]
#[path = "../lab.rs"]
mod lab;
pub use lab::Lab;

mod one {
    #[test]
    fn serves() {
        let _lab = lab!();
        let ended = std::process::Command::new(env!("CARGO_BIN_EXE_mini-server")).output().expect("it is built");
        let log = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "the server has ended by itself: {log}");
        assert_eq!(ended.stdout, b"6\n");
    }
}
"#;

const TABLE: &str = r#"
[stage.programs]
features = "server,stage-1"
target = "programs"
filter = "one::"
weight = 2
time_limit = 1
memory_limit = 512
tests = ["one::serves"]
"#;

/// A kit whose first stage has a program.
fn with_programs() -> Fake {
    let fake = Fake::new();
    fake.change("kit", "Cargo.toml", "[features]\n", "[features]\nserver = []\n");
    let manifest = fake.read("kit", "Cargo.toml");
    let targets = "\n[[bin]]\nname = \"mini-server\"\npath = \"src/bin/mini-server.rs\"\nrequired-features = [\"server\"]\n\
                   \n[[test]]\nname = \"programs\"\npath = \"tests/programs/main.rs\"\nrequired-features = [\"server\"]\n";
    fake.write("kit", "Cargo.toml", &format!("{manifest}{targets}"));
    fake.write("kit", "src/bin/mini-server.rs", SERVER);
    fake.write("kit", "tests/programs/main.rs", PROGRAMS);
    fake.change(
        "kit",
        "labs/labs.toml",
        "\n[[stage]]\nid = \"2\"",
        &format!("{TABLE}\n[[stage]]\nid = \"2\""),
    );
    fake
}

#[test]
fn the_programs_are_tests_of_their_stage() {
    let fake = with_programs();
    let (called, report) = fake.grade("kit", ".", &[]);
    assert_eq!(called.code, 0, "{}{}", called.out, called.err);
    assert_eq!((report["score"].as_f64(), Fake::verdicts(&report).len()), (Some(15.0), 5), "{}", called.out);
    let test = &report["stages"][0]["tests"][3];
    assert_eq!((&test["name"], &test["weight"]), (&"one::serves".into(), &2.into()));
    assert_eq!((&report["stages"][0]["passed"], &report["stages"][0]["total"]), (&4.into(), &4.into()));
}

#[test]
fn a_server_that_dies_costs_its_share_and_no_more() {
    let fake = with_programs();
    fake.submit(
        "s",
        &ONE.replace("let mut letters = 0;", "let mut letters = 0;\n    assert_ne!(text, \"server\");"),
    );
    let (called, report) = fake.grade("kit", "../s", &["--seed", "3"]);
    assert_eq!(Fake::verdicts(&report), ["pass", "pass", "pass", "fail", "pass"], "{}", called.out);
    assert_eq!(report["score"], 11.0, "3 of 5 of a stage of 10, and 5");
    let test = &report["stages"][0]["tests"][3];
    let message = test["message"].as_str().expect("a message");
    assert!(
        message.contains("the server has ended by itself") && message.contains("src/one.rs"),
        "{message}"
    );
    assert_eq!(test["rerun"], "SIM_SEED=3 SIM_SEEDS=1 just test-programs one::serves");
}

#[test]
fn programs_that_do_not_compile_leave_the_suites_standing() {
    let fake = with_programs();
    // The suite compares with a plain number, which may be of either type.
    fake.submit("s", &ONE.replace("-> usize", "-> u8"));
    let (called, report) = fake.grade("kit", "../s", &[]);
    assert_eq!(Fake::verdicts(&report), ["pass", "pass", "pass", "build_error", "pass"], "{}", called.out);
    let error = report["build_errors"][0].as_str().expect("what the compiler says");
    for wanted in ["in the build of the programs", "`just test-programs`", "mismatched types"] {
        assert!(error.contains(wanted), "{error}");
    }
    let message = report["stages"][0]["tests"][3]["message"].as_str().expect("a message");
    assert!(message.contains("in the build of the programs") && !message.contains('\n'), "{message}");
}

#[test]
fn a_library_that_does_not_compile_is_shown_once() {
    let fake = with_programs();
    fake.submit("s", &ONE.replace("    base() + 2\n", "    \"text\"\n"));
    let (called, report) = fake.grade("kit", "../s", &[]);
    assert_eq!(Fake::verdicts(&report), ["build_error"; 5], "{}", called.out);
    assert_eq!(report["build_errors"].as_array().map(Vec::len), Some(1), "{}", report["build_errors"]);
}

#[test]
fn a_stage_without_programs_builds_none() {
    let fake = with_programs();
    fake.write("kit", "src/bin/mini-server.rs", "//! No server.\nfn main() { no server }\n");
    let (called, report) = fake.grade("kit", ".", &["--stage", "2"]);
    assert_eq!(Fake::verdicts(&report), ["pass"], "{}", called.out);
    assert!(!called.err.contains("building programs"), "{}", called.err);
}

#[test]
fn the_lists_of_programs_are_compared_and_written() {
    let fake = with_programs();
    assert_eq!(fake.call("kit", &["tests"]).out, "");
    fake.change("kit", "labs/labs.toml", "\"one::serves\"", "\"one::gone\"");
    let called = fake.call("kit", &["tests"]);
    assert!(called.out.contains("stage 1: 1 in labs.toml but not in the suite: one::gone"), "{}", called.out);
    let (called, report) = fake.grade("kit", ".", &[]);
    assert_eq!((called.code, &report["graded"]), (2, &false.into()), "{}", called.out);
    assert_eq!(fake.call("kit", &["tests", "--write"]).out, "5 tests in labs/labs.toml\n");
    assert_eq!(fake.call("kit", &["tests"]).out, "");
    assert!(fake.read("kit", "labs/labs.toml").contains("\ntests = [\n    \"one::serves\",\n]\n"));
}

#[test]
fn a_starter_and_a_checkpoint_hold_with_programs() {
    let fake = with_programs();
    fake.write("kit", "labs/1.md", "One.\n");
    fake.write("kit", "labs/2.md", "Two.\n");
    let called = fake.call("kit", &["check", "--full"]);
    assert_eq!((called.code, called.out.as_str()), (0, ""), "{}", called.err);
}
