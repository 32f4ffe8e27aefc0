//! The scheduler's settings: defaults, over them a file, over that the command line.

use std::path::PathBuf;

use clap::Parser;
use serde::Deserialize;

use crate::scheduler::Config;
use crate::server::disk::{DEFAULT_ENGINE, EngineKind};
use crate::server::process;

/// What can be set, under the same names in the file and on the command line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Where clients and stores are listened to.
    pub listen: String,
    /// Where they find it. None: where it listens.
    pub advertise: Option<String>,
    /// Where the status page is, or `none`.
    pub status: String,
    /// Where the data is.
    pub data_dir: PathBuf,
    /// What the data is kept in.
    pub engine: EngineKind,
    /// Which cluster this is. None: the one that the data is of, or a new one.
    pub cluster_id: Option<u64>,
    /// See [`Config::replicas`].
    pub replicas: usize,
    /// See [`Config::repair`].
    pub repair: bool,
    /// See [`Config::max_down_seconds`].
    pub max_down_seconds: u64,
    /// See [`Config::max_sends`].
    pub max_sends: u32,
    /// See [`Config::max_silent_rounds`].
    pub max_silent_rounds: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        let core = Config::default();
        Settings {
            listen: "127.0.0.1:2379".to_string(),
            advertise: None,
            status: "127.0.0.1:2381".to_string(),
            data_dir: PathBuf::from("raftkv-scheduler-data"),
            engine: DEFAULT_ENGINE,
            cluster_id: None,
            replicas: core.replicas,
            repair: true,
            max_down_seconds: core.max_down_seconds,
            max_sends: core.max_sends,
            max_silent_rounds: core.max_silent_rounds,
        }
    }
}

impl Settings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// A text for whoever set it: what is wrong, and what to do.
    pub fn check(&self) -> Result<(), String> {
        if let Some(advertise) = &self.advertise {
            check_advertise(advertise)?;
        }
        if self.cluster_id == Some(0) {
            return Err("cluster-id 0 means \"I do not know\" in the protocol: give another number, or none"
                .to_string());
        }
        let at_least_1 = [
            ("replicas", self.replicas as u64),
            ("max-down-seconds", self.max_down_seconds),
            ("max-sends", u64::from(self.max_sends)),
            ("max-silent-rounds", self.max_silent_rounds),
        ];
        match at_least_1.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(format!("{name} is 0: give at least 1")),
            None => Ok(()),
        }
    }

    /// What concerns the core.
    pub fn core(&self) -> Config {
        Config {
            replicas: self.replicas,
            repair: self.repair,
            max_down_seconds: self.max_down_seconds,
            max_sends: self.max_sends,
            max_silent_rounds: self.max_silent_rounds,
        }
    }
}

