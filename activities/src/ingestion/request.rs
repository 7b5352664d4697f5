//! Asks for what is due: plans ticks and lookbacks, requests planned pulls, and closes the cycle.

use chrono::{DateTime, TimeDelta, Utc};
use connectors::{ReportSpec, Ticket};
use domain::error_code::{Class, ErrorCode};
use domain::pull::{self as law, Kind, State};
use futures::{FutureExt as _, StreamExt as _, stream};
use store::connection::{Connection, Status};
use store::pull::{Plan, Pull};
use workflows::contract::ingestion::{CycleStepV1, RequestedV1};

use super::follow_up;
use super::harvest::Desk;
use super::limit::{self, Limit};
use super::setback::{put_on_connection, wait_after};
use super::standing::Standing;
use crate::context::Context;
use crate::failure::Error;

/// Reports of history that one cycle plans again for a connection and a definition.
const MOST_HEALED: u32 = 4;

/// `again` says that an earlier attempt of this step may have asked a platform already.
pub(super) async fn run(context: &Context, input: &CycleStepV1, again: bool) -> Result<RequestedV1, Error> {
    let mut tx = context.store.begin(input.org).await?;
    let mut connections = store::connection::list(&mut tx).await?;
    let may_ask = may_ask(context, &mut tx).await?;
    tx.commit().await?;
    if !may_ask {
        tracing::warn!(org.id = %input.org, "the rows of {}'s day are used up: it asks for none before tomorrow", input.org);
    }
    connections.retain(|connection| connection.status == Status::Healthy && may_ask);
    limit::take_turns(&mut connections, input.cycle);
    let limit = Limit::of(limit::REQUEST);
    let work: Vec<_> =
        connections.iter().map(|connection| within_limit(context, input, connection, again, limit).boxed()).collect();
    let outcomes: Vec<Result<u32, Error>> = stream::iter(work).buffer_unordered(limit::SIDE_BY_SIDE).collect().await;
    let requested = outcomes.into_iter().sum::<Result<u32, Error>>()?;
    close(context, input, requested, may_ask).await
}

/// Whether rows may still be read for the organisation today. What is due and not asked for stays due: nothing is left out.
async fn may_ask(context: &Context, tx: &mut store::Tx) -> Result<bool, Error> {
    let usual = context.settings.allowances.rows_per_day;
    Ok(store::allowance::rows(tx, usual, context.clock.now()).await?.is_ok())
}

/// What a connection has asked for when time is up is found again by the next cycle, which goes on from there.
async fn within_limit(
    context: &Context,
    input: &CycleStepV1,
    connection: &Connection,
    again: bool,
    limit: Limit,
) -> Result<u32, Error> {
    match limit.within(request_connection(context, input, connection, again).boxed()).await {
        Some(Ok(requested)) => Ok(requested),
        Some(Err(error)) => put_on_connection(context, input.org, connection, error).await.map(|()| 0),
        None => {
            tracing::warn!(connection.id = %connection.id, "connection {} is slow: left for later", connection.id);
            Ok(0)
        }
    }
}

async fn request_connection(
    context: &Context,
    input: &CycleStepV1,
    connection: &Connection,
    again: bool,
) -> Result<u32, Error> {
    let mut requested = 0;
    // An advertiser that turns out to be gone does not cost the others their turn: they are asked about without it.
    for again in [again, true] {
        let desk = Desk::open(context, input.org, connection, input.cycle).await?;
        let (count, standing) = request_due(&desk, input, again).await?;
        requested += count;
        if standing != Standing::Changed {
            break;
        }
    }
    Ok(requested)
}

