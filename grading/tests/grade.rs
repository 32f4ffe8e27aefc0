//! Grading, from submission to report, on the fake kit.

mod fake;

use fake::{Fake, ONE, refused};

/// The reference's answer, replaced: `{}` is the body.
fn answer(body: &str) -> String {
    ONE.replace("    base() + 2\n", &format!("    {body}\n"))
}

#[test]
fn the_reference_gets_full_marks() {
    let fake = Fake::new();
    let (called, report) = fake.grade("kit", ".", &["--seed", "7"]);
    assert_eq!(called.code, 0, "{}{}", called.out, called.err);
    assert_eq!(report["score"], 15.0);
    assert_eq!(report["max_score"], 15.0);
    assert_eq!(report["seed"], 7);
    assert_eq!(report["graded"], true);
    assert_eq!(Fake::verdicts(&report), ["pass"; 4]);
    assert!(called.out.contains("total: 15.00 of 15.00 points, seed 7"), "{}", called.out);
    let (_, report) = fake.grade("kit", ".", &["--stage", "2"]);
    assert_eq!((report["score"].as_f64(), Fake::verdicts(&report).len()), (Some(5.0), 1));
}

#[test]
fn a_failure_shows_assertion_seed_and_rerun() {
    let fake = Fake::new();
    fake.submit("s", &answer("41"));
    let (called, report) = fake.grade("kit", "../s", &["--seed", "9"]);
    assert_eq!(called.code, 0, "a bad score is no error: {}", called.err);
    assert_eq!(report["score"], 11.67, "two of three tests of a stage of 10, and 5");
    let test = &report["stages"][0]["tests"][0];
    assert_eq!(test["status"], "fail");
    assert!(
        test["message"].as_str().is_some_and(|m| m.contains("the answer") && m.contains("left: 41")),
        "{test}"
    );
    assert_eq!(test["rerun"], "SIM_SEED=9 SIM_SEEDS=1 just test-1 one::answers");
    assert!(called.out.contains("rerun: SIM_SEED=9"), "{}", called.out);
}

#[test]
fn each_submission_is_judged_by_its_own_code() {
    let fake = Fake::new();
    fake.submit("good", ONE);
    fake.submit("bad", &answer("43"));
    for _ in 0..2 {
        assert_eq!(fake.grade("kit", "../good", &[]).1["score"], 15.0);
        assert_eq!(fake.grade("kit", "../bad", &[]).1["score"], 11.67);
    }
}

#[test]
fn no_build_is_taken_for_another() {
    // Whoever sets CARGO_TARGET_DIR for everything has all kits build there, under the same names.
    let fake = Fake::new();
    let target = fake.path("target");
    fake.submit("bad", &answer("43"));
    fake.write(
        "kit",
        "grading/mutants/m.toml",
        "id = \"m\"\nstage = \"1\"\nfile = \"src/one.rs\"\nrule = \"r\"\n\
        expected = \"one::answers\"\n[[edit]]\nfind = \"40\"\nreplace = \"41\"\n",
    );
    let call = |args: &[&str]| fake.call_with("kit", args, Some(&target));
    let bad = || assert!(call(&["grade", "../bad"]).out.contains("total: 11.67"));
    bad();
    fake.write("kit", "src/one.rs", ONE);
    let mut build = std::process::Command::new("cargo");
    build.args(["test", "--quiet", "--features", "stage-2", "--test", "suite"]).current_dir(fake.path("kit"));
    let built = build.env("CARGO_TARGET_DIR", &target).output().expect("cargo runs");
    assert!(
        built.status.success(),
        "the kit passes its own suite: {}",
        String::from_utf8_lossy(&built.stdout)
    );
    bad();
    assert!(call(&["mutants"]).out.contains("1 of 1 mutants killed"));
    bad();
    assert!(call(&["grade", "."]).out.contains("total: 15.00"));
    bad();
}

#[test]
fn only_editable_files_of_a_submission_are_read() {
    let fake = Fake::new();
    fake.submit("s", &answer("41"));
    let suite = fake.read("kit", "tests/suite/main.rs").replace("42", "41");
    fake.write("s", "tests/suite/main.rs", &suite);
    fake.write("s", "tests/lab.rs", "this is not Rust");
    fake.write("s", "Cargo.toml", "this is not TOML");
    fake.write("s", "Cargo.lock", "nor this");
    fake.write("s", "build.rs", "fn main() { panic!() }");
    fake.write("s", ".cargo/config.toml", "[build]\nrustflags = [\"--cfg\", \"cheat\"]");
    fake.write("s", "labs/labs.toml", "nothing");
    let (_, report) = fake.grade("kit", "../s", &[]);
    assert_eq!(Fake::verdicts(&report), ["fail", "pass", "pass", "pass"]);
}

#[test]
fn ending_the_process_or_printing_results_scores_nothing() {
    let fake = Fake::new();
    fake.allow(&["std::process", "std::env"]);
    for body in [
        "std::process::exit(0)",
        "println!(\"\\nraftkv-record 0123\\ntest one::answers ... ok\\n\\ntest result: ok. 1 passed; 0 failed; 0 ignored\"); std::process::exit(0)",
        "println!(\"\\nraftkv-record {}\", std::io::read_to_string(std::io::stdin()).unwrap()); std::process::exit(0)",
        "println!(\"{:?}\", std::env::vars_os().collect::<Vec<_>>()); std::process::abort()",
    ] {
        fake.submit("s", &answer(body));
        let (called, report) = fake.grade("kit", "../s", &[]);
        assert_eq!(Fake::verdicts(&report), ["fail", "pass", "pass", "pass"], "{body}\n{}", called.out);
    }
}

