//! The next version of a table: our own replace-partitions commit on Iceberg's public API.
//!
//! Iceberg's Rust crate can append only (apache/iceberg-rust#2269). Restated days need whole partitions replaced, with
//! every snapshot's totals right, and many tables moved together by PostgreSQL; so manifests, manifest list, snapshot
//! and metadata are written here, and nothing is committed: the pointer is moved by the store.
//!
//! It refuses what it can't do right: format v3 and tables with files of several partition specs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::Arc;

use chrono::Utc;
use domain::ids::CommitId;
use domain::lake::PreparedSwap;
use iceberg::MetadataLocation;
use iceberg::spec::{
    DataFile, MAIN_BRANCH, ManifestListWriter, Operation, Schema, Snapshot, SnapshotSummaryCollector, Struct, Summary,
    TableMetadata,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{During as _, Error, Result};
use crate::lake::{Lake, Loaded};
use crate::manifests::ManifestRun;

/// The property of a snapshot that names the commit that made it.
pub(crate) const COMMIT_PROPERTY: &str = "clp.commit-id";

/// What a new version of a table changes.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    /// Who changes it.
    pub(crate) commit: CommitId,
    /// Partitions whose files all go.
    pub(crate) replaced: &'a HashSet<Struct>,
    /// Files that come.
    pub(crate) added: Vec<DataFile>,
    /// A schema with more columns.
    pub(crate) schema: Option<Schema>,
}

/// What a commit changes in one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStats {
    /// Rows in the files that came.
    pub rows_added: u64,
    /// Rows in the files that went.
    pub rows_removed: u64,
    /// Files that came.
    pub files_added: u64,
    /// Files that went.
    pub files_removed: u64,
    /// Size of the files that came.
    pub bytes_added: u64,
}

/// A written version that no pointer names yet.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) swap: PreparedSwap,
    pub(crate) stats: TableStats,
    /// Metadata files that the new version no longer remembers.
    pub(crate) expired: Vec<String>,
}

impl Lake {
    /// Writes the next version of a table. Every file is noted in `written` before it is written.
    pub(crate) async fn write_version(
        &self,
        loaded: &Loaded,
        change: Change<'_>,
        written: &mut Vec<String>,
    ) -> Result<Version> {
        refuse_repetition(loaded, change.commit)?;
        let mut expired = Vec::new();
        let metadata = evolved(loaded.metadata(), change.schema, &mut expired)?;
        let snapshot_id = unused_snapshot_id(&metadata);
        let run = ManifestRun::new(self, loaded, &metadata, snapshot_id, written);
        let live = run.write(change.replaced, &change.added).await?;
        let (stats, summary) = (live.stats, live.summary);
        let list = format!("{}/metadata/snap-{snapshot_id}-0-{}.avro", metadata.location(), Uuid::now_v7());
        written.push(list.clone());
        self.write_list(&metadata, snapshot_id, &list, live.manifests).await?;
        let parent = metadata.current_snapshot();
        let operation = if stats.files_removed == 0 { Operation::Append } else { Operation::Overwrite };
        let snapshot = Snapshot::builder()
            .with_snapshot_id(snapshot_id)
            .with_parent_snapshot_id(parent.map(|parent| parent.snapshot_id()))
            .with_sequence_number(metadata.next_sequence_number())
            .with_timestamp_ms(Utc::now().timestamp_millis().max(metadata.last_updated_ms()))
            .with_manifest_list(list)
            .with_schema_id(metadata.current_schema_id())
            .with_summary(summarize(operation, change.commit, &summary, parent.map(|parent| parent.summary())))
            .build();
        let built = Arc::unwrap_or_clone(metadata)
            .into_builder(Some(loaded.location.clone()))
            .set_branch_snapshot(snapshot, MAIN_BRANCH)
            .and_then(iceberg::spec::TableMetadataBuilder::build)
            .during("add a snapshot to a table")?;
        expired.extend(built.expired_metadata_logs.into_iter().map(|log| log.metadata_file));
        let swap = self.write_next(loaded, &built.metadata, written).await?;
        Ok(Version { swap, stats, expired })
    }

