//! One AES-256-GCM key: `nonce (12 bytes) ‖ ciphertext and tag`, a fresh nonce each time.

use std::fmt;

use aes_gcm::aead::rand_core::RngCore as _;
use aes_gcm::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use zeroize::Zeroizing;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// A key in clear. It is overwritten when it is dropped, and does not print.
#[derive(Clone)]
pub(crate) struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// A new one, by chance.
    pub(crate) fn new() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        OsRng.fill_bytes(bytes.as_mut_slice());
        Self(bytes)
    }

    /// The key of these bytes, if there are as many as it takes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if bytes.len() != KEY_BYTES {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// The key itself: only for who wraps it.
    pub(crate) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Encrypts; what is `bound` is authenticated with it and must be the same to decrypt.
    pub(crate) fn encrypt(&self, bound: &str, clear: &[u8]) -> Option<Vec<u8>> {
        let nonce = Aes256Gcm::generate_nonce(&mut OsRng);
        let sealed = self.cipher().encrypt(&nonce, Payload { msg: clear, aad: bound.as_bytes() }).ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts what [`Key::encrypt`] made.
    pub(crate) fn decrypt(&self, bound: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, msg) = sealed.split_at_checked(NONCE_BYTES)?;
        let payload = Payload { msg, aad: bound.as_bytes() };
        self.cipher().decrypt(Nonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(self.0.as_slice().into())
    }
}
