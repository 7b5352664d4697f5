//! Questions about gold, asked through DataFusion.
//!
//! Amounts come back as exact decimals, always with their currency; currencies are never summed. A measure that the
//! platform withheld is absent, which is not zero.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::prelude::{DataFrame, Expr, SessionConfig, SessionContext, col, lit};
use datafusion::scalar::ScalarValue;
use domain::ids::{ConnectionId, OrgId};
use domain::report::Measure;
use domain::{Currency, DayRange, Money};
use iceberg_datafusion::IcebergStaticTableProvider;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator as _;

use crate::columns::{MeasureColumn, day_of, days, epoch_days, texts};
use crate::error::{During as _, Error, Result};
use crate::lake::Lake;
use crate::number;
use crate::pointers::Pointers;
use crate::tables::GOLD;

/// Which lines' days are wanted; what is `None` is not restricted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineDayFilter {
    /// Of one connection.
    pub connection: Option<ConnectionId>,
    /// Of these days.
    pub days: Option<DayRange>,
    /// Of one campaign, by the platform's id.
    pub campaign: Option<String>,
    /// Of these lines, by the platform's ids.
    pub lines: Option<BTreeSet<String>>,
}

/// What a line did on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineDay {
    /// The connection.
    pub connection: ConnectionId,
    /// The platform's id of the account.
    pub account: String,
    /// The account's own day.
    pub day: NaiveDate,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The platform's id of the campaign; empty when the report has none.
    pub campaign: String,
    /// The platform's id of the order; empty when the report has none.
    pub order: String,
    /// The platform's id of the line; empty when the report has none.
    pub line: String,
    /// What the platform stated.
    pub measures: BTreeMap<Measure, Decimal>,
}

/// What a campaign did on a day, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignDay {
    /// The connection.
    pub connection: ConnectionId,
    /// The platform's id of the account.
    pub account: String,
    /// The account's own day.
    pub day: NaiveDate,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The platform's id of the campaign.
    pub campaign: String,
    /// What the platform stated.
    pub measures: BTreeMap<Measure, Decimal>,
}

/// Days of one line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LineSpan {
    /// The connection.
    pub connection: ConnectionId,
    /// The platform's id of the line.
    pub line: String,
    /// The days.
    pub days: DayRange,
}

/// Whose spend is wanted, and on which days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spans {
    /// All lines, on the same days.
    All(DayRange),
    /// Some lines, each on its own days. A day that lies in two spans of a line counts once.
    Lines(Vec<LineSpan>),
}

/// What a line has spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSpend {
    /// The connection.
    pub connection: ConnectionId,
    /// The platform's id of the account.
    pub account: String,
    /// The platform's id of the line.
    pub line: String,
    /// The media cost that the platform stated.
    pub spend: Money,
    /// On how many days it stated one.
    pub days: u32,
    /// On how many days it kept it to itself: then the spend is a lower bound.
    pub withheld_days: u32,
}

const LINE_KEYS: [&str; 7] = ["connection_id", "account_id", "day", "currency", "campaign_id", "order_id", "line_id"];
const CAMPAIGN_KEYS: [&str; 5] = ["connection_id", "account_id", "day", "currency", "campaign_id"];

impl Lake {
    /// What lines did, per day, in the order of connection, account, day and line.
    ///
    /// # Errors
    /// Storage, pointer and query errors.
    pub async fn line_days(&self, pointers: &dyn Pointers, org: OrgId, filter: &LineDayFilter) -> Result<Vec<LineDay>> {
        let gold = select(self.gold(pointers, org).await?, filter)?;
        let sort = ["connection_id", "account_id", "day", "line_id", "order_id", "campaign_id"];
        let batches = collect(gold, &sort, "query lines' days").await?;
        decode(&batches, line_day)
    }

    /// What campaigns did, per day and currency, in the order of connection, account, campaign and day.
    ///
    /// # Errors
    /// Storage, pointer and query errors.
    pub async fn campaign_days(
        &self,
        pointers: &dyn Pointers,
        org: OrgId,
        filter: &LineDayFilter,
    ) -> Result<Vec<CampaignDay>> {
        let gold = select(self.gold(pointers, org).await?, filter)?;
        let sums = Measure::iter().map(|measure| sum(col(measure.to_string())).alias(measure.to_string()));
        let grouped = gold.aggregate(CAMPAIGN_KEYS.map(col).to_vec(), sums.collect()).during("sum up campaigns")?;
        let sort = ["connection_id", "account_id", "campaign_id", "day", "currency"];
        let batches = collect(grouped, &sort, "query campaigns' days").await?;
        decode(&batches, campaign_day)
    }

