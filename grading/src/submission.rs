//! Reading a submission: the editable files and nothing else.
//!
//! The folder is somebody else's. It may hold links to the reference or to an instructor's files, device
//! files, or a file of any size under an innocent name, so each file is taken only if every step of its
//! path is a real folder and it is itself a regular file of a sensible size.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::error::{Error, Result};
use crate::labs::PATH;
use crate::text;

/// No hand-written source file comes near this size.
pub const SIZE_CAP: u64 = 1 << 20;

/// One submitted file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path in the kit.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// Reads the `editable` files of the submission in `dir`. One that is missing is an error: there is no
/// other copy that it would be right to grade.
pub fn read(dir: &Path, editable: &[&str]) -> Result<Vec<Source>> {
    let shown = text::path(dir);
    match fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(Error::input(format!("{shown}: not a folder: unpack it and name the folder"))),
        Err(e) => return Err(Error::input_io(dir, &e)),
    }
    let missing: Vec<&str> = editable
        .iter()
        .copied()
        .filter(|path| matches!(fs::symlink_metadata(dir.join(path)), Err(e) if is_absent(&e)))
        .collect();
    match missing.as_slice() {
        [] => {}
        all if all.len() == editable.len() => {
            return Err(Error::input(format!(
                "{shown}: not a kit: none of the files that {PATH} lists as editable is there; name the folder \
                 that holds Cargo.toml and src"
            )));
        }
        some => {
            return Err(Error::input(format!(
                "{shown}: {} missing: a submission has every editable file, as in the starter code",
                some.join(", ")
            )));
        }
    }
    editable.iter().map(|path| read_one(dir, path)).collect()
}

fn read_one(dir: &Path, path: &str) -> Result<Source> {
    let refuse = |what: &str| Err(Error::input(format!("{}: {path}: {what}", text::path(dir))));
    let mut full = PathBuf::from(dir);
    for part in path.split('/') {
        full.push(part);
        let meta = fs::symlink_metadata(&full).map_err(|e| Error::input_io(&full, &e))?;
        if meta.is_symlink() {
            return refuse("a link on the way to this file: put the file itself there");
        }
    }
    // The checks and the reading are of one and the same open file, and no link is followed at the end.
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(&full);
    let file = file.map_err(|e| Error::input_io(&full, &e))?;
    let meta = file.metadata().map_err(|e| Error::input_io(&full, &e))?;
    if !meta.is_file() {
        return refuse("not a regular file");
    }
    let mut bytes = Vec::new();
    file.take(SIZE_CAP + 1).read_to_end(&mut bytes).map_err(|e| Error::input_io(&full, &e))?;
    if bytes.len() as u64 > SIZE_CAP {
        return refuse("larger than 1 MB, which no source file of a lab is");
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { path: path.to_string(), text }),
        Err(_) => refuse("not UTF-8 text: save it as UTF-8"),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const FILES: [&str; 2] = ["src/raft/a.rs", "src/b.rs"];

    fn submission() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(dir.path().join("src/raft")).expect("folders");
        for file in FILES {
            fs::write(dir.path().join(file), "// mine\n").expect("a file");
        }
        dir
    }

    fn refused(dir: &Path) -> String {
        let message = read(dir, &FILES).expect_err("this is refused").to_string();
        assert!(!message.contains('\n'), "one line: {message}");
        message
    }

    #[test]
    fn the_editable_files_are_read() {
        let dir = submission();
        let files = read(dir.path(), &FILES).expect("a good submission");
        assert_eq!(files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), FILES);
    }

    #[test]
    fn a_missing_file_is_named() {
        let dir = submission();
        fs::remove_file(dir.path().join("src/b.rs")).expect("removed");
        assert!(refused(dir.path()).contains("src/b.rs missing"));
        assert!(refused(&dir.path().join("src")).contains("not a kit"));
        assert!(refused(&dir.path().join("nowhere")).contains("no such file or folder"));
        assert!(refused(&dir.path().join("src/raft/a.rs")).contains("not a folder"));
    }

    #[test]
    fn a_link_is_refused_as_the_file_and_on_the_way() {
        let dir = submission();
        let secret = dir.path().join("secret");
        fs::write(&secret, "// the reference\n").expect("a file");
        fs::remove_file(dir.path().join("src/b.rs")).expect("removed");
        symlink(&secret, dir.path().join("src/b.rs")).expect("a link");
        assert!(refused(dir.path()).contains("src/b.rs: a link on the way"));
        let dir = submission();
        fs::rename(dir.path().join("src/raft"), dir.path().join("elsewhere")).expect("moved");
        symlink(dir.path().join("elsewhere"), dir.path().join("src/raft")).expect("a link");
        assert!(refused(dir.path()).contains("src/raft/a.rs: a link on the way"));
    }

    #[test]
    fn a_large_file_a_pipe_and_other_encodings_are_refused() {
        let dir = submission();
        let file = dir.path().join("src/b.rs");
        fs::write(&file, vec![b' '; SIZE_CAP as usize + 1]).expect("a file");
        assert!(refused(dir.path()).contains("larger than 1 MB"));
        fs::write(&file, [0xff, 0xfe, 0]).expect("a file");
        assert!(refused(dir.path()).contains("not UTF-8"));
        fs::remove_file(&file).expect("removed");
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        assert!(refused(dir.path()).contains("not a regular file"));
    }
}
