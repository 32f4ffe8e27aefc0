//! The rules of this repository, as tests: `cargo test -p raftkv-tidy`, part of `just verify`.
//!
//! A rule is a function from a [`Repo`] to the findings: one line each, with the place and what to do about
//! it. Beside each rule stand two kinds of tests: the repository keeps the rule, and the rule fires on a
//! small repository that breaks it. What clippy checks is not checked here again, nor are markers, mutants and
//! `labs/labs.toml`: `raftkv-grade check` reads those.
//!
//! | module | rules |
//! |---|---|
//! | [`sources`] | module docs, file length, features, the purity of the core, banned calls, no orphans |
//! | [`suites`] | every test in a stage suite says what it checks and opens its frame |
//! | [`docs`] | links, names of code and names of recipes in the docs lead somewhere |

pub mod docs;
pub mod markdown;
mod repo;
pub mod sources;
pub mod suites;

pub use repo::{Repo, assert_clean};