#[test]
fn what_does_not_end_is_a_timeout() {
    let fake = Fake::new();
    fake.allow(&["std::thread"]);
    for body in [
        "loop { std::hint::black_box(0); }",
        "loop { println!(\"{}\", \"x\".repeat(1000)); }",
        "std::thread::sleep(std::time::Duration::from_secs(100)); 42",
    ] {
        fake.submit("s", &answer(body));
        let (called, report) = fake.grade("kit", "../s", &[]);
        assert_eq!(Fake::verdicts(&report), ["timeout", "pass", "pass", "pass"], "{body}\n{}", called.out);
    }
}

#[test]
fn a_memory_hog_and_an_endless_recursion_fail() {
    let fake = Fake::new();
    for body in [
        "let mut v: Vec<Vec<u8>> = Vec::new(); loop { v.push(vec![1; 1 << 24]); }",
        "fn f(n: u64) -> u64 { if n == 0 { 0 } else { 1 + std::hint::black_box(f(std::hint::black_box(n - 1))) } } f(u64::MAX) as u32",
    ] {
        fake.submit("s", &answer(body));
        let (called, report) = fake.grade("kit", "../s", &[]);
        assert_eq!(Fake::verdicts(&report), ["fail", "pass", "pass", "pass"], "{body}\n{}", called.out);
        assert_eq!(called.code, 0);
    }
}

#[test]
fn what_a_test_leaves_running_is_ended() {
    let fake = Fake::new();
    fake.allow(&["std::process"]);
    fake.submit(
        "s",
        &answer("let c = std::process::Command::new(\"/bin/sleep\").arg(\"300\").spawn().unwrap(); panic!(\"left {} behind\", c.id())"),
    );
    let (called, report) = fake.grade("kit", "../s", &["--stage", "1"]);
    let message = report["stages"][0]["tests"][0]["message"].as_str().expect("a message");
    let words: Vec<&str> = message.split_whitespace().collect();
    let at = words.iter().position(|w| *w == "left").unwrap_or_else(|| panic!("no process: {}", called.out));
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", words[at + 1])).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "still there: {stat}");
}

#[test]
fn what_does_not_compile_or_is_not_allowed_is_a_build_error() {
    let fake = Fake::new();
    for (body, wanted) in [
        ("\"text\"", "mismatched types"),
        ("std::process::exit(0)", "src/one.rs:6: `std::process` is not allowed in submitted files because"),
        ("\"", "cannot be read as Rust"),
        ("include!(\"../../../src/one.rs\")", "`include` is not allowed"),
    ] {
        fake.submit("s", &answer(body));
        let (called, report) = fake.grade("kit", "../s", &[]);
        assert_eq!((called.code, report["score"].as_f64()), (0, Some(0.0)), "{}", called.out);
        assert_eq!(Fake::verdicts(&report), ["build_error"; 4]);
        assert!(called.out.contains(wanted), "{}", called.out);
    }
}

#[test]
fn escapes_do_not_reach_the_terminal() {
    let fake = Fake::new();
    fake.submit("s", &answer("panic!(\"\\x1b]0;owned\\x07 \\x1b[31mred\\x1b[0m <b>\")"));
    let (called, report) = fake.grade("kit", "../s", &[]);
    assert!(!called.out.contains('\u{1b}') && !called.out.contains('\u{7}'), "{:?}", called.out);
    let message = report["stages"][0]["tests"][0]["message"].as_str().expect("a message");
    assert!(message.contains("\\u{1b}]0;owned\\u{7} red <b>"), "{message}");
}

#[test]
fn a_suite_that_differs_from_labs_toml_is_the_graders_trouble() {
    let fake = Fake::new();
    fake.change("kit", "labs/labs.toml", "\"one::names\"", "\"one::renamed\"");
    let (called, report) = fake.grade("kit", ".", &[]);
    assert_eq!(called.code, 2, "{}", called.out);
    assert_eq!((&report["graded"], &report["score"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(Fake::verdicts(&report), ["infra_error"; 4]);
    for wanted in ["not in the suite: one::renamed", "not in labs.toml: one::names", "total: not graded"] {
        assert!(called.out.contains(wanted), "{}", called.out);
    }
}

#[test]
fn a_kit_that_cargo_cannot_build_is_the_graders_trouble() {
    let fake = Fake::new();
    fake.change("kit", "Cargo.lock", "name = \"mini\"", "name = \"other\"");
    let (called, report) = fake.grade("kit", ".", &[]);
    assert_eq!((called.code, &report["graded"]), (2, &false.into()), "{}", called.out);
    assert!(called.out.contains("lock file"), "{}", called.out);
}

#[test]
fn bad_input_gets_one_line() {
    let fake = Fake::new();
    fake.submit("s", ONE);
    std::fs::remove_file(fake.path("s").join("src/two.rs")).expect("removed");
    refused(&fake.call("kit", &["grade", "../s"]), "src/two.rs missing");
    refused(&fake.call("kit", &["grade", "../nowhere"]), "no such file or folder");
    refused(&fake.call("kit", &["grade", "labs"]), "not a kit");
    refused(&fake.call("kit", &["grade", ".", "--stage", "9"]), "there is no stage 9");
    refused(&fake.call("kit", &["grade", ".", "--json", "no/such/dir/x.json"]), "no such file or folder");
    refused(&fake.call("s", &["grade", "."]), "not a kit (labs/labs.toml is missing)");
    refused(&fake.call("kit", &["--kit", "labs", "grade", "."]), "not a kit");
    fake.change("kit", "labs/labs.toml", "points = 10", "points = ten");
    refused(&fake.call("kit", &["grade", "."]), "labs/labs.toml:8: ");
    fake.change("kit", "labs/labs.toml", "points = ten", "pionts = 10");
    refused(&fake.call("kit", &["grade", "."]), "labs/labs.toml:8: unknown field `pionts`");
}
