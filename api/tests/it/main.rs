//! The API as browsers meet it: one binary, a database of its own for each test, no workflow engine.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod authorisation;
mod coverage;
mod document;
mod harness;
mod limits;
mod onboarding;
mod organisations;
mod problems;
mod requests;
mod sessions;
