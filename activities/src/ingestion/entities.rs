//! Campaigns, orders and lines, read again when what we know of them is older than a tick.

use std::ops::ControlFlow;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ErrorCode;
use futures::{FutureExt as _, StreamExt as _, stream};
use store::account::Account;

use super::harvest::Desk;
use super::history;
use crate::context::account_ref;
use crate::failure::{Error, chain};

/// Younger than this, entities are not read again.
const FRESH: TimeDelta = TimeDelta::minutes(10);
/// Accounts whose entities are read at the same time: one that is slow does not keep the others waiting.
const SIDE_BY_SIDE: usize = 4;

/// What came of reading entities.
#[derive(Debug, Default)]
pub(super) struct Refreshed {
    /// Whether any account was read.
    pub(super) read: bool,
    /// Whether an account was refused as if it were gone.
    pub(super) doubtful: bool,
    /// What stops the connection as a whole.
    pub(super) stopped: Option<connectors::Error>,
}

/// Reads the entities of those accounts whose entities are not fresh. A failure leaves what is known as it is, and the
/// next cycle tries again.
pub(super) async fn refresh(desk: &Desk<'_>, now: DateTime<Utc>) -> Result<Refreshed, Error> {
    let stale = desk.accounts.iter().filter(|account| account.entities_read_at.is_none_or(|read| now - read >= FRESH));
    let work: Vec<_> = stale.map(|account| read(desk, account, now).boxed()).collect();
    let mut outcomes = stream::iter(work).buffer_unordered(SIDE_BY_SIDE);
    let mut refreshed = Refreshed::default();
    while let Some(outcome) = outcomes.next().await {
        match outcome? {
            ControlFlow::Continue(outcome) => {
                refreshed.read |= outcome == Outcome::Read;
                refreshed.doubtful |= outcome == Outcome::Refused;
            }
            // A connection-wide refusal would meet every further account too.
            ControlFlow::Break(error) => {
                refreshed.stopped = Some(error);
                break;
            }
        }
    }
    if refreshed.read {
        history::plan(desk, now).await?;
    }
    Ok(refreshed)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Read,
    Refused,
    Failed,
}

async fn read(
    desk: &Desk<'_>,
    account: &Account,
    now: DateTime<Utc>,
) -> Result<ControlFlow<connectors::Error, Outcome>, Error> {
    match desk.platform.list_entities(&desk.access, &account_ref(account)).await {
        Ok(entities) => {
            let mut tx = desk.context.store.begin(desk.org).await?;
            store::entity::upsert_many(&mut tx, account.id, &entities, now).await?;
            store::entity::archive_unlisted(&mut tx, account.id, now).await?;
            tx.commit().await?;
            Ok(ControlFlow::Continue(Outcome::Read))
        }
        Err(error) if error.account().is_some() && error.code() == ErrorCode::AccountGone => {
            Ok(ControlFlow::Continue(Outcome::Refused))
        }
        Err(error @ connectors::Error::Storage { .. }) => Err(error.into()),
        Err(error) if error.account().is_none() => Ok(ControlFlow::Break(error)),
        Err(error) => {
            tracing::warn!(account.id = %account.id, "entities were not read: {}", chain(&error));
            desk.trouble(&error, Some(account)).await?;
            Ok(ControlFlow::Continue(Outcome::Failed))
        }
    }
}
