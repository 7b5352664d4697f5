//! A small world to test in: one organisation, one report, and pointers that are moved by compare-and-swap.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::util::display::array_value_to_string;
use async_trait::async_trait;
use chrono::{DateTime, Days, Duration, NaiveDate, Utc};
use datafusion::prelude::SessionContext;
use domain::ids::{CommitId, ConnectionId, OrgId, PullId, ReportId};
use domain::lake::{PreparedSwap, TableName};
use domain::report::{Chunk, Column, Definition, Measure, RowBatch, Target, Trailer};
use domain::{DayRange, Platform};
use iceberg::io::FileIO;
use iceberg::spec::{ManifestFile, TableMetadata, TableMetadataBuilder};
use iceberg::table::Table;
use iceberg::{MetadataLocation, Runtime, TableIdent};
use iceberg_datafusion::IcebergStaticTableProvider;
use lakehouse::{BoxedError, Error, Lake, Landing, Pointers, Prepared, PullScope, StageError, StagedPull};
use tempfile::TempDir;

pub(crate) const TABLES: [&str; 3] = ["bronze_delivery", "silver_delivery", "gold_line_day"];

/// The store's pointer table, in memory.
#[derive(Default)]
pub(crate) struct MemoryPointers(Mutex<State>);

#[derive(Default)]
struct State {
    pointers: BTreeMap<TableName, String>,
    history: Vec<String>,
}

impl MemoryPointers {
    /// Moves all pointers, or none when one stands elsewhere.
    pub(crate) fn swap(&self, swaps: &[PreparedSwap]) -> bool {
        let mut state = self.0.lock().unwrap();
        let fits = swaps.iter().all(|swap| state.pointers.get(&swap.table) == swap.expected.as_ref());
        if fits {
            state.pointers.extend(swaps.iter().map(|swap| (swap.table.clone(), swap.new.clone())));
            state.history.extend(swaps.iter().map(|swap| swap.new.clone()));
        }
        fits
    }

    /// Everywhere that a pointer has stood, in the order in which they moved.
    pub(crate) fn history(&self) -> Vec<String> {
        self.0.lock().unwrap().history.clone()
    }
}

#[async_trait]
impl Pointers for MemoryPointers {
    async fn current(&self, table: &TableName) -> Result<Option<String>, BoxedError> {
        Ok(self.0.lock().unwrap().pointers.get(table).cloned())
    }
}

/// A row of the report, as text.
#[derive(Debug, Clone)]
pub(crate) struct Row(pub(crate) [String; 9]);

/// A row with the given line and numbers; the rest follows from the line.
pub(crate) fn row(day: NaiveDate, account: &str, line: &str, impressions: &str, clicks: &str, cost: &str) -> Row {
    let day = day.format("%Y/%m/%d").to_string();
    let (campaign, order) = (format!("c-{line}"), format!("o-{line}"));
    Row([&day, account, "EUR", &campaign, &order, line, impressions, clicks, cost].map(str::to_owned))
}

/// A report with one column for each part of the unified model, and three measures.
pub(crate) fn definition() -> Definition {
    let columns = [
        ("FILTER_DATE", "Date", Target::Day),
        ("FILTER_ADVERTISER", "Advertiser ID", Target::Account),
        ("FILTER_ADVERTISER_CURRENCY", "Advertiser Currency", Target::Currency),
        ("FILTER_MEDIA_PLAN", "Campaign ID", Target::Campaign),
        ("FILTER_INSERTION_ORDER", "Insertion Order ID", Target::Order),
        ("FILTER_LINE_ITEM", "Line Item ID", Target::Line),
        ("METRIC_IMPRESSIONS", "Impressions", Target::Measure(Measure::Impressions)),
        ("METRIC_CLICKS", "Clicks", Target::Measure(Measure::Clicks)),
        ("METRIC_MEDIA_COST", "Media Cost (Advertiser Currency)", Target::Measure(Measure::MediaCost)),
    ];
    Definition {
        id: ReportId::new(),
        platform: Platform::Dv360,
        name: "delivery".into(),
        kind: "STANDARD".into(),
        columns: columns.into_iter().map(|(field, header, target)| column(field, header, target)).collect(),
        cadence_seconds: 900,
        lookback_days: 30,
        lookback_cadence_seconds: 86_400,
        final_after_days: 7,
    }
}

pub(crate) fn column(field: &str, header: &str, target: Target) -> Column {
    Column { field: field.into(), header: header.into(), target }
}

/// A day: the first is 1 November 2026.
pub(crate) fn day(number: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 1).unwrap().checked_add_days(Days::new(number)).unwrap()
}

