//! Keys: the master key, the data keys that it wraps, and what they seal.
//!
//! A secret is sealed with its organisation's data key ([`Vault`]); a data key is kept wrapped by a master key ([`Master`]),
//! which is in the environment, in a file, or in HashiCorp Vault's transit engine and never in the database.
//! [`rotation`] exchanges either while everything runs. [`Codec`] encrypts what the workflow engine keeps.
//!
//! Deliberately not here: what the secrets are for, and who may ask for one.

pub mod codec;
mod error;
mod key;
pub mod master;
pub mod places;
pub mod rotation;
mod transit;
pub mod vault;

pub use codec::Codec;
pub use error::{Error, Result};
pub use master::Master;
pub use transit::TransitError;
pub use vault::Vault;
