//! An organisation with a connection and its tables, in a real store and a real lake, and its cycles.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::ids::{CommitId, ConnectionId, CycleId, OrgId, PullId};
use domain::lake::TableName;
use domain::pull::Kind;
use domain::report::Definition;
use domain::{Currency, DayRange, Finality, Platform, TimeZone};
use lakehouse::{BoxedError, Lake, Landing, Pointers, Prepared, PullScope, StagedPull};
use store::Store;
use store::account::{Discovered, Status};
use store::commit::{Committed, CycleCommit, LandedPull, Stats};
use store::pull::{Plan, Staging};
use store::watermark::Watermark;
use uuid::Uuid;

/// An organisation.
pub(crate) struct Agency {
    pub(crate) store: Store,
    pub(crate) lake: Lake,
    pub(crate) pointers: StorePointers,
    pub(crate) org: OrgId,
    pub(crate) connection: ConnectionId,
    pub(crate) definition: Definition,
    account: String,
    currency: Currency,
    zone: TimeZone,
}

/// A pull that was asked for.
pub(crate) struct Asked {
    pub(crate) pull: PullId,
    pub(crate) scope: PullScope,
}

impl Agency {
    /// Signs up an organisation with one connection, one account and empty tables.
    pub(crate) async fn found(app_url: &str, warehouse: &Path, account: &str) -> Result<Self> {
        let store = Store::connect(app_url, 8).await?;
        let lake = Lake::open(warehouse.to_str().context("the warehouse's path is not UTF-8")?)?;
        let (org, now) = (OrgId::new(), Utc::now());
        let (currency, zone): (Currency, TimeZone) = ("EUR".parse()?, "UTC".parse()?);
        let mut tx = store.begin(org).await?;
        let sign_up = store::organisation::SignUp {
            email: format!("{}@bench.example", Uuid::new_v4().simple()),
            name: "Bench".into(),
            password_hash: "none".into(),
            organisation_name: "Bench".into(),
            reporting_currency: currency,
            time_zone: zone,
        };
        store::organisation::sign_up(&mut tx, &sign_up, now).await?;
        let new = store::connection::New {
            platform: Platform::Dv360,
            environment: "bench".into(),
            title: "Bulk Retail Group".into(),
        };
        let connection = store::connection::create(&mut tx, &new, now).await?;
        let discovered = Discovered {
            platform_id: account.to_owned(),
            name: "Bulk Retail Group".into(),
            parent_id: None,
            parent_name: None,
            currency,
            time_zone: zone,
            status: Status::Active,
        };
        store::account::upsert_many(&mut tx, connection, &[discovered]).await?;
        let mut definition = connectors::dv360::default_definition();
        definition.id = store::report::ensure(&mut tx, &definition).await?;
        tx.commit().await?;
        let pointers = StorePointers { store: store.clone(), org };
        let swaps = lake.create_tables(&pointers, org, std::slice::from_ref(&definition)).await?;
        let mut tx = store.begin(org).await?;
        store::pointer::create(&mut tx, &swaps).await?;
        tx.commit().await?;
        Ok(Self { store, lake, pointers, org, connection, definition, account: account.to_owned(), currency, zone })
    }

    /// Plans and requests a pull of these days.
    pub(crate) async fn ask(&self, days: DayRange, at: DateTime<Utc>) -> Result<Asked> {
        let plan = Plan {
            connection: self.connection,
            report: self.definition.id,
            kind: Kind::Manual,
            days,
            accounts: vec![self.account.clone()],
            not_before: None,
        };
        let mut tx = self.store.begin(self.org).await?;
        let pull = store::pull::plan(&mut tx, &plan, at).await?.context("such a pull is on its way already")?;
        store::pull::mark_requested(&mut tx, pull, &serde_json::json!({}), at, None, at).await?;
        tx.commit().await?;
        let scope = PullScope {
            org: self.org,
            connection: self.connection,
            pull,
            definition: self.definition.clone(),
            accounts: [(self.account.clone(), self.currency)].into(),
            days,
            requested_at: at,
        };
        Ok(Asked { pull, scope })
    }

    /// Notes that a pull's rows are staged.
    pub(crate) async fn fetched(&self, asked: Asked, staged: StagedPull) -> Result<Landing> {
        let json = serde_json::to_value(&staged)?;
        let staging = Staging { staged: json, rows: staged.rows, bytes: staged.bytes, report_time: staged.report_time };
        let mut tx = self.store.begin(self.org).await?;
        store::pull::mark_fetched(&mut tx, asked.pull, &staging, Utc::now()).await?;
        tx.commit().await?;
        let mut landing = Landing::whole(asked.scope, staged);
        let filled: BTreeSet<_> =
            landing.staged.slices.iter().filter(|slice| slice.rows > 0).map(|slice| slice.day).collect();
        landing.days.retain(|day, _| filled.contains(day));
        Ok(landing)
    }

    /// Opens a cycle.
    pub(crate) async fn open_cycle(&self) -> Result<CycleId> {
        let mut tx = self.store.begin(self.org).await?;
        let name = format!("bench-{}", Uuid::new_v4().simple());
        let cycle = store::cycle::open(&mut tx, &name, store::cycle::Kind::Manual, Utc::now()).await?;
        tx.commit().await?;
        Ok(cycle.id)
    }

    /// Writes the new version of bronze, silver and gold.
    pub(crate) async fn prepare(&self, landing: &Landing) -> Result<(CommitId, Prepared)> {
        let commit = CommitId::new();
        let landings = std::slice::from_ref(landing);
        Ok((commit, self.lake.prepare(&self.pointers, self.org, commit, landings).await?))
    }

    /// The one transaction: pointers, pull, watermarks and the ledger's row.
    pub(crate) async fn commit(
        &self,
        cycle: CycleId,
        landing: &Landing,
        (id, prepared): (CommitId, &Prepared),
    ) -> Result<()> {
        let now = Utc::now();
        let (pull, staged) = (landing.scope.pull, &landing.staged);
        let watermark = |slice: &lakehouse::StagedSlice| Watermark {
            connection: self.connection,
            report: self.definition.id,
            account: slice.account.clone(),
            day: slice.day,
            as_of: landing.scope.requested_at,
            requested_at: landing.scope.requested_at,
            finality: Finality::of(slice.day, self.zone, now, self.definition.final_after_days),
            pull,
            rows: slice.rows,
            media_cost: slice.media_cost,
            content_hash: slice.content_hash.clone(),
        };
        let commit = CycleCommit {
            cycle,
            id,
            swaps: prepared.swaps.clone(),
            landed: vec![LandedPull { pull, unchanged: false, rows: staged.rows }],
            watermarks: staged.slices.iter().map(watermark).collect(),
            stats: Stats { silver_rows: prepared.silver_rows, gold_rows: prepared.gold_rows, ..Stats::default() },
            at: now,
        };
        let mut tx = self.store.begin(self.org).await?;
        let outcome = store::commit::commit_cycle(&mut tx, &commit).await?;
        tx.commit().await?;
        if !matches!(outcome, Committed::Now(_)) {
            bail!("the cycle had committed before");
        }
        self.lake.finish(prepared).await;
        Ok(())
    }
}

/// Where the tables' pointers stand: rows of the store.
pub(crate) struct StorePointers {
    store: Store,
    org: OrgId,
}

#[async_trait]
impl Pointers for StorePointers {
    async fn current(&self, table: &TableName) -> Result<Option<String>, BoxedError> {
        let mut tx = self.store.begin(self.org).await?;
        Ok(store::pointer::current(&mut tx, table).await?)
    }
}
