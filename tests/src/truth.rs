//! Compares what the product believes with what the sandbox delivered.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::OrgId;
use domain::lake::TableName;
use domain::report::Measure;
use lakehouse::{BoxedError, Lake, LineDayFilter, Pointers};
use rust_decimal::Decimal;
use store::Store;

use crate::sandbox_admin::{Delivered, LineDayKey, SandboxAdmin};

/// Reads an organisation's lake from outside of the platform's processes.
#[derive(Debug, Clone)]
pub struct LakeReader {
    store: Store,
    lake: Arc<Lake>,
    org: OrgId,
}

#[async_trait]
impl Pointers for LakeReader {
    async fn current(&self, table: &TableName) -> Result<Option<String>, BoxedError> {
        let mut tx = self.store.begin(self.org).await?;
        Ok(store::pointer::current(&mut tx, table).await?)
    }
}

/// Every line's day.
pub type Gold = BTreeMap<LineDayKey, Delivered>;
/// When the report was made that an account's day comes from.
pub type MadeAt = BTreeMap<(String, NaiveDate), DateTime<Utc>>;

/// How often gold is read while cycles commit.
const MOST_READS: u32 = 20;

/// What a comparison covered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// (line, day) pairs that are equal.
    pub line_days: usize,
    /// Days.
    pub days: usize,
    /// Media cost per currency.
    pub media_cost: BTreeMap<String, Decimal>,
}

impl LakeReader {
    /// Opens the lake of an organisation, as the app role.
    ///
    /// # Errors
    /// When the database or the folder can't be opened.
    pub async fn open(app_url: &str, warehouse: &str, org: OrgId) -> Result<Self> {
        Ok(Self { store: Store::connect(app_url, 4).await?, lake: Arc::new(Lake::open(warehouse)?), org })
    }

    /// The store, for a look at rows.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The organisation.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.org
    }

    /// Every line's day in gold.
    ///
    /// # Errors
    /// When gold can't be read.
    pub async fn gold(&self) -> Result<(Gold, BTreeMap<String, Decimal>)> {
        let rows = self.lake.line_days(self, self.org, &LineDayFilter::default()).await?;
        let (mut gold, mut cost) = (BTreeMap::new(), BTreeMap::<String, Decimal>::new());
        for row in rows {
            let measure = |measure| row.measures.get(&measure).copied().unwrap_or_default();
            let micros = measure(Measure::MediaCost) * Decimal::from(1_000_000);
            ensure!(micros.fract().is_zero(), "gold has {micros} micros for line {} on {}", row.line, row.day);
            *cost.entry(row.currency.to_string()).or_default() += measure(Measure::MediaCost);
            let delivered = Delivered {
                impressions: i64::try_from(measure(Measure::Impressions))?,
                clicks: i64::try_from(measure(Measure::Clicks))?,
                media_cost_micros: i128::try_from(micros)?,
            };
            let before = gold.insert((row.account.clone(), row.line.clone(), row.day), delivered);
            ensure!(before.is_none(), "gold has line {} on {} twice", row.line, row.day);
        }
        Ok((gold, cost))
    }

    /// When the report was made from which each account's day in gold comes.
    ///
    /// # Errors
    /// When the watermarks can't be read.
    pub async fn made_at(&self) -> Result<MadeAt> {
        let mut tx = self.store.begin(self.org).await?;
        let marks = store::watermark::all(&mut tx).await?;
        Ok(marks.into_iter().map(|mark| ((mark.account, mark.day), mark.as_of)).collect())
    }

    /// Gold and its watermarks at one moment: read again when a cycle committed in between.
    async fn at_rest(&self) -> Result<(Gold, BTreeMap<String, Decimal>, MadeAt)> {
        let mut made_at = self.made_at().await?;
        for _ in 0..MOST_READS {
            let (gold, media_cost) = self.gold().await?;
            let now = self.made_at().await?;
            if now == made_at {
                return Ok((gold, media_cost, made_at));
            }
            made_at = now;
        }
        bail!("gold changed at each of {MOST_READS} looks")
    }

    /// Fails unless gold equals the sandbox's ledger to the last micro, per line and day, each day as it stood when its
    /// report was made. `lasting` leaves out days on which only nothing was delivered.
    ///
    /// # Errors
    /// Lists the first differences.
    pub async fn equals(&self, sandbox: &SandboxAdmin) -> Result<Compared> {
        let (gold, media_cost, made_at) = self.at_rest().await?;
        ensure!(!made_at.is_empty(), "nothing has landed yet");
        let mut ledgers = BTreeMap::new();
        for made in made_at.values() {
            if !ledgers.contains_key(made) {
                ledgers.insert(*made, sandbox.ledger(*made).await?);
            }
        }
        let mut expected: BTreeMap<LineDayKey, Delivered> = BTreeMap::new();
        for ((account, day), made) in &made_at {
            let ledger = ledgers.get(made).context("the ledger of a report")?;
            let rows = ledger.iter().filter(|((advertiser, _, on), _)| advertiser == account && on == day);
            expected.extend(rows.map(|(key, delivered)| (key.clone(), delivered.clone())));
        }
        let nothing = Delivered::default();
        let keys = expected.keys().chain(gold.keys()).collect::<std::collections::BTreeSet<_>>();
        let differences: Vec<String> = keys
            .into_iter()
            .filter_map(|key| {
                let (want, have) = (expected.get(key).unwrap_or(&nothing), gold.get(key).unwrap_or(&nothing));
                (want != have).then(|| format!("{key:?}: ledger {want:?}, gold {have:?}"))
            })
            .collect();
        ensure!(
            differences.is_empty(),
            "gold differs from the ledger in {} line days:\n{}",
            differences.len(),
            differences.iter().take(5).cloned().collect::<Vec<_>>().join("\n")
        );
        let days = gold.keys().map(|(_, _, day)| day).collect::<std::collections::BTreeSet<_>>().len();
        Ok(Compared { line_days: gold.len(), days, media_cost })
    }
}
