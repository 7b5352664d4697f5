//! Campaigns, orders and lines, read again when what we know of them is older than a tick.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use connectors::{Access, AdPlatform};
use domain::ids::OrgId;
use store::account::Account;

use crate::context::{Context, account_ref};
use crate::failure::{Error, chain};

/// Younger than this, entities are not read again.
const FRESH: TimeDelta = TimeDelta::minutes(10);

/// Reads the entities of those accounts whose entities are not fresh.
///
/// An account that is gone is marked and left out; any other failure of the platform leaves what is known as it is, and
/// the next cycle tries again.
pub(super) async fn refresh(
    context: &Context,
    org: OrgId,
    platform: &Arc<dyn AdPlatform>,
    access: &Access,
    accounts: &[Account],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let stale = accounts.iter().filter(|account| account.entities_read_at.is_none_or(|read| now - read >= FRESH));
    for account in stale {
        match platform.list_entities(access, &account_ref(account)).await {
            Ok(entities) => {
                let mut tx = context.store.begin(org).await?;
                store::entity::upsert_many(&mut tx, account.id, &entities, now).await?;
                store::entity::archive_unlisted(&mut tx, account.id, now).await?;
                tx.commit().await?;
            }
            Err(error) if error.account().is_some() && error.code() == domain::ErrorCode::AccountGone => {
                let mut tx = context.store.begin(org).await?;
                store::account::mark_gone(&mut tx, account.id, error.code(), now).await?;
                tx.commit().await?;
                tracing::warn!(account.id = %account.id, "account {} is gone", account.id);
            }
            Err(error @ connectors::Error::Storage { .. }) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(account.id = %account.id, "entities were not read: {}", chain(&error));
                // A connection-wide refusal would meet every further account too.
                if error.account().is_none() {
                    return Err(error.into());
                }
            }
        }
    }
    Ok(())
}