    /// Writes a metadata file beside the loaded one, and says how the pointer should move.
    pub(crate) async fn write_next(
        &self,
        loaded: &Loaded,
        metadata: &TableMetadata,
        written: &mut Vec<String>,
    ) -> Result<PreparedSwap> {
        let current = MetadataLocation::from_str(&loaded.location).during("read a metadata file's name")?;
        let new = current.with_next_version().with_new_metadata(metadata).to_string();
        written.push(new.clone());
        self.write_metadata(metadata, &new).await?;
        Ok(PreparedSwap { table: loaded.name.clone(), expected: Some(loaded.location.clone()), new })
    }

    async fn write_list(
        &self,
        metadata: &TableMetadata,
        snapshot_id: i64,
        location: &str,
        manifests: Vec<iceberg::spec::ManifestFile>,
    ) -> Result<()> {
        const DOING: &str = "write a manifest list";
        let output = self.io.new_output(location).during(DOING)?;
        let parent = metadata.current_snapshot().map(|parent| parent.snapshot_id());
        let writer = output.writer().await.during(DOING)?;
        let mut list = ManifestListWriter::v2(writer, snapshot_id, parent, metadata.next_sequence_number());
        list.add_manifests(manifests.into_iter()).during(DOING)?;
        list.close().await.during(DOING)
    }
}

/// A commit whose outcome was unknown may be in the history: preparing it again would land its rows twice.
fn refuse_repetition(loaded: &Loaded, commit: CommitId) -> Result<()> {
    let id = commit.to_string();
    let is_ours = |summary: &Summary| summary.additional_properties.get(COMMIT_PROPERTY) == Some(&id);
    if loaded.metadata().snapshots().any(|snapshot| is_ours(snapshot.summary())) {
        return Err(Error::AlreadyCommitted { commit, table: loaded.name.name.clone() });
    }
    Ok(())
}

/// The metadata with the new schema. It is one version with the snapshot that follows: a table whose schema is newer
/// than its snapshot can't be queried for the new column (apache/iceberg-rust#2905).
fn evolved(metadata: &TableMetadata, schema: Option<Schema>, expired: &mut Vec<String>) -> Result<Arc<TableMetadata>> {
    let Some(schema) = schema else { return Ok(Arc::new(metadata.clone())) };
    let builder = metadata.clone().into_builder(None).add_current_schema(schema);
    let built = builder.and_then(iceberg::spec::TableMetadataBuilder::build).during("evolve a table's schema")?;
    expired.extend(built.expired_metadata_logs.into_iter().map(|log| log.metadata_file));
    Ok(Arc::new(built.metadata))
}

fn unused_snapshot_id(metadata: &TableMetadata) -> i64 {
    loop {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        let id = i64::from_ne_bytes((high ^ low).to_ne_bytes()) & i64::MAX;
        if metadata.snapshot_by_id(id).is_none() {
            return id;
        }
    }
}

/// The snapshot's summary, with totals carried on from its parent. Iceberg's own function for this is private, and would
/// take an overwrite for a truncation of the whole table.
fn summarize(
    operation: Operation,
    commit: CommitId,
    collector: &SnapshotSummaryCollector,
    parent: Option<&Summary>,
) -> Summary {
    const TOTALS: [(&str, &str, &str); 6] = [
        ("total-data-files", "added-data-files", "deleted-data-files"),
        ("total-records", "added-records", "deleted-records"),
        ("total-files-size", "added-files-size", "removed-files-size"),
        ("total-delete-files", "added-delete-files", "removed-delete-files"),
        ("total-position-deletes", "added-position-deletes", "removed-position-deletes"),
        ("total-equality-deletes", "added-equality-deletes", "removed-equality-deletes"),
    ];
    let mut properties: HashMap<String, String> = collector.build();
    properties.insert(COMMIT_PROPERTY.to_owned(), commit.to_string());
    let number = |map: &HashMap<String, String>, key: &str| map.get(key).and_then(|text| text.parse::<i64>().ok());
    let totals: BTreeMap<_, _> = TOTALS
        .into_iter()
        .filter_map(|(total, added, removed)| {
            // A total that the parent does not state stays unstated: a wrong one would be believed.
            let before = parent.map_or(Some(0), |parent| number(&parent.additional_properties, total))?;
            let change = |key| number(&properties, key).unwrap_or(0);
            let after = before + change(added) - change(removed);
            (after >= 0).then(|| (total.to_owned(), after.to_string()))
        })
        .collect();
    properties.extend(totals);
    Summary { operation, additional_properties: properties }
}