/// Others have to reach this address as it stands.
fn check_advertise(address: &str) -> Result<(), String> {
    let wrong = |why| Err(format!("advertise is \"{address}\": {why}"));
    if address.contains("://") {
        return wrong("leave out what stands before the host: HOST:PORT is wanted");
    }
    let Some((host, port)) = address.rsplit_once(':') else {
        return wrong("the port is missing: HOST:PORT is wanted");
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    if host.is_empty() || !host.chars().all(is_plain) {
        return wrong("this is no host: HOST:PORT is wanted");
    }
    if !port.parse::<u16>().is_ok_and(|port| port != 0) {
        return wrong("the port is a number from 1 to 65535");
    }
    if ["0.0.0.0", "[::]"].contains(&host) {
        return wrong("nobody can call this address: give the one of this machine");
    }
    Ok(())
}

/// The placement driver of a RaftKV cluster: it knows which store has which keys, and gives ids and timestamps.
#[derive(Debug, Default, Parser)]
#[command(name = "raftkv-scheduler", version)]
pub struct Args {
    /// A TOML file with any of the settings below, by the same names; the command line overrides it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where clients and stores are listened to [default: 127.0.0.1:2379]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Where clients and stores find it [default: where it listens]
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// Where the status page and the metrics are; `none` for nowhere [default: 127.0.0.1:2381]
    #[arg(long, value_name = "HOST:PORT")]
    status: Option<String>,
    /// Where the data is [default: raftkv-scheduler-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What the data is kept in [default: rocksdb, or memory in a program that was built without it]
    #[arg(long)]
    engine: Option<EngineKind>,
    /// Which cluster this is [default: the one that the data is of, or a new one]
    #[arg(long, value_name = "ID")]
    cluster_id: Option<u64>,
    /// How many peers a region should have [default: 3]
    #[arg(long, value_name = "N")]
    replicas: Option<usize>,
    /// Bring regions to that many peers, and replace peers that are down [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    repair: Option<bool>,
    /// A peer that its leader has not heard from for so long is down for good [default: 1800]
    #[arg(long, value_name = "SECONDS")]
    max_down_seconds: Option<u64>,
    /// So often is one order sent before its operator is dropped [default: 100]
    #[arg(long, value_name = "N")]
    max_sends: Option<u32>,
    /// A store that misses so many rounds of heartbeats gets no new peers [default: 3]
    #[arg(long, value_name = "N")]
    max_silent_rounds: Option<u64>,
}

impl Args {
    /// The settings of the file, with the command line over them.
    ///
    /// # Errors
    /// A text for whoever set them.
    pub fn settings(self) -> Result<Settings, String> {
        let mut settings: Settings = process::read_settings(self.config.as_deref())?;
        overlay(&mut settings.listen, self.listen);
        overlay(&mut settings.status, self.status);
        overlay(&mut settings.data_dir, self.data_dir);
        overlay(&mut settings.engine, self.engine);
        overlay(&mut settings.replicas, self.replicas);
        overlay(&mut settings.repair, self.repair);
        overlay(&mut settings.max_down_seconds, self.max_down_seconds);
        overlay(&mut settings.max_sends, self.max_sends);
        overlay(&mut settings.max_silent_rounds, self.max_silent_rounds);
        settings.advertise = self.advertise.or(settings.advertise);
        settings.cluster_id = self.cluster_id.or(settings.cluster_id);
        settings.check()?;
        Ok(settings)
    }
}

fn overlay<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(words: &[&str]) -> Result<Settings, String> {
        let args = Args::try_parse_from(["raftkv-scheduler"].iter().chain(words));
        args.map_err(|error| error.to_string())?.settings()
    }

    #[test]
    fn without_a_word_the_defaults_hold() {
        assert_eq!(given(&[]), Ok(Settings::default()));
        // The core is asked to repair; a program does it without being asked.
        assert_eq!(Settings::default().core(), Config { repair: true, ..Config::default() });
    }

    #[test]
    fn the_command_line_overrides_the_file_and_the_file_the_defaults() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("scheduler.toml");
        std::fs::write(
            &file,
            "listen = \"127.0.0.1:1\"\nreplicas = 5\nmax-down-seconds = 7\nengine = \"memory\"\n",
        )
        .expect("the folder is new");
        let file = file.to_str().expect("a plain path");
        let settings = given(&["--config", file, "--replicas", "1", "--repair", "--cluster-id", "9"]);
        let wanted = Settings {
            listen: "127.0.0.1:1".to_string(),
            engine: EngineKind::Memory,
            replicas: 1,
            repair: true,
            max_down_seconds: 7,
            cluster_id: Some(9),
            ..Settings::default()
        };
        assert_eq!(settings, Ok(wanted));
        assert_eq!(given(&["--repair=false"]).map(|settings| settings.repair), Ok(false));
    }

    #[test]
    fn a_misspelt_name_in_the_file_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("scheduler.toml");
        std::fs::write(&file, "replica = 5\n").expect("the folder is new");
        let refused =
            given(&["--config", file.to_str().expect("a plain path")]).expect_err("there is no `replica`");
        assert!(refused.contains("replica") && refused.contains("scheduler.toml"), "{refused}");
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for (words, name) in [
            (["--replicas", "0"], "replicas"),
            (["--max-sends", "0"], "max-sends"),
            (["--cluster-id", "0"], "cluster-id"),
            (["--advertise", "http://a:1"], "advertise"),
            (["--advertise", "a"], "advertise"),
            (["--advertise", "a:0"], "advertise"),
            (["--advertise", "a b:1"], "advertise"),
            (["--advertise", "0.0.0.0:1"], "advertise"),
            (["--config", "no/such/file"], "no/such/file"),
        ] {
            let refused = given(&words).expect_err("it cannot work");
            assert!(refused.contains(name), "{words:?}: {refused}");
        }
        for good in ["scheduler-1.example:2379", "[::1]:2379", "10.0.0.1:65535"] {
            assert!(given(&["--advertise", good]).is_ok(), "{good}");
        }
    }
}
