//! Writing silver and gold, place by place: a place is one connection's day, a partition of both tables.
//!
//! Places have nothing to do with each other. Several are written at a time: while one waits for the disk, others are
//! read and converted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use domain::DayRange;
use domain::ids::ConnectionId;
use futures::{StreamExt as _, TryStreamExt as _};
use iceberg::scan::FileScanTask;
use iceberg::spec::{DataFile, Schema, SchemaRef, Struct};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::columns::epoch_days;
use crate::error::{During as _, Error, Result, joined};
use crate::gold::Gold;
use crate::inbound::{Flow, Inbound};
use crate::lake::Loaded;
use crate::partition_writer::{PartitionWriter, TableWriter};
use crate::rows;
use crate::silver::{Converter, Covered, carried};
use crate::tables::SILVER;

/// Small places that are written at a time.
const PLACES_AT_ONCE: u64 = 4;
/// Rows of the places that are written at a time; a place with more is written alone, so that memory stays bounded.
const ROWS_AT_ONCE: u64 = 128 * 1024;

/// A table that partitions are replaced in.
pub(crate) struct Target {
    pub(crate) loaded: Loaded,
    pub(crate) evolved: Option<Schema>,
    pub(crate) schema: SchemaRef,
    pub(crate) writer: TableWriter,
}

/// What lands, and the tables that it lands in.
pub(crate) struct Places {
    pub(crate) inbound: Vec<Inbound>,
    pub(crate) silver: Target,
    pub(crate) gold: Target,
}

/// What was written of one place.
#[derive(Debug)]
pub(crate) struct Poured {
    pub(crate) silver: Vec<DataFile>,
    pub(crate) gold: Vec<DataFile>,
    /// Rows that landed.
    pub(crate) silver_rows: u64,
    pub(crate) gold_rows: u64,
}

/// The places that were written, in their order.
pub(crate) type AllPoured = BTreeMap<(ConnectionId, NaiveDate), Poured>;

/// A place, with the positions of what lands on it and with the silver files that are there now.
struct Place {
    connection: ConnectionId,
    day: NaiveDate,
    landings: Vec<usize>,
    before: Vec<FileScanTask>,
}

/// The silver rows of a place as they are written.
struct Pour {
    silver: PartitionWriter,
    gold: Gold,
    rows: u64,
}

impl Places {
    /// Writes every place that something lands on. When this returns, nothing writes any more, whatever the outcome.
    pub(crate) async fn pour_all(self: &Arc<Self>) -> Result<AllPoured> {
        let mut pouring = JoinSet::new();
        let result = self.pour_into(&mut pouring).await;
        pouring.shutdown().await;
        result
    }

    async fn pour_into(
        self: &Arc<Self>,
        pouring: &mut JoinSet<Result<((ConnectionId, NaiveDate), Poured)>>,
    ) -> Result<AllPoured> {
        const DOING: &str = "write the rows of a day";
        let room = Arc::new(Semaphore::new(usize::try_from(ROWS_AT_ONCE).unwrap_or(Semaphore::MAX_PERMITS)));
        let mut poured = AllPoured::new();
        for place in self.places().await? {
            let rows = self.rows(&place).clamp(ROWS_AT_ONCE / PLACES_AT_ONCE, ROWS_AT_ONCE);
            let share = Arc::clone(&room).acquire_many_owned(u32::try_from(rows).unwrap_or(u32::MAX)).await;
            while let Some(done) = pouring.try_join_next() {
                poured.extend([joined(done, DOING)?]);
            }
            let all = Arc::clone(self);
            pouring.spawn(async move {
                let _share = share;
                let key = (place.connection, place.day);
                Ok((key, all.pour(place).await?))
            });
        }
        while let Some(done) = pouring.join_next().await {
            poured.extend([joined(done, DOING)?]);
        }
        Ok(poured)
    }

    async fn places(&self) -> Result<Vec<Place>> {
        let mut landings: BTreeMap<(ConnectionId, NaiveDate), Vec<usize>> = BTreeMap::new();
        for (index, inbound) in self.inbound.iter().enumerate() {
            for day in inbound.landing.days.keys() {
                landings.entry((inbound.landing.scope.connection, *day)).or_default().push(index);
            }
        }
        let mut present = self.present(landings.keys()).await?;
        let places = landings.into_iter().map(|((connection, day), landings)| {
            let before = present.remove(&rows::partition(connection, day)).unwrap_or_default();
            Place { connection, day, landings, before }
        });
        Ok(places.collect())
    }

