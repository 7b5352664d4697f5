//! A database with an organisation in it, and master keys.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::clock::StoppedClock;
use domain::ids::OrgId;
use keys::{Master, Vault};
use runtime::MasterKeys;
use secrecy::SecretString;
use store::{Store, Tx, organisation};
use test_database::TestDatabase;

/// A database that is dropped with this value.
pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
    pub(crate) org: OrgId,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create("keys").await.unwrap();
        store::migrate(&database.url("clp_owner")).await.unwrap();
        let store = Store::connect(&database.url("clp_app"), 25).await.unwrap();
        let org = organisation(&store, "ada@agency.example").await;
        Self { database, store, org }
    }

    pub(crate) async fn tx(&self) -> Tx {
        self.store.begin(self.org).await.unwrap()
    }

    /// What a superuser sees.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        let mut admin =
            <sqlx::PgConnection as sqlx::Connection>::connect(&self.database.url("postgres")).await.unwrap();
        sqlx::query_scalar(query).fetch_all(&mut admin).await.unwrap()
    }
}

pub(crate) async fn organisation(store: &Store, email: &str) -> OrgId {
    let org = OrgId::new();
    let mut tx = store.begin(org).await.unwrap();
    let sign_up = organisation::SignUp {
        email: email.to_owned(),
        name: "Ada".to_owned(),
        password_hash: "$argon2id$…".to_owned(),
        organisation_name: "Agency".to_owned(),
        reporting_currency: "EUR".parse().unwrap(),
        time_zone: "Europe/Berlin".parse().unwrap(),
    };
    organisation::sign_up(&mut tx, &sign_up, noon()).await.unwrap();
    tx.commit().await.unwrap();
    org
}

pub(crate) fn noon() -> chrono::DateTime<chrono::Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// The master key of 32 times this byte.
pub(crate) fn key(byte: u8) -> SecretString {
    STANDARD.encode([byte; 32]).into()
}

/// A process that wraps with the first of these and may unwrap with the others.
pub(crate) fn local(bytes: &[u8]) -> Vault {
    let (current, old) = bytes.split_first().unwrap();
    vault(&MasterKeys {
        current: Some(key(*current)),
        old: old.iter().map(|byte| key(*byte)).collect(),
        ..MasterKeys::default()
    })
}

pub(crate) fn vault(settings: &MasterKeys) -> Vault {
    Vault::new(Arc::new(Master::new(settings).unwrap()), Arc::new(StoppedClock(noon())))
}
