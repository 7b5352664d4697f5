//! Seals secrets before they are stored.
//!
//! AES-256-GCM with a data key of the organisation and a fresh 96-bit nonce per secret. What a secret belongs to
//! (organisation, row, purpose) and the key's version are authenticated with it, so that a sealed secret copied to another
//! row or organisation does not open.
//!
//! The form is `2 ‖ version of the data key (4 bytes) ‖ nonce (12 bytes) ‖ ciphertext and tag`. Secrets of before, sealed with
//! a master key itself as `1 ‖ nonce ‖ ciphertext and tag`, open until they are sealed anew.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use domain::Clock;
use domain::ids::OrgId;
use secrecy::{ExposeSecret as _, SecretString};
use store::Tx;
use store::data_key::{self, DataKey};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::key::Key;
use crate::master::{Master, Wrapped};

/// The form of secrets that a master key itself sealed.
pub(crate) const FIRST_FORM: u8 = 1;
const FORM: u8 = 2;
/// The form and the version of the key.
const HEAD_BYTES: usize = 5;
/// Data keys that a process remembers. When it has seen more it forgets all and unwraps them again.
const MOST_KEPT: usize = 10_000;
/// How often another process may be first to make an organisation's key.
const MOST_RACES: usize = 3;

/// Seals and opens secrets. Clones share the data keys that were unwrapped.
#[derive(Clone)]
pub struct Vault {
    pub(crate) master: Arc<Master>,
    pub(crate) clock: Arc<dyn Clock>,
    kept: Arc<Mutex<BTreeMap<(OrgId, u32), Kept>>>,
}

/// An unwrapped data key, and the wrapping that it came out of.
#[derive(Clone)]
struct Kept {
    wrapped: Vec<u8>,
    key: Key,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("master", &self.master).finish_non_exhaustive()
    }
}

impl Vault {
    /// A vault whose data keys these master keys wrap.
    #[must_use]
    pub fn new(master: Arc<Master>, clock: Arc<dyn Clock>) -> Self {
        Self { master, clock, kept: Arc::default() }
    }

    /// Seals a secret of the transaction's organisation for one place, to be stored in the same transaction: until that ends
    /// the key is not removed. An organisation without a key gets its first.
    ///
    /// # Errors
    /// When the key can't be had, or sealing fails.
    pub async fn seal(&self, tx: &mut Tx, place: &str, secret: &SecretString) -> Result<Vec<u8>> {
        self.seal_bytes(tx, place, secret.expose_secret().as_bytes()).await
    }

    /// Opens a secret that was sealed for the same place of the transaction's organisation.
    ///
    /// # Errors
    /// When the key can't be had, or the secret was changed or sealed for another place.
    pub async fn open(&self, tx: &mut Tx, place: &str, sealed: &[u8]) -> Result<SecretString> {
        let bytes = self.open_bytes(tx, place, sealed).await?;
        std::str::from_utf8(&bytes).map(SecretString::from).map_err(|_| Error::Open)
    }

    pub(crate) async fn seal_bytes(&self, tx: &mut Tx, place: &str, clear: &[u8]) -> Result<Vec<u8>> {
        let (version, key) = self.newest(tx).await?;
        let sealed = key.encrypt(&bound(tx.org(), place, version), clear).ok_or(Error::Seal)?;
        Ok([&head(version), sealed.as_slice()].concat())
    }

    pub(crate) async fn open_bytes(&self, tx: &mut Tx, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let org = tx.org();
        if let Some((&FIRST_FORM, rest)) = sealed.split_first() {
            return self.master.open_first_form(&format!("v{FIRST_FORM}|{org}|{place}"), rest);
        }
        let (version, rest) = parse(sealed).ok_or(Error::Open)?;
        let bound = bound(org, place, version);
        let kept = self.kept(org, version);
        if let Some(opened) = kept.as_ref().and_then(|kept| kept.key.decrypt(&bound, rest)) {
            return Ok(opened);
        }
        // A key that is not known, or not that one any more: a database that was restored has made others since.
        let row = data_key::find(tx, version).await?.ok_or(Error::NoDataKey { version })?;
        if kept.is_some_and(|kept| kept.wrapped == row.wrapped) {
            return Err(Error::Open);
        }
        self.unwrap(org, &row).await?.decrypt(&bound, rest).ok_or(Error::Open)
    }

    /// The key that seals, held until the end of the transaction.
    async fn newest(&self, tx: &mut Tx) -> Result<(u32, Key)> {
        for _ in 0..MOST_RACES {
            if let Some(row) = data_key::hold_newest(tx).await? {
                return Ok((row.version, self.unwrap(tx.org(), &row).await?));
            }
            // Not kept: the transaction may be rolled back, and then another key gets this number.
            self.make(tx, 1).await?;
        }
        Err(Error::NoDataKey { version: 1 })
    }

    /// Makes a data key; false when another process was first.
    pub(crate) async fn make(&self, tx: &mut Tx, version: u32) -> Result<bool> {
        let Wrapped { master, bytes } = self.master.wrap(&owner(tx.org(), version), &Key::new()).await?;
        Ok(data_key::create(tx, version, &bytes, &master, self.clock.now()).await?)
    }

    pub(crate) async fn unwrap(&self, org: OrgId, row: &DataKey) -> Result<Key> {
        if let Some(kept) = self.kept(org, row.version).filter(|kept| kept.wrapped == row.wrapped) {
            return Ok(kept.key);
        }
        let wrapped = Wrapped { master: row.master.clone(), bytes: row.wrapped.clone() };
        let key = self.master.unwrap(&owner(org, row.version), row.version, &wrapped).await?;
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_KEPT {
            all.clear();
        }
        all.insert((org, row.version), Kept { wrapped: wrapped.bytes, key: key.clone() });
        Ok(key)
    }

    fn kept(&self, org: OrgId, version: u32) -> Option<Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&(org, version)).cloned()
    }
}

/// What secrets that are sealed with a data key begin with.
pub(crate) const fn head(version: u32) -> [u8; HEAD_BYTES] {
    let [a, b, c, d] = version.to_be_bytes();
    [FORM, a, b, c, d]
}

fn parse(sealed: &[u8]) -> Option<(u32, &[u8])> {
    let ([FORM, a, b, c, d], rest) = sealed.split_first_chunk::<HEAD_BYTES>()? else { return None };
    Some((u32::from_be_bytes([*a, *b, *c, *d]), rest))
}

/// What is authenticated with a secret.
fn bound(org: OrgId, place: &str, version: u32) -> String {
    format!("v{FORM}|{org}|{place}|{version}")
}

/// What is authenticated with a data key.
pub(crate) fn owner(org: OrgId, version: u32) -> String {
    format!("data key|{org}|{version}")
}