pub(crate) fn days(first: u64, last: u64) -> DayRange {
    DayRange::new(day(first), day(last)).unwrap()
}

pub(crate) fn moment(minutes: i64) -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + Duration::minutes(minutes)
}

/// One organisation's lake.
pub(crate) struct World {
    pub(crate) lake: Lake,
    pub(crate) pointers: MemoryPointers,
    pub(crate) org: OrgId,
    pub(crate) connection: ConnectionId,
    pub(crate) definition: Definition,
    pub(crate) folder: TempDir,
}

impl World {
    /// A lake with its tables.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self {
            lake: Lake::open(folder.path().to_str().unwrap()).unwrap(),
            pointers: MemoryPointers::default(),
            org: OrgId::new(),
            connection: ConnectionId::new(),
            definition: definition(),
            folder,
        };
        world.create(std::slice::from_ref(&world.definition)).await;
        world
    }

    pub(crate) async fn create(&self, definitions: &[Definition]) {
        let swaps = self.lake.create_tables(&self.pointers, self.org, definitions).await.unwrap();
        assert!(self.pointers.swap(&swaps));
    }

    /// What a new pull of these accounts and days asks for.
    pub(crate) fn scope(&self, accounts: &[&str], days: DayRange) -> PullScope {
        PullScope {
            org: self.org,
            connection: self.connection,
            pull: PullId::new(),
            definition: self.definition.clone(),
            accounts: accounts.iter().map(|account| ((*account).to_owned(), "EUR".parse().unwrap())).collect(),
            days,
            requested_at: moment(0),
        }
    }

    pub(crate) async fn stage(&self, scope: &PullScope, rows: &[Row]) -> Result<StagedPull, StageError<Broken>> {
        self.stage_chunks(scope, chunks(rows, Trailer::default())).await
    }

    pub(crate) async fn stage_chunks(
        &self,
        scope: &PullScope,
        chunks: Vec<Result<Chunk, Broken>>,
    ) -> Result<StagedPull, StageError<Broken>> {
        self.lake.stage_pull(&self.pointers, scope, futures::stream::iter(chunks)).await
    }

    /// A staged pull that lands on all its days.
    pub(crate) async fn landing(&self, scope: PullScope, rows: &[Row]) -> Landing {
        let staged = self.stage(&scope, rows).await.unwrap();
        Landing::whole(scope, staged)
    }

    /// Prepares until the pointers moved: conflicts are discarded and prepared again.
    pub(crate) async fn commit(&self, landings: &[Landing]) -> Result<(CommitId, Prepared), Error> {
        let commit = CommitId::new();
        loop {
            let prepared = self.lake.prepare(&self.pointers, self.org, commit, landings).await?;
            tokio::task::yield_now().await;
            if self.pointers.swap(&prepared.swaps) {
                self.lake.finish(&prepared).await;
                return Ok((commit, prepared));
            }
            self.lake.discard(&prepared).await;
        }
    }

    /// Stages and lands rows for some accounts and days.
    pub(crate) async fn land(&self, accounts: &[&str], days: DayRange, rows: &[Row]) -> Prepared {
        let landing = self.landing(self.scope(accounts, days), rows).await;
        self.commit(&[landing]).await.unwrap().1
    }

    /// Lets somebody else change a table's metadata.
    pub(crate) async fn meddle(
        &self,
        name: &str,
        change: impl FnOnce(TableMetadataBuilder) -> iceberg::Result<TableMetadataBuilder>,
    ) {
        let table = self.table(name).await;
        let location = table.metadata_location().unwrap().to_owned();
        let builder = table.metadata().clone().into_builder(Some(location.clone()));
        let built = change(builder).unwrap().build().unwrap().metadata;
        let next = location.parse::<MetadataLocation>().unwrap().with_next_version();
        built.write_to(table.file_io(), &next).await.unwrap();
        self.point(name, next.to_string()).await;
    }

    /// Moves a table's pointer, whatever it was.
    pub(crate) async fn point(&self, name: &str, new: String) {
        let table = TableName { org: self.org, name: name.to_owned() };
        let expected = self.pointers.current(&table).await.unwrap();
        assert!(self.pointers.swap(&[PreparedSwap { table, expected, new }]));
    }

    /// A table as its pointer stands.
    pub(crate) async fn table(&self, name: &str) -> Table {
        let table = TableName { org: self.org, name: name.to_owned() };
        let location = self.pointers.current(&table).await.unwrap().unwrap();
        let io = FileIO::new_with_fs();
        Table::builder()
            .metadata(TableMetadata::read_from(&io, &location).await.unwrap())
            .metadata_location(location)
            .file_io(io)
            .identifier(TableIdent::from_strs(["test", name]).unwrap())
            .runtime(Runtime::try_current().unwrap())
            .build()
            .unwrap()
    }

    /// The rows that SQL finds in a table, which it calls `t`.
    pub(crate) async fn sql(&self, table: &str, query: &str) -> Vec<String> {
        sql(self.table(table).await, query).await
    }

    /// `day account line impressions clicks cost`, of silver.
    pub(crate) async fn silver(&self) -> Vec<String> {
        const QUERY: &str = "select day, account_id, line_id, impressions, clicks, media_cost from t order by 1, 2, 3";
        self.sql("silver_delivery", QUERY).await
    }

    /// `day account line impressions clicks cost`, of gold.
    pub(crate) async fn gold(&self) -> Vec<String> {
        const QUERY: &str = "select day, account_id, line_id, impressions, clicks, media_cost from t order by 1, 2, 3";
        self.sql("gold_line_day", QUERY).await
    }

    /// All files of the warehouse.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        walk(self.folder.path(), &mut files);
        files
    }

    /// What must hold of every table after every commit.
    pub(crate) async fn check(&self) {
        for name in TABLES {
            check_table(&self.table(name).await).await;
        }
    }
}

