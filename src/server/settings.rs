//! The settings of a store server: flags, a TOML file with the same names, defaults.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::directory::parse_members;
use super::disk::{DEFAULT_ENGINE, EngineKind};
use super::process::read_settings;
use crate::raftstore::Config;

/// A store of a RaftKV cluster, or one server alone.
#[derive(Clone, Debug, Default, clap::Parser)]
#[command(name = "raftkv-server", version)]
pub struct Flags {
    /// Settings as TOML, with the names of the flags (`data-dir = "..."`); flags win
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the service listens [default: 127.0.0.1:20160]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Where others reach it, if that is another address than it listens on
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Where the status page and the metrics are; `none` for nowhere [default: 127.0.0.1:20180]
    #[arg(long, value_name = "HOST:PORT")]
    pub status: Option<String>,
    /// Where the scheduler of the cluster listens [default: 127.0.0.1:2379]
    #[arg(long, value_name = "HOST:PORT")]
    pub scheduler: Option<String>,
    /// Instead of a scheduler, all stores of the cluster, as 1=HOST:PORT,2=HOST:PORT,...: one region, which is on all
    /// of them
    #[arg(long, value_name = "STORES", requires = "store_id")]
    pub members: Option<String>,
    /// Which of the members this is
    #[arg(long, value_name = "NUMBER", requires = "members")]
    pub store_id: Option<u64>,
    /// One server alone: no cluster, no Raft
    #[arg(long)]
    pub standalone: bool,
    /// Where the data is [default: raftkv-data]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// What the data is kept in
    #[arg(long)]
    pub engine: Option<EngineKind>,
}

/// What the server goes by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// `host:port`; port 0 takes a free one.
    pub listen: String,
    /// Empty: as `listen`.
    pub advertise: String,
    /// `host:port`, or `none`.
    pub status: String,
    /// `host:port`.
    pub scheduler: String,
    /// All stores of a cluster without a scheduler; see [`Flags::members`]. Empty: there is a scheduler.
    pub members: String,
    /// Which of the members this is.
    pub store_id: u64,
    /// No cluster.
    pub standalone: bool,
    /// A folder.
    pub data_dir: PathBuf,
    /// What the data is kept in.
    pub engine: EngineKind,
    /// Of the store.
    pub store: StoreSettings,
}

/// How the store behaves: `[store]` in the file. The defaults are for a network and a disk of today.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StoreSettings {
    /// How long a tick is. Everything else that is counted in ticks changes with it.
    pub tick_ms: u64,
    /// See [`Config::election_ticks`].
    pub election_ticks: u32,
    /// See [`Config::heartbeat_ticks`].
    pub heartbeat_ticks: u32,
    /// See [`Config::entry_max_size`].
    pub entry_max_size: usize,
    /// See [`Config::max_pending_proposals`].
    pub max_pending_proposals: usize,
    /// See [`Config::log_gc_limit`].
    pub log_gc_limit: usize,
    /// See [`Config::region_max_size`].
    pub region_max_size: u64,
    /// See [`Config::heartbeat_to_scheduler_ticks`].
    pub report_ticks: u32,
    /// See [`Config::split_check_ticks`].
    pub split_check_ticks: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: "127.0.0.1:20160".to_string(),
            advertise: String::new(),
            status: "127.0.0.1:20180".to_string(),
            scheduler: "127.0.0.1:2379".to_string(),
            members: String::new(),
            store_id: 0,
            standalone: false,
            data_dir: "raftkv-data".into(),
            engine: DEFAULT_ENGINE,
            store: StoreSettings::default(),
        }
    }
}

impl Default for StoreSettings {
    fn default() -> StoreSettings {
        let config = Config::default();
        StoreSettings {
            tick_ms: 100,
            election_ticks: config.election_ticks,
            heartbeat_ticks: config.heartbeat_ticks,
            entry_max_size: config.entry_max_size,
            max_pending_proposals: config.max_pending_proposals,
            log_gc_limit: config.log_gc_limit,
            region_max_size: config.region_max_size,
            report_ticks: 10,
            split_check_ticks: config.split_check_ticks,
        }
    }
}