    /// What lines have spent, per connection, account, line and currency.
    ///
    /// # Errors
    /// Storage, pointer and query errors; [`Error::Overflow`] for a sum beyond what a decimal holds.
    pub async fn spend_by_line(&self, pointers: &dyn Pointers, org: OrgId, spans: &Spans) -> Result<Vec<LineSpend>> {
        const COLUMNS: [&str; 6] = ["connection_id", "account_id", "day", "currency", "line_id", "media_cost"];
        let (filter, wanted) = match spans {
            Spans::All(days) => (LineDayFilter { days: Some(*days), ..LineDayFilter::default() }, None),
            Spans::Lines(spans) => match covering(spans) {
                Some(filter) => (filter, Some(by_line(spans))),
                None => return Ok(Vec::new()),
            },
        };
        let gold = select(self.gold(pointers, org).await?, &filter)?;
        let gold = gold.select_columns(&COLUMNS).during("query lines' spend")?;
        let batches = collect(gold, &["connection_id", "account_id", "line_id"], "query lines' spend").await?;
        add_up(&batches, wanted.as_ref())
    }

    async fn gold(&self, pointers: &dyn Pointers, org: OrgId) -> Result<DataFrame> {
        let loaded = self.load_existing(pointers, org, GOLD).await?;
        let provider = IcebergStaticTableProvider::try_new_from_table(loaded.table).await.during("open gold")?;
        // An Iceberg scan is one partition; spreading so few rows over threads costs more than it brings.
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        context.read_table(Arc::new(provider)).during("open gold")
    }
}

fn select(frame: DataFrame, filter: &LineDayFilter) -> Result<DataFrame> {
    let day = |day| lit(ScalarValue::Date32(Some(epoch_days(day))));
    let mut conditions: Vec<Expr> = Vec::new();
    conditions.extend(filter.connection.map(|id| col("connection_id").eq(lit(id.to_string()))));
    conditions
        .extend(filter.days.map(|days| col("day").gt_eq(day(days.first())).and(col("day").lt_eq(day(days.last())))));
    conditions.extend(filter.campaign.as_ref().map(|id| col("campaign_id").eq(lit(id.clone()))));
    conditions
        .extend(filter.lines.as_ref().map(|lines| col("line_id").in_list(lines.iter().map(lit).collect(), false)));
    conditions.into_iter().try_fold(frame, DataFrame::filter).during("filter gold")
}

async fn collect(frame: DataFrame, sort: &[&str], operation: &'static str) -> Result<Vec<RecordBatch>> {
    let order = sort.iter().map(|name| col(*name).sort(true, false)).collect();
    let sorted = frame.sort(order).during(operation)?;
    // Plans and streams of DataFusion are large; on the heap they don't weigh down every caller's future.
    Box::pin(sorted.collect()).await.during(operation)
}

/// The text keys of a row, in the order of `names`.
struct Keys<'a> {
    texts: BTreeMap<&'static str, &'a arrow::array::StringArray>,
    days: &'a arrow::array::Date32Array,
    measures: Vec<(Measure, MeasureColumn<'a>)>,
}

impl<'a> Keys<'a> {
    fn of(batch: &'a RecordBatch, names: &[&'static str]) -> Result<Self> {
        let keys = names.iter().filter(|name| **name != "day").map(|name| Ok((*name, texts(batch, name)?)));
        let present = Measure::iter().filter(|measure| batch.column_by_name(&measure.to_string()).is_some());
        let measures = present.map(|measure| Ok((measure, MeasureColumn::of(batch, measure)?)));
        Ok(Self {
            texts: keys.collect::<Result<_>>()?,
            days: days(batch, "day")?,
            measures: measures.collect::<Result<_>>()?,
        })
    }

    fn text(&self, name: &str, row: usize) -> &'a str {
        self.texts.get(name).map_or("", |column| column.value(row))
    }

    fn connection(&self, row: usize) -> Result<ConnectionId> {
        let text = self.text("connection_id", row);
        text.parse().map_err(|_| Error::corrupt(format!("connection `{text}`")))
    }

    fn currency(&self, row: usize) -> Result<Currency> {
        let text = self.text("currency", row);
        text.parse().map_err(|_| Error::corrupt(format!("currency `{text}`")))
    }

    fn measures(&self, row: usize) -> Result<BTreeMap<Measure, Decimal>> {
        let stated = self.measures.iter().filter_map(|(measure, column)| Some((*measure, column.value(row)?)));
        stated.map(|(measure, value)| Ok((measure, decimal(measure, value)?))).collect()
    }
}

