//! Where a run builds: a folder that stays, so that the next run rebuilds only what changed.
//!
//! Its target directory is its own. Cargo tells packages in a workspace apart by their path *within* the
//! workspace, so two copies of the kit that share a target directory take each other's results for their
//! own, and a submission could be given the verdict on another program.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::cargo::Workshop;
use crate::error::{Error, Result};
use crate::kit::Kit;
use crate::tree::{self, Tree};

/// What the names of folders for test processes begin with.
const RUN: &str = "run-";

/// A scratch folder, held by one run at a time.
#[derive(Debug)]
pub struct Scratch {
    /// Where the run may write.
    pub dir: PathBuf,
    // Held until the end of the run.
    _lock: File,
}

impl Scratch {
    /// Takes the kit's scratch folder number `at`, waiting for a run that holds it. A run that builds one
    /// thing at a time uses number 0.
    pub fn open(kit: &Kit, at: usize) -> Result<Scratch> {
        let dir = base_dir(kit)?.join(format!("work-{at}"));
        fs::create_dir_all(&dir).map_err(|e| Error::infra_io(&dir, &e))?;
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(|e| Error::infra_io(&path, &e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("another run uses this kit: waiting for it to end");
                lock.lock().map_err(|e| Error::infra_io(&path, &e))?;
            }
            Err(TryLockError::Error(e)) => return Err(Error::infra_io(&path, &e)),
        }
        remove_stale(&dir);
        Ok(Scratch { dir, _lock: lock })
    }

    /// Brings the sources to the wanted content, for cargo to build.
    pub fn lay_out(&self, tree: &Tree, build_limit: u64) -> Result<Workshop> {
        let sources = self.dir.join("tree");
        tree.sync(&sources, &self.dir.join("built"))?;
        // The build that starts now may be killed before it says that it has ended.
        self.built()?;
        Ok(Workshop { tree: sources, target: self.dir.join("target"), limit: build_limit })
    }

    /// Notes that a build has ended. To be called after each, whatever came of it (see `Tree::sync`).
    pub fn built(&self) -> Result<()> {
        tree::stamp_build(&self.dir.join("built"))
    }

    /// A fresh folder for the current folders of test processes.
    pub fn run_dir(&self) -> Result<tempfile::TempDir> {
        tempfile::Builder::new().prefix(RUN).tempdir_in(&self.dir).map_err(|e| Error::infra_io(&self.dir, &e))
    }
}

/// What a run that was interrupted left behind. Nobody else holds the folder now.
fn remove_stale(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(RUN) {
            // What cannot be removed takes up space and does no harm.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn base_dir(kit: &Kit) -> Result<PathBuf> {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => std::path::absolute(&dir).map_err(|e| Error::input_io(Path::new(&dir), &e))?,
        None => kit.root.join("target"),
    };
    Ok(target.join("raftkv-grading"))
}
