//! A database of its own for each test, migrated by the owner and used as the application.

use chrono::{DateTime, Duration, Utc};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgConnection, PgPool};
use store::Store;
use test_database::TestDatabase;

/// The moment at which every test begins.
pub(crate) fn noon() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// Some minutes after the beginning.
pub(crate) fn after(minutes: i64) -> DateTime<Utc> {
    noon() + Duration::minutes(minutes)
}

/// A database that is dropped with this value.
pub(crate) struct Database {
    database: TestDatabase,
    /// The store, connected as the application.
    pub(crate) store: Store,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create("store").await.unwrap();
        store::migrate(&database.url("clp_owner")).await.unwrap();
        let store = Store::connect(&database.url("clp_app"), 25).await.unwrap();
        Self { database, store }
    }

    /// The URL by which a role reaches this database.
    pub(crate) fn url(&self, role: &str) -> String {
        self.database.url(role)
    }

    /// One connection as a role.
    pub(crate) async fn connect(&self, role: &str) -> PgConnection {
        PgConnection::connect(&self.url(role)).await.unwrap()
    }

    /// A pool of exactly one connection as the application: what leaks from one use to the next is seen.
    pub(crate) async fn one_connection(&self) -> PgPool {
        PgPoolOptions::new().max_connections(1).connect(&self.url("clp_app")).await.unwrap()
    }

    /// A number that a superuser sees, whatever the organisation.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut self.connect("postgres").await).await.unwrap()
    }
}
