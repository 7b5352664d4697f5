//! A database of its own for each test, migrated by the owner and used as the application.

use chrono::{DateTime, Duration, Utc};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use store::Store;
use uuid::Uuid;

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
    name: String,
    admin_url: String,
    /// The store, connected as the application.
    pub(crate) store: Store,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let admin_url = std::env::var("CLP_PG_ADMIN_URL")
            .expect("CLP_PG_ADMIN_URL is not set: these tests need a PostgreSQL, run them through bin/test");
        let name = format!("store_{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::connect(&admin_url).await.expect("the PostgreSQL of CLP_PG_ADMIN_URL answers");
        admin.execute(format!("CREATE DATABASE {name} OWNER clp_owner").as_str()).await.unwrap();
        admin.close().await.unwrap();
        store::migrate(&url_for(&admin_url, "clp_owner", &name)).await.unwrap();
        let store = Store::connect(&url_for(&admin_url, "clp_app", &name), 25).await.unwrap();
        Self { name, admin_url, store }
    }

    /// The URL by which a role reaches this database.
    pub(crate) fn url(&self, role: &str) -> String {
        url_for(&self.admin_url, role, &self.name)
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

impl Drop for Database {
    fn drop(&mut self) {
        let (url, drop) = (self.admin_url.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&url).await?;
                admin.execute(drop.as_str()).await
            })?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
        // A database that is left over harms nobody: the server is thrown away with the test run.
        gone.join().ok();
    }
}

/// All roles have the superuser's password on a test server.
fn url_for(admin_url: &str, role: &str, database: &str) -> String {
    let (scheme, rest) = admin_url.split_once("://").expect("a URL");
    let (user, rest) = rest.split_once(':').expect("a user with a password");
    let (host, _) = rest.rsplit_once('/').expect("a database");
    let role = if role == "postgres" { user } else { role };
    format!("{scheme}://{role}:{host}/{database}")
}
