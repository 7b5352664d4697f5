//! Consents: a person on their way to a platform's consent page and back.
//!
//! The state that travels with them is kept as its SHA-256, the verifier and the code sealed. A consent is answered once
//! and exchanged once.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::ErrorCode;
use domain::ids::{ConnectionId, ConsentId, OrgId, UserId};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::convert::{error_code, parsed};
use crate::error::{Error, Result};
use crate::store::{Store, Tx};

/// What a consent is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Purpose {
    /// An onboarding makes a connection with it.
    Onboard,
    /// A connection that is in use gets a new authorisation.
    Reconnect,
}

/// A consent to be asked for.
#[derive(Clone)]
pub struct New {
    /// The connection that it is for.
    pub connection: ConnectionId,
    /// What it is asked for.
    pub purpose: Purpose,
    /// Who is asked.
    pub user: UserId,
    /// The state that the platform sends back.
    pub state: String,
    /// The sealed verifier.
    pub verifier: Vec<u8>,
    /// Where the platform sends the person back to.
    pub redirect_uri: String,
    /// When it is too late.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for New {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("New").field("connection", &self.connection).field("user", &self.user).finish_non_exhaustive()
    }
}

/// A consent.
#[derive(Clone, PartialEq, Eq)]
pub struct Consent {
    /// Its id.
    pub id: ConsentId,
    /// The connection that it is for.
    pub connection: ConnectionId,
    /// What it was asked for.
    pub purpose: Purpose,
    /// Who was asked.
    pub user: UserId,
    /// The sealed verifier; erased once it is exchanged.
    pub verifier: Option<Vec<u8>>,
    /// The sealed code; `None` before the person said yes, and erased once it is exchanged.
    pub code: Option<Vec<u8>>,
    /// Where the platform sends the person back to.
    pub redirect_uri: String,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it is too late.
    pub expires_at: DateTime<Utc>,
    /// When the person came back, with a code or without.
    pub answered_at: Option<DateTime<Utc>>,
    /// When the code was exchanged.
    pub exchanged_at: Option<DateTime<Utc>>,
    /// The sealed credentials that a reconnecting consent brought, until they are taken over or refused.
    pub credentials: Option<Vec<u8>>,
    /// When it was known what came of a reconnecting consent.
    pub closed_at: Option<DateTime<Utc>>,
    /// Why nothing came of it.
    pub error_code: Option<ErrorCode>,
    /// More about that.
    pub error_detail: Option<String>,
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consent")
            .field("id", &self.id)
            .field("connection", &self.connection)
            .field("answered_at", &self.answered_at)
            .field("exchanged_at", &self.exchanged_at)
            .finish_non_exhaustive()
    }
}

/// Records that a person is sent to the consent page.
///
/// # Errors
/// [`Error::Missing`] when there is no such connection.
pub async fn create(tx: &mut Tx, new: &New, at: DateTime<Utc>) -> Result<ConsentId> {
    let New { connection, purpose, user, state, verifier, redirect_uri, expires_at } = new;
    let (org, id) = (tx.org(), ConsentId::new());
    sqlx::query!(
        "INSERT INTO consents (org_id, id, connection_id, user_id, state_hash, verifier, redirect_uri, created_at, expires_at,
                               purpose)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        org.uuid(),
        id.uuid(),
        connection.uuid(),
        user.uuid(),
        state_hash(state),
        verifier,
        redirect_uri,
        at,
        expires_at,
        purpose.to_string(),
    )
    .execute(tx.conn())
    .await?;
    Ok(id)
}

