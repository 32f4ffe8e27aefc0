//! Trying mutants, on the fake kit.

mod fake;

use fake::{Fake, refused};

fn mutant(fake: &Fake, id: &str, find: &str, replace: &str, expected: &str) {
    let text = format!(
        "id = {id:?}\nstage = \"1\"\nfile = \"src/one.rs\"\nrule = \"a rule\"\nexpected = {expected:?}\n\
         [[edit]]\nfind = {find:?}\nreplace = {replace:?}\n"
    );
    fake.write("kit", &format!("grading/mutants/1/{id}.toml"), &text);
}

#[test]
fn a_killed_mutant_is_fine() {
    let fake = Fake::new();
    mutant(&fake, "base", "    40\n", "    41\n", "one::answers");
    mutant(&fake, "loop", "true => letters += 1", "true => panic!(\"no letters\")", "one::counts");
    let called = fake.call("kit", &["mutants"]);
    assert_eq!(called.code, 0, "{}{}", called.out, called.err);
    assert!(called.out.contains("2 of 2 mutants killed"), "{}", called.out);
    assert!(
        called.out.lines().any(|l| l.starts_with("base ") && l.ends_with("one::answers")),
        "{}",
        called.out
    );
    let called = fake.call("kit", &["mutants", "1", "--sample=1", "--jobs", "1"]);
    assert!(called.out.contains("1 of 1 mutants killed"), "{}{}", called.out, called.err);
}

#[test]
fn what_the_suite_does_not_notice_is_told_apart() {
    let fake = Fake::new();
    mutant(&fake, "survives", "base() + 2", "2 + base()", "one::answers");
    mutant(&fake, "broken", "base() + 2", "base() + ", "one::answers");
    mutant(&fake, "other", "    40\n", "    41\n", "one::counts");
    let called = fake.call("kit", &["mutants"]);
    assert_eq!(called.code, 1, "{}{}", called.out, called.err);
    for wanted in [
        "0 of 3 mutants killed",
        "survives: no test of stage 1 notices",
        "broken: error",
        "other: passes one::counts; fails one::answers",
    ] {
        assert!(called.out.contains(wanted), "{wanted}: {}", called.out);
    }
}

#[test]
fn an_endless_loop_is_no_assertion_unless_the_mutant_says_so() {
    let fake = Fake::new();
    mutant(&fake, "hang", "    40\n", "    loop { std::hint::black_box(0); }\n", "one::answers");
    let path = fake.path("kit").join("grading/mutants/1/hang.toml");
    let called = fake.call("kit", &["mutants"]);
    assert!(called.code == 1 && called.out.contains("TIMEOUT"), "{}{}", called.out, called.err);
    let text = std::fs::read_to_string(&path).expect("the mutant");
    std::fs::write(&path, format!("kill = \"timeout\"\n{text}")).expect("written");
    let called = fake.call("kit", &["mutants"]);
    assert!(
        called.code == 0 && called.out.contains("a test that does not end"),
        "{}{}",
        called.out,
        called.err
    );
}

#[test]
fn bad_input_gets_one_line() {
    let fake = Fake::new();
    refused(&fake.call("kit", &["mutants"]), "grading/mutants: no such folder");
    mutant(&fake, "m", "letters", "words", "one::counts");
    refused(&fake.call("kit", &["mutants"]), "mutant m: src/one.rs: `letters` stands there 4 times");
    mutant(&fake, "m", "base() + 2", "1", "two::doubles");
    refused(&fake.call("kit", &["mutants"]), "mutant m: stage 1 has no test two::doubles");
    mutant(&fake, "m", "base() + 2", "1", "one::answers");
    refused(&fake.call("kit", &["mutants", "2"]), "there is no mutant of these stages");
    fake.change("kit", "src/one.rs", "    40\n", "    39\n");
    refused(&fake.call("kit", &["mutants"]), "stage 1 fails without a mutant: one::answers");
}
