//! Intents: workflows that are to be started. They are committed with what they belong to and started afterwards, by
//! whoever comes first; what a crash left unstarted is found and started by the sweeper.

use chrono::{DateTime, Utc};
use domain::ids::{IntentId, OrgId};
use uuid::Uuid;

use crate::convert::parsed;
use crate::error::{Error, Result};
use crate::store::{Store, Tx};

/// The most intents that one look finds.
pub const DUE_MOST: u32 = 500;

/// Which workflow is to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// An onboarding.
    Onboard,
    /// The first cycle of an onboarding, its subject.
    FirstIngest,
    /// A cycle that a person asked for; the subject is the request's own id.
    Ingest,
    /// A short cycle after another one, its subject, because a report is expected before the next tick.
    FollowUp,
    /// An evaluation that a person asked for.
    Evaluate,
    /// The write-back of a proposal.
    WriteBack,
    /// A connection is given the authorisation that a consent, its subject, brought.
    Reconnect,
}

/// A workflow that is to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// Its id.
    pub id: IntentId,
    /// Whose.
    pub org: OrgId,
    /// Which workflow.
    pub kind: Kind,
    /// The row that it works on; with the kind it names the workflow.
    pub subject: Uuid,
}

/// Records that a workflow is to be started. There is one intent for a kind and a subject, however often it is created.
///
/// # Errors
/// As any statement.
pub async fn create(
    tx: &mut Tx,
    kind: Kind,
    subject: Uuid,
    not_before: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Result<Intent> {
    let (org, id) = (tx.org(), IntentId::new());
    sqlx::query!(
        "INSERT INTO intents (org_id, id, kind, subject_id, created_at, not_before) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (org_id, kind, subject_id) DO NOTHING",
        org.uuid(),
        id.uuid(),
        kind.to_string(),
        subject,
        at,
        not_before,
    )
    .execute(tx.conn())
    .await?;
    let row = sqlx::query!("SELECT id FROM intents WHERE kind = $1 AND subject_id = $2", kind.to_string(), subject)
        .fetch_one(tx.conn())
        .await?;
    Ok(Intent { id: row.id.into(), org, kind, subject })
}

/// What is due to be started, of all organisations, the longest overdue first.
///
/// # Errors
/// As any statement.
pub async fn due(store: &Store, at: DateTime<Utc>, limit: u32) -> Result<Vec<Intent>> {
    let rows = sqlx::query!(
        r#"SELECT org_id AS "org_id!", id AS "id!", kind AS "kind!", subject_id AS "subject_id!" FROM intents_due($1, $2)"#,
        at,
        i32::try_from(limit.min(DUE_MOST)).unwrap_or(i32::MAX),
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            let (id, org, subject) = (row.id.into(), row.org_id.into(), row.subject_id);
            Ok(Intent { id, org, kind: parsed("kind", &row.kind)?, subject })
        })
        .collect()
}

/// Records that a workflow was started; false when that was known.
///
/// # Errors
/// As any statement.
pub async fn mark_started(tx: &mut Tx, id: IntentId, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!("UPDATE intents SET started_at = $2 WHERE id = $1 AND started_at IS NULL", id.uuid(), at)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() > 0)
}

/// What is not started yet in the organisation, oldest first.
///
/// # Errors
/// As any statement.
pub async fn list_unstarted(tx: &mut Tx) -> Result<Vec<Intent>> {
    let org = tx.org();
    let rows = sqlx::query!(
        "SELECT id, kind, subject_id FROM intents WHERE started_at IS NULL ORDER BY created_at, id LIMIT $1",
        i64::from(DUE_MOST)
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok(Intent { id: row.id.into(), org, kind: parsed("kind", &row.kind)?, subject: row.subject_id }))
        .collect()
}

/// One intent, with when it was started.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: IntentId) -> Result<(Intent, Option<DateTime<Utc>>)> {
    let org = tx.org();
    let row = sqlx::query!("SELECT id, kind, subject_id, started_at FROM intents WHERE id = $1", id.uuid())
        .fetch_optional(tx.conn())
        .await?
        .ok_or(Error::NotFound { noun: "intent" })?;
    let intent = Intent { id: row.id.into(), org, kind: parsed("kind", &row.kind)?, subject: row.subject_id };
    Ok((intent, row.started_at))
}

/// The organisations that are to have a schedule, in the order of their ids: a slice after an id.
///
/// # Errors
/// As any statement.
pub async fn organisations_with_schedule(store: &Store, after: Option<OrgId>, limit: u32) -> Result<Vec<OrgId>> {
    let rows = sqlx::query!(
        r#"SELECT org_id AS "org_id!" FROM organisations_with_schedule($1, $2)"#,
        after.map_or_else(Uuid::nil, OrgId::uuid),
        i32::try_from(limit.min(DUE_MOST)).unwrap_or(i32::MAX),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| row.org_id.into()).collect())
}