pub(crate) async fn sql(table: Table, query: &str) -> Vec<String> {
    let context = SessionContext::new();
    let provider = IcebergStaticTableProvider::try_new_from_table(table).await.unwrap();
    context.register_table("t", Arc::new(provider)).unwrap();
    let batches = context.sql(query).await.unwrap().collect().await.unwrap();
    let cells = |batch: &arrow::array::RecordBatch, row| {
        let cells = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
        cells.collect::<Vec<_>>().join(" ")
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| cells(batch, row)).collect::<Vec<_>>()).collect()
}

/// Summaries equal live entries, parents are linear, and no file is missing.
async fn check_table(table: &Table) {
    let metadata = table.metadata();
    let mut manifests: HashMap<String, Vec<(String, u64)>> = HashMap::new();
    for snapshot in metadata.snapshots() {
        let (mut rows, mut files) = (0, HashSet::new());
        for manifest in table.manifest_list_reader(snapshot).load().await.unwrap().entries() {
            if !manifests.contains_key(&manifest.manifest_path) {
                manifests.insert(manifest.manifest_path.clone(), live(table, manifest).await);
            }
            for (file, count) in &manifests[&manifest.manifest_path] {
                rows += count;
                assert!(files.insert(file.clone()), "{file} is live twice");
            }
        }
        let stated = &snapshot.summary().additional_properties;
        assert_eq!(stated["total-records"], rows.to_string());
        assert_eq!(stated["total-data-files"], files.len().to_string());
    }
    let (mut count, mut current) = (0, metadata.current_snapshot().cloned());
    while let Some(snapshot) = current {
        count += 1;
        current = snapshot.parent_snapshot_id().and_then(|parent| metadata.snapshot_by_id(parent).cloned());
    }
    assert_eq!(count, metadata.snapshots().len(), "the history is not one line");
    assert!(metadata.metadata_log().iter().all(|log| path(&log.metadata_file).exists()));
}

/// The live files of a manifest, none of which is missing, with their rows.
async fn live(table: &Table, manifest: &ManifestFile) -> Vec<(String, u64)> {
    let loaded = manifest.load_manifest(table.file_io()).await.unwrap();
    let live = loaded.entries().iter().filter(|entry| entry.is_alive());
    live.map(|entry| {
        assert!(path(entry.file_path()).exists(), "{} is missing", entry.file_path());
        (entry.file_path().to_owned(), entry.record_count())
    })
    .collect()
}

pub(crate) fn path(location: &str) -> &Path {
    Path::new(location.strip_prefix("file://").unwrap())
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

/// The sender's own error.
#[derive(Debug, thiserror::Error)]
#[error("the line went dead")]
pub(crate) struct Broken;

/// Rows in small batches, and the report's end.
pub(crate) fn chunks(rows: &[Row], trailer: Trailer) -> Vec<Result<Chunk, Broken>> {
    let batches = rows.chunks(3).map(|rows| {
        let mut batch = RowBatch::with_capacity(9, rows.len());
        rows.iter().flat_map(|row| &row.0).for_each(|cell| batch.push(cell));
        Ok(Chunk::Rows(batch))
    });
    batches.chain([Ok(Chunk::End(trailer))]).collect()
}
