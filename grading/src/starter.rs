//! The starter kit: what students get.
//!
//! It is a working kit of its own. `just test-2a` and `just grade .` run in it, and give the same result as
//! in the kit it was made from.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::kit::{self, Kit};
use crate::labs::Labs;
use crate::strip::{quiet_crate, strip};
use crate::text;
use crate::tree::Tree;

/// The root file of the library.
const ROOT: &str = "src/lib.rs";
/// What a student reads first, and the file that is made of it: the kit's own is for those who have the kit.
const STUDENT_README: &str = "labs/student.md";
const README: &str = "README.md";

/// Writes a starter to `dir`, a new or empty folder. The stages before and at `upto` keep their solution.
pub fn starter(kit: &Kit, dir: &Path, upto: Option<&str>) -> Result<()> {
    let kept = kept(&kit.labs, upto)?;
    let occupied = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
        Err(e) => return Err(Error::input_io(dir, &e)),
    };
    if occupied {
        return Err(Error::input(format!("{}: not empty: name a new folder", text::path(dir))));
    }
    let tree = tree(kit, &kept)?;
    let list = kit::write_list(&tree);
    fs::create_dir_all(dir).map_err(|e| Error::input_io(dir, &e))?;
    tree.write(dir)?;
    let path = dir.join(kit::HANDED_OUT);
    fs::write(&path, list).map_err(|e| Error::infra_io(&path, &e))
}

/// The files of a starter that keeps the solution of some stages.
pub fn tree(kit: &Kit, kept: &[String]) -> Result<Tree> {
    let source = kit.tracked()?;
    let mut tree = strip_all(&kit.labs, &source, kept)?;
    for (path, file) in tree.files.iter_mut().filter(|(path, _)| path.ends_with(".rs")) {
        if source.files.get(path) != Some(file) {
            file.bytes = rustfmt(kit, path, &file.bytes)?;
        }
    }
    Ok(tree)
}

/// The stages whose solution a starter keeps: all up to and with `upto`.
pub fn kept(labs: &Labs, upto: Option<&str>) -> Result<Vec<String>> {
    let Some(name) = upto else { return Ok(Vec::new()) };
    let last = labs.select(name)?.last().map(|s| s.id.clone()).unwrap_or_default();
    let at = labs.stages.iter().position(|s| s.id == last).unwrap_or(0);
    Ok(labs.stages[..=at].iter().map(|s| s.id.clone()).collect())
}

/// The kit's files, without what is left out and without the solutions of stages that are not kept.
fn strip_all(labs: &Labs, source: &Tree, kept: &[String]) -> Result<Tree> {
    let ids = labs.ids();
    let mut out = Tree::default();
    let mut stubs = false;
    for (path, file) in source.files.iter().filter(|(path, _)| !is_left_out(labs, path)) {
        let mut file = file.clone();
        if let Ok(text) = std::str::from_utf8(&file.bytes) {
            if path.starts_with("src/") && path.ends_with(".rs") {
                let stripped = strip(path, text, &ids, |stage| kept.iter().any(|k| k == stage))?;
                stubs |= stripped.changed;
                file.bytes = stripped.text.into_bytes();
            } else if path == "Cargo.toml" {
                file.bytes = manifest(labs, text)?.into_bytes();
            }
        }
        out.files.insert(path.clone(), file);
    }
    if let Some(readme) = out.files.get(STUDENT_README).cloned() {
        out.files.insert(README.to_string(), readme);
    }
    if stubs && let Some(root) = out.text(ROOT).map(quiet_crate) {
        out.put(ROOT, root);
    }
    Ok(out)
}

fn is_left_out(labs: &Labs, path: &str) -> bool {
    labs.leave_out.iter().any(|left| {
        path.strip_prefix(left.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The manifest without the test targets whose files are left out, which cargo would not find.
fn manifest(labs: &Labs, text: &str) -> Result<String> {
    let parsed = text.parse::<toml_edit::DocumentMut>();
    let mut doc = parsed.map_err(|e| Error::input(format!("Cargo.toml: {}", text::one_line(e.message()))))?;
    if let Some(targets) = doc.get_mut("test").and_then(toml_edit::Item::as_array_of_tables_mut) {
        targets.retain(|target| {
            !target.get("path").and_then(|p| p.as_str()).is_some_and(|p| is_left_out(labs, p))
        });
    }
    Ok(doc.to_string())
}

/// Formats what stripping changed, with the kit's own rustfmt.toml.
fn rustfmt(kit: &Kit, path: &str, code: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new("rustfmt");
    command.args(["--edition", "2024"]).current_dir(&kit.root);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|e| Error::infra(format!("rustfmt: {e}: install it with `rustup component add rustfmt`")))?;
    // It reads everything before it writes, so neither side waits for the other.
    let sent = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(code));
    let output = child.wait_with_output().and_then(|output| sent.map(|()| output));
    let output = output.map_err(|e| Error::infra(format!("rustfmt: {e}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let why = text::one_line(&String::from_utf8_lossy(&output.stderr));
    Err(Error::infra(format!("rustfmt: {path}: {}", text::trim(&why, 1, 600))))
}
