//! Encrypts what workflows are given and give, so that the workflow engine keeps nothing that it can read.
//!
//! A payload is replaced by one of the encoding `binary/encrypted` that names its key: `nonce ‖ ciphertext and tag` of the
//! whole payload. The newest key encrypts, every key decrypts, and a payload that is not encrypted is passed through, so that
//! workflows go on that began before. Messages of failures are payloads too; workflow ids, names of types and search
//! attributes are not, and have to say nothing that the engine must not know.
//!
//! The keys are the deployment's own, wrapped by the master key as the organisations' are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::Clock;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use prost::Message as _;
use store::data_key::DataKey;
use store::{Store, deployment_key};
use temporalio_client::ClientOptions;
use temporalio_common::data_converters::{
    CommonAttributes, DataConverter, DefaultFailureConverter, PayloadCodec, PayloadConversionError, PayloadConverter,
    SerializationContextData,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_common::protos::temporal::api::failure::v1::Failure;

use crate::error::{Error, Result};
use crate::key::Key;
use crate::master::{Master, Wrapped};

/// The keys' name in the database.
pub(crate) const PAYLOADS: &str = "payloads";
const ENCODING: &str = "encoding";
const ENCRYPTED: &[u8] = b"binary/encrypted";
const KEY_ID: &str = "encryption-key-id";
/// How long a process may go on with a key after a newer one was made.
const LOOKS_AFTER: Duration = Duration::from_mins(1);
/// Processes that may be first to make the first key.
const MOST_RACES: usize = 5;

/// Encrypts and decrypts payloads. Clones share their keys.
#[derive(Clone)]
pub struct Codec(Arc<Keyring>);

struct Keyring {
    store: Store,
    master: Arc<Master>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

struct Known {
    keys: BTreeMap<u32, Key>,
    looked_at: Instant,
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec").field("master", &self.0.master).finish_non_exhaustive()
    }
}

impl Codec {
    /// Opens the keys; the first process of a deployment makes the first.
    ///
    /// # Errors
    /// When the keys can't be read, made or unwrapped.
    pub async fn open(store: Store, master: Arc<Master>, clock: Arc<dyn Clock>) -> Result<Self> {
        let codec = Self::unopened(store, master, clock);
        for _ in 0..MOST_RACES {
            if codec.0.look().await? > 0 {
                return Ok(codec);
            }
            codec.0.make(1).await?;
        }
        Err(Error::NoDataKey { version: 1 })
    }

    /// Without a look at the keys: for who keeps them, and is to be told which one can't be unwrapped.
    #[must_use]
    pub fn unopened(store: Store, master: Arc<Master>, clock: Arc<dyn Clock>) -> Self {
        let known = Mutex::new(Known { keys: BTreeMap::new(), looked_at: Instant::now() });
        Self(Arc::new(Keyring { store, master, clock, known }))
    }

    /// Makes a new key, which encrypts from now on: here at once, in other processes within a minute.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn rotate(&self) -> Result<u32> {
        loop {
            let newest = self.0.look().await?;
            if self.0.make(newest + 1).await? {
                return self.0.look().await;
            }
        }
    }

    /// Wraps the keys with the master key of this name, which is the one that wraps now. Says how many there were to wrap.
    ///
    /// # Errors
    /// When one can't be unwrapped or wrapped; those before it are done.
    pub async fn rewrap(&self, master: &str) -> Result<u64> {
        let mut done = 0;
        let Keyring { store, master: masters, clock, .. } = &*self.0;
        for row in deployment_key::list(store, PAYLOADS).await?.iter().filter(|row| row.master != master) {
            let key = self.0.unwrap(row).await?;
            let Wrapped { master, bytes } = masters.wrap(&owner(row.version), &key).await?;
            let now = clock.now();
            done += u64::from(deployment_key::rewrap(store, (PAYLOADS, row), &bytes, &master, now).await?);
        }
        Ok(done)
    }

    /// The keys, wrapped, oldest first.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn list(&self) -> Result<Vec<DataKey>> {
        Ok(deployment_key::list(&self.0.store, PAYLOADS).await?)
    }

    /// Removes the keys before a version, but never the newest; says how many. Histories that need them can't be read, and
    /// open workflows that do not go on.
    ///
    /// # Errors
    /// When they can't be removed.
    pub async fn forget_before(&self, version: u32) -> Result<u64> {
        Ok(deployment_key::remove_before(&self.0.store, PAYLOADS, version).await?)
    }

    /// What a client of the workflow engine is made with: everything that is sent is encrypted.
    #[must_use]
    pub fn client_options(&self, namespace: &str) -> ClientOptions {
        let failures = DefaultFailureConverter::new(true);
        let converter = DataConverter::new(PayloadConverter::default(), failures, self.clone());
        ClientOptions::new(namespace.to_owned()).data_converter(converter).build()
    }

    /// Encrypts payloads with the newest key.
    ///
    /// # Errors
    /// When encrypting fails.
    pub async fn encrypt(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>> {
        if payloads.is_empty() {
            return Ok(payloads);
        }
        let (version, key) = self.0.newest().await?;
        let encrypted = payloads.into_iter().map(|payload| {
            let data = key.encrypt(&bound(version), &payload.encode_to_vec()).ok_or(Error::Seal)?;
            let id = format!("{PAYLOADS}/{version}").into_bytes();
            let metadata = [(ENCODING.to_owned(), ENCRYPTED.to_vec()), (KEY_ID.to_owned(), id)].into();
            Ok(Payload { metadata, data, ..Payload::default() })
        });
        encrypted.collect()
    }

    /// Decrypts the payloads that are encrypted, and leaves the others as they are.
    ///
    /// # Errors
    /// When a key can't be had, or a payload was changed.
    pub async fn decrypt(&self, payloads: Vec<Payload>) -> Result<Vec<Payload>> {
        let mut decrypted = Vec::with_capacity(payloads.len());
        for payload in payloads {
            if payload.metadata.get(ENCODING).is_none_or(|encoding| encoding != ENCRYPTED) {
                decrypted.push(payload);
                continue;
            }
            let version = version(&payload).ok_or(Error::Open)?;
            let key = self.0.key(version).await?;
            let clear = key.decrypt(&bound(version), &payload.data).ok_or(Error::Open)?;
            decrypted.push(Payload::decode(clear.as_slice()).map_err(|_| Error::Open)?);
        }
        Ok(decrypted)
    }
}

