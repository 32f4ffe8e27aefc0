//! Asks a RaftKV cluster, and changes it: for people and for scripts.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use raftkv::proto::kvrpcpb::KvPair;
use raftkv::proto::metapb::{Peer, Region, Store};
use raftkv::server::client::{Client, ClientError};
use raftkv::server::directory::{Directory, parse_members};
use raftkv::server::scheduler_client::SchedulerClient;
use serde_json::{Value, json};

/// Asks a RaftKV cluster, and changes it.
///
/// Exit code 0: done. 1: a key that was asked for is not there, or a comparison has failed. 2: it did not work, and was
/// not carried out. 3: nobody knows whether it was carried out.
#[derive(Parser)]
#[command(name = "raftkv-ctl", version)]
struct Flags {
    /// Where the scheduler listens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2379", global = true)]
    scheduler: String,
    /// Of a cluster without a scheduler, all stores, as 1=HOST:PORT,2=HOST:PORT,...
    #[arg(long, value_name = "STORES", global = true)]
    members: Option<String>,
    /// Where the scheduler's status page is: orders for regions go there
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2381", global = true)]
    scheduler_status: String,
    /// How long a request may take, in seconds
    #[arg(long, default_value_t = 10, global = true)]
    timeout: u64,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Keys and values are bytes: `\x00`, `\n`, `\\` and so on stand for those that cannot be typed.
#[derive(Subcommand)]
enum Command {
    /// Print a key's value
    Get {
        key: String,
        #[arg(long, default_value = "default")]
        cf: String,
    },
    /// Set a key
    Put {
        key: String,
        value: String,
        #[arg(long, default_value = "default")]
        cf: String,
    },
    /// Remove a key
    Delete {
        key: String,
        #[arg(long, default_value = "default")]
        cf: String,
    },
    /// Set a key if it holds what is expected (or, without --expect, if it is not there)
    Swap {
        key: String,
        value: String,
        #[arg(long)]
        expect: Option<String>,
        #[arg(long, default_value = "default")]
        cf: String,
    },
    /// Print the pairs of a range, START <= key < END
    Scan {
        #[arg(default_value = "")]
        start: String,
        #[arg(default_value = "")]
        end: String,
        #[arg(long, default_value_t = 100)]
        limit: u32,
        #[arg(long, default_value = "default")]
        cf: String,
    },
    /// Print the regions: keys, edition, who leads, on which stores
    Regions,
    /// Print the stores
    Stores,
    /// Cut the region of a key there
    Split { key: String },
    /// Order: another store is to lead a region
    TransferLeader { region: u64, store: u64 },
    /// Order: a region gets a peer on a store
    AddPeer { region: u64, store: u64 },
    /// Order: a region loses its peer on a store
    RemovePeer { region: u64, store: u64 },
    /// Print the orders and what became of them
    Operators,
}

/// What is printed, in both forms, and how it went.
struct Outcome {
    text: String,
    json: Value,
    code: u8,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(&flags)),
        Err(error) => failed(2, &error.to_string()),
    };
    let printed = match flags.format {
        Format::Text if outcome.code >= 2 => {
            eprintln!("raftkv-ctl: {}", outcome.text);
            Ok(())
        }
        Format::Text if outcome.text.is_empty() => Ok(()),
        Format::Text => writeln!(std::io::stdout(), "{}", outcome.text),
        Format::Json => writeln!(std::io::stdout(), "{}", outcome.json),
    };
    // Whoever reads may have gone (`| head`): there is nobody to tell.
    ExitCode::from(if printed.is_err() { 2 } else { outcome.code })
}

async fn run(flags: &Flags) -> Outcome {
    let client = match connect(flags).await {
        Ok(client) => client,
        Err(error) => return failed(2, &error),
    };
    match carry_out(flags, &client).await {
        Ok(outcome) => outcome,
        Err(error @ ClientError::Undetermined(_)) => failed(3, &error.to_string()),
        Err(error) => failed(2, &error.to_string()),
    }
}

async fn connect(flags: &Flags) -> Result<Client, String> {
    let patience = Duration::from_secs(flags.timeout);
    match &flags.members {
        Some(members) => Ok(Client::of(Directory::Fixed(parse_members(members)?), patience)),
        None => Client::connect(&flags.scheduler, patience).await,
    }
}

