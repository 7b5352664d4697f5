//! Preparing a commit: staged pulls become a new version of bronze, silver and gold, all together.
//!
//! Nothing is committed here. The store moves all pointers in one transaction with its ledger, or reports a conflict;
//! then the caller discards this attempt and prepares again from the pointers as they stand. Bronze files are reused by
//! the next attempt, silver and gold files are written again, because the rows that they carry over may have changed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use domain::DayRange;
use domain::ids::{CommitId, ConnectionId, OrgId};
use domain::lake::PreparedSwap;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use iceberg::scan::FileScanTask;
use iceberg::spec::{DataFile, Schema, SchemaRef, Struct};
use serde::{Deserialize, Serialize};

use crate::ahead::ahead;
use crate::columns::epoch_days;
use crate::error::{During as _, Error, Result};
use crate::gold::Gold;
use crate::inbound::{Flow, Inbound};
use crate::lake::{Lake, Loaded};
use crate::partition_writer::{Noted, PartitionWriter, TableWriter};
use crate::pointers::Pointers;
use crate::pull::Landing;
use crate::rows;
use crate::silver::{Converter, Covered, carried};
use crate::storage;
use crate::tables::{GOLD, SILVER, Shape};
use crate::version::{Change, TableStats};

/// A commit that is written and waits for its pointers to move.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The pointers to move, all or none. Empty when nothing changes.
    pub swaps: Vec<PreparedSwap>,
    /// What changes in each table.
    pub tables: BTreeMap<String, TableStats>,
    /// Rows of the landed pulls that are now in silver.
    pub silver_rows: u64,
    /// Rows of the changed days in gold.
    pub gold_rows: u64,
    /// The days that changed, by connection.
    pub days: BTreeMap<ConnectionId, BTreeSet<NaiveDate>>,
    /// Files that only this attempt needs: removed by [`Lake::discard`].
    pub written: Vec<String>,
    /// Metadata files that nothing needs once the pointers have moved: removed by [`Lake::finish`].
    pub expired: Vec<String>,
}

/// A table that partitions are replaced in.
struct Target {
    loaded: Loaded,
    evolved: Option<Schema>,
    schema: SchemaRef,
    writer: TableWriter,
    files: Vec<DataFile>,
}

/// The silver rows of a partition as they are written.
struct Pour {
    silver: PartitionWriter,
    gold: Gold,
    rows: u64,
}

/// Silver rows as they are made.
type SilverRows = Box<dyn Stream<Item = Result<RecordBatch>> + Send + Unpin>;

/// A connection's day, with the rows that land on it, by landing.
struct Place {
    connection: ConnectionId,
    day: NaiveDate,
    rows: Vec<(usize, SilverRows)>,
}

/// An attempt under way.
struct Attempt<'a> {
    commit: CommitId,
    inbound: Vec<Inbound<'a>>,
    silver: Target,
    gold: Target,
    prepared: Prepared,
}

impl Lake {
    /// Prepares bronze, silver and gold for staged pulls.
    ///
    /// # Errors
    /// [`Error::Rejected`] names the pull that must be left out (a key came twice), [`Error::StaleStaging`] and
    /// [`Error::Staged`] one that must be fetched again, [`Error::Unbalanced`] that rows or money got lost. Whatever the
    /// error, nothing of the attempt is left.
    pub async fn prepare(
        &self,
        pointers: &dyn Pointers,
        org: OrgId,
        commit: CommitId,
        landings: &[Landing],
    ) -> Result<Prepared> {
        let inbound = Inbound::all(self, pointers, org, landings).await?;
        if inbound.is_empty() {
            return Ok(Prepared::default());
        }
        let (data, mut written) = (Noted::default(), Vec::new());
        let result = Box::pin(self.attempt(pointers, org, commit, inbound, &data, &mut written)).await;
        written.extend(data.take());
        match result {
            Ok(prepared) => Ok(Prepared { written, ..prepared }),
            Err(error) => {
                storage::remove_all(&self.io, &written).await;
                Err(error)
            }
        }
    }

    /// Removes the files of a commit that surely was not made. Never to be called while its outcome is unknown.
    pub async fn discard(&self, prepared: &Prepared) {
        storage::remove_all(&self.io, &prepared.written).await;
    }

    /// Removes the metadata files that a commit made superfluous. To be called when its pointers have moved.
    pub async fn finish(&self, prepared: &Prepared) {
        storage::remove_all(&self.io, &prepared.expired).await;
    }

