//! The search for an order.
//!
//! After Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory of Lowe ("Testing for linearizability",
//! 2017): take an operation that may come next, see whether the value allows it, go on; where nothing fits, go back and
//! take another one. A set of operations done with the value that they left need not be looked at twice.
//!
//! Two things keep the search short. A read that fits can be taken at once, without trying anything else: it changes nothing,
//! and out of the way it only helps. And a write whose end nobody knows, and whose value nobody ever saw, is left
//! out: it need not have happened.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;

use super::explain::Violation;
use super::{Key, Op, Operation};

type Value = Option<Bytes>;

/// Could one copy of the data, which serves one call at a time, have given these answers? All keys begin empty.
pub fn check(history: &[Operation]) -> Result<(), Violation> {
    let mut keys: BTreeMap<&Key, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        keys.entry(&operation.key).or_default().push(operation);
    }
    for (key, operations) in keys {
        let seen = seen_values(&operations);
        let matters = |o: &&Operation| match (&o.op, o.returned) {
            (Op::Read(_), None) => false,
            (Op::Write(value @ Some(_)), None) => seen.contains(value),
            (Op::Swap { value, .. }, None) => seen.contains(&Some(value.clone())),
            _ => true,
        };
        let operations: Vec<&Operation> = operations.into_iter().filter(matters).collect();
        Search::new(&operations).run().map_err(|stuck| stuck.explain(key, &operations))?;
    }
    Ok(())
}

/// What any client saw or expected at this key.
fn seen_values(operations: &[&Operation]) -> BTreeSet<Value> {
    let mut seen = BTreeSet::new();
    for operation in operations {
        match &operation.op {
            Op::Read(value) => drop(seen.insert(value.clone())),
            Op::Write(_) => {}
            Op::Swap { expected, told, .. } => {
                seen.insert(expected.clone());
                if let Some((_, previous)) = told {
                    seen.insert(previous.clone());
                }
            }
        }
    }
    seen
}

/// Where the search got stuck at its longest.
pub(super) struct Stuck {
    /// The operations in the order that explains them, as far as it goes.
    pub order: Vec<usize>,
    /// The value after those.
    pub value: Value,
    /// An operation that has to come next, and cannot.
    pub next: usize,
}

/// Nodes of a doubly linked list: for each operation its call, and for those that returned, its return, in the order of time.
struct Node {
    operation: usize,
    is_call: bool,
    /// A call's return.
    partner: usize,
    before: usize,
    after: usize,
}

struct Search<'a> {
    operations: &'a [&'a Operation],
    nodes: Vec<Node>,
    done: Vec<u64>,
    known: HashSet<(Vec<u64>, Value)>,
}

const HEAD: usize = 0;
const NONE: usize = usize::MAX;

struct Taken {
    node: usize,
    value: Value,
    /// A read: there is nothing else to try in its place.
    only_choice: bool,
}

