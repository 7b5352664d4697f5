//! Secrets that are handed out and recognised: 256 bits of chance. The store keeps their hashes only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::problem::{Error, Result};

const BYTES: usize = 32;

/// A new secret, as text that fits a cookie and an address.
///
/// # Errors
/// [`Error::Internal`] when the machine gives no chance.
pub fn new() -> Result<SecretString> {
    let mut bytes = [0_u8; BYTES];
    OsRng.try_fill_bytes(&mut bytes).map_err(Error::internal("make a secret"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes).into())
}

/// The S256 challenge of a PKCE verifier (RFC 7636).
#[must_use]
pub fn challenge(verifier: &SecretString) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_comes_twice_and_each_fits_a_verifier() {
        let (one, other) = (new().unwrap(), new().unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_eq!(one.expose_secret().len(), 43);
    }

    #[test]
    fn a_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
