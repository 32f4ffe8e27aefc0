//! The search for an order.
//!
//! After Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory of Lowe ("Testing for
//! linearizability", 2017), as in Horn and Kroening ("Faster linearizability checking via P-compositionality", 2015):
//! take a call that may come next, see whether the value allows it, go on; where nothing fits, go back and take another
//! one. A set of calls that are done, with the value that they left, need not be looked at twice.
//!
//! Three things keep the search short.
//!
//! - A call that only looks and that the value fits is taken at once, without trying anything else: it changes
//!   nothing, and out of the way it only helps.
//! - A call whose end nobody knows may as well never have been carried out. So it is taken only where somebody looks
//!   next, and wants to see just what it leaves; anywhere else nobody would miss it.
//! - Of several such calls that do the same, the one that began first is taken first.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;

use super::explain::Violation;
use super::{Key, Op, Operation};

/// Could one copy of the data, which serves one call at a time, have given these answers? All keys begin empty.
pub fn check(history: &[Operation]) -> Result<(), Violation> {
    let mut keys: BTreeMap<&Key, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        keys.entry(&operation.key).or_default().push(operation);
    }
    for (key, operations) in keys {
        Search::new(&operations).run().map_err(|stuck| stuck.explain(key, &operations))?;
    }
    Ok(())
}

/// Where the search got stuck at its longest.
pub(super) struct Stuck {
    /// The operations in the order that explains them, as far as it goes.
    pub order: Vec<usize>,
    /// The value after those.
    pub value: Option<Bytes>,
    /// An operation that has to come next, and cannot.
    pub next: usize,
}

/// The number of a value: `names[value]` is the value itself.
type Value = usize;

/// The key does not exist: the value at the beginning.
const NOTHING: Value = 0;

/// What a call saw that contradicts itself: no value fits it.
const IMPOSSIBLE: Value = usize::MAX;

/// What a call needs and what it leaves, whatever its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    /// The value that it must find.
    sees: Option<Value>,
    /// The value afterwards, if it changes it.
    leaves: Option<Value>,
}

impl Step {
    fn allowed(self, value: Value) -> bool {
        self.sees.is_none_or(|sees| sees == value)
    }
}

/// A call's begin or its end, in a doubly linked list in the order of time.
#[derive(Clone, Copy)]
struct Node {
    operation: usize,
    is_call: bool,
    at: u64,
    before: usize,
    after: usize,
}

/// A place where the search has a choice, and what it has chosen.
struct Choice {
    /// The value before.
    value: Value,
    /// What may come next here.
    operations: Vec<usize>,
    /// How many of them have been tried; the last one of these is taken.
    tried: usize,
}

/// One search, over the operations of one key.
struct Search {
    steps: Vec<Step>,
    names: Vec<Option<Bytes>>,
    /// The known calls that are not taken yet. Node 0 is the head; call and return of the i-th are `2 i + 1` and `2 i +
    /// 2` for the i-th of `nodes_of`.
    nodes: Vec<Node>,
    /// The call's node and the return's, of the known calls.
    nodes_of: Vec<Option<(usize, usize)>>,
    /// The calls with unknown end, by what they leave: when each began, in this order.
    unknown: BTreeMap<Value, Vec<(u64, usize)>>,
    /// What the unknown calls want to see themselves.
    unknown_sees: Vec<(u64, usize)>,
    done: Vec<u64>,
    visited: HashSet<(Vec<u64>, Value)>,
}

const HEAD: usize = 0;
const NONE: usize = usize::MAX;

impl Search {
    fn new(operations: &[&Operation]) -> Search {
        let mut names = vec![None];
        let mut numbers = BTreeMap::from([(None, NOTHING)]);
        let mut number = |value: &Option<Bytes>| {
            *numbers.entry(value.clone()).or_insert_with(|| {
                names.push(value.clone());
                names.len() - 1
            })
        };
        let steps: Vec<Step> = operations.iter().map(|o| step_of(&o.op, &mut number)).collect();
        let mut search = Search {
            nodes: vec![Node { operation: NONE, is_call: false, at: 0, before: NONE, after: NONE }],
            nodes_of: vec![None; operations.len()],
            unknown: BTreeMap::new(),
            unknown_sees: Vec::new(),
            done: vec![0; operations.len().div_ceil(64)],
            visited: HashSet::new(),
            steps,
            names,
        };
        search.add_known(operations);
        search.add_unknown(operations);
        search
    }

    fn add_known(&mut self, operations: &[&Operation]) {
        // Calls before returns at the same time: the two then overlap, and either order will do.
        let mut events: Vec<(u64, bool, usize)> = Vec::new();
        for (i, operation) in operations.iter().enumerate() {
            if let Some(returned) = operation.returned {
                events.push((operation.invoked, false, i));
                events.push((returned, true, i));
            }
        }
        events.sort_unstable();
        for (at, is_return, operation) in events {
            let this = self.nodes.len();
            self.nodes.push(Node { operation, is_call: !is_return, at, before: this - 1, after: NONE });
            self.nodes[this - 1].after = this;
            self.nodes_of[operation] = match self.nodes_of[operation] {
                None => Some((this, NONE)),
                Some((call, _)) => Some((call, this)),
            };
        }
    }

