//! What must hold between markers, labs.toml and the suites, on the fake kit.

mod fake;

use fake::Fake;

fn wrong(fake: &Fake, args: &[&str], wanted: &str) {
    let called = fake.call("kit", &[&["check"], args].concat());
    assert_eq!(called.code, 1, "{}{}", called.out, called.err);
    assert!(called.out.contains(wanted) || called.err.contains(wanted), "{}{}", called.out, called.err);
}

fn with_handouts() -> Fake {
    let fake = Fake::new();
    fake.write("kit", "labs/1.md", "One.\n");
    fake.write("kit", "labs/2.md", "Two.\n");
    fake
}

#[test]
fn a_good_kit_has_no_findings() {
    let called = with_handouts().call("kit", &["check", "--full"]);
    assert_eq!((called.code, called.out.as_str()), (0, ""), "{}", called.err);
}

#[test]
fn what_does_not_fit_together_is_found() {
    let fake = with_handouts();
    fake.change("kit", "labs/labs.toml", "src/two.rs", "src/lib.rs");
    wrong(&fake, &[], "src/two.rs has markers, but no stage of labs.toml lists it");
    wrong(&fake, &[], "src/lib.rs is editable in 2, but has nothing to write in it");
    let fake = with_handouts();
    let one = fake.read("kit", "src/one.rs").replace("LAB 1", "LAB 2");
    fake.write("kit", "src/one.rs", &one);
    wrong(&fake, &[], "src/one.rs is editable in 1, but its markers name 1, 2");
    let fake = with_handouts();
    std::fs::remove_file(fake.path("kit").join("labs/2.md")).expect("removed");
    wrong(&fake, &[], "stage 2: there is no handout labs/2.md");
}

#[test]
fn a_starter_that_warns_or_passes_is_found() {
    let fake = with_handouts();
    fake.change("kit", "src/lib.rs", "pub mod two;", "pub mod two;\npub fn given() {\n    let x = 1;\n}");
    wrong(&fake, &[], "starter: warning: unused variable: `x`");
    let fake = with_handouts();
    fake.change("kit", "tests/suite/main.rs", "assert_eq!(mini::two::double(21), 42);", "");
    wrong(&fake, &["--full"], "starter: not a fail: two::doubles (pass)");
}
