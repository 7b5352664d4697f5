//! The steps that renew a connection's authorisation. Each can be repeated; until the last transaction the one in force
//! stays in force.

use std::collections::BTreeSet;
use std::sync::Arc;

use connectors::{Access, PlatformAccount};
use domain::error_code::{Class, ErrorCode};
use futures::FutureExt as _;
use keys::places;
use serde_json::json;
use store::account::{Account, Discovered, Status as AccountStatus};
use store::connection::{Authorisation, Connection};
use store::consent::Consent;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use workflows::contract::connection::{GiveUpReconnectV1, ReconnectV1, defs};
use workflows::contract::onboarding::StepV1;

use crate::context::Context;
use crate::failure::{Error, chain, failure};
use crate::heartbeat::{beating, finishing};
use crate::ingestion::read_again;
use crate::onboarding::{discovered, record, redeem, vault};
use crate::ports;

/// Implements [`workflows::contract::connection`].
pub struct ConnectionActivities(pub(crate) Arc<Context>);

#[activities]
impl ConnectionActivities {
    #[activity(definition = defs::Exchange)]
    pub async fn exchange(self: Arc<Self>, ctx: ActivityContext, input: ReconnectV1) -> Result<StepV1, ActivityError> {
        // A code works once: what it was exchanged for is kept, whoever waits for it.
        finishing(ctx, async move { exchange(&self.0, &input).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::Adopt)]
    pub async fn adopt(self: Arc<Self>, ctx: ActivityContext, input: ReconnectV1) -> Result<StepV1, ActivityError> {
        beating(ctx, async move { adopt(&self.0, &input).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::GiveUp)]
    pub async fn give_up(self: Arc<Self>, ctx: ActivityContext, input: GiveUpReconnectV1) -> Result<(), ActivityError> {
        beating(ctx, async move { give_up(&self.0, &input).await.map_err(failure) }.boxed()).await
    }
}

/// Exchanges the code, once: a consent that has its credentials is left as it is.
async fn exchange(context: &Context, input: &ReconnectV1) -> Result<StepV1, Error> {
    let (consent, connection) = read(context, input).await?;
    if let Some(known) = outcome(&consent) {
        return Ok(known);
    }
    if consent.exchanged_at.is_some() {
        return Ok(StepV1::Done { count: 1 });
    }
    if consent.code.is_none() {
        return refuse(context, input, ErrorCode::ConsentDenied, "the consent was not given").await;
    }
    let credentials = match redeem(context, input.org, &connection, input.consent).await {
        Ok(credentials) => credentials,
        Err(Error::Platform(error)) => return needs_person(context, input, error).await,
        Err(error) => return Err(error),
    };
    let place = places::offered(input.consent);
    let mut tx = context.store.begin(input.org).await?;
    let sealed = ports::seal_credentials(&context.vault, &mut tx, &place, &credentials).await.map_err(vault)?;
    store::consent::offer(&mut tx, input.consent, &sealed).await?;
    store::consent::mark_exchanged(&mut tx, input.consent, context.clock.now()).await?;
    tx.commit().await?;
    Ok(StepV1::Done { count: 1 })
}

async fn read(context: &Context, input: &ReconnectV1) -> Result<(Consent, Connection), Error> {
    let mut tx = context.store.begin(input.org).await?;
    let consent = store::consent::fetch(&mut tx, input.consent).await?;
    Ok((consent, store::connection::fetch(&mut tx, input.connection).await?))
}

/// What came of a consent, once that is known.
fn outcome(consent: &Consent) -> Option<StepV1> {
    consent.closed_at?;
    Some(consent.error_code.map_or(StepV1::Done { count: 0 }, |code| StepV1::NeedsPerson { code }))
}

/// A failure that a person can mend is told on the consent's row; any other is the engine's to try again.
async fn needs_person(context: &Context, input: &ReconnectV1, error: connectors::Error) -> Result<StepV1, Error> {
    let code = error.code();
    if code.class() == Class::Transient {
        return Err(error.into());
    }
    refuse(context, input, code, &chain(&error)).await
}

async fn refuse(context: &Context, input: &ReconnectV1, code: ErrorCode, detail: &str) -> Result<StepV1, Error> {
    let id = input.connection;
    tracing::warn!(connection.id = %id, error.code = %code, "connection {id} keeps its authorisation: {detail}");
    let mut tx = context.store.begin(input.org).await?;
    store::consent::close(&mut tx, input.consent, Some(code), Some(detail), context.clock.now()).await?;
    tx.commit().await?;
    Ok(StepV1::NeedsPerson { code })
}

/// Puts the new authorisation in force when it reaches the advertisers that are read.
async fn adopt(context: &Context, input: &ReconnectV1) -> Result<StepV1, Error> {
    let (consent, connection) = read(context, input).await?;
    if let Some(known) = outcome(&consent) {
        return Ok(known);
    }
    let (platform, access) = (context.platform(&connection)?, offered_access(context, input, &connection));
    let verified = match platform.verify_access(&access).await {
        Ok(verified) => verified,
        Err(error) => return needs_person(context, input, error).await,
    };
    if !verified.missing.is_empty() {
        let detail = format!("not granted: {}", verified.missing.join(", "));
        return refuse(context, input, ErrorCode::ScopesMissing, &detail).await;
    }
    let listed = match platform.list_accounts(&access).await {
        Ok(listed) => listed,
        Err(error) => return needs_person(context, input, error).await,
    };
    let known = chosen(context, input).await?;
    let visible: BTreeSet<&str> = listed.iter().map(|account| account.platform_id.as_str()).collect();
    let (seen, unseen): (Vec<&Account>, Vec<&Account>) =
        known.iter().partition(|account| visible.contains(account.platform_id.as_str()));
    if seen.len() < unseen.len() {
        let detail = format!("It sees {} of {} advertisers.", seen.len(), known.len());
        return refuse(context, input, ErrorCode::OtherAccount, &detail).await;
    }
    let pulls = put_in_force(context, input, &connection, &listed, &unseen).await?;
    context.forget_access(input.org, input.connection).await;
    Ok(StepV1::Done { count: pulls })
}

/// The new authorisation, which is not in force yet.
fn offered_access(context: &Context, input: &ReconnectV1, connection: &Connection) -> Access {
    let (org, consent) = (input.org, input.consent);
    let keeper = ports::OfferedPort { store: context.store.clone(), vault: context.vault.clone(), org, consent };
    Access::new(Arc::new(keeper), context.quota(connection))
}

/// The advertisers that are read through the connection.
async fn chosen(context: &Context, input: &ReconnectV1) -> Result<Vec<Account>, Error> {
    let mut tx = context.store.begin(input.org).await?;
    let accounts = store::account::list(&mut tx, Some(input.connection)).await?;
    Ok(accounts.into_iter().filter(|account| account.selected && account.status != AccountStatus::Gone).collect())
}

/// All of it in one transaction: credentials, advertisers, what was missed, the cycle that reads it, the audit line.
async fn put_in_force(
    context: &Context,
    input: &ReconnectV1,
    connection: &Connection,
    listed: &[PlatformAccount],
    unseen: &[&Account],
) -> Result<u32, Error> {
    let (now, id) = (context.clock.now(), input.connection);
    let mut tx = context.store.begin(input.org).await?;
    let consent = store::consent::hold(&mut tx, input.consent).await?;
    let Some(offered) = &consent.credentials else { return Err(Error::Over { what: "reconnection" }) };
    let resealed = ports::reseal(&context.vault, &mut tx, input.consent, id, offered).await;
    let (credentials, scopes) = resealed.map_err(vault)?;
    let authorisation = Authorisation { credentials, scopes, by: consent.user };
    store::connection::authorise(&mut tx, id, &authorisation, now).await?;
    for account in unseen {
        store::account::mark_gone(&mut tx, account.id, ErrorCode::AccountGone, now).await?;
    }
    let found: Vec<Discovered> = listed.iter().cloned().map(discovered).collect();
    store::account::upsert_many(&mut tx, id, &found).await?;
    let definitions = store::report::list(&mut tx, connection.platform).await?;
    let pulls = read_again(&mut tx, id, definitions.iter(), now).await?;
    store::intent::create(&mut tx, store::intent::Kind::Ingest, input.consent.uuid(), now, now).await?;
    store::consent::close(&mut tx, input.consent, None, None, now).await?;
    let after = json!({"status": store::connection::Status::Healthy.to_string()});
    record(&mut tx, consent.user, "connection.reconnect", connection, after, now).await?;
    tx.commit().await?;
    tracing::info!(connection.id = %id, "connection {id} has a new authorisation");
    Ok(pulls)
}

async fn give_up(context: &Context, input: &GiveUpReconnectV1) -> Result<(), Error> {
    let mut tx = context.store.begin(input.org).await?;
    store::consent::close(&mut tx, input.consent, Some(input.code), None, context.clock.now()).await?;
    Ok(tx.commit().await?)
}