/// Asks for what is due, until something stops the connection; how many reports were asked for, and what is left of it.
async fn request_due(desk: &Desk<'_>, input: &CycleStepV1, again: bool) -> Result<(u32, Standing), Error> {
    let (context, connection) = (desk.context, desk.connection);
    if desk.accounts.is_empty() {
        return Ok((0, Standing::Same));
    }
    let now = context.clock.now();
    plan_due(desk, now).await?;
    let mut tx = context.store.begin(input.org).await?;
    let mut open = store::pull::list_open(&mut tx, Some(connection.id)).await?;
    tx.commit().await?;
    open.sort_by_key(|pull| (order(pull.kind), std::cmp::Reverse(pull.days.last()), pull.id));
    let mut under_way: Vec<Kind> =
        open.iter().filter(|pull| pull.state == State::Requested).map(|pull| pull.kind).collect();
    let mut requested = 0;
    for pull in open.iter().filter(|pull| is_due(pull, now)) {
        if !law::has_room(pull.kind, &under_way) {
            continue;
        }
        let retried = again || pull.attempts > 0 || pull.planned_at < input.as_of;
        match request(desk, input, pull, retried).await {
            Ok(None) => {
                requested += 1;
                under_way.push(pull.kind);
            }
            Ok(Some(error)) => {
                let standing = desk.not_fetched(pull, &error).await?;
                if standing != Standing::Same {
                    return Ok((requested, standing));
                }
                // What stops one request of a connection stops the next one too, unless it is an account's own trouble.
                if error.account().is_none() && error.code().class() != Class::Rejected {
                    hold_back(desk, &error).await?;
                    break;
                }
            }
            Err(error) => desk.put_down(pull, error).await?,
        }
    }
    Ok((requested, Standing::Same))
}

/// Keeps the connection's other pulls waiting as well, or each would have a cycle of its own to meet the same trouble.
async fn hold_back(desk: &Desk<'_>, error: &connectors::Error) -> Result<(), Error> {
    let until = desk.now() + wait_after(0, error);
    let mut tx = desk.context.store.begin(desk.org).await?;
    store::pull::hold_planned(&mut tx, desk.connection.id, until).await?;
    Ok(tx.commit().await?)
}

/// Plans the tick or lookback of each report that is due, and history that was given up and is still missing.
async fn plan_due(desk: &Desk<'_>, now: DateTime<Utc>) -> Result<(), Error> {
    let Some(today) = law::todays(desk.accounts.iter().map(|account| account.time_zone), now) else { return Ok(()) };
    let accounts: Vec<String> = desk.accounts.iter().map(|account| account.platform_id.clone()).collect();
    let given_up_before = now - law::HEAL_AFTER;
    let mut tx = desk.context.store.begin(desk.org).await?;
    for definition in desk.definitions.values() {
        let (connection, report) = (desk.connection.id, definition.id);
        let past = store::pull::past(&mut tx, connection, report).await?;
        let holes =
            store::pull::list_holes(&mut tx, connection, report, &accounts, given_up_before, MOST_HEALED).await?;
        let again = holes.into_iter().map(|hole| (hole.kind, hole.days));
        for (kind, days) in law::due(definition, past, today, now).into_iter().chain(again) {
            let plan = Plan { connection, report, kind, days, accounts: accounts.clone(), not_before: None };
            store::pull::plan(&mut tx, &plan, now).await?;
        }
    }
    Ok(tx.commit().await?)
}

