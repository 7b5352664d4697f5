//! The sandbox's admin interface: moves time, plants faults, and knows the truth that the product is checked against.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

/// What the ledger says of one line's day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Impressions.
    pub impressions: i64,
    /// Clicks.
    pub clicks: i64,
    /// Media cost in millionths of the advertiser's currency.
    pub media_cost_micros: i128,
}

/// Advertiser, line item and local day.
pub type LineDayKey = (String, String, NaiveDate);

/// A client of the admin interface.
#[derive(Debug, Clone)]
pub struct SandboxAdmin {
    http: reqwest::Client,
    base: String,
}

impl SandboxAdmin {
    /// The admin interface of the sandbox at this URL.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self { http: reqwest::Client::new(), base: format!("{base}/admin/v1") }
    }

    /// Reads.
    ///
    /// # Errors
    /// When the sandbox does not answer with success.
    pub async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.http.get(format!("{}{path}", self.base)).send().await?.error_for_status()?.json().await?)
    }

    /// Does something.
    ///
    /// # Errors
    /// When the sandbox does not answer with success.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        let response = self.http.post(format!("{}{path}", self.base)).json(&body).send().await?;
        let text = response.error_for_status()?.text().await?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Moves time forward for everybody who shares the sandbox's clock.
    ///
    /// # Errors
    /// When the sandbox does not answer.
    pub async fn advance(&self, seconds: i64) -> Result<()> {
        self.post("/clock", json!({"advance_seconds": seconds})).await.map(drop)
    }

    /// Plants a fault.
    ///
    /// # Errors
    /// When the sandbox refuses it.
    pub async fn fault(&self, fault: Value) -> Result<()> {
        self.post("/faults", fault).await.map(drop)
    }

    /// Ends all planted faults.
    ///
    /// # Errors
    /// When the sandbox does not answer.
    pub async fn clear_faults(&self) -> Result<()> {
        self.http.delete(format!("{}/faults", self.base)).send().await?.error_for_status()?;
        Ok(())
    }

    /// The time of the simulated world.
    ///
    /// # Errors
    /// When the sandbox does not answer.
    pub async fn now(&self) -> Result<DateTime<Utc>> {
        let clock = self.get("/clock").await?;
        Ok(clock["now"].as_str().context("the clock's now")?.parse()?)
    }

    /// What was delivered, as a report made at `as_of` must show it: read from the ledger, not through report code.
    ///
    /// # Errors
    /// When the sandbox does not answer.
    pub async fn ledger(&self, as_of: DateTime<Utc>) -> Result<BTreeMap<LineDayKey, Delivered>> {
        let as_of = as_of.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let url = format!("{}/ledger", self.base);
        let text = self.http.get(url).query(&[("as_of", &as_of)]).send().await?.error_for_status()?.text().await?;
        let rows = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        rows.iter().map(ledger_row).collect()
    }
}

/// The lines' days whose figures a restatement changed, of what the sandbox answered.
#[must_use]
pub fn restated_line_days(answer: &Value) -> BTreeSet<(String, NaiveDate)> {
    let mut sums: BTreeMap<(String, NaiveDate), [i64; 2]> = BTreeMap::new();
    for change in answer["changes"].as_array().into_iter().flatten() {
        let (line, day) = (change["line_item_id"].as_str(), change["day"].as_str().and_then(|day| day.parse().ok()));
        let Some(key) = line.map(str::to_owned).zip(day) else { continue };
        let sum = sums.entry(key).or_default();
        for (total, name) in sum.iter_mut().zip(["impressions", "media_cost_micros"]) {
            *total += change[name].as_i64().unwrap_or_default();
        }
    }
    sums.into_iter().filter(|(_, sum)| *sum != [0, 0]).map(|(key, _)| key).collect()
}

fn ledger_row(row: &Value) -> Result<(LineDayKey, Delivered)> {
    let text = |name: &str| {
        let value = &row[name];
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    };
    let day: NaiveDate = text("day").parse()?;
    let delivered = Delivered {
        impressions: text("impressions").parse()?,
        clicks: text("clicks").parse()?,
        media_cost_micros: text("media_cost_micros").parse()?,
    };
    Ok(((text("advertiser_id"), text("line_item_id"), day), delivered))
}
