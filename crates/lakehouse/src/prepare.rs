//! Preparing a commit: staged pulls become a new version of bronze, silver and gold, all together.
//!
//! Nothing is committed here. The store moves all pointers in one transaction with its ledger, or reports a conflict;
//! then the caller discards this attempt and prepares again from the pointers as they stand. Bronze files are reused by
//! the next attempt, silver and gold files are written again, because the rows that they carry over may have changed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use domain::ids::{CommitId, ConnectionId, OrgId};
use domain::lake::PreparedSwap;
use iceberg::spec::DataFile;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::inbound::Inbound;
use crate::lake::{Lake, Loaded};
use crate::partition_writer::{Noted, TableWriter};
use crate::place::{AllPoured, Places, Target};
use crate::pointers::Pointers;
use crate::pull::Landing;
use crate::rows;
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
        inbound: Vec<Inbound>,
        data: &Noted,
        written: &mut Vec<String>,
    ) -> Result<Prepared> {
        let silver = self.target(pointers, org, SILVER, &Shape::silver(), commit, data).await?;
        let gold = self.target(pointers, org, GOLD, &Shape::gold(), commit, data).await?;
        let places = Arc::new(Places { inbound, silver, gold });
        let poured = places.pour_all().await?;
        let mut prepared = Prepared::default();
        for ((connection, day), place) in &poured {
            prepared.days.entry(*connection).or_default().insert(*day);
            prepared.silver_rows += place.silver_rows;
            prepared.gold_rows += place.gold_rows;
        }
        self.write_versions(&places, &poured, commit, written, &mut prepared).await?;
        let data = poured.values().flat_map(|place| place.silver.iter().chain(&place.gold)).map(DataFile::file_path);
        storage::sync_folders(&self.root, data.chain(written.iter().map(String::as_str)))?;
        Ok(prepared)
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
        Ok(Target { loaded, evolved, schema, writer })
    }

    /// Writes the new version of every table.
    async fn write_versions(
        &self,
        places: &Places,
        poured: &AllPoured,
        commit: CommitId,
        written: &mut Vec<String>,
        prepared: &mut Prepared,
    ) -> Result<()> {
        let mut bronze: BTreeMap<String, (Loaded, Change<'_>)> = BTreeMap::new();
        let nothing = HashSet::new();
        for inbound in &places.inbound {
            let entry = bronze.entry(inbound.bronze.name.name.clone()).or_insert_with(|| {
                let schema = inbound.evolved.clone();
                (inbound.bronze.clone(), Change { commit, replaced: &nothing, added: Vec::new(), schema })
            });
            entry.1.added.extend(inbound.files.iter().cloned());
        }
        let replaced = poured.keys().map(|(connection, day)| rows::partition(*connection, *day)).collect();
        let silver = poured.values().flat_map(|place| &place.silver);
        let gold = poured.values().flat_map(|place| &place.gold);
        let mut changes: Vec<(Loaded, Change<'_>)> = bronze.into_values().collect();
        let mut change = |target: &Target, added: Vec<DataFile>| {
            let schema = target.evolved.clone();
            changes.push((target.loaded.clone(), Change { commit, replaced: &replaced, added, schema }));
        };
        change(&places.silver, silver.cloned().collect());
        change(&places.gold, gold.cloned().collect());
        for (loaded, change) in changes {
            let version = self.write_version(&loaded, change, written).await?;
            prepared.swaps.push(version.swap);
            prepared.expired.extend(version.expired);
            prepared.tables.insert(loaded.name.name.clone(), version.stats);
        }
        Ok(())
    }
}
