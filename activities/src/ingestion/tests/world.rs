//! One organisation with a connection of three advertisers, its tables, and pulls in whatever state a test needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Duration, NaiveDate, Utc};
use domain::clock::StoppedClock;
use domain::ids::{ConnectionId, OrgId, PullId, ReportId, UserId};
use domain::pull::{Kind, State};
use domain::report::{Chunk, Column, Definition, Measure, RowBatch, Target, Trailer};
use domain::{DayRange, Platform};
use lakehouse::{Collected, GarbageRules, Lake, LineDayFilter};
use sqlx::{Connection as _, PgConnection};
use store::Store;
use store::account::{Discovered, Status};
use store::pull::{Plan, Pull, Staging};
use tempfile::TempDir;
use test_database::TestDatabase;
use workflows::contract::ingestion::CycleStepV1;

use super::line::Line;
use crate::context::Depot;
use crate::ingestion::harvest::scope;

/// The advertisers.
pub(super) const ACCOUNTS: [&str; 3] = ["a", "b", "c"];

/// What everything is measured from.
pub(super) fn noon() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

pub(super) fn after(minutes: i64) -> DateTime<Utc> {
    noon() + Duration::minutes(minutes)
}

pub(super) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(super) fn days(first: &str, last: &str) -> DayRange {
    DayRange::new(day(first), day(last)).unwrap()
}

/// A row: day, account, line, impressions.
pub(super) type Row<'a> = (&'a str, &'a str, &'a str, &'a str);

/// A pull that is to be staged.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    pub(super) kind: Kind,
    pub(super) accounts: &'a [&'a str],
    pub(super) days: DayRange,
    pub(super) at: DateTime<Utc>,
    pub(super) rows: &'a [Row<'a>],
}

/// The organisation. Its database is dropped with it.
pub(super) struct World {
    pub(super) depot: Depot,
    pub(super) org: OrgId,
    pub(super) user: UserId,
    pub(super) connection: ConnectionId,
    pub(super) report: ReportId,
    /// The line that the depot's store uses.
    pub(super) line: Line,
    definition: Definition,
    database: TestDatabase,
    folder: TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        let org = OrgId::new();
        let database = TestDatabase::create("landing").await.unwrap();
        store::migrate(&database.url("clp_owner")).await.unwrap();
        let line = Line::to(&database.url("clp_app")).await;
        let store = Store::connect(line.url(), 6).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        let depot = Depot { store, lake, clock: Arc::new(StoppedClock(noon())) };
        let mut tx = depot.store.begin(org).await.unwrap();
        let user = store::organisation::sign_up(&mut tx, &sign_up(), noon()).await.unwrap();
        let new = store::connection::New {
            platform: Platform::Dv360,
            environment: "dv360.sandbox".into(),
            title: "DV".into(),
        };
        let connection = store::connection::create(&mut tx, &new, noon()).await.unwrap();
        store::account::upsert_many(&mut tx, connection, &ACCOUNTS.map(discovered)).await.unwrap();
        let accounts = store::account::list(&mut tx, Some(connection)).await.unwrap();
        let ids: Vec<_> = accounts.iter().map(|account| account.id).collect();
        store::account::select(&mut tx, connection, &ids).await.unwrap();
        let mut definition = definition();
        definition.id = store::report::ensure(&mut tx, &definition).await.unwrap();
        tx.commit().await.unwrap();
        let definitions = std::slice::from_ref(&definition);
        let swaps = depot.lake.create_tables(&depot.pointers(org), org, definitions).await.unwrap();
        let mut tx = depot.store.begin(org).await.unwrap();
        store::pointer::create(&mut tx, &swaps).await.unwrap();
        tx.commit().await.unwrap();
        let report = definition.id;
        Self { depot, org, user, connection, report, line, definition, database, folder }
    }

    /// The same depot at another moment.
    pub(super) fn at(&self, moment: DateTime<Utc>) -> Depot {
        Depot { clock: Arc::new(StoppedClock(moment)), ..self.depot.clone() }
    }

    pub(super) async fn tx(&self) -> store::Tx {
        self.depot.store.begin(self.org).await.unwrap()
    }

    /// One connection past row-level security.
    pub(super) async fn admin(&self) -> PgConnection {
        PgConnection::connect(&self.database.url("postgres")).await.unwrap()
    }

    /// A cycle that was opened.
    pub(super) async fn cycle(&self, name: &str) -> CycleStepV1 {
        let mut tx = self.tx().await;
        let cycle = store::cycle::open(&mut tx, name, store::cycle::Kind::Scheduled, noon()).await.unwrap();
        tx.commit().await.unwrap();
        CycleStepV1 { org: self.org, cycle: cycle.id, as_of: noon(), failure: None }
    }

    /// A pull whose rows are staged.
    pub(super) async fn fetched(&self, ask: &Ask<'_>) -> PullId {
        let Ask { kind, accounts, days, at, rows } = ask;
        let (connection, report, kind, days) = (self.connection, self.report, *kind, *days);
        let accounts = accounts.iter().map(|account| (*account).to_owned()).collect();
        let plan = Plan { connection, report, kind, days, accounts, not_before: None };
        let mut tx = self.tx().await;
        let id = store::pull::plan(&mut tx, &plan, *at).await.unwrap().unwrap();
        store::pull::mark_requested(&mut tx, id, &serde_json::json!({}), *at, None, *at).await.unwrap();
        tx.commit().await.unwrap();
        self.stage(id, rows).await;
        id
    }

    /// Stages rows of a requested pull.
    pub(super) async fn stage(&self, id: PullId, rows: &[Row<'_>]) {
        let pull = self.pull(id).await;
        let accounts = store::account::list(&mut self.tx().await, Some(self.connection)).await.unwrap();
        let scope = scope(self.org, &pull, &self.definition, &accounts);
        let mut batch = RowBatch::with_capacity(6, rows.len());
        for &(day, account, line, impressions) in rows {
            for cell in [day, account, "EUR", line, impressions, "1.5"] {
                batch.push(cell);
            }
        }
        let chunks = [Ok::<_, std::convert::Infallible>(Chunk::Rows(batch)), Ok(Chunk::End(Trailer::default()))];
        let chunks = futures::stream::iter(chunks);
        let staged = self.depot.lake.stage_pull(&self.depot.pointers(self.org), &scope, chunks).await.unwrap();
        let json = serde_json::to_value(&staged).unwrap();
        let staging = Staging { staged: json, rows: staged.rows, bytes: staged.bytes, report_time: None };
        let mut tx = self.tx().await;
        assert!(store::pull::mark_fetched(&mut tx, id, &staging, noon()).await.unwrap());
        tx.commit().await.unwrap();
    }

    pub(super) async fn pull(&self, id: PullId) -> Pull {
        store::pull::fetch(&mut self.tx().await, id).await.unwrap()
    }

    pub(super) async fn state(&self, id: PullId) -> State {
        self.pull(id).await.state
    }

    /// Impressions in gold, by day, account and line.
    pub(super) async fn gold(&self) -> BTreeMap<String, String> {
        let pointers = self.depot.pointers(self.org);
        let rows = self.depot.lake.line_days(&pointers, self.org, &LineDayFilter::default()).await.unwrap();
        let told = rows.into_iter().map(|row| {
            let impressions = row.measures.get(&Measure::Impressions).copied().unwrap_or_default();
            (format!("{} {} {}", row.day, row.account, row.line), impressions.normalize().to_string())
        });
        told.collect()
    }

    /// The pull that the watermark of an account's day names.
    pub(super) async fn marked(&self, account: &str, on: &str) -> Option<PullId> {
        let range = DayRange::new(day(on), day(on)).unwrap();
        let accounts = [account.to_owned()];
        let marks = store::watermark::list(&mut self.tx().await, self.connection, self.report, &accounts, range).await;
        marks.unwrap().first().map(|mark| mark.pull)
    }

    /// The files that a pull staged.
    pub(super) fn files_of(&self, id: PullId) -> BTreeSet<PathBuf> {
        self.files().into_iter().filter(|file| file.to_string_lossy().contains(&id.to_string())).collect()
    }

    /// All files of the lake.
    pub(super) fn files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        walk(self.folder.path(), &mut files);
        files
    }

    /// Removes what nothing reaches, however young.
    pub(super) async fn collect(&self) -> Collected {
        let open_pulls = store::maintenance::open_pulls(&mut self.tx().await).await.unwrap();
        let rules = GarbageRules { min_age: Duration::zero(), now: Utc::now(), open_pulls };
        self.depot.lake.collect_garbage(&self.depot.pointers(self.org), self.org, &rules).await.unwrap()
    }
}