impl<'a> Search<'a> {
    fn new(operations: &'a [&'a Operation]) -> Search<'a> {
        // Calls before returns at the same time: the two then overlap, and either order will do.
        let mut events: Vec<(u64, bool, usize)> = Vec::new();
        for (i, operation) in operations.iter().enumerate() {
            events.push((operation.invoked, false, i));
            events.push((operation.returned.unwrap_or(u64::MAX), true, i));
        }
        events.sort_unstable();
        let mut nodes =
            vec![Node { operation: NONE, is_call: false, partner: NONE, before: NONE, after: NONE }];
        let mut call_of = vec![NONE; operations.len()];
        for (_, is_return, operation) in events {
            let this = nodes.len();
            nodes.push(Node { operation, is_call: !is_return, partner: NONE, before: this - 1, after: NONE });
            nodes[this - 1].after = this;
            if is_return {
                nodes[call_of[operation]].partner = this;
            } else {
                call_of[operation] = this;
            }
        }
        let done = vec![0; operations.len().div_ceil(64)];
        Search { operations, nodes, done, known: HashSet::new() }
    }

    fn run(mut self) -> Result<(), Stuck> {
        let mut value: Value = None;
        let mut taken: Vec<Taken> = Vec::new();
        let mut longest = Stuck { order: Vec::new(), value: None, next: 0 };
        let mut at = self.nodes[HEAD].after;
        loop {
            if at == NONE || self.is_unknown_return(at) {
                return Ok(());
            }
            if at == self.nodes[HEAD].after
                && let Some(read) = self.read_that_fits(&value)
            {
                self.take(read);
                taken.push(Taken { node: read, value: value.clone(), only_choice: true });
                at = self.nodes[HEAD].after;
                continue;
            }
            let node = &self.nodes[at];
            if node.is_call {
                let (operation, after) = (node.operation, node.after);
                if let Some(next) = step(&self.operations[operation].op, &value) {
                    self.set(operation);
                    let is_new = self.known.insert((self.done.clone(), next.clone()));
                    self.clear(operation);
                    if is_new {
                        self.take(at);
                        taken.push(Taken {
                            node: at,
                            value: std::mem::replace(&mut value, next),
                            only_choice: false,
                        });
                        at = self.nodes[HEAD].after;
                        continue;
                    }
                }
                at = after;
                continue;
            }
            if taken.len() >= longest.order.len() {
                let order = taken.iter().map(|t| self.nodes[t.node].operation).collect();
                longest = Stuck { order, value: value.clone(), next: node.operation };
            }
            // A return stands in the way: its call should have been taken by now. Back to the last choice.
            at = loop {
                let Some(last) = taken.pop() else { return Err(longest) };
                self.put_back(last.node);
                value = last.value;
                if !last.only_choice {
                    break self.nodes[last.node].after;
                }
            };
        }
    }

    /// Among the operations that may come next, a read that the value fits.
    fn read_that_fits(&self, value: &Value) -> Option<usize> {
        let mut at = self.nodes[HEAD].after;
        while at != NONE && self.nodes[at].is_call {
            let operation = self.operations[self.nodes[at].operation];
            let fits = match &operation.op {
                Op::Read(saw) => saw == value,
                Op::Swap { told: Some((false, previous)), expected, .. } => {
                    previous == value && expected != value
                }
                _ => false,
            };
            if fits {
                return Some(at);
            }
            at = self.nodes[at].after;
        }
        None
    }

    /// The end of the known operations: whatever is left may never have happened.
    fn is_unknown_return(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        !node.is_call && self.operations[node.operation].returned.is_none()
    }

    fn take(&mut self, call: usize) {
        self.set(self.nodes[call].operation);
        self.unlink(call);
        self.unlink(self.nodes[call].partner);
    }

    fn put_back(&mut self, call: usize) {
        self.clear(self.nodes[call].operation);
        self.link(self.nodes[call].partner);
        self.link(call);
    }

    fn unlink(&mut self, node: usize) {
        let (before, after) = (self.nodes[node].before, self.nodes[node].after);
        self.nodes[before].after = after;
        if after != NONE {
            self.nodes[after].before = before;
        }
    }

    fn link(&mut self, node: usize) {
        let (before, after) = (self.nodes[node].before, self.nodes[node].after);
        self.nodes[before].after = node;
        if after != NONE {
            self.nodes[after].before = node;
        }
    }

    fn set(&mut self, operation: usize) {
        self.done[operation / 64] |= 1 << (operation % 64);
    }

    fn clear(&mut self, operation: usize) {
        self.done[operation / 64] &= !(1 << (operation % 64));
    }
}

/// The value after an operation, if the value before allows it.
fn step(op: &Op, value: &Value) -> Option<Value> {
    match op {
        Op::Read(saw) => (saw == value).then(|| value.clone()),
        Op::Write(new) => Some(new.clone()),
        Op::Swap { expected, value: new, told: Some((true, previous)) } => {
            (previous == value && expected == value).then(|| Some(new.clone()))
        }
        Op::Swap { expected, told: Some((false, previous)), .. } => {
            (previous == value && expected != value).then(|| value.clone())
        }
        // Not told: if it would change nothing, it may as well not have happened yet.
        Op::Swap { expected, value: new, told: None } => (expected == value).then(|| Some(new.clone())),
    }
}

#[cfg(test)]
mod tests;
