//! Scenarios that read as the specification: what runs, what is known, what the answer is.

mod completeness;
mod fixture;
mod matching;
mod mirrors;
mod numbers;
mod verdicts;
