//! Fetches what is ready: asks about each report that is due to be asked about, and stages the rows of those that are
//! made. One slow or failing connection never delays another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chrono::{DateTime, TimeDelta, Utc};
use connectors::{Access, AdPlatform, ReportState, Ticket};
use domain::error_code::{Class, ErrorCode};
use domain::ids::{CycleId, OrgId};
use domain::report::Definition;
use domain::{pull as law, pull::State};
use futures::{FutureExt as _, StreamExt as _, stream};
use lakehouse::{PullScope, StageError, StagedPull};
use store::account::Account;
use store::connection::{Connection, Status};
use store::pull::{Pull, Staging};
use workflows::contract::ingestion::{HarvestV1, HarvestedV1};

use super::IntoStore as _;
use super::entities;
use super::limit::{self, Limit};
use super::maintenance;
use super::setback::put_on_connection;
use super::standing::{self, Standing};
use crate::context::Context;
use crate::failure::Error;

pub(super) async fn run(context: &Context, input: &HarvestV1) -> Result<HarvestedV1, Error> {
    let mut tx = context.store.begin(input.org).await?;
    let now = context.clock.now();
    let cycle = store::cycle::open(&mut tx, &input.workflow_id, input.kind.into_store(), now).await?;
    let mut connections = store::connection::list(&mut tx).await?;
    tx.commit().await?;
    connections.retain(|connection| matches!(connection.status, Status::Healthy | Status::NeedsPermission));
    limit::take_turns(&mut connections, cycle.id);
    let limit = Limit::of(limit::HARVEST);
    let work: Vec<_> = connections
        .iter()
        .map(|connection| within_limit(context, input.org, connection, cycle.id, limit).boxed())
        .collect();
    let outcomes: Vec<Result<(), Error>> = stream::iter(work).buffer_unordered(limit::SIDE_BY_SIDE).collect().await;
    outcomes.into_iter().collect::<Result<(), Error>>()?;
    let mut tx = context.store.begin(input.org).await?;
    let pulls = store::pull::list_open(&mut tx, None).await?;
    let count =
        |state: State| u32::try_from(pulls.iter().filter(|pull| pull.state == state).count()).unwrap_or(u32::MAX);
    let harvested = HarvestedV1 {
        cycle: cycle.id,
        as_of: cycle.started_at,
        fetched: count(State::Fetched),
        open: count(State::Requested) + count(State::Planned),
        failed: 0,
        maintenance_due: maintenance::is_due(&context.depot(), &mut tx).await?,
    };
    let step = serde_json::json!({"fetched": harvested.fetched, "open": harvested.open, "at": context.clock.now()});
    store::cycle::record_step(&mut tx, cycle.id, "harvest", &step).await?;
    tx.commit().await?;
    Ok(harvested)
}

/// What a connection has staged when time is up counts; the rest of it is left for the next cycle.
async fn within_limit(
    context: &Context,
    org: OrgId,
    connection: &Connection,
    cycle: CycleId,
    limit: Limit,
) -> Result<(), Error> {
    match limit.within(harvest_connection(context, org, connection, cycle, limit).boxed()).await {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => put_on_connection(context, org, connection, error).await,
        None => {
            tracing::warn!(connection.id = %connection.id, "connection {} is slow: left for later", connection.id);
            Ok(())
        }
    }
}

/// What one connection's work needs at hand.
pub(super) struct Desk<'a> {
    pub(super) context: &'a Context,
    pub(super) org: OrgId,
    /// The cycle that the work belongs to.
    pub(super) cycle: CycleId,
    pub(super) connection: &'a Connection,
    pub(super) platform: &'a Arc<dyn AdPlatform>,
    pub(super) access: Arc<Access>,
    pub(super) accounts: Vec<Account>,
    pub(super) definitions: BTreeMap<domain::ids::ReportId, Definition>,
    /// Whether the work met trouble of the platform.
    pub(super) troubled: AtomicBool,
    /// How long the work may take.
    limit: Limit,
}

