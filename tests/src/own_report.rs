//! Somebody's own report: what the file itself adds up to, read without the sandbox's code, and what is put in place of
//! what it does not say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use chrono::NaiveDate;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use crate::sandbox_admin::SandboxAdmin;
use crate::truth::LakeReader;

/// One unit of a currency, in which the sandbox estimates.
const UNIT_MICROS: i64 = 1_000_000;

/// A line whose estimated budget is this many hundredths of what would be on pace has a quarter more to spend: its index
/// is 0.80, where the rule acts below 0.90.
const BEHIND_PERCENT: i64 = 125;

/// What the sandbox estimates, in a person's words.
const WORDS: [(&str, &str); 6] = [
    ("flight", "the first and last day of each line"),
    ("budget", "the budgets"),
    ("daily_max", "the daily budgets"),
    ("media_cost", "the media cost (taken to be the revenue)"),
    ("revenue", "the revenue (taken to be the media cost)"),
    ("time_zone", "the time zones (taken to be UTC)"),
];

/// A report file, as the sums that anybody could make in a spreadsheet.
#[derive(Debug, Clone)]
pub struct ReportFile {
    rows: Vec<(NaiveDate, String, Decimal)>,
}

impl ReportFile {
    /// Reads the rows that have a day; totals and footers have none.
    ///
    /// # Errors
    /// When the file can't be read or lacks a column.
    pub fn read(path: &Path) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path)?;
        let mut records = reader.records();
        let header = records.next().context("the report is empty")??;
        let place = |names: &[&str]| {
            let same = |name: &&str| {
                header.iter().position(|cell| cell.trim_matches(['\u{feff}', ' ']).eq_ignore_ascii_case(name))
            };
            names.iter().find_map(same)
        };
        let day = place(&["Date", "Day"]).context("the report has no column Date")?;
        let currency = place(&["Advertiser Currency", "Advertiser Currency Code", "Currency"]);
        let currency = currency.context("the report has no column Advertiser Currency")?;
        let cost = ["Media Cost", "Revenue"].iter().find_map(|name| {
            place(&[&format!("{name} (Advertiser Currency)"), &format!("{name} (Adv Currency)"), name])
        });
        let cost = cost.context("the report has no column with money")?;
        let mut rows = Vec::new();
        for record in records {
            let record = record?;
            let cell = |column: usize| record.get(column).unwrap_or_default().trim();
            let read = |format| NaiveDate::parse_from_str(cell(day), format).ok();
            let Some(on) = read("%Y/%m/%d").or_else(|| read("%Y-%m-%d")) else { continue };
            let amount = match cell(cost) {
                "" | "-" => Decimal::ZERO,
                text => text.parse::<Decimal>().with_context(|| format!("'{text}' is no amount"))?,
            };
            // Platforms keep money in millionths.
            let amount = amount.round_dp_with_strategy(6, RoundingStrategy::MidpointAwayFromZero);
            rows.push((on, cell(currency).to_ascii_uppercase(), amount));
        }
        ensure!(!rows.is_empty(), "the report has no rows");
        Ok(Self { rows })
    }

    /// How many rows it has.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Its days.
    #[must_use]
    pub fn days(&self) -> BTreeSet<NaiveDate> {
        self.rows.iter().map(|(day, ..)| *day).collect()
    }

    /// What was spent from a day on, per currency.
    #[must_use]
    pub fn spent_since(&self, first: NaiveDate) -> BTreeMap<String, Decimal> {
        let mut spent = BTreeMap::new();
        for (_, currency, amount) in self.rows.iter().filter(|(day, ..)| *day >= first) {
            *spent.entry(currency.clone()).or_insert(Decimal::ZERO) += *amount;
        }
        spent.retain(|_, amount| !amount.is_zero());
        spent
    }

    /// Fails unless gold adds up to what the file does, per currency and to the last micro. The product reads a limited
    /// history: the file counts from its first day on, which is returned with the sums.
    ///
    /// # Errors
    /// Says both sums.
    pub async fn equals_gold(&self, lake: &LakeReader) -> Result<(NaiveDate, BTreeMap<String, Decimal>)> {
        let first = lake.made_at().await?.keys().map(|(_, day)| *day).min().context("nothing has landed yet")?;
        let (_, mut gold) = lake.gold().await?;
        gold.retain(|_, amount| !amount.is_zero());
        let file = self.spent_since(first);
        ensure!(gold == file, "since {first} the file adds up to {file:?}, gold to {gold:?}");
        Ok((first, gold))
    }
}

/// A campaign of a report, with the budget that was estimated for it.
#[derive(Debug, Clone)]
pub struct Campaign {
    id: String,
    /// Its name.
    pub name: String,
    /// Its currency.
    pub currency: String,
    /// The sum of its lines' budgets.
    pub budget_micros: i64,
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    id: String,
    name: String,
    budget_micros: i64,
    /// Its flight has begun and goes on.
    runs: bool,
}

/// What the sandbox had to estimate.
#[derive(Debug, Clone)]
pub struct Estimates {
    /// Campaigns whose budget is an estimate, the largest first.
    pub campaigns: Vec<Campaign>,
    /// How many lines the report has.
    pub lines: usize,
    /// What is estimated, in words.
    pub what: Vec<&'static str>,
}

