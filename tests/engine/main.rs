//! The contract of every engine.