fn walk(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.insert(path);
        }
    }
}

fn sign_up() -> store::organisation::SignUp {
    store::organisation::SignUp {
        email: "ada@agency.example".into(),
        name: "Ada".into(),
        password_hash: "$argon2id$…".into(),
        organisation_name: "Agency".into(),
        reporting_currency: "EUR".parse().unwrap(),
        time_zone: "Europe/Berlin".parse().unwrap(),
    }
}

fn discovered(platform_id: &str) -> Discovered {
    Discovered {
        platform_id: platform_id.to_owned(),
        name: platform_id.to_owned(),
        parent_id: None,
        parent_name: None,
        currency: "EUR".parse().unwrap(),
        time_zone: "Europe/Berlin".parse().unwrap(),
        status: Status::Active,
    }
}

fn definition() -> Definition {
    let columns = [
        ("FILTER_DATE", "Date", Target::Day),
        ("FILTER_ADVERTISER", "Advertiser ID", Target::Account),
        ("FILTER_ADVERTISER_CURRENCY", "Advertiser Currency", Target::Currency),
        ("FILTER_LINE_ITEM", "Line Item ID", Target::Line),
        ("METRIC_IMPRESSIONS", "Impressions", Target::Measure(Measure::Impressions)),
        ("METRIC_MEDIA_COST", "Media Cost", Target::Measure(Measure::MediaCost)),
    ];
    let column =
        |(field, header, target): (&str, &str, Target)| Column { field: field.into(), header: header.into(), target };
    Definition {
        id: ReportId::new(),
        platform: Platform::Dv360,
        name: "delivery".into(),
        kind: "STANDARD".into(),
        columns: columns.into_iter().map(column).collect(),
        cadence_seconds: 900,
        lookback_days: 30,
        lookback_cadence_seconds: 86_400,
        final_after_days: 7,
    }
}
