//! The status as a page for people: no script, nothing from elsewhere.
//!
//! Addresses and keys come from other programs: all text is escaped on its way in.

use std::fmt::{self, Display, Write};

use super::operators::Progress;
use super::status::{PeerStatus, RegionStatus, Status, StoreStatus};
use crate::server::html::Text;

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>raftkv-scheduler</title>
<style>
body { font-family: sans-serif; margin: 2em; }
table { border-collapse: collapse; }
th, td { border: 1px solid #999; padding: 0.2em 0.6em; text-align: left; vertical-align: top; }
td.key { font-family: monospace; max-width: 24em; overflow-wrap: anywhere; }
</style></head><body>
";

/// The whole page.
pub fn page(status: &Status) -> String {
    let mut out = HEAD.to_string();
    // Writing into a string does not fail.
    let _ = write_page(&mut out, status);
    out
}

fn write_page(out: &mut String, status: &Status) -> fmt::Result {
    let begun = if status.bootstrapped { "running" } else { "not bootstrapped yet: no store has come" };
    writeln!(
        out,
        "<h1>Cluster {}</h1>\n<p>{begun}; scheduler at {}</p>",
        status.cluster_id,
        Text(&status.address)
    )?;
    table(out, "Stores", "id|address|state|last heartbeat|regions|leaders", &status.stores, store)?;
    let columns = "id|from key|to key|version|conf_ver|leader|term|peers|size";
    table(out, "Regions", columns, &status.regions, region)?;
    table(out, "Operators", "region|kind|store|state", &status.operators, operator)?;
    writeln!(out, "<p><a href=\"/status\">JSON</a> <a href=\"/metrics\">metrics</a></p>\n</body></html>")
}

fn table<T>(
    out: &mut String,
    title: &str,
    columns: &str,
    rows: &[T],
    row: impl Fn(&mut String, &T) -> fmt::Result,
) -> fmt::Result {
    writeln!(out, "<h2>{title} ({})</h2>\n<table><tr>", rows.len())?;
    for column in columns.split('|') {
        write!(out, "<th>{column}</th>")?;
    }
    writeln!(out, "</tr>")?;
    for item in rows {
        out.write_str("<tr>")?;
        row(out, item)?;
        out.write_str("</tr>\n")?;
    }
    writeln!(out, "</table>")
}

fn cell(out: &mut String, content: impl Display) -> fmt::Result {
    write!(out, "<td>{}</td>", Text(&content.to_string()))
}

fn key(out: &mut String, content: &str) -> fmt::Result {
    write!(out, "<td class=\"key\">{}</td>", Text(content))
}

fn store(out: &mut String, store: &StoreStatus) -> fmt::Result {
    cell(out, store.id)?;
    cell(out, &store.address)?;
    cell(out, store.state)?;
    cell(
        out,
        store
            .heartbeat_age_ms
            .map_or("none".to_string(), |ms| format!("{}.{} s ago", ms / 1000, ms % 1000 / 100)),
    )?;
    cell(out, store.region_count.map_or(String::new(), |count| count.to_string()))?;
    cell(out, store.leaders)
}

fn region(out: &mut String, region: &RegionStatus) -> fmt::Result {
    cell(out, region.id)?;
    key(out, &region.start_key)?;
    key(out, &region.end_key)?;
    cell(out, region.version)?;
    cell(out, region.conf_ver)?;
    let leads = |peer: &&PeerStatus| Some(peer.id) == region.leader;
    cell(out, region.peers.iter().find(leads).map_or("none".to_string(), place))?;
    cell(out, region.term)?;
    cell(out, region.peers.iter().map(peer).collect::<Vec<_>>().join(", "))?;
    cell(out, region.approximate_size)
}

fn place(peer: &PeerStatus) -> String {
    format!("{} on store {}", peer.id, peer.store)
}

fn peer(peer: &PeerStatus) -> String {
    let pending = if peer.pending { " (waits for its snapshot)" } else { "" };
    let down = peer.down_seconds.map_or(String::new(), |seconds| format!(" (down for {seconds} s)"));
    place(peer) + pending + &down
}

fn operator(out: &mut String, operator: &Progress) -> fmt::Result {
    let wish = &operator.wish;
    cell(out, wish.region)?;
    cell(out, wish.kind.name())?;
    cell(out, wish.from.map_or(wish.store.to_string(), |from| format!("{from} to {}", wish.store)))?;
    cell(out, operator.why.map_or(operator.state.to_string(), |why| format!("{}: {why}", operator.state)))
}
