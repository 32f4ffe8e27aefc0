//! The command line. Without arguments: the whole table.

use std::path::PathBuf;

use crate::phases::Phase;

/// What the command line offers. (`--phase` is not for people: the program starts itself with it.)
pub const USAGE: &str = "usage: bench-snapshot [--mib N] [--dir FOLDER]";

/// What to measure, and where.
pub struct Args {
    /// Size of the large region.
    pub mib: u64,
    /// Where the scratch folder is made; the system's folder for temporary files, if it is not given. For a phase: the
    /// scratch folder.
    pub dir: Option<PathBuf>,
    /// This process carries out one phase only.
    pub phase: Option<Phase>,
}

impl Args {
    /// Reads the arguments after the program's name.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut args = Args { mib: 1024, dir: None, phase: None };
        while let Some(flag) = words.next() {
            let value = words.next().ok_or_else(|| format!("{flag}: a value is missing"))?;
            match flag.as_str() {
                "--mib" => {
                    let mib = value.parse().ok().filter(|n| *n > 0);
                    args.mib = mib.ok_or_else(|| format!("{flag} {value}: not a size"))?;
                }
                "--dir" => args.dir = Some(PathBuf::from(value)),
                "--phase" => {
                    let phase = Phase::ALL.into_iter().find(|phase| phase.name() == value);
                    args.phase = Some(phase.ok_or_else(|| format!("{flag} {value}: unknown"))?);
                }
                _ => return Err(format!("{flag}: unknown")),
            }
        }
        Ok(args)
    }
}
