//! Seals secrets before they are stored.
//!
//! AES-256-GCM with a fresh 96-bit nonce per secret. What a secret belongs to (organisation, row, purpose) is
//! authenticated with it, so that a sealed secret copied to another row or organisation does not open.
//!
//! The form is `version (1 byte) ‖ nonce (12 bytes) ‖ ciphertext and tag`.

use std::fmt;

use aes_gcm::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::OrgId;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;

/// Why a secret could not be sealed or opened. Says nothing about the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The master key is not 32 bytes in base64.
    #[error("the master key must be 32 bytes in base64")]
    Key,
    /// Sealing failed.
    #[error("a secret could not be sealed")]
    Seal,
    /// The secret was changed, belongs to another row, or was sealed with another key.
    #[error("a sealed secret could not be opened")]
    Open,
}

/// Holds the master key.
#[derive(Clone)]
pub struct Vault {
    cipher: Aes256Gcm,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// A vault with this key.
    ///
    /// # Errors
    /// [`Error::Key`] when it is not 32 bytes in base64.
    pub fn new(master_key: &SecretString) -> Result<Self, Error> {
        let bytes = Zeroizing::new(STANDARD.decode(master_key.expose_secret().trim()).map_err(|_| Error::Key)?);
        let cipher = Aes256Gcm::new_from_slice(&bytes).map_err(|_| Error::Key)?;
        Ok(Self { cipher })
    }

    /// Seals a secret for one place: `purpose` names the table and the row.
    ///
    /// # Errors
    /// [`Error::Seal`].
    pub fn seal(&self, org: OrgId, purpose: &str, secret: &SecretString) -> Result<Vec<u8>, Error> {
        let nonce = Aes256Gcm::generate_nonce(&mut OsRng);
        let place = place(org, purpose);
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: place.as_bytes() };
        let sealed = self.cipher.encrypt(&nonce, payload).map_err(|_| Error::Seal)?;
        Ok([&[VERSION], nonce.as_slice(), &sealed].concat())
    }

    /// Opens a secret that was sealed for the same place.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn open(&self, org: OrgId, purpose: &str, sealed: &[u8]) -> Result<SecretString, Error> {
        let (version, rest) = sealed.split_first().ok_or(Error::Open)?;
        if *version != VERSION || rest.len() < NONCE_BYTES {
            return Err(Error::Open);
        }
        let (nonce, msg) = rest.split_at(NONCE_BYTES);
        let place = place(org, purpose);
        let payload = Payload { msg, aad: place.as_bytes() };
        let bytes = self.cipher.decrypt(Nonce::from_slice(nonce), payload).map_err(|_| Error::Open)?;
        String::from_utf8(bytes).map(Into::into).map_err(|_| Error::Open)
    }
}

/// The places that secrets are sealed for. Who seals and who opens must name the same one.
pub mod places {
    use domain::ids::{ConnectionId, ConsentId};

    /// A connection's refresh token.
    #[must_use]
    pub fn credentials(connection: ConnectionId) -> String {
        format!("connection/{connection}/credentials")
    }

    /// The proof key of a consent that is being asked for on behalf of a connection.
    #[must_use]
    pub fn verifier(connection: ConnectionId) -> String {
        format!("consent/{connection}/verifier")
    }

    /// The code of a consent that was given.
    #[must_use]
    pub fn code(consent: ConsentId) -> String {
        format!("consent/{consent}/code")
    }

    /// The refresh token that a consent brought and that no connection has taken over yet.
    #[must_use]
    pub fn offered(consent: ConsentId) -> String {
        format!("consent/{consent}/credentials")
    }
}

fn place(org: OrgId, purpose: &str) -> String {
    format!("v{VERSION}|{org}|{purpose}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault::new(&STANDARD.encode([byte; 32]).into()).unwrap()
    }

    #[test]
    fn a_secret_opens_where_it_was_sealed_and_nowhere_else() {
        let (vault, org) = (vault(1), OrgId::new());
        let sealed = vault.seal(org, "connection/1", &"refresh-token".into()).unwrap();
        assert_eq!(vault.open(org, "connection/1", &sealed).unwrap().expose_secret(), "refresh-token");
        assert_eq!(vault.open(OrgId::new(), "connection/1", &sealed).unwrap_err(), Error::Open);
        assert_eq!(vault.open(org, "connection/2", &sealed).unwrap_err(), Error::Open);
        assert_eq!(self::vault(2).open(org, "connection/1", &sealed).unwrap_err(), Error::Open);
    }

    #[test]
    fn a_changed_secret_does_not_open() {
        let (vault, org) = (vault(1), OrgId::new());
        let sealed = vault.seal(org, "p", &"secret".into()).unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(vault.open(org, "p", &changed).unwrap_err(), Error::Open);
        }
        assert_eq!(vault.open(org, "p", &[]).unwrap_err(), Error::Open);
    }

    #[test]
    fn the_same_secret_never_looks_the_same() {
        let (vault, org) = (vault(1), OrgId::new());
        let seal = || vault.seal(org, "p", &"secret".into()).unwrap();
        assert_ne!(seal(), seal());
        assert!(!seal().windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused() {
        assert_eq!(Vault::new(&"c2hvcnQ=".into()).unwrap_err(), Error::Key);
    }
}