/// For what only a scheduler knows.
fn scheduler(client: &Client) -> Result<&SchedulerClient, ClientError> {
    client.scheduler().ok_or_else(|| ClientError::Rejected("this cluster has no scheduler".to_string()))
}

async fn carry_out(flags: &Flags, client: &Client) -> Result<Outcome, ClientError> {
    match &flags.command {
        Command::Get { key, cf } => Ok(match client.get(cf, &bytes(key)?).await? {
            Some(value) => done(shown(&value), json!({"key": key, "found": true, "value": shown(&value)})),
            None => Outcome { code: 1, ..done(String::new(), json!({"key": key, "found": false})) },
        }),
        Command::Put { key, value, cf } => {
            client.put(cf, &bytes(key)?, &bytes(value)?).await?;
            Ok(done(String::new(), json!({"key": key, "done": true})))
        }
        Command::Delete { key, cf } => {
            client.delete(cf, &bytes(key)?).await?;
            Ok(done(String::new(), json!({"key": key, "done": true})))
        }
        Command::Swap { key, value, expect, cf } => {
            let (name, new, expected) =
                (bytes(key)?, bytes(value)?, expect.as_deref().map(bytes).transpose()?);
            let (is_done, held) = client.compare_and_swap(cf, &name, expected.as_deref(), &new).await?;
            let held = held.map(|held| shown(&held));
            let text = if is_done { String::new() } else { format!("it holds {held:?}") };
            let json = json!({"key": key, "done": is_done, "held": held});
            Ok(Outcome { code: u8::from(!is_done), ..done(text, json) })
        }
        Command::Scan { start, end, limit, cf } => {
            let pairs = client.scan(cf, &bytes(start)?, &bytes(end)?, *limit).await?;
            let line = |pair: &KvPair| format!("{}\t{}", shown(&pair.key), shown(&pair.value));
            let text: Vec<String> = pairs.iter().map(line).collect();
            let json = pairs.iter().map(|pair| json!({"key": shown(&pair.key), "value": shown(&pair.value)}));
            Ok(done(text.join("\n"), json.collect()))
        }
        Command::Regions => regions(client).await,
        Command::Stores => stores(client).await,
        Command::Split { key } => {
            let parts = client.split(&bytes(key)?).await?;
            let text: Vec<String> = parts.iter().map(|part| region_text(part, None)).collect();
            Ok(done(text.join("\n"), parts.iter().map(|part| region_json(part, None)).collect()))
        }
        Command::TransferLeader { region, store } => order(flags, "transfer-leader", *region, *store).await,
        Command::AddPeer { region, store } => order(flags, "add-peer", *region, *store).await,
        Command::RemovePeer { region, store } => order(flags, "remove-peer", *region, *store).await,
        Command::Operators => operators(flags).await,
    }
}

async fn regions(client: &Client) -> Result<Outcome, ClientError> {
    let (mut lines, mut all) = (Vec::new(), Vec::new());
    let mut key = bytes::Bytes::new();
    loop {
        let found = scheduler(client)?.region_of_key(&key).await.map_err(ClientError::Unserved)?;
        let leader = found.leader.filter(|leader| leader.id != 0);
        let Some(region) = found.region else {
            return Err(ClientError::Unserved(format!("no region has key `{}` yet", shown(&key))));
        };
        lines.push(region_text(&region, leader.as_ref()));
        all.push(region_json(&region, leader.as_ref()));
        if region.end_key.is_empty() {
            return Ok(done(lines.join("\n"), all.into()));
        }
        key = region.end_key;
    }
}

fn region_text(region: &Region, leader: Option<&Peer>) -> String {
    let epoch = region.region_epoch.unwrap_or_default();
    let end = if region.end_key.is_empty() { "end".to_string() } else { shown(&region.end_key) };
    let peer = |peer: &Peer| {
        let mark = if leader.is_some_and(|leader| leader.id == peer.id) { "*" } else { "" };
        format!("{}{mark}", peer.store_id)
    };
    let stores: Vec<String> = region.peers.iter().map(peer).collect();
    format!(
        "region {}\t[{} .. {end})\tv{} c{}\tstores {}",
        region.id,
        shown(&region.start_key),
        epoch.version,
        epoch.conf_ver,
        stores.join(" ")
    )
}

