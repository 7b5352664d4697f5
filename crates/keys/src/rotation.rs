//! Exchanges keys while everything runs: wraps data keys with another master key, seals secrets with another data key.
//!
//! Every step is a short transaction of its own and every change a compare-and-swap, so a rotation can be killed at any line
//! and repeated, and two of them at once do no harm. A key is removed only when nothing is sealed with it.

use std::collections::BTreeMap;

use domain::ids::OrgId;
use store::data_key::{self, DataKey};
use store::sealed::{self, Owner, Sealed};
use store::{Store, Tx, deployment_key};

use crate::codec::PAYLOADS;
use crate::error::{Error, Result};
use crate::master::Wrapped;
use crate::places;
use crate::vault::{FIRST_FORM, Vault, head, owner};

/// Sealed secrets that are read at a time.
const AT_ONCE: u32 = 100;
/// How often the secrets are gone through: what a transaction sealed with the key of before it knew of the new one is
/// found in the next pass.
const MOST_PASSES: usize = 10;

/// How an organisation's secrets are sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Its data keys, oldest first, and how many secrets each seals.
    pub keys: Vec<(DataKey, u64)>,
    /// Secrets that a master key itself sealed, before there were data keys.
    pub first_form: u64,
}

/// What sealing anew came to.
#[derive(Debug, Default)]
pub struct Resealed {
    /// Secrets that are sealed with the newest key now.
    pub secrets: u64,
    /// Data keys that were removed, as nothing is sealed with them any more.
    pub removed: Vec<u32>,
    /// Secrets that can't be opened. They are left as they are, and so are their keys.
    pub stuck: Vec<(Owner, Error)>,
    /// Older data keys that are still in use.
    pub kept: Vec<u32>,
}

/// How an organisation's secrets are sealed.
///
/// # Errors
/// When the store can't be asked.
pub async fn state(store: &Store, org: OrgId) -> Result<State> {
    let mut tx = store.begin(org).await?;
    let mut keys = Vec::new();
    for key in data_key::list(&mut tx).await? {
        let secrets = sealed::count_with(&mut tx, &head(key.version)).await?;
        keys.push((key, secrets));
    }
    Ok(State { keys, first_form: sealed::count_with(&mut tx, &[FIRST_FORM]).await? })
}

/// How many keys each master key wraps, and under the name of `None` how many secrets one of them sealed itself.
///
/// # Errors
/// When the store can't be asked.
pub async fn masters_in_use(store: &Store) -> Result<BTreeMap<Option<String>, u64>> {
    let mut uses = BTreeMap::new();
    for key in deployment_key::list(store, PAYLOADS).await? {
        *uses.entry(Some(key.master)).or_default() += 1;
    }
    for org in data_key::organisations(store).await? {
        let State { keys, first_form } = state(store, org).await?;
        for (key, _) in keys {
            *uses.entry(Some(key.master)).or_default() += 1;
        }
        if first_form > 0 {
            *uses.entry(None).or_default() += first_form;
        }
    }
    Ok(uses)
}

impl Vault {
    /// Wraps the data keys of an organisation with the master key of this name, which is the one that wraps now. Says how
    /// many there were to wrap.
    ///
    /// # Errors
    /// When a key can't be unwrapped or wrapped; those before it are done.
    pub async fn rewrap(&self, store: &Store, org: OrgId, master: &str) -> Result<u64> {
        let mut done = 0;
        let mut tx = store.begin(org).await?;
        let keys = data_key::list(&mut tx).await?;
        tx.commit().await?;
        for key in keys.iter().filter(|key| key.master != master) {
            let mut tx = store.begin(org).await?;
            let clear = self.unwrap(org, key).await?;
            let Wrapped { master, bytes } = self.master.wrap(&owner(org, key.version), &clear).await?;
            done += u64::from(data_key::rewrap(&mut tx, key, &bytes, &master, self.clock.now()).await?);
            tx.commit().await?;
        }
        Ok(done)
    }

    /// Makes a new data key, which seals from now on.
    ///
    /// # Errors
    /// When it can't be wrapped or stored.
    pub async fn add_key(&self, store: &Store, org: OrgId) -> Result<u32> {
        loop {
            let mut tx = store.begin(org).await?;
            let newest = data_key::hold_newest(&mut tx).await?.map_or(0, |key| key.version);
            let made = self.make(&mut tx, newest + 1).await?;
            tx.commit().await?;
            if made {
                return Ok(newest + 1);
            }
        }
    }

    /// Seals every secret of an organisation with its newest data key, one after the other, and removes the keys that
    /// nothing is sealed with any more.
    ///
    /// # Errors
    /// When the store or the newest key fails; what was done so far stays.
    pub async fn reseal(&self, store: &Store, org: OrgId) -> Result<Resealed> {
        let mut outcome = Resealed::default();
        let state = state(store, org).await?;
        if state.keys.is_empty() && state.first_form > 0 {
            self.add_key(store, org).await?;
        }
        for _ in 0..MOST_PASSES {
            outcome.stuck.clear();
            self.pass(store, org, &mut outcome).await?;
            (outcome.removed, outcome.kept) = {
                let (mut removed, kept) = self.remove_unused(store, org).await?;
                removed.splice(0..0, outcome.removed);
                (removed, kept)
            };
            if outcome.kept.is_empty() || !outcome.stuck.is_empty() {
                break;
            }
        }
        Ok(outcome)
    }

    /// Goes through all secrets once.
    async fn pass(&self, store: &Store, org: OrgId, outcome: &mut Resealed) -> Result<()> {
        let mut after = None;
        loop {
            let mut tx = store.begin(org).await?;
            let Some(newest) = data_key::hold_newest(&mut tx).await? else { return Ok(()) };
            let others = sealed::list_others(&mut tx, &head(newest.version), after, AT_ONCE).await?;
            tx.commit().await?;
            let Some(last) = others.last() else { return Ok(()) };
            after = Some(last.owner);
            for stored in &others {
                let mut tx = store.begin(org).await?;
                match self.reseal_one(&mut tx, stored).await {
                    Ok(swapped) => {
                        tx.commit().await?;
                        outcome.secrets += u64::from(swapped);
                    }
                    Err(error) if is_the_secret_s(&error) => outcome.stuck.push((stored.owner, error)),
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Seals one secret anew in its place; false when it changed meanwhile.
    async fn reseal_one(&self, tx: &mut Tx, stored: &Sealed) -> Result<bool> {
        let place = places::of(stored.owner);
        let clear = self.open_bytes(tx, &place, &stored.bytes).await?;
        let anew = self.seal_bytes(tx, &place, &clear).await?;
        Ok(sealed::swap(tx, stored, &anew).await?)
    }

    /// Removes the keys before the newest that nothing is sealed with; also says which are in use. Transactions that seal
    /// with one of them are waited for, and what they sealed is counted.
    async fn remove_unused(&self, store: &Store, org: OrgId) -> Result<(Vec<u32>, Vec<u32>)> {
        let (mut removed, mut kept) = (Vec::new(), Vec::new());
        let mut tx = store.begin(org).await?;
        for version in data_key::lock_older(&mut tx).await? {
            if sealed::count_with(&mut tx, &head(version)).await? > 0 {
                kept.push(version);
            } else {
                data_key::remove(&mut tx, version).await?;
                removed.push(version);
            }
        }
        tx.commit().await?;
        Ok((removed, kept))
    }
}

/// Whether an error is about one secret, and not about the keys or the store.
const fn is_the_secret_s(error: &Error) -> bool {
    matches!(error, Error::Open | Error::OpenFirstForm | Error::NoDataKey { .. } | Error::Unwrap { .. })
}
