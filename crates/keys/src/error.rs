//! What can go wrong with keys and secrets. Says nothing about any of them.

use crate::transit::TransitError;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a key could not be used, or a secret not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configured key is not a key.
    #[error("a master key must be 32 bytes in base64")]
    MasterKey,
    /// Nothing can wrap a data key.
    #[error("there is no master key: set CLP_MASTER_KEY or CLP_MASTER_KEY_FILE, or CLP_VAULT_ADDR for one in Vault")]
    NoMaster,
    /// A data key was wrapped by a master key that this process was not given.
    #[error(
        "a data key is wrapped by the master key {master}, which this process does not have: give it as an old one"
    )]
    UnknownMaster {
        /// The key's name.
        master: String,
    },
    /// A secret was sealed before there were data keys, with a master key that this process was not given, or it was changed.
    #[error("a secret that a master key itself sealed can't be opened: give the key that sealed it as an old one")]
    OpenFirstForm,
    /// The row of a data key is gone: the database is older than the secret, or the key was removed by hand.
    #[error("there is no data key of version {version}: the secret can't be opened any more, authorise again")]
    NoDataKey {
        /// The version that the secret names.
        version: u32,
    },
    /// A wrapped key was changed, or belongs to another organisation.
    #[error("the wrapped data key of version {version} was changed or belongs to somebody else")]
    Unwrap {
        /// Its version.
        version: u32,
    },
    /// Sealing failed.
    #[error("a secret could not be sealed")]
    Seal,
    /// The secret was changed, belongs to another row, or was sealed with another key.
    #[error("a sealed secret could not be opened")]
    Open,
    /// Vault did not do what it was asked.
    #[error("Vault's transit engine did not answer as it should")]
    Transit(#[from] TransitError),
    /// The control plane.
    #[error("the keys can't be read or written")]
    Store(#[from] store::Error),
}

impl Error {
    /// Whether trying again without a change to what is stored may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            // Another process was given the new master key a moment before this one.
            Self::UnknownMaster { .. } => true,
            Self::Transit(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
            Self::MasterKey
            | Self::NoMaster
            | Self::OpenFirstForm
            | Self::NoDataKey { .. }
            | Self::Unwrap { .. }
            | Self::Seal
            | Self::Open => false,
        }
    }
}
