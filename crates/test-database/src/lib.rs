//! A database of its own for a test, on the server that `bin/test` starts; it is dropped with the value that stands for it.
//!
//! It is empty: whoever makes it migrates it, as the role `clp_owner`.

use sqlx::{Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

/// The superuser's URL of the tests' server.
const SERVER: &str = "CLP_PG_ADMIN_URL";

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// A database that belongs to `clp_owner`.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    admin_url: String,
}

impl TestDatabase {
    /// Makes a database whose name begins with `prefix`.
    ///
    /// # Errors
    /// When the tests' server is not named, can't be reached or refuses.
    pub async fn create(prefix: &str) -> Result<Self, Error> {
        let unnamed =
            |_| Error(format!("{SERVER} is not set: these tests need a PostgreSQL, run them through bin/test"));
        let admin_url = std::env::var(SERVER).map_err(unnamed)?;
        let name = format!("{prefix}_{}", Uuid::now_v7().simple());
        let made = run(&admin_url, &format!("CREATE DATABASE {name} OWNER clp_owner")).await;
        made.map_err(|error| Error(format!("the PostgreSQL of {SERVER} makes no database: {error}")))?;
        Ok(Self { name, admin_url })
    }

    /// The URL by which a role reaches it. All roles have the superuser's password on a test server.
    #[must_use]
    pub fn url(&self, role: &str) -> String {
        let (server, _) = self.admin_url.rsplit_once('/').unwrap_or((&self.admin_url, ""));
        let server = server.replacen("//postgres:", &format!("//{role}:"), 1);
        format!("{server}/{}", self.name)
    }

    /// Runs statements in it as a superuser.
    ///
    /// # Errors
    /// When one of them fails.
    pub async fn execute(&self, statements: &str) -> Result<(), Error> {
        let done = run(&self.url("postgres"), statements).await;
        done.map_err(|error| Error(format!("`{statements}` failed: {error}")))
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (url, drop) = (self.admin_url.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(&url, &drop))?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
        // A database that is left over harms nobody: the server is thrown away with the test run.
        gone.join().ok();
    }
}

async fn run(url: &str, statement: &str) -> Result<(), sqlx::Error> {
    let mut admin = PgConnection::connect(url).await?;
    admin.execute(statement).await?;
    admin.close().await
}
