//! `.proto` to Rust: the messages beside the files, the code of the services, which needs tonic, in the server's
//! folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use prost_build::{Config, Module};
use prost_types::{FileDescriptorProto, FileDescriptorSet};

/// Where the code of services goes, seen from the folder of the `.proto` files.
const SERVICES: &str = "../server/rpc";

/// Writes the Rust of each `.proto` file.
pub fn write(dir: &Path) -> Result<()> {
    for (name, text) in generate(dir)? {
        let path = dir.join(&name);
        path.parent().map(fs::create_dir_all).transpose()?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", shown(&name));
    }
    Ok(())
}

/// Compares the Rust in the tree with what [`write()`] would write.
pub fn check(dir: &Path) -> Result<()> {
    let files = generate(dir)?;
    let stale: Vec<_> = files
        .iter()
        .filter(|(name, text)| fs::read_to_string(dir.join(name)).ok().as_ref() != Some(text))
        .map(|(name, _)| shown(name))
        .collect();
    if !stale.is_empty() {
        bail!("stale: {}: run `just proto` and commit the result", stale.join(", "));
    }
    println!("src/proto: {} generated files are up to date", files.len());
    Ok(())
}

fn shown(name: &str) -> String {
    match name.strip_prefix("../") {
        Some(rest) => format!("src/{rest}"),
        None => format!("src/proto/{name}"),
    }
}

/// Compiles every `.proto` file of `dir`.
pub fn compile(dir: &Path) -> Result<FileDescriptorSet> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".proto") {
            names.push(name);
        }
    }
    names.sort();
    protox::compile(&names, [dir]).context("cannot compile src/proto")
}

/// The Rust files by name.
fn generate(dir: &Path) -> Result<BTreeMap<String, String>> {
    let set = compile(dir)?;
    let headers: BTreeMap<String, String> =
        set.file.iter().map(|f| (f.package().to_string(), header(f))).collect();
    let requests: Vec<_> =
        set.file.into_iter().map(|f| (Module::from_protobuf_package_name(f.package()), f)).collect();
    let mut files = BTreeMap::new();
    for (module, code) in Config::new().bytes(["."]).generate(requests.clone())? {
        let package = module.parts().collect::<Vec<_>>().join(".");
        files.insert(module.to_file_name_or(&package), format!("{}\n{code}", headers[&package]));
    }
    // All messages are elsewhere already, so what is left are the services.
    let services = tonic_prost_build::configure().build_transport(false).service_generator();
    let mut config = Config::new();
    for package in headers.keys() {
        config.extern_path(format!(".{package}"), format!("crate::proto::{package}"));
    }
    let modules = config.service_generator(services).generate(requests)?;
    for (module, code) in modules.into_iter().filter(|(_, code)| !code.trim().is_empty()) {
        let package = module.parts().collect::<Vec<_>>().join(".");
        let name = format!("{SERVICES}/{}", module.to_file_name_or(&package));
        files.insert(name, format!("{}\n{code}", headers[&package]));
    }
    Ok(files)
}

/// The file's own comment, as module documentation.
fn header(file: &FileDescriptorProto) -> String {
    /// `syntax = ...` in `FileDescriptorProto`: a comment above it is about the whole file.
    const SYNTAX: [i32; 1] = [12];
    let about = file
        .source_code_info
        .iter()
        .flat_map(|info| &info.location)
        .find(|location| location.path == SYNTAX)
        .map_or("", |location| location.leading_comments());
    let mut lines: Vec<String> =
        about.lines().map(|line| format!("//!{line}").trim_end().to_string()).collect();
    lines.push("//!".into());
    lines
        .push(format!("//! Generated from `{}` by `just proto`: edit that file, not this one.", file.name()));
    lines.push("#![allow(missing_docs, clippy::all)]".into());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTO: &str = "// About the file.\nsyntax = \"proto3\";\npackage p;\nmessage M { bytes a = 1; }\n";

    #[test]
    fn what_was_written_is_up_to_date_until_the_protocol_changes() {
        let dir = tempfile::tempdir().unwrap();
        let proto = dir.path().join("p.proto");
        fs::write(&proto, PROTO).unwrap();
        let missing = check(dir.path()).unwrap_err().to_string();
        assert_eq!(missing, "stale: src/proto/p.rs: run `just proto` and commit the result");
        write(dir.path()).unwrap();
        check(dir.path()).unwrap();
        let rust = fs::read_to_string(dir.path().join("p.rs")).unwrap();
        assert!(rust.starts_with("//! About the file.\n//!\n//! Generated from `p.proto`"), "{rust}");
        fs::write(&proto, PROTO.replace("a = 1", "a = 2")).unwrap();
        assert!(check(dir.path()).is_err());
    }

    #[test]
    fn a_protocol_that_does_not_compile_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("p.proto"), "message {").unwrap();
        assert!(write(dir.path()).is_err());
    }
}
