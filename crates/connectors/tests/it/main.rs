//! The connectors against a scripted platform over real sockets: what they send, and what they make of each answer.

#![allow(clippy::unwrap_used, reason = "a test that finds what it does not expect stops there")]

mod entities;
mod fake;
mod faults;
mod reports;
mod support;
mod tokens;
mod writes;
