//! What a connection can read, looked at again while that is in doubt.
//!
//! A refusal alone does not say who lost what: an advertiser that was removed and a user who lost all rights are refused
//! in the same words. The list of advertisers tells them apart, and it is read again in each cycle until what was lost is
//! back. What comes back is read again with its history: nothing that was delivered meanwhile is left out.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use connectors::PlatformAccount;
use domain::DayRange;
use domain::error_code::{Class, ErrorCode};
use domain::ids::ConnectionId;
use domain::pull::{HISTORY_DAYS, Kind};
use domain::report::Definition;
use store::account::{Account, Discovered, Status as AccountStatus};
use store::connection::Status;
use store::pull::Plan;

use super::harvest::Desk;
use crate::failure::{Error, chain};
use crate::onboarding::discovered;

/// What a look at the list of advertisers showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The connection can be used, and what can be read is what was known.
    Same,
    /// The connection can be used; advertisers came or went.
    Changed,
    /// Nothing can be read through the connection now.
    Unusable,
}

/// Whether something of the connection was lost and may be back.
pub(super) async fn is_in_doubt(desk: &Desk<'_>) -> Result<bool, Error> {
    Ok(desk.connection.status != Status::Healthy || chosen(desk).await?.iter().any(is_gone))
}

/// Reads the list of advertisers, and records what is lost and what is back.
pub(super) async fn look(desk: &Desk<'_>) -> Result<Standing, Error> {
    let listed = match list(desk).await {
        Ok(listed) => listed,
        Err(error @ connectors::Error::Storage { .. }) => return Err(error.into()),
        Err(error) => {
            let (passing, healthy) =
                (error.code().class() == Class::Transient, desk.connection.status == Status::Healthy);
            // What a person has to mend is not hidden by trouble that passes.
            if !passing || healthy {
                desk.trouble(&error, None).await?;
            }
            return Ok(if passing && healthy { Standing::Same } else { Standing::Unusable });
        }
    };
    let known = chosen(desk).await?;
    let visible: BTreeSet<&str> = listed.iter().map(|account| account.platform_id.as_str()).collect();
    let (back, lost): (Vec<&Account>, Vec<&Account>) = known
        .iter()
        .filter(|account| is_gone(account) == visible.contains(account.platform_id.as_str()))
        .partition(|account| is_gone(account));
    let mended = desk.connection.status != Status::Healthy;
    if !mended && back.is_empty() && lost.is_empty() {
        return Ok(Standing::Same);
    }
    let now = desk.now();
    let mut tx = desk.context.store.begin(desk.org).await?;
    for account in &lost {
        tracing::warn!(account.id = %account.id, "account {} is gone", account.id);
        store::account::mark_gone(&mut tx, account.id, ErrorCode::AccountGone, now).await?;
    }
    let found: Vec<Discovered> = listed.iter().cloned().map(discovered).collect();
    store::account::upsert_many(&mut tx, desk.connection.id, &found).await?;
    if mended {
        store::connection::mark_healthy(&mut tx, desk.connection.id).await?;
    }
    if mended || !back.is_empty() {
        read_again(&mut tx, desk.connection.id, desk.definitions.values(), now).await?;
    }
    tx.commit().await?;
    tracing::info!(
        connection.id = %desk.connection.id,
        "connection {}: {} advertisers came back, {} went", desk.connection.id, back.len(), lost.len()
    );
    Ok(Standing::Changed)
}

/// The advertisers that can be seen. A connection that could not be used is checked in full, reports included.
async fn list(desk: &Desk<'_>) -> Result<Vec<PlatformAccount>, connectors::Error> {
    let listed = desk.platform.list_accounts(&desk.access).await?;
    if listed.is_empty() {
        let (code, detail) = (ErrorCode::NoAccounts, "the user sees no advertiser any more".to_owned());
        return Err(connectors::Error::Configuration { code, detail, account: None });
    }
    if desk.connection.status != Status::Healthy {
        desk.platform.verify_access(&desk.access).await?;
    }
    Ok(listed)
}