impl Settings {
    /// The file, and over it the flags.
    ///
    /// # Errors
    /// A text for whoever gave them.
    pub fn of(flags: Flags) -> Result<Settings, String> {
        let mut settings: Settings = read_settings(flags.config.as_deref())?;
        let Flags { config: _, listen, advertise, status, scheduler, members, .. } = flags;
        let Flags { store_id, standalone, data_dir, engine, .. } = flags;
        settings.standalone |= standalone;
        let set = |to: &mut String, from: Option<String>| from.into_iter().for_each(|from| *to = from);
        set(&mut settings.listen, listen);
        set(&mut settings.advertise, advertise);
        set(&mut settings.status, status);
        set(&mut settings.scheduler, scheduler);
        set(&mut settings.members, members);
        settings.store_id = store_id.unwrap_or(settings.store_id);
        settings.data_dir = data_dir.unwrap_or(settings.data_dir);
        settings.engine = engine.unwrap_or(settings.engine);
        settings.validate()?;
        Ok(settings)
    }

    /// Is there anything that cannot work?
    ///
    /// # Errors
    /// What, and what to do.
    pub fn validate(&self) -> Result<(), String> {
        for (name, address) in
            [("listen", &self.listen), ("advertise", &self.advertise), ("scheduler", &self.scheduler)]
        {
            let is_left_out = name == "advertise" && address.is_empty();
            if !is_left_out && !is_address(address) {
                return Err(format!(
                    "{name} = `{address}`: an address is `host:port`, such as 127.0.0.1:20160"
                ));
            }
        }
        if self.status != "none" && !is_address(&self.status) {
            return Err(format!("status = `{}`: an address is `host:port`, or `none`", self.status));
        }
        if !self.members.is_empty() && !parse_members(&self.members)?.contains_key(&self.store_id) {
            return Err(format!(
                "store-id = {}: it must be one of the members, {}",
                self.store_id, self.members
            ));
        }
        if self.store.tick_ms == 0 || self.store.tick_ms > 10_000 {
            return Err(format!("tick-ms = {}: 1 to 10000 can work", self.store.tick_ms));
        }
        self.store_config(1).validate().map_err(|error| error.to_string())
    }

    /// How long a tick is.
    pub fn tick(&self) -> Duration {
        Duration::from_millis(self.store.tick_ms)
    }

    /// The settings of the store. The seed is what makes the election timeouts of two stores different.
    pub fn store_config(&self, seed: u64) -> Config {
        let StoreSettings { tick_ms, .. } = self.store;
        Config {
            election_ticks: self.store.election_ticks,
            heartbeat_ticks: self.store.heartbeat_ticks,
            seed,
            entry_max_size: self.store.entry_max_size,
            max_pending_proposals: self.store.max_pending_proposals,
            log_gc_limit: self.store.log_gc_limit,
            ticks_per_second: u32::try_from(1000 / tick_ms.clamp(1, 1000)).unwrap_or(1),
            heartbeat_to_scheduler_ticks: self.store.report_ticks,
            split_check_ticks: self.store.split_check_ticks,
            region_max_size: self.store.region_max_size,
            ..Config::default()
        }
    }
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_keeps_its_default_and_flags_win() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\nstatus = \"none\"\n[store]\ntick-ms = 50\n")
            .unwrap();
        let flags = Flags {
            config: Some(file.path().into()),
            listen: Some("127.0.0.1:2".into()),
            ..Flags::default()
        };
        let settings = Settings::of(flags).unwrap();
        assert_eq!((&settings.listen[..], &settings.status[..]), ("127.0.0.1:2", "none"));
        assert_eq!(settings.store, StoreSettings { tick_ms: 50, ..StoreSettings::default() });
        assert_eq!(settings.store_config(7).ticks_per_second, 20);
    }

    #[test]
    fn what_cannot_work_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Settings::of(Flags { config: Some(file.path().into()), ..Flags::default() }).unwrap_err()
        };
        assert!(read("lisen = \"127.0.0.1:1\"").contains("unknown field `lisen`"));
        assert!(read("listen = \"here\"").contains("an address is `host:port`"));
        assert!(read("[store]\ntick-ms = 0").contains("tick-ms = 0"));
        assert!(read("[store]\nelection-ticks = 1").contains("election"));
        assert!(read("[store]\nregion-max-size = 0").contains("region_max_size"));
    }
}
