//! The steps of an onboarding. Each can be repeated; each has its undo.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use connectors::{Access, Credentials, PlatformAccount};
use domain::error_code::{Class, ErrorCode};
use domain::ids::{ConnectionId, ConsentId, OnboardingId, OrgId, UserId};
use domain::pull::{HISTORY_DAYS, Kind};
use domain::{DayRange, EntityStatus};
use futures::FutureExt as _;
use keys::places;
use store::account::{Discovered, Status as AccountStatus};
use store::audit::{Actor, Entry};
use store::connection::Connection;
use store::onboarding::{State, Step, StepKey, StepState};
use store::pull::Plan;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use workflows::contract::onboarding::{ConnectV1, ProvisionV1, ProvisionedV1, SelectV1, StepV1, UndoV1, defs};

use crate::context::Context;
use crate::failure::{Error, chain, failure};
use crate::heartbeat::{beating, finishing};
use crate::{ports, schedule};

/// What a person needs to see first.
const FIRST_SLICE_DAYS: u32 = 7;

/// A person cancelled, or another step failed for good.
const OVER: Error = Error::Over { what: "onboarding" };

/// Implements [`workflows::contract::onboarding`].
pub struct OnboardingActivities(pub(crate) Arc<Context>);

#[activities]
impl OnboardingActivities {
    #[activity(definition = defs::Exchange)]
    pub async fn exchange(self: Arc<Self>, ctx: ActivityContext, input: ConnectV1) -> Result<StepV1, ActivityError> {
        let (org, onboarding) = (input.org, input.onboarding);
        // A code works once: what it was exchanged for is kept or given back, never forgotten.
        finishing(ctx, async move { told(&self.0, org, onboarding, exchange(&self.0, &input)).await }.boxed()).await
    }

    #[activity(definition = defs::Verify)]
    pub async fn verify(self: Arc<Self>, ctx: ActivityContext, input: ConnectV1) -> Result<StepV1, ActivityError> {
        let (org, onboarding) = (input.org, input.onboarding);
        beating(ctx, async move { told(&self.0, org, onboarding, verify(&self.0, &input)).await }.boxed()).await
    }

    #[activity(definition = defs::Discover)]
    pub async fn discover(self: Arc<Self>, ctx: ActivityContext, input: ConnectV1) -> Result<StepV1, ActivityError> {
        let (org, onboarding) = (input.org, input.onboarding);
        beating(ctx, async move { told(&self.0, org, onboarding, discover(&self.0, &input)).await }.boxed()).await
    }

    #[activity(definition = defs::Select)]
    pub async fn select(self: Arc<Self>, ctx: ActivityContext, input: SelectV1) -> Result<StepV1, ActivityError> {
        let (org, onboarding) = (input.org, input.onboarding);
        beating(ctx, async move { told(&self.0, org, onboarding, select(&self.0, &input)).await }.boxed()).await
    }

    #[activity(definition = defs::Provision)]
    pub async fn provision(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: ProvisionV1,
    ) -> Result<ProvisionedV1, ActivityError> {
        let (org, onboarding) = (input.org, input.onboarding);
        beating(ctx, async move { told(&self.0, org, onboarding, provision(&self.0, &input)).await }.boxed()).await
    }

    #[activity(definition = defs::Schedule)]
    pub async fn schedule(self: Arc<Self>, ctx: ActivityContext, input: ProvisionV1) -> Result<(), ActivityError> {
        let (org, onboarding) = (input.org, input.onboarding);
        finishing(ctx, async move { told(&self.0, org, onboarding, make_schedule(&self.0, &input)).await }.boxed())
            .await
    }

    #[activity(definition = defs::Undo)]
    pub async fn undo(self: Arc<Self>, ctx: ActivityContext, input: UndoV1) -> Result<(), ActivityError> {
        beating(ctx, async move { undo(&self.0, &input).await.map_err(failure) }.boxed()).await
    }
}