    async fn attempt(
        &self,
        pointers: &dyn Pointers,
        org: OrgId,
        commit: CommitId,
        inbound: Vec<Inbound<'_>>,
        data: &Noted,
        written: &mut Vec<String>,
    ) -> Result<Prepared> {
        let silver = self.target(pointers, org, SILVER, &Shape::silver(), commit, data).await?;
        let gold = self.target(pointers, org, GOLD, &Shape::gold(), commit, data).await?;
        let mut attempt = Attempt { commit, inbound, silver, gold, prepared: Prepared::default() };
        let replaced = attempt.pour_all().await?;
        attempt.write_versions(self, &replaced, written).await?;
        let data = attempt.silver.files.iter().chain(&attempt.gold.files).map(DataFile::file_path);
        storage::sync_folders(&self.root, data.chain(written.iter().map(String::as_str)))?;
        Ok(attempt.prepared)
    }

    async fn target(
        &self,
        pointers: &dyn Pointers,
        org: OrgId,
        name: &str,
        shape: &Shape,
        commit: CommitId,
        data: &Noted,
    ) -> Result<Target> {
        let loaded = self.load_existing(pointers, org, name).await?;
        let evolved = shape.evolve(loaded.metadata())?;
        let schema = evolved.clone().map_or_else(|| loaded.metadata().current_schema().clone(), Arc::new);
        let writer = TableWriter::new(&self.io, loaded.metadata(), &schema, commit, data.clone())?;
        Ok(Target { loaded, evolved, schema, writer, files: Vec::new() })
    }
}