/// Asks for one report. `Some` is the platform's failure.
async fn request(
    desk: &Desk<'_>,
    input: &CycleStepV1,
    pull: &Pull,
    retried: bool,
) -> Result<Option<connectors::Error>, Error> {
    let definition = desk.definition(pull)?;
    let accounts = desk.readable(pull);
    if accounts.is_empty() {
        let (code, detail) = (ErrorCode::AccountGone, "none of its advertisers can be read".to_owned());
        return Ok(Some(connectors::Error::Configuration { code, detail, account: pull.accounts.first().cloned() }));
    }
    let mut tx = desk.context.store.begin(desk.org).await?;
    let known = store::pull::newest_ticket(&mut tx, pull.connection, pull.report).await?;
    let refused = store::pull::refused_tickets(&mut tx, pull.connection, pull.report, pull.days).await?;
    if accounts.len() < pull.accounts.len() {
        store::pull::narrow(&mut tx, pull.id, &accounts).await?;
    }
    tx.commit().await?;
    let known: Option<Ticket> = known.and_then(|ticket| serde_json::from_value(ticket).ok());
    let refused: Vec<Ticket> = refused.into_iter().filter_map(|ticket| serde_json::from_value(ticket).ok()).collect();
    let spec = ReportSpec {
        definition,
        connection: pull.connection,
        accounts: &accounts,
        days: pull.days,
        since: pull.refused_at.map_or(pull.planned_at, |refused_at| refused_at.max(pull.planned_at)),
        refused: &refused,
        retried,
    };
    let ticket = match desk.platform.request_report(&desk.access, &spec, known.as_ref()).await {
        Ok(ticket) => ticket,
        Err(error @ connectors::Error::Storage { .. }) => return Err(error.into()),
        Err(error) => return Ok(Some(error)),
    };
    let json = serde_json::to_value(&ticket)
        .map_err(|error| Error::Inconsistent { what: "a ticket", why: error.to_string() })?;
    let now = desk.context.clock.now();
    let first_poll = now + TimeDelta::seconds(i64::from(law::poll_wait_seconds(pull.kind, 0)));
    let mut tx = desk.context.store.begin(desk.org).await?;
    store::pull::mark_requested(&mut tx, pull.id, &json, first_poll, Some(input.cycle), now).await?;
    tx.commit().await?;
    Ok(None)
}

/// Closes the cycle; when a report is expected before the next tick, leaves an intent for a short cycle of its own.
async fn close(context: &Context, input: &CycleStepV1, requested: u32, may_ask: bool) -> Result<RequestedV1, Error> {
    let now = context.clock.now();
    let mut tx = context.store.begin(input.org).await?;
    let (mut open, mut next) = (0_usize, None);
    for connection in store::connection::list(&mut tx).await? {
        let mut pulls = store::pull::list_open(&mut tx, Some(connection.id)).await?;
        let is_usable = connection.status == Status::Healthy
            && !store::account::list_readable(&mut tx, connection.id).await?.is_empty();
        open += pulls.len();
        pulls.retain(|pull| may_ask || pull.state != State::Planned);
        next = next.into_iter().chain(follow_up::next(is_usable, &pulls, now)).min();
    }
    let tick = TimeDelta::seconds(i64::from(context.settings.tick_seconds));
    if let Some(next) = next.filter(|next| *next < now + tick) {
        let kind = store::intent::Kind::FollowUp;
        store::intent::create(&mut tx, kind, input.cycle.uuid(), next, now).await?;
    }
    let step = serde_json::json!({"requested": requested, "open": open, "used_up": !may_ask, "at": now});
    store::cycle::record_step(&mut tx, input.cycle, "request", &step).await?;
    store::cycle::finish(&mut tx, input.cycle, input.failure, now).await?;
    tx.commit().await?;
    let seconds = (now - input.as_of).as_seconds_f64();
    metrics::histogram!("clp_cycle_seconds").record(seconds);
    // A cycle of which an earlier step failed is counted where it is given up.
    if input.failure.is_none() {
        metrics::counter!("clp_cycles_total", "state" => "done").increment(1);
    }
    Ok(RequestedV1 { requested, open: u32::try_from(open).unwrap_or(u32::MAX) })
}

fn is_due(pull: &Pull, now: DateTime<Utc>) -> bool {
    pull.state == State::Planned && pull.not_before.is_none_or(|moment| moment <= now)
}

/// History is asked for last, newest days first; what people look at comes before it.
pub(super) const fn order(kind: Kind) -> u8 {
    match kind {
        Kind::FirstSlice => 0,
        Kind::Manual => 1,
        Kind::Tick => 2,
        Kind::Lookback => 3,
        Kind::Backfill => 4,
    }
}