fn decimal(measure: Measure, value: i128) -> Result<Decimal> {
    let decimal =
        if measure.is_count() { Decimal::try_from_i128_with_scale(value, 0).ok() } else { number::to_decimal(value) };
    decimal.ok_or_else(|| Error::Overflow { measure: measure.to_string() })
}

fn decode<T>(batches: &[RecordBatch], row: impl Fn(&RecordBatch) -> Result<Vec<T>>) -> Result<Vec<T>> {
    let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for batch in batches {
        rows.extend(row(batch)?);
    }
    Ok(rows)
}

fn line_day(batch: &RecordBatch) -> Result<Vec<LineDay>> {
    let keys = Keys::of(batch, &LINE_KEYS)?;
    let row = |row| {
        Ok(LineDay {
            connection: keys.connection(row)?,
            account: keys.text("account_id", row).to_owned(),
            day: day_of(keys.days.value(row)),
            currency: keys.currency(row)?,
            campaign: keys.text("campaign_id", row).to_owned(),
            order: keys.text("order_id", row).to_owned(),
            line: keys.text("line_id", row).to_owned(),
            measures: keys.measures(row)?,
        })
    };
    (0..batch.num_rows()).map(row).collect()
}

fn campaign_day(batch: &RecordBatch) -> Result<Vec<CampaignDay>> {
    let keys = Keys::of(batch, &CAMPAIGN_KEYS)?;
    let row = |row| {
        Ok(CampaignDay {
            connection: keys.connection(row)?,
            account: keys.text("account_id", row).to_owned(),
            day: day_of(keys.days.value(row)),
            currency: keys.currency(row)?,
            campaign: keys.text("campaign_id", row).to_owned(),
            measures: keys.measures(row)?,
        })
    };
    (0..batch.num_rows()).map(row).collect()
}

type ByLine<'a> = BTreeMap<(ConnectionId, &'a str), Vec<DayRange>>;

fn by_line(spans: &[LineSpan]) -> ByLine<'_> {
    let mut lines: ByLine<'_> = BTreeMap::new();
    for span in spans {
        lines.entry((span.connection, &span.line)).or_default().push(span.days);
    }
    lines
}

/// A filter that lets all spans through (and more); none when there is no span.
fn covering(spans: &[LineSpan]) -> Option<LineDayFilter> {
    let first = spans.iter().map(|span| span.days.first()).min()?;
    let last = spans.iter().map(|span| span.days.last()).max()?;
    let connections: BTreeSet<_> = spans.iter().map(|span| span.connection).collect();
    Some(LineDayFilter {
        connection: connections.first().copied().filter(|_| connections.len() == 1),
        days: DayRange::new(first, last),
        campaign: None,
        lines: Some(spans.iter().map(|span| span.line.clone()).collect()),
    })
}

#[derive(Default)]
struct Spent {
    nanos: i128,
    days: BTreeSet<i32>,
    withheld_days: BTreeSet<i32>,
}

fn add_up(batches: &[RecordBatch], wanted: Option<&ByLine<'_>>) -> Result<Vec<LineSpend>> {
    let mut lines: BTreeMap<(ConnectionId, String, String, Currency), Spent> = BTreeMap::new();
    for batch in batches {
        let keys = Keys::of(batch, &["connection_id", "account_id", "currency", "line_id"])?;
        let cost = MeasureColumn::of(batch, Measure::MediaCost)?;
        for row in 0..batch.num_rows() {
            let (connection, line, day) = (keys.connection(row)?, keys.text("line_id", row), keys.days.value(row));
            let lies_in = |spans: &Vec<DayRange>| spans.iter().any(|span| span.contains(day_of(day)));
            if wanted.is_some_and(|wanted| !wanted.get(&(connection, line)).is_some_and(lies_in)) {
                continue;
            }
            let account = keys.text("account_id", row).to_owned();
            let spent = lines.entry((connection, account, line.to_owned(), keys.currency(row)?)).or_default();
            match cost.value(row) {
                Some(nanos) => {
                    spent.nanos += nanos;
                    spent.days.insert(day);
                }
                None => drop(spent.withheld_days.insert(day)),
            }
        }
    }
    let lines = lines.into_iter().map(|((connection, account, line, currency), spent)| {
        let spend = Money::new(decimal(Measure::MediaCost, spent.nanos)?, currency);
        let count = |days: &BTreeSet<i32>| u32::try_from(days.len()).unwrap_or(u32::MAX);
        let (days, withheld_days) = (count(&spent.days), count(&spent.withheld_days));
        Ok(LineSpend { connection, account, line, spend, days, withheld_days })
    });
    lines.collect()
}
