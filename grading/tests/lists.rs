//! Keeping labs.toml equal to the suites, on the fake kit.

mod fake;

use fake::Fake;

#[test]
fn the_lists_are_compared_and_written() {
    let fake = Fake::new();
    let called = fake.call("kit", &["tests"]);
    assert_eq!((called.code, called.out.as_str()), (0, ""), "{}", called.err);
    fake.change("kit", "labs/labs.toml", "\"one::answers\", ", "");
    fake.change("kit", "labs/labs.toml", "\"two::doubles\"", "\"two::gone\"");
    let called = fake.call("kit", &["tests"]);
    assert_eq!(called.code, 1);
    for wanted in [
        "stage 1: 1 in the suite but not in labs.toml: one::answers. ",
        "stage 2: 1 in labs.toml but not in the suite: two::gone. ",
    ] {
        assert!(called.out.contains(wanted), "{}", called.out);
    }
    fake.change("kit", "labs/labs.toml", "build_limit", "# A comment.\nbuild_limit");
    assert_eq!(fake.call("kit", &["tests", "--write"]).out, "4 tests in labs/labs.toml\n");
    assert_eq!(fake.call("kit", &["tests"]).out, "");
    let text = fake.read("kit", "labs/labs.toml");
    assert!(text.contains("# A comment.\n"), "{text}");
    assert!(
        text.contains("tests = [\n    \"one::answers\",\n    \"one::counts\",\n    \"one::names\",\n]\n"),
        "{text}"
    );
}
