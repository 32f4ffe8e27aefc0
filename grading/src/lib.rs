//! Starter code, grading and mutants of the lab kit.