/// Does a step. What keeps it for a while is told on the onboarding's row, for the wizard to show while the engine tries
/// again.
async fn told<T>(
    context: &Context,
    org: OrgId,
    onboarding: OnboardingId,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, ActivityError> {
    let error = match step.await {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    if !error.is_final()
        && let Err(unsaid) = tell_of_wait(context, org, onboarding, error.code()).await
    {
        tracing::warn!(onboarding.id = %onboarding, "what {onboarding} waits for is not told: {}", chain(&unsaid));
    }
    Err(failure(error))
}

async fn tell_of_wait(context: &Context, org: OrgId, onboarding: OnboardingId, code: ErrorCode) -> Result<(), Error> {
    let mut tx = context.store.begin(org).await?;
    store::onboarding::set_problem(&mut tx, onboarding, Some(code), None).await?;
    Ok(tx.commit().await?)
}

/// A failure that a person can mend is told on the onboarding's row; any other is the engine's to try again.
async fn needs_person(context: &Context, input: &ConnectV1, error: Error) -> Result<StepV1, Error> {
    let code = error.code();
    if code.class() == Class::Transient || !matches!(error, Error::Platform(_)) {
        return Err(error);
    }
    tell(context, input.org, input.onboarding, code, &chain(&error)).await
}

async fn tell(
    context: &Context,
    org: OrgId,
    onboarding: OnboardingId,
    code: ErrorCode,
    detail: &str,
) -> Result<StepV1, Error> {
    tracing::warn!(onboarding.id = %onboarding, error.code = %code, "onboarding {onboarding} needs a person: {detail}");
    let mut tx = context.store.begin(org).await?;
    store::onboarding::set_problem(&mut tx, onboarding, Some(code), Some(detail)).await?;
    store::onboarding::advance(&mut tx, onboarding, State::Connecting, context.clock.now()).await?;
    tx.commit().await?;
    Ok(StepV1::NeedsPerson { code })
}

/// Exchanges the code, once: a consent that is marked as exchanged already has left its credentials.
async fn exchange(context: &Context, input: &ConnectV1) -> Result<StepV1, Error> {
    let now = context.clock.now();
    let mut tx = context.store.begin(input.org).await?;
    store::onboarding::set_problem(&mut tx, input.onboarding, None, None).await?;
    store::onboarding::advance(&mut tx, input.onboarding, State::Verifying, now).await?;
    let consent = store::consent::fetch(&mut tx, input.consent).await?;
    let connection = store::connection::fetch(&mut tx, input.connection).await?;
    tx.commit().await?;
    if consent.exchanged_at.is_some() {
        return Ok(StepV1::Done { count: 1 });
    }
    if consent.code.is_none() {
        let detail = "the consent was not given";
        return tell(context, input.org, input.onboarding, ErrorCode::ConsentDenied, detail).await;
    }
    let credentials = match redeem(context, input.org, &connection, input.consent).await {
        Ok(credentials) => credentials,
        Err(error) => return needs_person(context, input, error).await,
    };
    let mut tx = context.store.begin(input.org).await?;
    if store::onboarding::hold(&mut tx, input.onboarding).await?.is_closed() {
        tx.rollback().await?;
        hand_back(context, &connection, credentials).await;
        return Err(OVER);
    }
    let place = places::credentials(input.connection);
    let sealed = ports::seal_credentials(&context.vault, &mut tx, &place, &credentials).await.map_err(vault)?;
    let authorisation =
        store::connection::Authorisation { credentials: sealed, scopes: credentials.scopes, by: consent.user };
    store::connection::authorise(&mut tx, input.connection, &authorisation, now).await?;
    if store::consent::mark_exchanged(&mut tx, input.consent, now).await? {
        let scopes = serde_json::json!({"scopes": authorisation.scopes});
        record(&mut tx, consent.user, "connection.connect", &connection, scopes, now).await?;
    }
    store::onboarding::set_connection(&mut tx, input.onboarding, connection.platform, input.connection).await?;
    step_done(&mut tx, input.onboarding, StepKey::Connect, "authorised", context).await?;
    tx.commit().await?;
    context.forget_access(input.org, input.connection).await;
    Ok(StepV1::Done { count: 1 })
}

/// What a consent's code is good for at the platform. It works once: a second attempt is refused as expired.
pub(crate) async fn redeem(
    context: &Context,
    org: OrgId,
    connection: &Connection,
    consent: ConsentId,
) -> Result<Credentials, Error> {
    let mut tx = context.store.begin(org).await?;
    // Held: a rotation of keys exchanges what was sealed, and the keys to it.
    let consent = store::consent::hold(&mut tx, consent).await?;
    let sealed_code = consent.code.as_ref().ok_or(Error::Missing { what: "code of a consent" })?;
    let sealed_verifier = consent.verifier.as_ref().ok_or(Error::Missing { what: "verifier of a consent" })?;
    let code = context.vault.open(&mut tx, &places::code(consent.id), sealed_code).await?;
    let verifier = context.vault.open(&mut tx, &places::verifier(connection.id), sealed_verifier).await?;
    tx.commit().await?;
    let quota = context.quota(connection);
    let platform = context.platform(connection)?;
    Ok(platform.exchange_code(quota.as_ref(), &code, &verifier, &consent.redirect_uri).await?)
}

/// A secret that can't be sealed or opened is trouble of ours.
pub(crate) fn vault(source: connectors::KeeperError) -> connectors::Error {
    connectors::Error::Storage { what: "vault", source }
}

/// Gives back what a code was exchanged for when nobody wanted it any more.
async fn hand_back(context: &Context, connection: &Connection, credentials: Credentials) {
    let access = Access::new(Arc::new(ports::Unkept(credentials)), context.quota(connection));
    let revoked = async { Ok::<(), Error>(context.platform(connection)?.revoke(&access).await?) };
    if let Err(error) = revoked.await {
        let id = connection.id;
        tracing::warn!(connection.id = %id, "a new authorisation of {id} was not given back: {}", chain(&error));
    }
}

async fn verify(context: &Context, input: &ConnectV1) -> Result<StepV1, Error> {
    let mut tx = context.store.begin(input.org).await?;
    let connection = store::connection::fetch(&mut tx, input.connection).await?;
    tx.commit().await?;
    let access = context.access(input.org, &connection).await;
    let verified = match context.platform(&connection)?.verify_access(&access).await {
        Ok(verified) => verified,
        Err(error) => return needs_person(context, input, error.into()).await,
    };
    if !verified.missing.is_empty() {
        let detail = format!("not granted: {}", verified.missing.join(", "));
        return tell(context, input.org, input.onboarding, ErrorCode::ScopesMissing, &detail).await;
    }
    let mut tx = context.store.begin(input.org).await?;
    step_done(&mut tx, input.onboarding, StepKey::Verify, "reports and campaigns can be read", context).await?;
    tx.commit().await?;
    Ok(StepV1::Done { count: u32::try_from(verified.granted.len()).unwrap_or(u32::MAX) })
}

async fn discover(context: &Context, input: &ConnectV1) -> Result<StepV1, Error> {
    let mut tx = context.store.begin(input.org).await?;
    let connection = store::connection::fetch(&mut tx, input.connection).await?;
    tx.commit().await?;
    let access = context.access(input.org, &connection).await;
    let accounts = match context.platform(&connection)?.list_accounts(&access).await {
        Ok(accounts) => accounts,
        Err(error) => return needs_person(context, input, error.into()).await,
    };
    if accounts.is_empty() {
        let detail = "the user sees no advertiser";
        return tell(context, input.org, input.onboarding, ErrorCode::NoAccounts, detail).await;
    }
    let found: Vec<Discovered> = accounts.into_iter().map(discovered).collect();
    let mut tx = context.store.begin(input.org).await?;
    store::account::upsert_many(&mut tx, input.connection, &found).await?;
    let detail = format!("{} advertisers found", found.len());
    step_done(&mut tx, input.onboarding, StepKey::Discover, &detail, context).await?;
    store::onboarding::advance(&mut tx, input.onboarding, State::ChoosingAccounts, context.clock.now()).await?;
    tx.commit().await?;
    Ok(StepV1::Done { count: u32::try_from(found.len()).unwrap_or(u32::MAX) })
}

pub(crate) fn discovered(account: PlatformAccount) -> Discovered {
    let PlatformAccount { platform_id, name, currency, zone, status, parent } = account;
    let (parent_id, parent_name) = parent.map(|parent| (parent.platform_id, parent.name)).unzip();
    let status = match status {
        EntityStatus::Active => AccountStatus::Active,
        EntityStatus::Paused | EntityStatus::Draft | EntityStatus::Archived => AccountStatus::Paused,
    };
    Discovered { platform_id, name, parent_id, parent_name, currency, time_zone: zone, status }
}

async fn select(context: &Context, input: &SelectV1) -> Result<StepV1, Error> {
    let mut tx = context.store.begin(input.org).await?;
    match store::account::select(&mut tx, input.connection, &input.choice.accounts).await {
        Ok(()) => {}
        Err(store::Error::NotFound { .. }) => return Ok(StepV1::NeedsPerson { code: ErrorCode::NotFound }),
        Err(error) => return Err(error.into()),
    }
    let (count, now) = (input.choice.accounts.len(), context.clock.now());
    let known = store::onboarding::fetch(&mut tx, input.onboarding).await?;
    if known.steps.get(&StepKey::Choose).is_none_or(|step| step.state != StepState::Done) {
        let connection = store::connection::fetch(&mut tx, input.connection).await?;
        let advertisers = serde_json::json!({"advertisers": count});
        record(&mut tx, input.choice.by, "connection.choose_accounts", &connection, advertisers, now).await?;
    }
    step_done(&mut tx, input.onboarding, StepKey::Choose, &format!("{count} advertisers chosen"), context).await?;
    store::onboarding::advance(&mut tx, input.onboarding, State::Provisioning, context.clock.now()).await?;
    tx.commit().await?;
    Ok(StepV1::Done { count: u32::try_from(count).unwrap_or(u32::MAX) })
}

/// Tables, report definitions, the default rule, and the plan of what is read first. Every part is left as it is when
/// it is there already.
async fn provision(context: &Context, input: &ProvisionV1) -> Result<ProvisionedV1, Error> {
    let now = context.clock.now();
    let mut tx = context.store.begin(input.org).await?;
    let mut definition = connectors::dv360::default_definition();
    definition.id = store::report::ensure(&mut tx, &definition).await?;
    store::rule::ensure_default(&mut tx, now).await?;
    tx.commit().await?;
    let pointers = context.pointers(input.org);
    let swaps = context.lake.create_tables(&pointers, input.org, std::slice::from_ref(&definition)).await?;
    let mut tx = context.store.begin(input.org).await?;
    store::pointer::create(&mut tx, &swaps).await?;
    if store::onboarding::hold(&mut tx, input.onboarding).await?.is_closed() {
        return Err(OVER);
    }
    let accounts = store::account::list_readable(&mut tx, input.connection).await?;
    let today = accounts.iter().map(|account| account.time_zone.day_at(now)).max();
    let today = today.ok_or(Error::Missing { what: "chosen account" })?;
    let first = DayRange::ending(today, FIRST_SLICE_DAYS);
    let before = first.first().pred_opt().unwrap_or(first.first());
    let rest = DayRange::ending(before, HISTORY_DAYS - FIRST_SLICE_DAYS);
    let accounts: Vec<String> = accounts.into_iter().map(|account| account.platform_id).collect();
    let (connection, report) = (input.connection, definition.id);
    let first = Plan { connection, report, kind: Kind::FirstSlice, days: first, accounts, not_before: None };
    let history = Plan { kind: Kind::Backfill, days: rest, ..first.clone() };
    store::pull::plan(&mut tx, &first, now).await?;
    let pulls = 1 + store::pull::plan_history(&mut tx, &history, now).await?.len();
    step_done(&mut tx, input.onboarding, StepKey::Provision, "tables, reports and the pacing rule are there", context)
        .await?;
    tx.commit().await?;
    Ok(ProvisionedV1 { pulls: u32::try_from(pulls).unwrap_or(u32::MAX), as_of: now })
}

/// Makes the schedule while the onboarding is held: an undo comes before it, and there is none, or after it, and removes it.
async fn make_schedule(context: &Context, input: &ProvisionV1) -> Result<(), Error> {
    let now = context.clock.now();
    let mut tx = context.store.begin(input.org).await?;
    store::organisation::schedule_lock(&mut tx).await?;
    if store::onboarding::hold(&mut tx, input.onboarding).await?.is_closed() {
        return Err(OVER);
    }
    schedule::ensure(&context.client, input.org, context.settings.tick_seconds).await?;
    step_done(&mut tx, input.onboarding, StepKey::Schedule, "read every 15 minutes from now on", context).await?;
    store::onboarding::advance(&mut tx, input.onboarding, State::FirstSlice, now).await?;
    let first_cycle = store::intent::Kind::FirstIngest;
    store::intent::create(&mut tx, first_cycle, input.onboarding.uuid(), now, now).await?;
    Ok(tx.commit().await?)
}

/// Takes back what was made, in the safe order: a step that is still under way ends or finds the onboarding closed, then
/// nothing new is started, then what is open ends, then the authorisation is given back.
async fn undo(context: &Context, input: &UndoV1) -> Result<(), Error> {
    let now = context.clock.now();
    let mut tx = context.store.begin(input.org).await?;
    if matches!(store::onboarding::hold(&mut tx, input.onboarding).await?, State::Ready | State::Done) {
        let id = input.onboarding;
        tracing::info!(onboarding.id = %id, "{id} is not undone: its dashboard is in use");
        return Ok(());
    }
    let state = if input.code.is_some() { State::Failed } else { State::Cancelled };
    store::onboarding::close(&mut tx, input.onboarding, state, input.code, now).await?;
    tx.commit().await?;
    schedule::remove_unneeded(context, input.org).await?;
    if let Some(id) = input.connection {
        give_back(context, input.org, id).await;
        let mut tx = context.store.begin(input.org).await?;
        store::pull::fail_open(&mut tx, id, ErrorCode::Conflict, now).await?;
        store::connection::remove(&mut tx, id).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Gives the authorisation back. A platform that does not take it must not keep us from forgetting it.
async fn give_back(context: &Context, org: OrgId, id: ConnectionId) {
    let revoked = async {
        let mut tx = context.store.begin(org).await?;
        let connection = store::connection::fetch(&mut tx, id).await?;
        let has_credentials = store::connection::credentials(&mut tx, id).await?.is_some();
        tx.commit().await?;
        if has_credentials {
            context.platform(&connection)?.revoke(context.access(org, &connection).await.as_ref()).await?;
        }
        Ok::<(), Error>(())
    };
    if let Err(error) = revoked.await {
        tracing::warn!(connection.id = %id, "the authorisation of {id} was not given back: {}", chain(&error));
    }
}

/// One line of the audit trail: what a person did to a connection.
pub(crate) async fn record(
    tx: &mut store::Tx,
    by: UserId,
    action: &str,
    connection: &Connection,
    after: serde_json::Value,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    let entry = Entry {
        actor: Actor::Person(by),
        action: action.to_owned(),
        subject: "connection",
        subject_id: connection.id.uuid(),
        title: connection.title.clone(),
        before: Some(serde_json::json!({"status": connection.status.to_string()})),
        after: Some(after),
    };
    store::audit::record(tx, &entry, at).await?;
    Ok(())
}

async fn step_done(
    tx: &mut store::Tx,
    onboarding: OnboardingId,
    key: StepKey,
    detail: &str,
    context: &Context,
) -> Result<(), Error> {
    let now = context.clock.now();
    let known = store::onboarding::fetch(tx, onboarding).await?;
    // A step begins where the one before it ended.
    let started_at = known.steps.values().filter_map(|step| step.finished_at).max().unwrap_or(known.started_at);
    let step = Step {
        state: StepState::Done,
        started_at: Some(started_at),
        finished_at: Some(now),
        detail: Some(detail.to_owned()),
        done: None,
        total: None,
    };
    // What had kept the step has passed.
    store::onboarding::set_problem(tx, onboarding, None, None).await?;
    Ok(store::onboarding::set_step(tx, onboarding, key, &step).await?)
}
