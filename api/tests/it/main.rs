//! The API as browsers meet it: one binary, a database of its own for each test, no workflow engine.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod api_keys;
mod audit;
mod authorisation;
mod coverage;
mod document;
mod harness;
mod invitations;
mod limits;
mod mail_server;
mod onboarding;
mod organisations;
mod passwords;
mod problems;
mod requests;
mod second_factor;
mod sessions;
mod sso;
