//! `just proto` and its checks.
//!
//! ```text
//! raftkv-proto-tools generate   write the Rust of src/proto/*.proto beside them
//! raftkv-proto-tools check      fail where the Rust in the tree is not what `generate` would write
//! raftkv-proto-tools compat     fail where a message, field, enum value or rpc differs from TiKV's protocol
//! ```
//!
//! All three work on the source tree that the tool was built from.

mod compat;
mod generate;
mod reference;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raftkv-proto-tools: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["generate"] => generate::write(&proto_dir()),
        ["check"] => generate::check(&proto_dir()),
        ["compat"] => compat::run(&proto_dir()),
        _ => bail!("usage: raftkv-proto-tools generate | check | compat"),
    }
}

fn proto_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/proto")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rust_in_the_tree_is_up_to_date() {
        generate::check(&proto_dir()).unwrap();
    }
}
