//! The steps of a write-back. Intent before, outcome after; what is unknown is read until it is settled.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use connectors::{Access, AccountRef, AdPlatform, Live, Setting};
use domain::error_code::{Class, ErrorCode};
use domain::guardrail::Approved;
use domain::ids::{AttemptId, OrgId, ProposalId};
use domain::write_back::{Event, State};
use futures::FutureExt as _;
use store::attempt::Outcome;
use store::audit::Actor;
use store::proposal::{Detail, Origin, Proposal};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use workflows::contract::write_back::{
    AttemptV1, BeginV1, BegunV1, CloseV1, DecidedV1, OpenedV1, RecordV1, SeenV1, SentV1, Verdict, WriteBackV1, defs,
};

use crate::context::{Context, account_ref};
use crate::failure::{Error, chain, failure};
use crate::heartbeat::beating;

/// After a request's deadline it may still take effect for this long; before the first look the same time is given.
const SETTLE: TimeDelta = TimeDelta::seconds(10);

/// Implements [`workflows::contract::write_back`].
pub struct WriteBackActivities(pub(crate) Arc<Context>);

#[activities]
impl WriteBackActivities {
    #[activity(definition = defs::Open)]
    pub async fn open(self: Arc<Self>, ctx: ActivityContext, input: WriteBackV1) -> Result<OpenedV1, ActivityError> {
        beating(ctx, async move { open(&self.0, &input).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::Record)]
    pub async fn record(self: Arc<Self>, ctx: ActivityContext, input: RecordV1) -> Result<DecidedV1, ActivityError> {
        beating(ctx, async move { record(&self.0, &input).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::Begin)]
    pub async fn begin(self: Arc<Self>, ctx: ActivityContext, input: BeginV1) -> Result<BegunV1, ActivityError> {
        beating(ctx, async move { begin(&self.0, &input).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::Send)]
    pub async fn send(self: Arc<Self>, ctx: ActivityContext, input: AttemptV1) -> Result<SentV1, ActivityError> {
        beating(ctx, async move { send(&self.0, &input).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::Look)]
    pub async fn look(self: Arc<Self>, ctx: ActivityContext, input: AttemptV1) -> Result<SeenV1, ActivityError> {
        beating(ctx, async move { look(&self.0, &input).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::Close)]
    pub async fn close(self: Arc<Self>, ctx: ActivityContext, input: CloseV1) -> Result<State, ActivityError> {
        beating(ctx, async move { close(&self.0, &input).await.map_err(failure) }.boxed()).await
    }
}

async fn open(context: &Context, input: &WriteBackV1) -> Result<OpenedV1, Error> {
    let mut tx = context.store.begin(input.org).await?;
    let proposal = store::proposal::fetch(&mut tx, input.proposal).await?;
    let left = (proposal.expires_at - context.clock.now()).num_seconds().max(0);
    Ok(OpenedV1 {
        state: proposal.state,
        change_hash: proposal.change_hash,
        expires_in_seconds: u64::try_from(left).unwrap_or_default(),
    })
}

/// Records a decision. Called again after a kill it finds its own row and answers the same.
async fn record(context: &Context, input: &RecordV1) -> Result<DecidedV1, Error> {
    let now = context.clock.now();
    let decision = &input.decision;
    let verdict = match decision.verdict {
        Verdict::Approve => store::approval::Verdict::Approve,
        Verdict::Reject => store::approval::Verdict::Reject,
        Verdict::Cancel => store::approval::Verdict::Cancel,
    };
    let answer = store::approval::Decision {
        by: decision.by,
        verdict,
        change_hash: decision.change_hash.clone(),
        reason: decision.reason.clone(),
    };
    let mut tx = context.store.begin(input.org).await?;
    tx.set_origin(decision.origin);
    match store::approval::record(&mut tx, input.proposal, &answer, now).await {
        Ok(state) => {
            tx.commit().await?;
            Ok(DecidedV1::Recorded { state })
        }
        Err(error) => match refusal(&error) {
            Some(code) => Ok(DecidedV1::Refused { code }),
            None => Err(error.into()),
        },
    }
}

/// What a person is told when their decision can't be recorded; `None` for a failure of ours.
fn refusal(error: &store::Error) -> Option<ErrorCode> {
    match error {
        store::Error::AlreadyDecided | store::Error::Forbidden(_) => Some(ErrorCode::AlreadyDecided),
        store::Error::ApprovalStale => Some(ErrorCode::ApprovalStale),
        store::Error::OwnProposal => Some(ErrorCode::OwnProposal),
        store::Error::ProposalExpired => Some(ErrorCode::ProposalExpired),
        store::Error::Frozen => Some(ErrorCode::Frozen),
        _ => None,
    }
}

/// A proposal with what is needed to speak to its platform.
struct Desk<'a> {
    context: &'a Context,
    org: OrgId,
    proposal: Proposal,
    platform: &'a Arc<dyn AdPlatform>,
    access: Arc<Access>,
    account: AccountRef,
    /// How long a request of a change is waited for.
    deadline: TimeDelta,
}

impl<'a> Desk<'a> {
    async fn open(context: &'a Context, org: OrgId, id: ProposalId) -> Result<Self, Error> {
        let mut tx = context.store.begin(org).await?;
        let proposal = store::proposal::fetch(&mut tx, id).await?;
        let connection = store::connection::fetch(&mut tx, proposal.connection).await?;
        let account = store::account::fetch(&mut tx, proposal.account).await?;
        tx.commit().await?;
        let platform = context.platform(&connection)?;
        let access = context.access(org, &connection).await;
        let deadline = context.change_deadline(&connection)?;
        Ok(Self { context, org, proposal, platform, access, account: account_ref(&account), deadline })
    }

    fn setting(&self) -> Setting<'_> {
        let Proposal { entity_level, entity_platform_id, field, .. } = &self.proposal;
        Setting { account: &self.account, level: *entity_level, platform_id: entity_platform_id, field: *field }
    }

    fn seen(&self, live: &Live) -> SeenV1 {
        match live.value {
            Some(value) if value == self.proposal.after => SeenV1::After,
            Some(value) if value == self.proposal.before => SeenV1::Before,
            _ => SeenV1::Other,
        }
    }

    async fn read(&self) -> Result<Live, Error> {
        Ok(self.platform.read_live(&self.access, &self.setting()).await?)
    }

    /// Moves the proposal on, with its audit line, in one transaction.
    async fn transition(
        &self,
        event: Event,
        live: Option<&Live>,
        why: Option<(ErrorCode, String)>,
    ) -> Result<State, Error> {
        let now = self.context.clock.now();
        let mut tx = self.context.store.begin(self.org).await?;
        let state = self.transition_in(&mut tx, event, live, why, now).await?;
        tx.commit().await?;
        Ok(state)
    }

    async fn transition_in(
        &self,
        tx: &mut store::Tx,
        event: Event,
        live: Option<&Live>,
        why: Option<(ErrorCode, String)>,
        now: DateTime<Utc>,
    ) -> Result<State, Error> {
        let live = live.and_then(|live| live.value).map(|value| store::proposal::Live { value, read_at: now });
        if let Some(live) = live {
            // The next evaluation judges by what is in force now, not by what was read with all the campaigns.
            store::entity::update_daily_budget(tx, self.proposal.entity, live.value, live.read_at).await?;
        }
        let problem = why.map(|(code, detail)| (code, Some(detail)));
        let detail = Detail { live, problem, ..Detail::by(Actor::System, now) };
        Ok(counted(store::proposal::transition(tx, self.proposal.id, event, &detail).await?))
    }

    /// A failure that trying again does not mend closes the proposal: nothing was sent.
    async fn refused(&self, error: Error) -> Result<State, Error> {
        match &error {
            Error::Platform(platform) if platform.code().class() != Class::Transient => {
                let why = (platform.code(), chain(platform));
                self.transition(Event::Refuse, None, Some(why)).await
            }
            _ => Err(self.waits(error).await?),
        }
    }

    /// Tells on the proposal why it does not go on for now.
    async fn waits(&self, error: Error) -> Result<Error, Error> {
        if let Error::Platform(platform) | Error::Unsettled(platform) = &error {
            let mut tx = self.context.store.begin(self.org).await?;
            store::proposal::note_problem(&mut tx, self.proposal.id, platform.code(), &chain(platform)).await?;
            tx.commit().await?;
        }
        Ok(error)
    }

    /// Closes a proposal whose line is gone since the change was sent: what came of it can't be read any more.
    async fn line_gone(&self, attempt: AttemptId, error: &connectors::Error) -> Result<SeenV1, Error> {
        let now = self.context.clock.now();
        let mut tx = self.context.store.begin(self.org).await?;
        store::attempt::settle(&mut tx, attempt, Outcome::Other, now).await?;
        let why = (error.code(), chain(error));
        self.transition_in(&mut tx, Event::ReadOther, None, Some(why), now).await?;
        tx.commit().await?;
        Ok(SeenV1::Other)
    }
}

async fn begin(context: &Context, input: &BeginV1) -> Result<BegunV1, Error> {
    let desk = Desk::open(context, input.org, input.proposal).await?;
    if desk.proposal.state.is_closed() {
        return Ok(BegunV1::Closed { state: desk.proposal.state });
    }
    let mut tx = context.store.begin(input.org).await?;
    let attempts = store::attempt::list(&mut tx, input.proposal).await?;
    tx.commit().await?;
    if let Some(open) = attempts.iter().find(|attempt| attempt.outcome.is_none()) {
        return Ok(BegunV1::Ready { attempt: open.id });
    }
    match desk.prepare(input.number).await {
        // A person withdrew it in the same moment.
        Err(Error::Store(store::Error::Forbidden(_))) => {
            let mut tx = context.store.begin(input.org).await?;
            Ok(BegunV1::Closed { state: store::proposal::fetch(&mut tx, input.proposal).await?.state })
        }
        begun => begun,
    }
}

impl Desk<'_> {
    /// Checks drift and guardrails, and records the intent to send when nothing speaks against it.
    async fn prepare(&self, number: u32) -> Result<BegunV1, Error> {
        let live = match self.read().await {
            Ok(live) => live,
            Err(error) => return Ok(BegunV1::Closed { state: self.refused(error).await? }),
        };
        match self.seen(&live) {
            SeenV1::After => Ok(BegunV1::Closed { state: self.transition(Event::ReadAfter, Some(&live), None).await? }),
            SeenV1::Other => {
                let why = (ErrorCode::Drifted, "the value was changed in the platform".to_owned());
                Ok(BegunV1::Closed { state: self.transition(Event::ReadOther, Some(&live), Some(why)).await? })
            }
            SeenV1::Before => self.intend(&live, number).await,
        }
    }

    async fn intend(&self, live: &Live, number: u32) -> Result<BegunV1, Error> {
        let now = self.context.clock.now();
        let mut tx = self.context.store.begin(self.org).await?;
        let (code, detail) = match self.objection(&mut tx, live, now).await? {
            Some(code) => (code, format!("at {now} the change was not sent any more")),
            None => match store::attempt::begin(&mut tx, self.proposal.id, number, now).await {
                Ok(attempt) => {
                    tx.commit().await?;
                    return Ok(BegunV1::Ready { attempt: attempt.id });
                }
                Err(store::Error::Frozen) => (ErrorCode::Frozen, "changes were frozen before it was sent".to_owned()),
                Err(error) => return Err(error.into()),
            },
        };
        drop(tx);
        Ok(BegunV1::Closed { state: self.transition(Event::Refuse, Some(live), Some((code, detail))).await? })
    }

    /// What forbids the change by now, though it was approved.
    async fn objection(&self, tx: &mut store::Tx, live: &Live, now: DateTime<Utc>) -> Result<Option<ErrorCode>, Error> {
        let Proposal { before, after, expires_at, flight, origin, .. } = &self.proposal;
        let max_step = match origin {
            Origin::Rule { rule, .. } => Some(store::rule::fetch(tx, *rule).await?.settings.max_step),
            Origin::Person(_) => None,
        };
        let (status, flight) = (live.status, flight.as_ref());
        let approved = Approved { before: *before, after: *after, expires_at: *expires_at, flight, status, max_step };
        Ok(approved.objection(now))
    }

    /// What is known of a request that left at this time, at the latest, and was not answered.
    fn unknown(&self, left_at: DateTime<Utc>) -> SentV1 {
        let left = left_at + self.deadline + SETTLE - self.context.clock.now();
        let seconds = |delta: TimeDelta| u64::try_from(delta.num_seconds()).unwrap_or_default();
        SentV1::Unknown { settle_seconds: seconds(SETTLE), deadline_seconds: seconds(left.max(SETTLE * 2)) }
    }
}

async fn send(context: &Context, input: &AttemptV1) -> Result<SentV1, Error> {
    let desk = Desk::open(context, input.org, input.proposal).await?;
    if desk.proposal.state.is_closed() {
        return Ok(if desk.proposal.state == State::Failed { SentV1::Refused } else { SentV1::Done });
    }
    let now = context.clock.now();
    let mut tx = context.store.begin(input.org).await?;
    // The mark is on record before the request leaves: whoever finds it may not send again.
    let first = store::attempt::mark_sent(&mut tx, input.attempt, now).await?;
    tx.commit().await?;
    if !first {
        // Whoever sent it is gone, at the latest since a moment ago.
        return Ok(desk.unknown(now));
    }
    match desk.platform.apply(&desk.access, &desk.setting(), desk.proposal.after).await {
        Ok(_) => Ok(SentV1::Done),
        Err(error @ connectors::Error::UnknownOutcome { .. }) => {
            tracing::warn!(proposal.id = %input.proposal, "an answer was lost: {}", chain(&error));
            let why = (ErrorCode::OutcomeUnknown, chain(&error));
            desk.transition(Event::LoseAnswer, None, Some(why)).await?;
            Ok(desk.unknown(now))
        }
        Err(error) if error.code().class() == Class::Transient => {
            // It surely was not sent; the mark is taken back so that the next try may send.
            let mut tx = context.store.begin(input.org).await?;
            store::attempt::unmark_sent(&mut tx, input.attempt).await?;
            tx.commit().await?;
            Err(desk.waits(error.into()).await?)
        }
        Err(error) => {
            let now = context.clock.now();
            let mut tx = context.store.begin(input.org).await?;
            store::attempt::settle(&mut tx, input.attempt, Outcome::Refused, now).await?;
            desk.transition_in(&mut tx, Event::Refuse, None, Some((error.code(), chain(&error))), now).await?;
            tx.commit().await?;
            Ok(SentV1::Refused)
        }
    }
}

async fn look(context: &Context, input: &AttemptV1) -> Result<SeenV1, Error> {
    let desk = Desk::open(context, input.org, input.proposal).await?;
    match desk.proposal.state {
        State::Verified => return Ok(SeenV1::After),
        State::Drifted => return Ok(SeenV1::Other),
        _ => {}
    }
    let live = match desk.read().await {
        Ok(live) => live,
        Err(Error::Platform(error)) if error.code() == ErrorCode::LineGone => {
            return desk.line_gone(input.attempt, &error).await;
        }
        // The change may stand: nobody gives up before it is known, not even while the authorisation is lost.
        Err(Error::Platform(error)) if error.code().class() != Class::Transient => {
            return Err(desk.waits(Error::Unsettled(error)).await?);
        }
        Err(error) => return Err(desk.waits(error).await?),
    };
    let seen = desk.seen(&live);
    let now = context.clock.now();
    let mut tx = context.store.begin(input.org).await?;
    match seen {
        SeenV1::After => {
            store::attempt::settle(&mut tx, input.attempt, Outcome::Applied, now).await?;
            desk.transition_in(&mut tx, Event::ReadAfter, Some(&live), None, now).await?;
        }
        SeenV1::Other => {
            let why = (ErrorCode::Drifted, "the value in the platform is neither the old nor the new one".to_owned());
            store::attempt::settle(&mut tx, input.attempt, Outcome::Other, now).await?;
            desk.transition_in(&mut tx, Event::ReadOther, Some(&live), Some(why), now).await?;
        }
        SeenV1::Before => {
            if input.last_look {
                store::attempt::settle(&mut tx, input.attempt, Outcome::Absent, now).await?;
            }
            desk.transition_in(&mut tx, Event::ReadBefore, Some(&live), None, now).await?;
        }
    }
    tx.commit().await?;
    Ok(seen)
}

/// Closes a proposal that is still open in the way that is asked for; otherwise says how it really stands.
async fn close(context: &Context, input: &CloseV1) -> Result<State, Error> {
    let now = context.clock.now();
    let mut tx = context.store.begin(input.org).await?;
    let proposal = store::proposal::fetch(&mut tx, input.proposal).await?;
    let (event, code) = match input.state {
        State::Expired => (Event::Expire, Some(ErrorCode::ProposalExpired)),
        State::Cancelled => (Event::Cancel, None),
        _ => (Event::Refuse, Some(ErrorCode::NotApplied)),
    };
    if proposal.state.after(event).is_err() {
        return Ok(proposal.state);
    }
    let problem = code.map(|code| (code, None));
    let detail = Detail { problem, ..Detail::by(Actor::System, now) };
    match store::proposal::transition(&mut tx, input.proposal, event, &detail).await {
        Ok(state) => {
            tx.commit().await?;
            Ok(counted(state))
        }
        // An evaluation of the rules, or a person, closed it in the same moment.
        Err(store::Error::Forbidden(forbidden)) => Ok(forbidden.state),
        Err(error) => Err(error.into()),
    }
}

/// Counts the ways in which write-backs end.
fn counted(state: State) -> State {
    if state.is_closed() {
        metrics::counter!("clp_write_backs_total", "outcome" => state.to_string()).increment(1);
    }
    state
}
