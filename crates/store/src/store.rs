//! The connection pool, transactions that belong to one organisation, and migrations.

use std::fmt;
use std::time::Duration;

use domain::Origin;
use domain::ids::OrgId;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, Postgres, Transaction};

use crate::error::{Error, Result};
use crate::sqlstate;

/// How long a caller waits for a free connection before it is told that there is none.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);
/// No statement of ours takes this long; one that does is stopped by the server.
const STATEMENT_LIMIT: &str = "30s";
/// A connection that nobody used for so long is asked for a sign of life before it is used again.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// Statements are planned once for each connection. Whose rows are wanted is no part of a statement but of its transaction, so a
/// plan for given arguments would know hardly more, and planning a list with its joins takes ten times as long as reading it.
const PLAN_ONCE: &str = "force_generic_plan";
/// A transaction that is left open this long is ended by the server.
const IDLE_LIMIT: &str = "120s";

/// The control plane, as the application's role sees it.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Connects as the application's role.
    ///
    /// # Errors
    /// [`Error::PrivilegedRole`] when the role could look past row-level security; [`Error::Unavailable`].
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self> {
        let options = url.parse::<PgConnectOptions>()?.application_name("clp").options([
            ("statement_timeout", STATEMENT_LIMIT),
            ("idle_in_transaction_session_timeout", IDLE_LIMIT),
            ("plan_cache_mode", PLAN_ONCE),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(CONNECTION_WAIT)
            .test_before_acquire(false)
            .before_acquire(|connection, known| {
                Box::pin(async move {
                    if known.idle_for > TRUSTED_IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options)
            .await?;
        let store = Self { pool };
        store.refuse_privileges().await?;
        Ok(store)
    }

    /// Begins a transaction that sees one organisation's rows and no others.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn begin(&self, org: OrgId) -> Result<Tx> {
        // One message to the server instead of two; an id is digits and hyphens, whatever it is.
        let inner = self.pool.begin_with(format!("BEGIN; SET LOCAL app.org = '{}'", org.uuid())).await?;
        Ok(Tx { inner, org, origin: Origin::default(), failed: false })
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn ping(&self) -> Result<()> {
        sqlx::query!("SELECT 1 AS one").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// Ends all connections; what is under way is rolled back.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// For the few functions that work before an organisation is known.
    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    async fn refuse_privileges(&self) -> Result<()> {
        let role = sqlx::query!(
            r#"SELECT rolsuper OR rolbypassrls AS "privileged!" FROM pg_roles WHERE rolname = current_user"#
        )
        .fetch_one(&self.pool)
        .await?;
        if role.privileged { Err(Error::PrivilegedRole) } else { Ok(()) }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("connections", &self.pool.size()).finish_non_exhaustive()
    }
}

/// A transaction of one organisation. It happens as a whole at [`Tx::commit`], or not at all.
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    org: OrgId,
    origin: Origin,
    failed: bool,
}

impl Tx {
    /// The organisation whose rows it sees.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.org
    }

    /// From where what is done in it is done, for the audit trail.
    pub const fn set_origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    pub(crate) const fn origin(&self) -> Origin {
        self.origin
    }

    /// Makes everything done in it happen.
    ///
    /// PostgreSQL answers the COMMIT of a transaction in which a statement failed with a ROLLBACK and no error; so it is
    /// asked first.
    ///
    /// # Errors
    /// [`Error::Abandoned`] when something in it had failed; [`Error::OutcomeUnknown`] when COMMIT was not answered.
    pub async fn commit(mut self) -> Result<()> {
        if self.failed {
            return Err(Error::Abandoned);
        }
        sqlx::query!("SELECT 1 AS one").fetch_one(&mut *self.inner).await.map_err(sqlstate::abandoned_or)?;
        self.inner.commit().await.map_err(sqlstate::commit_error)
    }

    /// Undoes everything done in it; so does dropping it, a little later.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; what was done in it is undone all the same.
    pub async fn rollback(self) -> Result<()> {
        Ok(self.inner.rollback().await?)
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// Keeps the transaction from being committed after a part of a whole failed.
    pub(crate) const fn give_up(&mut self) {
        self.failed = true;
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("org", &self.org).field("failed", &self.failed).finish_non_exhaustive()
    }
}

/// Applies the migrations that are missing, as the role that owns the tables. Safe to run from several processes at once.
///
/// # Errors
/// [`Error::Migrate`]; [`Error::Unavailable`].
pub async fn migrate(owner_url: &str) -> Result<()> {
    let mut owner = PgConnection::connect(owner_url).await?;
    let applied = sqlx::migrate!("../../migrations").run(&mut owner).await;
    owner.close().await?;
    applied.map_err(|error| match error {
        MigrateError::Execute(source) if source.as_database_error().is_none() => source.into(),
        other => Error::Migrate(other),
    })
}
