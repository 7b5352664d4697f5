//! Secrets that are recognised and never stored: of each, its SHA-256. They are 256 bits of chance, so no slower hash is needed.

use sha2::{Digest as _, Sha256};

/// What is stored of a secret.
pub(crate) fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}