impl<'a> Desk<'a> {
    pub(super) async fn open(
        context: &'a Context,
        org: OrgId,
        connection: &'a Connection,
        cycle: CycleId,
    ) -> Result<Self, Error> {
        let mut tx = context.store.begin(org).await?;
        let accounts = store::account::list_readable(&mut tx, connection.id).await?;
        let definitions = store::report::list(&mut tx, connection.platform).await?;
        tx.commit().await?;
        let definitions = definitions.into_iter().map(|definition| (definition.id, definition)).collect();
        let platform = context.platform(connection)?;
        let access = context.access(org, connection).await;
        let (troubled, limit) = (AtomicBool::new(false), Limit::of(limit::HARVEST));
        Ok(Self { context, org, cycle, connection, platform, access, accounts, definitions, troubled, limit })
    }

    /// The same desk for work that shares its time with other work.
    fn within(self, limit: Limit) -> Self {
        Self { limit, ..self }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.context.clock.now()
    }
}

async fn harvest_connection(
    context: &Context,
    org: OrgId,
    connection: &Connection,
    cycle: CycleId,
    limit: Limit,
) -> Result<(), Error> {
    let desk = Desk::open(context, org, connection, cycle).await?.within(limit);
    if !standing::is_in_doubt(&desk).await? {
        return desk.harvest().await;
    }
    if standing::look(&desk).await? == Standing::Unusable {
        return Ok(());
    }
    // What was lost or mended may have changed both.
    let mut tx = context.store.begin(org).await?;
    let connection = store::connection::fetch(&mut tx, connection.id).await?;
    tx.commit().await?;
    Desk::open(context, org, &connection, cycle).await?.within(limit).harvest().await
}

impl Desk<'_> {
    async fn harvest(&self) -> Result<(), Error> {
        let now = self.now();
        // Reports don't wait for campaigns that are slow to come, nor the other way round.
        let (refreshed, looked) = futures::join!(entities::refresh(self, now), self.look_at_reports(now));
        let (refreshed, looked) = (refreshed?, looked?);
        if let Some(error) = &refreshed.stopped {
            self.trouble(error, None).await?;
        } else if refreshed.doubtful {
            standing::look(self).await?;
        }
        self.no_trouble(refreshed.read || looked).await
    }

    /// Asks about every report that is due to be asked about, and says whether the platform answered about any.
    async fn look_at_reports(&self, now: DateTime<Utc>) -> Result<bool, Error> {
        let mut tx = self.context.store.begin(self.org).await?;
        let open = store::pull::list_open(&mut tx, Some(self.connection.id)).await?;
        tx.commit().await?;
        let mut answered = false;
        for pull in open.iter().filter(|pull| is_due_for_poll(pull, now)) {
            if self.limit.is_late() {
                break;
            }
            if self.readable(pull).len() < pull.accounts.len() {
                // It is also about an advertiser that is gone: it is asked for anew, without it.
                let mut tx = self.context.store.begin(self.org).await?;
                store::pull::start_over(&mut tx, pull.id, now, ErrorCode::AccountGone, now).await?;
                tx.commit().await?;
                continue;
            }
            let error = match self.advance(pull).await {
                Ok(None) => {
                    answered = true;
                    continue;
                }
                Ok(Some(error)) => error,
                Err(error) => {
                    self.put_down(pull, error).await?;
                    continue;
                }
            };
            self.not_fetched(pull, &error).await?;
            // Without authorisation the other pulls would fail in the same way.
            if error.code().class() == Class::Configuration && error.account().is_none() {
                break;
            }
        }
        Ok(answered)
    }

    /// The accounts of a pull that can be read now.
    pub(super) fn readable(&self, pull: &Pull) -> Vec<String> {
        let readable = |id: &&String| self.accounts.iter().any(|account| account.platform_id == **id);
        pull.accounts.iter().filter(readable).cloned().collect()
    }

    /// Asks about a report and stages it when it is made. `Some` is the platform's or the report's failure.
    async fn advance(&self, pull: &Pull) -> Result<Option<connectors::Error>, Error> {
        let ticket = ticket(pull)?;
        let state = match self.platform.poll_report(&self.access, &ticket).await {
            Ok(state) => state,
            Err(error) => return storage_or(error),
        };
        match state {
            ReportState::Pending if self.is_overdue(pull) => {
                let since = pull.requested_at.unwrap_or(pull.planned_at);
                let detail = format!("asked for at {since} and still not made");
                Ok(Some(connectors::Error::Report { code: ErrorCode::ReportFailed, detail }))
            }
            ReportState::Pending => {
                let wait = TimeDelta::seconds(i64::from(law::poll_wait_seconds(pull.kind, pull.polls + 1)));
                let mut tx = self.context.store.begin(self.org).await?;
                store::pull::mark_polled(&mut tx, pull.id, self.now() + wait).await?;
                tx.commit().await?;
                Ok(None)
            }
            ReportState::Failed { reason } => {
                let code = ErrorCode::ReportFailed;
                Ok(Some(connectors::Error::Report { code, detail: reason }))
            }
            ReportState::Ready { download } => {
                let definition = self.definition(pull)?;
                let rows = match self.platform.fetch_report(&self.access, &download, definition).await {
                    Ok(rows) => rows,
                    Err(error) => return storage_or(error),
                };
                let pointers = self.context.pointers(self.org);
                let scope = scope(self.org, pull, definition, &self.accounts);
                match self.context.lake.stage_pull(&pointers, &scope, self.limit.rows(rows)).await {
                    Ok(staged) => self.staged(pull, &staged).await.map(|()| None),
                    Err(StageError::Source(error)) => storage_or(error),
                    Err(StageError::Lake(lakehouse::Error::Rejected { rejection, .. })) => {
                        let detail = rejection.to_string();
                        Ok(Some(connectors::Error::Report { code: rejection.code, detail }))
                    }
                    Err(StageError::Lake(error)) => Err(error.into()),
                }
            }
        }
    }

    async fn staged(&self, pull: &Pull, staged: &StagedPull) -> Result<(), Error> {
        let json = serde_json::to_value(staged)
            .map_err(|error| Error::Inconsistent { what: "a staged pull", why: error.to_string() })?;
        metrics::counter!("clp_rows_staged_total").increment(staged.rows);
        let mut tx = self.context.store.begin(self.org).await?;
        let staging = Staging { staged: json, rows: staged.rows, bytes: staged.bytes, report_time: staged.report_time };
        store::pull::mark_fetched(&mut tx, pull.id, &staging, self.now()).await?;
        Ok(tx.commit().await?)
    }

    pub(super) fn definition(&self, pull: &Pull) -> Result<&Definition, Error> {
        self.definitions.get(&pull.report).ok_or(Error::Missing { what: "report definition" })
    }
}