impl Attempt<'_> {
    /// Writes every changed partition of silver and gold; returns which.
    async fn pour_all(&mut self) -> Result<HashSet<Struct>> {
        let mut places: BTreeMap<(ConnectionId, NaiveDate), Vec<usize>> = BTreeMap::new();
        for (index, inbound) in self.inbound.iter().enumerate() {
            for day in inbound.landing.days.keys() {
                places.entry((inbound.landing.scope.connection, *day)).or_default().push(index);
            }
        }
        let mut present = self.present(&places).await?;
        let mut replaced = HashSet::with_capacity(places.len());
        let mut places = places.into_iter();
        let mut next = self.open(places.next()).await?;
        while let Some(place) = next {
            // The next place is read and converted while this one is written.
            next = self.open(places.next()).await?;
            let (connection, day) = (place.connection, place.day);
            let partition = rows::partition(connection, day);
            let before = present.remove(&partition).unwrap_or_default();
            self.pour(&partition, place, before).await?;
            self.prepared.days.entry(connection).or_default().insert(day);
            replaced.insert(partition);
        }
        Ok(replaced)
    }

    /// Begins to read what lands on a place.
    async fn open(&self, place: Option<((ConnectionId, NaiveDate), Vec<usize>)>) -> Result<Option<Place>> {
        let Some(((connection, day), landings)) = place else { return Ok(None) };
        let mut rows = Vec::with_capacity(landings.len());
        for index in landings {
            let inbound = &self.inbound[index];
            let batches = inbound.read_day(day, &self.silver.writer).await;
            rows.push((index, batches.map_err(|error| error.of_pull(inbound.scope.pull))?));
        }
        Ok(Some(Place { connection, day, rows }))
    }

    /// What silver has now in these places.
    async fn present(
        &self,
        places: &BTreeMap<(ConnectionId, NaiveDate), Vec<usize>>,
    ) -> Result<HashMap<Struct, Vec<FileScanTask>>> {
        let connections: BTreeSet<_> = places.keys().map(|(connection, _)| *connection).collect();
        let days: BTreeSet<_> = places.keys().map(|(_, day)| *day).collect();
        let range = days.first().zip(days.last()).and_then(|(first, last)| DayRange::new(*first, *last));
        let Some(range) = range else { return Ok(HashMap::new()) };
        rows::partition_tasks(&self.silver.loaded, &self.silver.schema, &connections, range).await
    }

    /// Writes one partition of silver and gold.
    async fn pour(&mut self, partition: &Struct, place: Place, before: Vec<FileScanTask>) -> Result<()> {
        let Place { day, rows, .. } = place;
        let silver = self.silver.writer.begin(partition.clone()).await?;
        let mut pour = Pour { silver, gold: Gold::new(), rows: 0 };
        let landings: Vec<usize> = rows.iter().map(|(index, _)| *index).collect();
        for (index, mut batches) in rows {
            let pull = self.inbound[index].scope.pull;
            let mut found = Flow::default();
            while let Some(batch) = batches.next().await {
                let silver_rows = batch.map_err(|error| error.of_pull(pull))?;
                found.add(&silver_rows)?;
                pour.take(silver_rows).await?;
            }
            self.inbound[index].check(day, found)?;
            self.prepared.silver_rows += found.rows;
        }
        self.carry(day, &landings, before, &mut pour).await?;
        let files = pour.silver.close().await?;
        let written: u64 = files.iter().map(DataFile::record_count).sum();
        if written != pour.rows {
            let (expected, found) = (format!("{} rows", pour.rows), format!("{written} rows"));
            return Err(Error::Unbalanced { layer: SILVER, day, expected, found });
        }
        self.silver.files.extend(files);
        // What was there before could be added up: one of the landings is to blame, and the newest is left out first.
        let newest = landings.last().map(|index| self.inbound[*index].scope.pull);
        let sums = pour.gold.finish(&self.gold.writer.arrow_schema, epoch_days(day));
        let sums = sums.map_err(|error| newest.into_iter().fold(error, Error::of_pull))?;
        self.prepared.gold_rows += u64::try_from(sums.num_rows()).unwrap_or_default();
        let mut gold = self.gold.writer.begin(partition.clone()).await?;
        gold.write(sums).await?;
        self.gold.files.extend(gold.close().await?);
        Ok(())
    }

    /// Takes over the rows of the partition that no landing replaces.
    async fn carry(
        &self,
        day: NaiveDate,
        landings: &[usize],
        before: Vec<FileScanTask>,
        pour: &mut Pour,
    ) -> Result<()> {
        let landings = landings.iter().map(|index| self.inbound[*index].landing);
        let covered: Covered<'_> = landings
            .filter_map(|landing| Some((landing.scope.definition.id.to_string(), landing.days.get(&day)?)))
            .collect();
        let mut batches = rows::read(&self.silver.loaded, before)?;
        while let Some(batch) = batches.try_next().await.during("read silver rows")? {
            pour.take(carried(&batch, &self.silver.writer.arrow_schema, &covered)?).await?;
        }
        Ok(())
    }

    /// Writes the new version of every table.
    async fn write_versions(
        &mut self,
        lake: &Lake,
        replaced: &HashSet<Struct>,
        written: &mut Vec<String>,
    ) -> Result<()> {
        let mut bronze: BTreeMap<String, (Loaded, Change<'_>)> = BTreeMap::new();
        let nothing = HashSet::new();
        for inbound in &self.inbound {
            let entry = bronze.entry(inbound.bronze.name.name.clone()).or_insert_with(|| {
                let schema = inbound.evolved.clone();
                let change = Change { commit: self.commit, replaced: &nothing, added: Vec::new(), schema };
                (inbound.bronze.clone(), change)
            });
            entry.1.added.extend(inbound.files.iter().cloned());
        }
        let mut changes: Vec<(Loaded, Change<'_>)> = bronze.into_values().collect();
        for target in [&self.silver, &self.gold] {
            let (added, schema) = (target.files.clone(), target.evolved.clone());
            changes.push((target.loaded.clone(), Change { commit: self.commit, replaced, added, schema }));
        }
        for (loaded, change) in changes {
            let version = lake.write_version(&loaded, change, written).await?;
            self.prepared.swaps.push(version.swap);
            self.prepared.expired.extend(version.expired);
            self.prepared.tables.insert(loaded.name.name.clone(), version.stats);
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

impl Inbound<'_> {
    /// Reads one day of this pull as silver rows, in a task of its own.
    async fn read_day(&self, day: NaiveDate, silver: &TableWriter) -> Result<SilverRows> {
        let (scope, mapping) = (Arc::clone(&self.scope), Arc::clone(&self.mapping));
        let lands = self.landing.days.get(&day);
        // Mostly all of them do, and then no row has to be looked at for it.
        let only = lands.filter(|accounts| accounts.len() < scope.accounts.len()).cloned();
        let mut converter = Converter::new(scope, mapping, silver.arrow_schema.clone(), epoch_days(day), only);
        let bronze = self.staged.day(epoch_days(day)).await?;
        Ok(Box::new(ahead(bronze.map(move |batch| converter.convert(&batch?)))))
    }
}