fn region_json(region: &Region, leader: Option<&Peer>) -> Value {
    let epoch = region.region_epoch.unwrap_or_default();
    json!({
        "id": region.id,
        "start": shown(&region.start_key),
        "end": shown(&region.end_key),
        "version": epoch.version,
        "conf_ver": epoch.conf_ver,
        "leader_store": leader.map(|leader| leader.store_id),
        "peers": region.peers.iter().map(|peer| json!({"id": peer.id, "store": peer.store_id})).collect::<Vec<_>>(),
    })
}

async fn stores(client: &Client) -> Result<Outcome, ClientError> {
    let stores = scheduler(client)?.stores().await.map_err(ClientError::Unserved)?;
    let state = |store: &Store| format!("{:?}", store.state()).to_lowercase();
    let line = |store: &Store| format!("store {}\t{}\t{}", store.id, store.address, state(store));
    let text: Vec<String> = stores.iter().map(line).collect();
    let json =
        stores.iter().map(|store| json!({"id": store.id, "address": store.address, "state": state(store)}));
    Ok(done(text.join("\n"), json.collect()))
}

/// An order for the scheduler: it goes out with the next heartbeat of the region's leader.
async fn order(flags: &Flags, kind: &str, region: u64, store: u64) -> Result<Outcome, ClientError> {
    let body = json!({"region": region, "kind": kind, "store": store});
    let answer = http(flags, "operators", Some(body)).await?;
    Ok(done(format!("ordered: {kind} region {region} store {store}"), answer))
}

async fn operators(flags: &Flags) -> Result<Outcome, ClientError> {
    let all = http(flags, "operators", None).await?;
    let lines: Vec<String> = all.as_array().into_iter().flatten().map(Value::to_string).collect();
    Ok(done(lines.join("\n"), all))
}

/// Asks the scheduler's status page.
async fn http(flags: &Flags, path: &str, body: Option<Value>) -> Result<Value, ClientError> {
    let url = format!("http://{}/{path}", flags.scheduler_status);
    let timeout = Duration::from_secs(flags.timeout);
    let call = move || {
        let config = ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false);
        let agent: ureq::Agent = config.build().into();
        let answer = match body {
            Some(body) => agent.post(&url).send_json(body),
            None => agent.get(&url).call(),
        };
        let mut answer = answer.map_err(|error| format!("{url}: {error}"))?;
        let is_success = answer.status().is_success();
        let body: Value = answer.body_mut().read_json().unwrap_or(Value::Null);
        if is_success {
            return Ok(body);
        }
        let why = body.get("error").and_then(Value::as_str).unwrap_or("no reason was given");
        Err(why.to_string())
    };
    let answer = tokio::task::spawn_blocking(call).await.map_err(|error| error.to_string());
    answer.and_then(|answer| answer).map_err(ClientError::Rejected)
}

fn done(text: String, json: Value) -> Outcome {
    Outcome { text, json, code: 0 }
}

fn failed(code: u8, error: &str) -> Outcome {
    Outcome { text: error.to_string(), json: json!({"error": error}), code }
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// The bytes that a text stands for: the reverse of [`shown`]. Any text may also be typed as it is.
fn bytes(text: &str) -> Result<Vec<u8>, ClientError> {
    let bad = |why: &str| ClientError::Rejected(format!("`{text}`: {why}"));
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(quoted @ (b'\\' | b'\'' | b'"')) => quoted,
            Some(b'x') => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                match (digit(rest.next()), digit(rest.next())) {
                    (Some(high), Some(low)) => u8::try_from(16 * high + low).unwrap_or_default(),
                    _ => return Err(bad("\\x has two hexadecimal digits, as in \\x0a")),
                }
            }
            _ => return Err(bad("a backslash is written \\\\")),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_typed() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&shown(&all)).unwrap(), all);
        assert_eq!(bytes("key ä").unwrap(), "key ä".as_bytes());
        for bad in ["\\", "\\q", "\\x1", "\\xzz"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