/// Our own storage's failure stops the step; the platform's is dealt with.
fn storage_or(error: connectors::Error) -> Result<Option<connectors::Error>, Error> {
    match error {
        error @ connectors::Error::Storage { .. } => Err(error.into()),
        error => Ok(Some(error)),
    }
}

fn ticket(pull: &Pull) -> Result<Ticket, Error> {
    let ticket = pull.ticket.clone().ok_or(Error::Missing { what: "ticket of a requested pull" })?;
    serde_json::from_value(ticket).map_err(|error| Error::Inconsistent { what: "a ticket", why: error.to_string() })
}

fn is_due_for_poll(pull: &Pull, now: DateTime<Utc>) -> bool {
    let reached = |moment: Option<DateTime<Utc>>| moment.is_none_or(|moment| moment <= now);
    pull.state == State::Requested && reached(pull.next_poll_at) && reached(pull.not_before)
}

/// What a pull asked for, as the lake checks it.
pub(super) fn scope(org: OrgId, pull: &Pull, definition: &Definition, accounts: &[Account]) -> PullScope {
    let currency_of = |platform_id: &String| {
        let account = accounts.iter().find(|account| account.platform_id == *platform_id)?;
        Some((platform_id.clone(), account.currency))
    };
    PullScope {
        org,
        connection: pull.connection,
        pull: pull.id,
        definition: definition.clone(),
        accounts: pull.accounts.iter().filter_map(currency_of).collect(),
        days: pull.days,
        requested_at: pull.requested_at.unwrap_or(pull.planned_at),
    }
}
