//! Starter code, grading and mutants of the lab kit.
//!
//! Read in this order: [`labs`] (what the stages are), [`strip`] (from the reference to starter code),
//! then the way of a submission: [`submission`] -> [`scan`] -> [`build`] -> [`run`] -> [`report`], put
//! together in [`grade`]. [`mutants`] tests the tests with the same parts, [`soak`] the solution under many seeds.
//!
//! Rules:
//! - a submission is data. Only the files listed as editable are read, as regular files;
//! - an exit status or a printed line is no proof of a pass: see [`run`];
//! - a student's mistake, a caller's mistake and the grader's own trouble are three different things, and
//!   the last never costs a point: see [`error`].

pub mod build;
pub mod cargo;
pub mod check;
pub mod error;
pub mod grade;
pub mod json;
pub mod kit;
pub mod labs;
pub mod limit;
pub mod lists;
pub mod mutants;
pub mod process;
pub mod progress;
pub mod report;
pub mod run;
pub mod scan;
pub mod scratch;
pub mod soak;
pub mod starter;
pub mod strip;
pub mod submission;
pub mod tally;
pub mod text;
pub mod tree;
