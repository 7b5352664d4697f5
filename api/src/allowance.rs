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