impl Codec {
    /// A failure with its messages, which are payloads of their own, put back in their places. What can't be decrypted stays.
    pub async fn reveal(&self, mut failure: Failure) -> Failure {
        let mut next = Some(&mut failure);
        while let Some(one) = next {
            if let Some(payload) = one.encoded_attributes.clone()
                && let Ok(clear) = self.decrypt(vec![payload]).await
                && let Some(Ok(attributes)) =
                    clear.first().map(|payload| serde_json::from_slice::<CommonAttributes>(&payload.data))
            {
                (one.message, one.stack_trace) = (attributes.message, attributes.stack_trace);
            }
            next = one.cause.as_deref_mut();
        }
        failure
    }
}

impl PayloadCodec for Codec {
    fn encode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        let codec = self.clone();
        async move { codec.encrypt(payloads).await.map_err(failure) }.boxed()
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        let codec = self.clone();
        async move { codec.decrypt(payloads).await.map_err(failure) }.boxed()
    }
}

impl Keyring {
    /// The newest key. Who has not looked for a while looks; when that fails the one that is known is as good.
    async fn newest(&self) -> Result<(u32, Key)> {
        let is_due = {
            let mut known = self.known();
            let is_due = known.looked_at.elapsed() > LOOKS_AFTER;
            if is_due {
                // One looks for all, and while the database is away nobody else waits for it.
                known.looked_at = Instant::now();
            }
            is_due
        };
        if is_due && let Err(error) = self.look().await {
            tracing::warn!("the newest key for payloads is not known: {error}");
        }
        let known = self.known();
        let newest = known.keys.last_key_value().map(|(version, key)| (*version, key.clone()));
        newest.ok_or(Error::NoDataKey { version: 1 })
    }

    async fn key(&self, version: u32) -> Result<Key> {
        if let Some(key) = self.known().keys.get(&version) {
            return Ok(key.clone());
        }
        // Made since by another process.
        self.look().await?;
        self.known().keys.get(&version).cloned().ok_or(Error::NoDataKey { version })
    }

    /// Learns the keys that are not known yet; the newest version, 0 when there is none.
    async fn look(&self) -> Result<u32> {
        let rows = deployment_key::list(&self.store, PAYLOADS).await?;
        for row in &rows {
            if !self.known().keys.contains_key(&row.version) {
                let key = self.unwrap(row).await?;
                self.known().keys.insert(row.version, key);
            }
        }
        self.known().looked_at = Instant::now();
        Ok(rows.last().map_or(0, |row| row.version))
    }

    async fn make(&self, version: u32) -> Result<bool> {
        let Wrapped { master, bytes } = self.master.wrap(&owner(version), &Key::new()).await?;
        let now = self.clock.now();
        Ok(deployment_key::create(&self.store, (PAYLOADS, version), &bytes, &master, now).await?)
    }

    async fn unwrap(&self, row: &DataKey) -> Result<Key> {
        let wrapped = Wrapped { master: row.master.clone(), bytes: row.wrapped.clone() };
        self.master.unwrap(&owner(row.version), row.version, &wrapped).await
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failure(error: Error) -> PayloadConversionError {
    PayloadConversionError::EncodingError(error.into())
}

/// The version of the key that an encrypted payload names.
fn version(payload: &Payload) -> Option<u32> {
    let id = std::str::from_utf8(payload.metadata.get(KEY_ID)?).ok()?;
    id.strip_prefix(PAYLOADS)?.strip_prefix('/')?.parse().ok()
}

/// What is authenticated with a payload.
fn bound(version: u32) -> String {
    format!("payload|{version}")
}

/// What is authenticated with a key.
fn owner(version: u32) -> String {
    format!("deployment key|{PAYLOADS}|{version}")
}
