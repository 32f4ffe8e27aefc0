//! Why a history has no order, in words.

use std::fmt;

use bytes::Bytes;

use super::linear::Stuck;
use super::{Key, Op, Operation};

/// Answers that no single copy of the data could have given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    text: String,
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
             holds {}, and there is no place for\n    {}\n  the last calls that can be put in order:\n",
            name.escape_ascii(),
            self.order.len(),
            operations.len(),
            value_text(&self.value),
            operation_text(next),
        );
        for &i in self.order.iter().rev().take(SHOWN).rev() {
            text += &format!("    {}\n", operation_text(operations[i]));
        }
        let rest = operations.iter().enumerate().filter(|(i, o)| {
            !self.order.contains(i) && *i != self.next && o.invoked <= next.returned.unwrap_or(u64::MAX)
        });
        let rest: Vec<String> = rest.map(|(_, o)| format!("    {}\n", operation_text(o))).collect();
        if !rest.is_empty() {
            text += "  calls of the same time that are not placed yet:\n";
            text += &rest.concat();
        }
        Violation { text: text.trim_end().to_string() }
    }
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