    fn add_unknown(&mut self, operations: &[&Operation]) {
        for (i, operation) in operations.iter().enumerate().filter(|(_, o)| o.returned.is_none()) {
            // A read without an answer says nothing.
            let Some(leaves) = self.steps[i].leaves else { continue };
            self.unknown.entry(leaves).or_default().push((operation.invoked, i));
            if self.steps[i].sees.is_some() {
                self.unknown_sees.push((operation.invoked, i));
            }
        }
        self.unknown.values_mut().for_each(|calls| calls.sort_unstable());
    }

    fn run(mut self) -> Result<(), Stuck> {
        let mut value = NOTHING;
        let mut path: Vec<Choice> = Vec::new();
        let mut longest = Stuck { order: Vec::new(), value: None, next: NONE };
        while self.nodes[HEAD].after != NONE {
            let operations = self.choices(value);
            if operations.is_empty() && (longest.next == NONE || path.len() > longest.order.len()) {
                longest = self.stuck(&path, value);
            }
            path.push(Choice { value, operations, tried: 0 });
            // Forward, or back to the last choice that is left.
            loop {
                let Some(choice) = path.last_mut() else { return Err(longest) };
                let Some(&operation) = choice.operations.get(choice.tried) else {
                    path.pop();
                    if let Some(last) = path.last() {
                        self.put_back(last.operations[last.tried - 1]);
                    }
                    continue;
                };
                choice.tried += 1;
                value = self.steps[operation].leaves.unwrap_or(choice.value);
                self.take(operation);
                if self.visited.insert((self.done.clone(), value)) {
                    break;
                }
                self.put_back(operation);
            }
        }
        Ok(())
    }

    /// What may come next, the likeliest first.
    fn choices(&self, value: Value) -> Vec<usize> {
        let (mut known, mut wanted) = (Vec::new(), Vec::new());
        let mut at = self.nodes[HEAD].after;
        while self.nodes[at].is_call {
            let operation = self.nodes[at].operation;
            let step = self.steps[operation];
            if step.allowed(value) {
                if step.leaves.is_none() {
                    return vec![operation];
                }
                known.push(operation);
            } else {
                wanted.extend(step.sees);
            }
            at = self.nodes[at].after;
        }
        // Whatever has begun by the first return may come before it.
        let now = self.nodes[at].at;
        let open = |(began, i): &&(u64, usize)| *began <= now && !self.is_done(*i);
        wanted.extend(self.unknown_sees.iter().filter(open).filter_map(|(_, i)| self.steps[*i].sees));
        wanted.sort_unstable();
        wanted.dedup();
        for want in wanted.into_iter().filter(|want| *want != value) {
            let mut same: Vec<Step> = Vec::new();
            for (_, i) in self.unknown.get(&want).into_iter().flatten().filter(open) {
                if self.steps[*i].allowed(value) && !same.contains(&self.steps[*i]) {
                    same.push(self.steps[*i]);
                    known.push(*i);
                }
            }
        }
        known
    }

    fn stuck(&self, path: &[Choice], value: Value) -> Stuck {
        let order = path.iter().map(|choice| choice.operations[choice.tried - 1]).collect();
        let mut at = self.nodes[HEAD].after;
        while self.nodes[at].is_call {
            at = self.nodes[at].after;
        }
        Stuck { order, value: self.names[value].clone(), next: self.nodes[at].operation }
    }

    fn take(&mut self, operation: usize) {
        self.done[operation / 64] |= 1 << (operation % 64);
        if let Some((call, ret)) = self.nodes_of[operation] {
            self.unlink(call);
            self.unlink(ret);
        }
    }

    /// The opposite of the last `take` that is not put back yet.
    fn put_back(&mut self, operation: usize) {
        self.done[operation / 64] &= !(1 << (operation % 64));
        if let Some((call, ret)) = self.nodes_of[operation] {
            self.link(ret);
            self.link(call);
        }
    }

    fn unlink(&mut self, node: usize) {
        let Node { before, after, .. } = self.nodes[node];
        self.nodes[before].after = after;
        if after != NONE {
            self.nodes[after].before = before;
        }
    }

    fn link(&mut self, node: usize) {
        let Node { before, after, .. } = self.nodes[node];
        self.nodes[before].after = node;
        if after != NONE {
            self.nodes[after].before = node;
        }
    }

    fn is_done(&self, operation: usize) -> bool {
        self.done[operation / 64] & (1 << (operation % 64)) != 0
    }
}

fn step_of(op: &Op, number: &mut impl FnMut(&Option<Bytes>) -> Value) -> Step {
    match op {
        Op::Read(saw) => Step { sees: Some(number(saw)), leaves: None },
        Op::Write(value) => Step { sees: None, leaves: Some(number(value)) },
        Op::Swap { expected, value, told: None } => {
            Step { sees: Some(number(expected)), leaves: Some(number(&Some(value.clone()))) }
        }
        Op::Swap { expected, value, told: Some((done, previous)) } => {
            // Done just if it found what it expected.
            let sees = if *done == (expected == previous) { number(previous) } else { IMPOSSIBLE };
            Step { sees: Some(sees), leaves: done.then(|| number(&Some(value.clone()))) }
        }
    }
}

#[cfg(test)]
mod tests;
