//! Why a history has no order, in words.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;

use super::linear::Stuck;
use super::{Key, Op, Operation};

/// Answers that no single copy of the data could have given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    text: String,
    /// When the call began that has no place, and when it ended.
    pub when: (u64, u64),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How many operations before the break are shown.
const SHOWN: usize = 8;

impl Stuck {
    /// Which operation has no place, and what stands around it.
    pub(super) fn explain(&self, key: &Key, operations: &[&Operation]) -> Violation {
        let next = operations[self.next];
        let (cf, name) = key;
        let mut text = format!(
            "no order of the calls on key {} ({cf}) explains what the clients heard. {} of {} can be put in order; then the key \
             holds {}, and there is no place for\n    {}\n",
            name.escape_ascii(),
            self.order.len(),
            operations.len(),
            value_text(&self.value),
            operation_text(next),
        );
        if let Some(saw) = seen(&next.op) {
            text += &origin(saw, next, operations);
        }
        text += "  the last calls that can be put in order:\n";
        for &i in &self.order[self.order.len().saturating_sub(SHOWN)..] {
            text += &format!("    {}\n", operation_text(operations[i]));
        }
        let placed: BTreeSet<usize> = self.order.iter().copied().collect();
        let end = next.returned.unwrap_or(u64::MAX);
        let open: Vec<&Operation> = (0..operations.len())
            .filter(|i| *i != self.next && !placed.contains(i) && operations[*i].invoked <= end)
            .map(|i| operations[i])
            .collect();
        let (known, unknown): (Vec<_>, Vec<_>) = open.into_iter().partition(|o| o.returned.is_some());
        if !known.is_empty() {
            text += "  calls of the same time that are not placed yet:\n";
            text.extend(known.into_iter().map(|o| format!("    {}\n", operation_text(o))));
        }
        if !unknown.is_empty() {
            let count = unknown.len();
            text += &format!(
                "  and {count} calls of which nobody knows whether they were ever carried out: that does not help either\n"
            );
        }
        Violation { text: text.trim_end().to_string(), when: (next.invoked, end) }
    }
}

/// What a call was told that the key held.
fn seen(op: &Op) -> Option<&Option<Bytes>> {
    match op {
        Op::Read(value) => Some(value),
        Op::Swap { told: Some((_, previous)), .. } => Some(previous),
        _ => None,
    }
}

/// What a call leaves, if it is carried out.
fn left(op: &Op) -> Option<Option<Bytes>> {
    match op {
        Op::Write(value) => Some(value.clone()),
        Op::Swap { told: Some((false, _)), .. } | Op::Read(_) => None,
        Op::Swap { value, .. } => Some(Some(value.clone())),
    }
}

/// Where the value comes from that `reader` saw, and which call must have replaced it before.
fn origin(saw: &Option<Bytes>, reader: &Operation, operations: &[&Operation]) -> String {
    let writers: Vec<&&Operation> = operations.iter().filter(|o| left(&o.op).as_ref() == Some(saw)).collect();
    let value = value_text(saw);
    let written = match writers[..] {
        [] if saw.is_some() => return format!("  no call ever wrote {value}\n"),
        // Every key holds nothing at the beginning, and may have been deleted often.
        [] => 0,
        [writer] => match writer.returned {
            _ if writer.invoked > reader.returned.unwrap_or(u64::MAX) => {
                return format!("  {value} was written only later:\n    {}\n", operation_text(writer));
            }
            Some(returned) => returned,
            None => return String::new(),
        },
        _ => return String::new(),
    };
    let replaces = |o: &&&Operation| {
        o.returned.is_some_and(|end| end < reader.invoked)
            && (o.invoked > written || writers.is_empty())
            && left(&o.op).is_some_and(|value| value != *saw)
    };
    let Some(replaced) = operations.iter().filter(replaces).min_by_key(|o| o.returned) else {
        return String::new();
    };
    format!(
        "  {value} was replaced, and that was acknowledged, before this call began:\n    {}\n",
        operation_text(replaced)
    )
}

fn operation_text(o: &Operation) -> String {
    let what = match &o.op {
        Op::Read(value) => format!("read {}", value_text(value)),
        Op::Write(Some(value)) => format!("put {}", value.escape_ascii()),
        Op::Write(None) => "deleted it".to_string(),
        Op::Swap { expected, value, told } => {
            let told = match told {
                None => String::new(),
                Some((done, previous)) => {
                    let done = if *done { "done" } else { "not done" };
                    format!(": {done}, it held {}", value_text(previous))
                }
            };
            format!("swap from {} to {}{told}", value_text(expected), value.escape_ascii())
        }
    };
    let end = match o.returned {
        Some(at) => format!("{} ms", time(at)),
        None => "nobody knows".to_string(),
    };
    format!("client {:<3} {} ms .. {end}: {what}", o.client, time(o.invoked))
}

fn time(micros: u64) -> String {
    format!("{:.3}", micros as f64 / 1000.0)
}

fn value_text(value: &Option<Bytes>) -> String {
    value.as_ref().map_or("nothing".to_string(), |value| value.escape_ascii().to_string())
}
