//! Evaluates the rules: judges every line on complete days, records the decision with what it was based on, and makes
//! proposals. The workflow follows what is recorded here; it judges nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::coverage::{Coverage, reporting_lag};
use domain::entity::Field;
use domain::ids::{ConnectionId, EntityId, OrgId, PullId};
use domain::pacing::Pacing;
use domain::report::Definition;
use domain::rule::{Finding, NotJudged};
use domain::{DayRange, EntityStatus, Finality, Level, Money};
use futures::FutureExt as _;
use lakehouse::{LineSpan, Spans};
use store::decision::{Cause, Findings};
use store::entity::Known;
use store::rule::Rule;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use workflows::contract::rules::{CauseV1, EvaluateV1, EvaluatedV1, GiveUpV1, defs};

use crate::context::Context;
use crate::failure::{Error, failure};
use crate::heartbeat::beating;

/// How long a proposal waits for an approver: by then the numbers behind it are a day old.
const DECIDE_WITHIN: TimeDelta = TimeDelta::hours(24);
/// Lines read at a time.
const SLICE: u32 = store::entity::SLICE_MOST;
/// More lines than any agency has.
const MOST_LINES: usize = 200_000;

/// Implements [`workflows::contract::rules`].
pub struct RuleActivities(pub(crate) Arc<Context>);

#[activities]
impl RuleActivities {
    #[activity(definition = defs::Evaluate)]
    pub async fn evaluate(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: EvaluateV1,
    ) -> Result<EvaluatedV1, ActivityError> {
        beating(ctx, async move { evaluate(&self.0, &input).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::GiveUp)]
    pub async fn give_up(self: Arc<Self>, ctx: ActivityContext, input: GiveUpV1) -> Result<(), ActivityError> {
        beating(ctx, async move { give_up(&self.0, &input).await.map_err(failure) }.boxed()).await
    }
}

async fn give_up(context: &Context, input: &GiveUpV1) -> Result<(), Error> {
    let mut tx = context.store.begin(input.org).await?;
    store::decision::fail(&mut tx, input.decision, input.code, context.clock.now()).await?;
    Ok(tx.commit().await?)
}

async fn evaluate(context: &Context, input: &EvaluateV1) -> Result<EvaluatedV1, Error> {
    let now = context.clock.now();
    let mut tx = context.store.begin(input.org).await?;
    let decision = open_decision(&mut tx, input, now).await?;
    if decision.finished_at.is_some() {
        return Ok(EvaluatedV1 {
            decision: decision.id,
            judged: decision.findings.lines_judged,
            proposals: decision.proposals_made,
        });
    }
    let rules: Vec<Rule> = store::rule::list(&mut tx).await?.into_iter().filter(|rule| rule.enabled).collect();
    let lines = active_lines(&mut tx).await?;
    let known = Books::load(&mut tx, &lines).await?;
    tx.commit().await?;
    let spends = known.spends(context, input.org, &lines).await?;
    let judged = judge(&rules, &lines, &known, &spends)?;
    let mut tx = context.store.begin(input.org).await?;
    let mut proposals = 0;
    for suggestion in &judged.suggestions {
        proposals += u32::from(propose(&mut tx, decision.id, suggestion, now).await?);
    }
    let findings = Findings {
        as_of: input.as_of.or(Some(now)),
        pulls: known.pulls.iter().copied().collect(),
        lines_judged: judged.lines,
        not_judged: judged.skipped,
    };
    store::decision::finish(&mut tx, decision.id, &findings, now).await?;
    tx.commit().await?;
    metrics::counter!("clp_proposals_total").increment(u64::from(proposals));
    Ok(EvaluatedV1 { decision: decision.id, judged: judged.lines, proposals })
}

async fn open_decision(
    tx: &mut store::Tx,
    input: &EvaluateV1,
    now: DateTime<Utc>,
) -> Result<store::decision::Decision, Error> {
    Ok(match input.cause {
        CauseV1::Cycle(cycle) => store::decision::open(tx, Cause::Cycle(cycle), now).await?,
        CauseV1::Person(decision) => store::decision::fetch(tx, decision).await?,
    })
}

/// Every line that could spend and has a plan to be judged by.
async fn active_lines(tx: &mut store::Tx) -> Result<Vec<Known>, Error> {
    let (mut lines, mut after) = (Vec::new(), None);
    while lines.len() < MOST_LINES {
        let page = store::entity::list(tx, Level::Line, false, after, SLICE).await?;
        after = page.last().map(|line| line.id);
        let full = page.len() == SLICE as usize;
        lines.extend(page.into_iter().filter(|line| line.entity.status == EntityStatus::Active));
        if !full {
            break;
        }
    }
    Ok(lines)
}

/// A connection, and the platform's id of one of its accounts.
type AccountKey = (ConnectionId, String);

/// What is known of the days behind the lines: per account its coverage, and the pulls that it came from.
struct Books {
    coverage: BTreeMap<AccountKey, Coverage>,
    final_after_days: BTreeMap<ConnectionId, u32>,
    pulls: BTreeSet<PullId>,
}

impl Books {
    async fn load(tx: &mut store::Tx, lines: &[Known]) -> Result<Self, Error> {
        let mut books = Self { coverage: BTreeMap::new(), final_after_days: BTreeMap::new(), pulls: BTreeSet::new() };
        let platforms: BTreeSet<_> = lines.iter().map(|line| line.platform).collect();
        let mut definitions: Vec<Definition> = Vec::new();
        for platform in platforms {
            definitions.extend(store::report::list(tx, platform).await?);
        }
        let mut days: BTreeMap<AccountKey, Vec<(NaiveDate, DateTime<Utc>)>> = BTreeMap::new();
        for mark in store::watermark::all(tx).await? {
            if let Some(definition) = definitions.iter().find(|definition| definition.id == mark.report) {
                books.final_after_days.insert(mark.connection, definition.final_after_days);
            }
            books.pulls.insert(mark.pull);
            days.entry((mark.connection, mark.account)).or_default().push((mark.day, mark.as_of));
        }
        books.coverage = days.into_iter().map(|(key, days)| (key, Coverage::new(days))).collect();
        Ok(books)
    }