    /// What silver has now in these places.
    async fn present(
        &self,
        places: impl Iterator<Item = &(ConnectionId, NaiveDate)>,
    ) -> Result<HashMap<Struct, Vec<FileScanTask>>> {
        let (connections, days): (BTreeSet<_>, BTreeSet<_>) = places.copied().unzip();
        let range = days.first().zip(days.last()).and_then(|(first, last)| DayRange::new(*first, *last));
        let Some(range) = range else { return Ok(HashMap::new()) };
        rows::partition_tasks(&self.silver.loaded, &self.silver.schema, &connections, range).await
    }

    /// Rows that were staged for a place.
    fn rows(&self, place: &Place) -> u64 {
        let slices = place.landings.iter().flat_map(|index| &self.inbound[*index].landing.staged.slices);
        slices.filter(|slice| slice.day == place.day).map(|slice| slice.rows).sum()
    }

    /// Writes one partition of silver and gold.
    async fn pour(&self, place: Place) -> Result<Poured> {
        let Place { connection, day, landings, before } = place;
        let partition = rows::partition(connection, day);
        let silver = self.silver.writer.begin(partition.clone()).await?;
        let mut pour = Pour { silver, gold: Gold::new(), rows: 0 };
        let mut silver_rows = 0;
        for index in &landings {
            let inbound = &self.inbound[*index];
            let found = self.land(inbound, day, &mut pour).await?;
            inbound.check(day, found)?;
            silver_rows += found.rows;
        }
        self.carry(day, &landings, before, &mut pour).await?;
        let Pour { silver, gold: sums, rows } = pour;
        let files = silver.close().await?;
        let written: u64 = files.iter().map(DataFile::record_count).sum();
        if written != rows {
            let (expected, found) = (format!("{rows} rows"), format!("{written} rows"));
            return Err(Error::Unbalanced { layer: SILVER, day, expected, found });
        }
        // What was there before could be added up: one of the landings is to blame, and the newest is left out first.
        let newest = landings.last().map(|index| self.inbound[*index].landing.scope.pull);
        let sums = sums.finish(&self.gold.writer.arrow_schema, epoch_days(day));
        let sums = sums.map_err(|error| newest.into_iter().fold(error, Error::of_pull))?;
        let gold_rows = u64::try_from(sums.num_rows()).unwrap_or_default();
        let mut gold = self.gold.writer.begin(partition).await?;
        gold.write(sums).await?;
        Ok(Poured { silver: files, gold: gold.close().await?, silver_rows, gold_rows })
    }

    /// Takes one pull's rows of a day; returns what they come to.
    async fn land(&self, inbound: &Inbound, day: NaiveDate, pour: &mut Pour) -> Result<Flow> {
        let pull = inbound.landing.scope.pull;
        let (scope, mapping) = (&inbound.landing.scope, &inbound.mapping);
        let lands = inbound.landing.days.get(&day);
        // Mostly all of them do, and then no row has to be looked at for it.
        let only = lands.filter(|accounts| accounts.len() < scope.accounts.len());
        let schema = Arc::clone(&self.silver.writer.arrow_schema);
        let mut converter = Converter::new(scope, mapping, schema, epoch_days(day), only);
        let blame = |error: Error| error.of_pull(pull);
        let mut bronze = inbound.staged.day(epoch_days(day)).await.map_err(blame)?;
        let mut found = Flow::default();
        while let Some(batch) = bronze.next().await {
            let silver_rows = batch.and_then(|batch| converter.convert(&batch)).map_err(blame)?;
            found.add(&silver_rows)?;
            pour.take(silver_rows).await?;
        }
        Ok(found)
    }

    /// Takes over the rows of the partition that no landing replaces.
    async fn carry(
        &self,
        day: NaiveDate,
        landings: &[usize],
        before: Vec<FileScanTask>,
        pour: &mut Pour,
    ) -> Result<()> {
        let landings = landings.iter().map(|index| &self.inbound[*index].landing);
        let covered: Covered<'_> = landings
            .filter_map(|landing| Some((landing.scope.definition.id.to_string(), landing.days.get(&day)?)))
            .collect();
        let mut batches = rows::read(&self.silver.loaded, before)?;
        while let Some(batch) = batches.try_next().await.during("read silver rows")? {
            pour.take(carried(&batch, &self.silver.writer.arrow_schema, &covered)?).await?;
        }
        Ok(())
    }
}

impl Pour {
    async fn take(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += u64::try_from(batch.num_rows()).unwrap_or_default();
        self.gold.add(&batch)?;
        self.silver.write(batch).await
    }
}
