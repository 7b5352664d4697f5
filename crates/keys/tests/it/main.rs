//! Keys against a real PostgreSQL, and against a server that speaks as Vault's transit engine is documented to.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod codec;
mod harness;
mod rotation;
mod transit;
mod vault;
