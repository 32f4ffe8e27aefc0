//! Where TiKV's own protocol files come from.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use prost_types::FileDescriptorSet;

/// The published crate whose source carries the complete protocol files, pinned.
const CRATE: &str = "tikv-client";
const VERSION: &str = "0.4.0";

/// Fetches the reference crate's source (nothing of it is built) and compiles those of its protocol files that
/// have the given names.
pub fn compile(names: &[&str]) -> Result<FileDescriptorSet> {
    let proto = fetch()?.join("proto");
    let include = proto.join("include");
    protox::compile(names, [&proto, &include])
        .with_context(|| format!("cannot compile the protocol files in {}", proto.display()))
}

/// The folder of the unpacked crate. Cargo downloads it where it is not in its cache yet.
fn fetch() -> Result<PathBuf> {
    // A package of its own, outside this workspace: otherwise every student's `cargo build` would download
    // the crate too.
    let dir = std::env::temp_dir().join(format!("raftkv-proto-reference-{}", std::process::id()));
    let result = fetch_with_package_in(&dir);
    // Left-overs in the temporary folder do no harm, so a failure to tidy up is not worth a word.
    let _ = fs::remove_dir_all(&dir);
    result
}

fn fetch_with_package_in(dir: &PathBuf) -> Result<PathBuf> {
    let manifest = format!(
        "[package]\nname = \"reference\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
         [workspace]\n[lib]\npath = \"lib.rs\"\n\
         [dependencies]\n{CRATE} = {{ version = \"={VERSION}\", default-features = false }}\n"
    );
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    fs::write(dir.join("Cargo.toml"), manifest)?;
    fs::write(dir.join("lib.rs"), "")?;
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["metadata", "--quiet", "--format-version", "1"])
        .current_dir(dir)
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cannot fetch {CRATE} {VERSION}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == CRATE && package["version"] == VERSION)
        .and_then(|package| package["manifest_path"].as_str())
        .and_then(|manifest| Some(PathBuf::from(manifest).parent()?.to_path_buf()))
        .with_context(|| format!("cargo fetched no {CRATE} {VERSION}"))
}