/// Plans to read the history of all advertisers of a connection once more, and says how many reports that takes; days that
/// did not change cost nothing but the reading.
pub(crate) async fn read_again(
    tx: &mut store::Tx,
    connection: ConnectionId,
    definitions: impl Iterator<Item = &Definition>,
    now: DateTime<Utc>,
) -> Result<u32, Error> {
    let mut planned = 0;
    let accounts = store::account::list_readable(tx, connection).await?;
    let Some(today) = accounts.iter().map(|account| account.time_zone.day_at(now)).max() else { return Ok(0) };
    let accounts: Vec<String> = accounts.into_iter().map(|account| account.platform_id).collect();
    for definition in definitions {
        let (report, days, accounts) = (definition.id, DayRange::ending(today, HISTORY_DAYS), accounts.clone());
        let history = Plan { connection, report, kind: Kind::Backfill, days, accounts, not_before: None };
        planned += store::pull::plan_history(tx, &history, now).await?.into_iter().flatten().count();
    }
    Ok(u32::try_from(planned).unwrap_or(u32::MAX))
}

async fn chosen(desk: &Desk<'_>) -> Result<Vec<Account>, Error> {
    let mut tx = desk.context.store.begin(desk.org).await?;
    let accounts = store::account::list(&mut tx, Some(desk.connection.id)).await?;
    tx.commit().await?;
    Ok(accounts.into_iter().filter(|account| account.selected).collect())
}

fn is_gone(account: &Account) -> bool {
    account.status == AccountStatus::Gone
}

/// Where a failure of the platform is shown beside the step that it stopped.
impl Desk<'_> {
    /// Tells a failure of the connection or of the platform on the connection; `about` names the advertiser it met.
    pub(super) async fn trouble(&self, error: &connectors::Error, about: Option<&Account>) -> Result<(), Error> {
        let code = error.code();
        let the_connection_s = code.class() == Class::Configuration && error.account().is_none();
        if !the_connection_s && !is_the_platform_s(code) {
            return Ok(());
        }
        self.troubled.store(true, std::sync::atomic::Ordering::Relaxed);
        let detail = match about {
            Some(account) => format!("{}: {}", account.name, chain(error)),
            None => chain(error),
        };
        let mut tx = self.context.store.begin(self.org).await?;
        let known = store::connection::fetch(&mut tx, self.connection.id).await?.status;
        // What a person has to mend is not hidden by trouble that passes: reports and campaigns are read side by side.
        if is_the_platform_s(code) && matches!(known, Status::NeedsReauth | Status::NeedsPermission) {
            return Ok(());
        }
        store::connection::mark_problem(&mut tx, self.connection.id, code, Some(&detail), self.now()).await?;
        Ok(tx.commit().await?)
    }

    /// Takes the platform's passing trouble off the connection when nothing of it was met and no report waits for its end.
    pub(super) async fn no_trouble(&self, read: bool) -> Result<(), Error> {
        // What was ours to mend is mended when all went well now.
        let is_ours = |code| matches!(code, ErrorCode::Unexpected | ErrorCode::StorageUnavailable);
        let passes = |code| is_the_platform_s(code) || is_ours(code);
        let known = self.connection.problem.as_ref().is_some_and(|problem| passes(problem.code));
        if !known || !read || self.troubled.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(());
        }
        let now = self.now();
        let mut tx = self.context.store.begin(self.org).await?;
        let open = store::pull::list_open(&mut tx, Some(self.connection.id)).await?;
        let waits = |pull: &store::pull::Pull| {
            pull.not_before.is_some_and(|moment| moment > now) && pull.error_code.is_none_or(is_the_platform_s)
        };
        if !open.iter().any(waits) {
            store::connection::mark_healthy(&mut tx, self.connection.id).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// Trouble of the platform as a whole, which passes without anybody's doing.
const fn is_the_platform_s(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RateLimited
            | ErrorCode::PlatformUnavailable
            | ErrorCode::PlatformTimeout
            | ErrorCode::UnreadableAnswer
    )
}