    fn coverage(&self, line: &Known) -> Option<&Coverage> {
        self.coverage.get(&(line.connection, line.account_platform_id.clone()))
    }

    /// The last day up to which the line's whole flight is known and complete.
    fn complete_through(&self, line: &Known) -> Option<NaiveDate> {
        let flight = line.entity.flight?;
        let lag = reporting_lag(line.platform);
        let through = self.coverage(line)?.complete_through(flight.days.first(), flight.zone, lag)?;
        Some(through.min(flight.days.last()))
    }

    fn settled(&self, line: &Known, day: NaiveDate) -> Option<Finality> {
        let final_after_days = self.final_after_days.get(&line.connection).copied()?;
        self.coverage(line)?.finality(day, line.time_zone, final_after_days)
    }

    /// What each line has spent on the days that count.
    async fn spends(&self, context: &Context, org: OrgId, lines: &[Known]) -> Result<Spends, Error> {
        let spans = lines.iter().filter_map(|line| {
            let flight = line.entity.flight?;
            let days = DayRange::new(flight.days.first(), self.complete_through(line)?)?;
            Some(LineSpan { connection: line.connection, line: line.entity.platform_id.clone(), days })
        });
        let spans = Spans::Lines(spans.collect());
        let spends = context.lake.spend_by_line(&context.pointers(org), org, &spans).await?;
        Ok(spends.into_iter().map(|spend| ((spend.connection, spend.line), spend.spend)).collect())
    }
}

type Spends = BTreeMap<(ConnectionId, String), Money>;

/// A change that a rule suggests, with what it was judged by.
struct Suggestion {
    rule: Rule,
    entity: EntityId,
    before: Money,
    after: Money,
    limited: bool,
    pacing: Pacing,
    settled: Finality,
}

#[derive(Default)]
struct Judged {
    lines: u32,
    suggestions: Vec<Suggestion>,
    skipped: BTreeMap<String, u32>,
}

fn judge(rules: &[Rule], lines: &[Known], books: &Books, spends: &Spends) -> Result<Judged, Error> {
    let mut judged = Judged::default();
    for (rule, line) in rules.iter().flat_map(|rule| lines.iter().map(move |line| (rule, line))) {
        let mut skip = |reason: NotJudged| *judged.skipped.entry(reason.to_string()).or_default() += 1;
        let Some(flight) = line.entity.flight else {
            skip(NotJudged::OutsideFlight);
            continue;
        };
        let Some(through) = books.complete_through(line) else {
            skip(NotJudged::HistoryMissing);
            continue;
        };
        let nothing = Money::zero(line.currency);
        let key = (line.connection, line.entity.platform_id.clone());
        let delivered = spends.get(&key).copied().unwrap_or(nothing);
        let settled = books.settled(line, through).unwrap_or(Finality::Intraday);
        let pacing = Pacing::of(&flight, delivered, flight.zone.end_of(through)).map_err(|error| odd_money(&error))?;
        match rule.settings.judge(&pacing, line.entity.daily_budget, settled).map_err(|error| odd_money(&error))? {
            Finding::OnPace => judged.lines += 1,
            Finding::NotJudged { reason } => skip(reason),
            Finding::Suggest { before, after, limited } => {
                judged.lines += 1;
                let (rule, entity) = (rule.clone(), line.id);
                judged.suggestions.push(Suggestion { rule, entity, before, after, limited, pacing, settled });
            }
        }
    }
    Ok(judged)
}

fn odd_money(error: &domain::money::Error) -> Error {
    Error::Inconsistent { what: "the amounts of a line", why: error.to_string() }
}

/// Makes a proposal, with the intent to start its workflow; false when one is open for the same setting.
async fn propose(
    tx: &mut store::Tx,
    decision: domain::ids::DecisionId,
    suggestion: &Suggestion,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let rule = &suggestion.rule;
    let new = store::proposal::New {
        origin: store::proposal::Origin::Rule { rule: rule.id, version: rule.version, decision },
        entity: suggestion.entity,
        field: Field::DailyBudget,
        before: suggestion.before,
        after: suggestion.after,
        limited: suggestion.limited,
        pacing: suggestion.pacing,
        settled: suggestion.settled,
        expires_at: now + DECIDE_WITHIN,
    };
    Ok(store::proposal::create(tx, &new, now).await?.is_some())
}