/// Finds whose consent a state belongs to, before any organisation is known.
///
/// # Errors
/// As any statement.
pub async fn lookup(store: &Store, state: &str) -> Result<Option<(OrgId, ConsentId)>> {
    let row = sqlx::query!(r#"SELECT org_id AS "org_id!", id AS "id!" FROM consent_lookup($1)"#, state_hash(state))
        .fetch_optional(store.pool())
        .await?;
    Ok(row.map(|row| (row.org_id.into(), row.id.into())))
}

/// Keeps what the person came back with: a sealed code, or nothing when they said no. False when they had come back
/// before or it is too late.
///
/// # Errors
/// As any statement.
pub async fn answer(tx: &mut Tx, id: ConsentId, code: Option<&[u8]>, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE consents SET code = $2, answered_at = $3 WHERE id = $1 AND answered_at IS NULL AND expires_at > $3",
        id.uuid(),
        code,
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// One consent.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: ConsentId) -> Result<Consent> {
    let row = consents!("WHERE id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "consent" })?.try_into()
}

/// One consent, held until the end of the transaction.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn hold(tx: &mut Tx, id: ConsentId) -> Result<Consent> {
    let row = consents!("WHERE id = $1 FOR UPDATE", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "consent" })?.try_into()
}

/// The newest consent with which a person came back to renew a connection's authorisation.
///
/// # Errors
/// As any statement.
pub async fn newest_reconnect(tx: &mut Tx, connection: ConnectionId) -> Result<Option<Consent>> {
    let row = consents!(
        "WHERE connection_id = $1 AND purpose = 'reconnect' AND answered_at IS NOT NULL ORDER BY answered_at DESC LIMIT 1",
        connection.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Consent::try_from).transpose()
}

/// Uses a consent up and erases its secrets; false when it was used before.
///
/// # Errors
/// As any statement.
pub async fn mark_exchanged(tx: &mut Tx, id: ConsentId, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE consents SET exchanged_at = $2, code = NULL, verifier = NULL
         WHERE id = $1 AND code IS NOT NULL AND exchanged_at IS NULL",
        id.uuid(),
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Keeps what the code was exchanged for, sealed, until the connection takes it over; false when the consent is closed.
///
/// # Errors
/// As any statement.
pub async fn offer(tx: &mut Tx, id: ConsentId, credentials: &[u8]) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE consents SET credentials = $2 WHERE id = $1 AND closed_at IS NULL",
        id.uuid(),
        credentials
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Records what came of a reconnecting consent, without a code that the connection has taken it over, and erases its
/// secrets; false when that was known.
///
/// # Errors
/// As any statement.
pub async fn close(
    tx: &mut Tx,
    id: ConsentId,
    code: Option<ErrorCode>,
    detail: Option<&str>,
    at: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE consents
         SET closed_at = $2, error_code = $3, error_detail = $4, credentials = NULL, code = NULL, verifier = NULL
         WHERE id = $1 AND closed_at IS NULL",
        id.uuid(),
        at,
        code.map(ErrorCode::code),
        detail,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

fn state_hash(state: &str) -> Vec<u8> {
    Sha256::digest(state).to_vec()
}

macro_rules! consents {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            "SELECT id, connection_id, purpose, user_id, verifier, code, redirect_uri, created_at, expires_at, answered_at,
                    exchanged_at, credentials, closed_at, error_code, error_detail
             FROM consents "
                + $which
            $(, $argument)*
        )
    };
}
use consents;

struct Row {
    id: Uuid,
    connection_id: Uuid,
    purpose: String,
    user_id: Uuid,
    verifier: Option<Vec<u8>>,
    code: Option<Vec<u8>>,
    redirect_uri: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    answered_at: Option<DateTime<Utc>>,
    exchanged_at: Option<DateTime<Utc>>,
    credentials: Option<Vec<u8>>,
    closed_at: Option<DateTime<Utc>>,
    error_code: Option<String>,
    error_detail: Option<String>,
}

impl TryFrom<Row> for Consent {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row {
            id,
            connection_id,
            purpose,
            user_id,
            verifier,
            code,
            redirect_uri,
            created_at,
            expires_at,
            answered_at,
            exchanged_at,
            credentials,
            closed_at,
            error_code: code_text,
            error_detail,
        } = row;
        Ok(Self {
            id: id.into(),
            connection: connection_id.into(),
            purpose: parsed("purpose", &purpose)?,
            user: user_id.into(),
            verifier,
            code,
            redirect_uri,
            created_at,
            expires_at,
            answered_at,
            exchanged_at,
            credentials,
            closed_at,
            error_code: error_code(code_text.as_deref())?,
            error_detail,
        })
    }
}
