//! Starter code, and grading with it, on the fake kit.

mod fake;

use fake::{Fake, exists, refused};

#[test]
fn a_starter_scores_nothing_and_a_checkpoint_its_stages() {
    let fake = Fake::new();
    assert_eq!(fake.call("kit", &["starter", "../zero"]).code, 0);
    assert_eq!(fake.call("kit", &["starter", "../first", "--upto", "1"]).code, 0);
    let (called, report) = fake.grade("kit", "../zero", &[]);
    assert_eq!((called.code, report["score"].as_f64()), (0, Some(0.0)), "{}", called.out);
    assert_eq!(Fake::verdicts(&report), ["fail"; 4]);
    assert!(called.out.contains("not yet implemented: lab 1: count"), "{}", called.out);
    assert!(called.out.contains("the same in: one::names"), "{}", called.out);
    let (_, report) = fake.grade("kit", "../first", &[]);
    assert_eq!(report["score"], 10.0);
    assert_eq!(Fake::verdicts(&report), ["pass", "pass", "pass", "fail"]);
}

#[test]
fn a_starter_shows_no_solution_and_nothing_of_the_staff() {
    let fake = Fake::new();
    assert_eq!(fake.call("kit", &["starter", "../s"]).code, 0);
    let one = fake.read("s", "src/one.rs");
    for gone in ["base", "42", "alphabetic", "LAB", "SOLUTION"] {
        assert!(!one.contains(gone), "{gone} in {one}");
    }
    for kept in ["/// The answer.", "    // Lab 1: think for a while.\n    todo!(\"lab 1: answer\")\n"] {
        assert!(one.contains(kept), "{kept} in {one}");
    }
    assert!(fake.read("s", "src/two.rs").contains("pub fn note() {\n    // Lab 2: note it.\n}"));
    assert!(!exists(&fake.path("s").join("tests/golden")));
    assert!(!fake.read("s", "Cargo.toml").contains("golden"));
    assert_eq!(fake.read("s", "README.md"), "Read me.\n");
    assert!(!exists(&fake.path("s").join("grading/mutants")));
}

#[test]
fn a_student_reads_a_page_for_students_first() {
    let fake = Fake::new();
    fake.write("kit", "labs/student.md", "Dear student.\n");
    assert_eq!(fake.call("kit", &["starter", "../s"]).code, 0);
    assert_eq!(fake.read("s", "README.md"), "Dear student.\n");
    assert_eq!(fake.read("kit", "README.md"), "Read me.\n");
}

#[test]
fn a_starter_grades_itself_like_the_kit() {
    let fake = Fake::new();
    assert_eq!(fake.call("kit", &["starter", "../s", "--upto", "1"]).code, 0);
    fake.change("s", "src/one.rs", "40", "41");
    fake.write("s", "README.md", "My notes.\n");
    fake.write("s", "src/extra.rs", "this is not Rust, and not part of the kit");
    let (_, own) = fake.grade("s", ".", &[]);
    let (_, theirs) = fake.grade("kit", "../s", &[]);
    assert_eq!(own["score"], 6.67);
    assert_eq!(own["score"], theirs["score"]);
    assert_eq!(Fake::verdicts(&own), Fake::verdicts(&theirs));
    fake.change("s", "tests/suite/main.rs", "42", "43");
    refused(&fake.call("s", &["grade", "."]), "tests/suite/main.rs is not as it was handed out");
}

#[test]
fn bad_input_gets_one_line() {
    let fake = Fake::new();
    refused(&fake.call("kit", &["starter", "src"]), "src: not empty");
    refused(&fake.call("kit", &["starter", "../s", "--upto", "7"]), "there is no stage 7");
    fake.change("kit", "src/two.rs", "// LAB 2 END", "// LAB 3 END");
    refused(&fake.call("kit", &["starter", "../s"]), "src/two.rs:7: there is no stage 3");
    assert!(!exists(&fake.path("s")), "nothing is written before all is checked");
}
