//! Report definitions: what is asked of a platform again and again.

use domain::Platform;
use domain::ids::ReportId;
use domain::report::Definition;
use serde_json::Value;
use uuid::Uuid;

use crate::convert::{count, json, parsed, stored, to_json};
use crate::error::{Error, Result};
use crate::store::Tx;

/// The most definitions that an organisation's list has.
const LIST_MOST: i64 = 500;

/// Keeps a definition unless the organisation has one of this name for the platform; returns the id of the one it has.
///
/// # Errors
/// As any statement.
pub async fn ensure(tx: &mut Tx, definition: &Definition) -> Result<ReportId> {
    let Definition {
        id,
        platform,
        name,
        kind,
        columns,
        cadence_seconds,
        lookback_days,
        lookback_cadence_seconds,
        final_after_days,
    } = definition;
    let org = tx.org();
    sqlx::query!(
        "INSERT INTO report_definitions (org_id, id, platform, name, kind, columns, cadence_seconds, lookback_days,
                                         lookback_cadence_seconds, final_after_days)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (org_id, platform, name) DO NOTHING",
        org.uuid(),
        id.uuid(),
        platform.to_string(),
        name,
        kind,
        to_json("columns", columns)?,
        stored::<_, i32>("cadence_seconds", *cadence_seconds)?,
        stored::<_, i32>("lookback_days", *lookback_days)?,
        stored::<_, i32>("lookback_cadence_seconds", *lookback_cadence_seconds)?,
        stored::<_, i32>("final_after_days", *final_after_days)?,
    )
    .execute(tx.conn())
    .await?;
    let row =
        sqlx::query!("SELECT id FROM report_definitions WHERE platform = $1 AND name = $2", platform.to_string(), name)
            .fetch_one(tx.conn())
            .await?;
    Ok(row.id.into())
}

/// One definition.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: ReportId) -> Result<Definition> {
    let row = definitions!("WHERE id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "report definition" })?.try_into()
}

/// The definitions for a platform, by name.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx, platform: Platform) -> Result<Vec<Definition>> {
    let rows = definitions!("WHERE platform = $1 ORDER BY name LIMIT $2", platform.to_string(), LIST_MOST)
        .fetch_all(tx.conn())
        .await?;
    rows.into_iter().map(Definition::try_from).collect()
}

macro_rules! definitions {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            "SELECT id, platform, name, kind, columns, cadence_seconds, lookback_days, lookback_cadence_seconds,
                    final_after_days
             FROM report_definitions "
                + $which
            $(, $argument)*
        )
    };
}
use definitions;

struct Row {
    id: Uuid,
    platform: String,
    name: String,
    kind: String,
    columns: Value,
    cadence_seconds: i32,
    lookback_days: i32,
    lookback_cadence_seconds: i32,
    final_after_days: i32,
}

impl TryFrom<Row> for Definition {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row {
            id,
            platform,
            name,
            kind,
            columns,
            cadence_seconds,
            lookback_days,
            lookback_cadence_seconds,
            final_after_days,
        } = row;
        Ok(Self {
            id: id.into(),
            platform: parsed("platform", &platform)?,
            name,
            kind,
            columns: json("columns", columns)?,
            cadence_seconds: count("cadence_seconds", cadence_seconds)?,
            lookback_days: count("lookback_days", lookback_days)?,
            lookback_cadence_seconds: count("lookback_cadence_seconds", lookback_cadence_seconds)?,
            final_after_days: count("final_after_days", final_after_days)?,
        })
    }
}
