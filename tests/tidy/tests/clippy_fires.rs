//! The rules of the synchronous core in clippy.toml fire: clippy reads a crate that breaks each of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use toml_edit::DocumentMut;

/// What no file of the core may do, each rule once or more.
const CULPRIT: &str = r#"
pub use std::collections::{HashMap, HashSet};
pub use std::hash::RandomState;
pub use std::net::{TcpListener, TcpStream, UdpSocket};
pub use std::thread::JoinHandle;
pub use std::time::{Instant, SystemTime};
pub fn clocks() { let _ = (std::time::Instant::now(), std::time::SystemTime::now()); }
pub fn threads() {
    std::thread::spawn(|| {});
    std::thread::scope(|_| {});
    std::thread::sleep(std::time::Duration::ZERO);
}
pub fn long() {
LINES
}
"#;

const MANIFEST: &str = r#"
[package]
name = "culprit"
edition = "2024"
[workspace]
[lints.clippy]
disallowed_methods = "deny"
disallowed_types = "deny"
too_many_lines = "deny"
"#;

/// The paths in one of the lists; those of crates that we do not have yet cannot fire.
fn paths(config: &DocumentMut, list: &str) -> Vec<String> {
    let entries =
        config[list].as_array().expect("a list of tables").iter().filter_map(|e| e.as_inline_table());
    entries
        .filter(|entry| !entry.contains_key("allow-invalid"))
        .map(|entry| entry["path"].as_str().expect("a path").to_string())
        .collect()
}

#[test]
fn every_rule_of_the_core_is_enforced_by_clippy() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("culprit");
    fs::create_dir_all(scratch.join("src")).expect("a scratch folder");
    fs::copy(top.join("clippy.toml"), scratch.join("clippy.toml")).expect("the configuration");
    fs::write(scratch.join("Cargo.toml"), MANIFEST).expect("a manifest");
    let lines = "    drop(1);\n".repeat(71);
    fs::write(scratch.join("src/lib.rs"), CULPRIT.replace("LINES", &lines)).expect("a source");

    let clippy = Command::new(env!("CARGO"))
        .args(["clippy", "--offline", "--quiet"])
        .current_dir(&scratch)
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&clippy.stderr);

    let config: DocumentMut =
        fs::read_to_string(top.join("clippy.toml")).expect("readable").parse().expect("TOML");
    for path in paths(&config, "disallowed-types") {
        assert!(
            said.contains(&format!("use of a disallowed type `{path}`")),
            "{path} passed. Clippy said:\n{said}"
        );
    }
    for path in paths(&config, "disallowed-methods") {
        assert!(
            said.contains(&format!("use of a disallowed method `{path}`")),
            "{path} passed. Clippy said:\n{said}"
        );
    }
    assert!(said.contains("too many lines"), "71 lines passed. Clippy said:\n{said}");
    let lints = top.join("Cargo.toml");
    let manifest: DocumentMut = fs::read_to_string(lints).expect("readable").parse().expect("TOML");
    for lint in ["disallowed_methods", "disallowed_types"] {
        let level = &manifest["workspace"]["lints"]["clippy"][lint];
        assert_eq!(level.as_str(), Some("deny"), "Cargo.toml: {lint} must be denied, or it only warns");
    }
}
