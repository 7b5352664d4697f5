//! Agreements: which version of the terms and of the privacy notice a person agreed to, and when.

use chrono::{DateTime, Utc};
use domain::ids::UserId;

use crate::error::Result;
use crate::store::Tx;

/// What people agree to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, strum::Display, strum::EnumString, strum::EnumIter,
)]
#[strum(serialize_all = "snake_case")]
pub enum Document {
    /// The terms of use.
    Terms,
    /// The privacy notice.
    Privacy,
}

/// Records that a member agreed to a version of a document. Agreeing twice changes nothing.
///
/// # Errors
/// [`crate::Error::Missing`] when the person is not a member.
pub async fn record(tx: &mut Tx, user: UserId, document: Document, version: &str, at: DateTime<Utc>) -> Result<()> {
    let org = tx.org();
    sqlx::query!(
        "INSERT INTO agreements (org_id, user_id, document, version, agreed_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
        org.uuid(),
        user.uuid(),
        document.to_string(),
        version,
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether a member agreed to each of these versions of documents.
///
/// # Errors
/// As any statement.
pub async fn are_given(tx: &mut Tx, user: UserId, wanted: &[(Document, &str)]) -> Result<bool> {
    let (documents, versions): (Vec<String>, Vec<String>) =
        wanted.iter().map(|(document, version)| (document.to_string(), (*version).to_owned())).unzip();
    let found = sqlx::query!(
        r#"SELECT NOT EXISTS (
               SELECT FROM unnest($2::text[], $3::text[]) w (document, version)
               WHERE NOT EXISTS (SELECT FROM agreements a
                                 WHERE a.user_id = $1 AND a.document = w.document AND a.version = w.version)
           ) AS "given!""#,
        user.uuid(),
        &documents,
        &versions,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(found.given)
}
