//! What an organisation may have and ask for: asked in the transaction that makes the thing, refused in words.

use chrono::{DateTime, Utc};
use domain::ErrorCode;
use store::Tx;
use store::allowance::{self, UsedUp};
use uuid::Uuid;

use crate::app::App;
use crate::problem::{Error, Result};

/// Refuses a connection too many.
///
/// # Errors
/// [`Error::Refused`] with how many it may have.
pub async fn connection(app: &App, tx: &mut Tx, now: DateTime<Utc>) -> Result<()> {
    let allowed = allowance::connection(tx, app.settings.allowances.connections, now).await?;
    allowed.map_err(|UsedUp { most, .. }| {
        let are = if most == 1 { "is" } else { "are" };
        let detail = Some(format!("It may have {most} that {are} not given up."));
        Error::Refused { code: ErrorCode::ConnectionsUsedUp, detail }
    })
}

/// Refuses a run too many.
///
/// # Errors
/// [`Error::Limited`] with how many it may ask for, and when the next one may be.
pub async fn run(app: &App, tx: &mut Tx, subject: Uuid, now: DateTime<Utc>) -> Result<()> {
    let allowed = allowance::run(tx, app.settings.allowances.runs_per_hour, subject, now).await?;
    allowed.map_err(|UsedUp { most, free_at }| {
        let free_at = free_at.unwrap_or(now);
        let at = free_at.format("%H:%M:%S");
        let detail = format!("It may ask for {most} in an hour. The next one can be asked for at {at} UTC.");
        let wait = (free_at - now).to_std().unwrap_or_default();
        Error::Limited { code: ErrorCode::RunsUsedUp, detail, wait }
    })
}

/// Refuses to read more when as many rows were read today as may be.
///
/// # Errors
/// [`Error::Limited`] with how many may be read, and from when on more are.
pub async fn rows(app: &App, tx: &mut Tx, now: DateTime<Utc>) -> Result<()> {
    let allowed = allowance::rows(tx, app.settings.allowances.rows_per_day, now).await?;
    allowed.map_err(|used_up| {
        let wait = used_up.free_at.and_then(|free_at| (free_at - now).to_std().ok()).unwrap_or_default();
        Error::Limited { code: ErrorCode::RowsUsedUp, detail: rows_in_words(used_up), wait }
    })
}

/// How many rows may be read in a day.
#[must_use]
pub fn rows_in_words(UsedUp { most, .. }: UsedUp) -> String {
    format!("It is {most} a day; the report that went beyond it was still read.")
}