impl Estimates {
    /// Asks the sandbox.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn read(sandbox: &SandboxAdmin) -> Result<Self> {
        let world = sandbox.get("/world").await?;
        let list = |name: &str| world[name].as_array().cloned().unwrap_or_default();
        let lines = list("line_items");
        let estimated = |line: &Value, name: &str| {
            line["estimated"].as_array().is_some_and(|fields| fields.iter().any(|field| field == name))
        };
        let what = WORDS.iter().filter(|(name, _)| lines.iter().any(|line| estimated(line, name)));
        let currency_of = |advertiser: &Value| {
            let found = list("advertisers").into_iter().find(|one| one["advertiser_id"] == *advertiser);
            found.and_then(|one| one["currency"].as_str().map(str::to_owned)).unwrap_or_default()
        };
        let mut campaigns: Vec<Campaign> = list("campaigns")
            .iter()
            .map(|campaign| {
                let own = lines.iter().filter(|line| line["campaign_id"] == campaign["campaign_id"]);
                let lines: Vec<Line> = own
                    .filter(|line| estimated(line, "budget"))
                    .map(|line| Line::of(line, &world["anchor_day"]))
                    .collect();
                Campaign {
                    id: text(&campaign["campaign_id"]),
                    name: text(&campaign["name"]),
                    currency: currency_of(&campaign["advertiser_id"]),
                    budget_micros: lines.iter().map(|line| line.budget_micros).sum(),
                    lines,
                }
            })
            .filter(|campaign| !campaign.lines.is_empty())
            .collect();
        campaigns.sort_by_key(|campaign| std::cmp::Reverse(campaign.budget_micros));
        Ok(Self { campaigns, lines: lines.len(), what: what.map(|(_, words)| *words).collect() })
    }

    /// Raises the estimate of the largest line that runs, so that it is behind and a rule has something to propose; the
    /// line's name, or `None` when no estimated line runs any more.
    ///
    /// # Errors
    /// When the sandbox refuses it.
    pub async fn leave_one_behind(&self, sandbox: &SandboxAdmin) -> Result<Option<String>> {
        let running = self.campaigns.iter().flat_map(|campaign| &campaign.lines).filter(|line| line.runs);
        let Some(line) = running.max_by_key(|line| line.budget_micros) else { return Ok(None) };
        set_line(sandbox, line, share(line.budget_micros, BEHIND_PERCENT, 100)).await?;
        Ok(Some(line.name.clone()))
    }
}

impl Campaign {
    /// Puts a budget in place of the estimate; its lines keep their shares of it.
    ///
    /// # Errors
    /// When the sandbox refuses it.
    pub async fn set_budget(&self, sandbox: &SandboxAdmin, micros: i64) -> Result<()> {
        let planned = json!({"campaignFlight.plannedSpendAmountMicros": micros.to_string()});
        sandbox.post(&format!("/entities/campaigns/{}", self.id), planned).await?;
        for line in &self.lines {
            set_line(sandbox, line, share(line.budget_micros, micros, self.budget_micros)).await?;
        }
        Ok(())
    }
}

impl Line {
    fn of(line: &Value, last_day: &Value) -> Self {
        let day = |value: &Value| value.as_str().and_then(|text| text.parse::<NaiveDate>().ok());
        let (start, end) = (day(&line["flight"]["start"]), day(&line["flight"]["end"]));
        let last = day(last_day);
        Self {
            id: text(&line["line_item_id"]),
            name: text(&line["name"]),
            budget_micros: line["budget_micros"].as_i64().unwrap_or_default(),
            runs: start.is_some() && start <= last && end > last,
        }
    }
}

async fn set_line(sandbox: &SandboxAdmin, line: &Line, micros: i64) -> Result<()> {
    let budget = json!({"budget.maxAmount": micros.to_string()});
    sandbox.post(&format!("/entities/line-items/{}", line.id), budget).await.map(drop)
}

/// A part of an amount, rounded up to whole units of its currency; never nothing, which no budget may be.
fn share(micros: i64, numerator: i64, denominator: i64) -> i64 {
    let part = i128::from(micros) * i128::from(numerator) / i128::from(denominator.max(1));
    let units = (part + i128::from(UNIT_MICROS) - 1) / i128::from(UNIT_MICROS);
    i64::try_from(units * i128::from(UNIT_MICROS)).unwrap_or(i64::MAX).max(UNIT_MICROS)
}

fn text(value: &Value) -> String {
    value.as_str().map(str::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_adds_up_to_its_own_row_of_totals() {
        let path = crate::servers::root().join("sandbox/tests/fixtures/exported_report.csv");
        let file = ReportFile::read(&path).unwrap();
        let spent = file.spent_since(NaiveDate::MIN);
        assert_eq!((file.rows(), file.days().len(), spent.len()), (609, 29, 2));
        // The platform's own row of totals adds dollars to crowns.
        assert_eq!(spent.values().sum::<Decimal>(), "49577.372599".parse().unwrap());
        let last = file.days().last().copied().unwrap();
        assert!(file.spent_since(last).values().sum::<Decimal>() < spent.values().sum());
    }

    #[test]
    fn a_share_is_in_whole_units_and_never_nothing() {
        assert_eq!(share(48_000_000, 125, 100), 60_000_000);
        assert_eq!(share(1_000_000, 1, 3), 1_000_000);
        assert_eq!(share(10_000_000, 1_500_000, 10_000_000), 2_000_000);
    }
}
