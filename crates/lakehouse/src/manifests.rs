//! The manifests of a new snapshot: which are kept, which are rewritten, and what each holds.
//!
//! Every manifest holds files of one connection, so that replacing days of one connection never touches the manifests
//! of the others. A connection's small manifests are merged when there are [`MERGE_AT`] of them; a large one is left in
//! peace unless one of its partitions is replaced.
//!
//! A rewritten manifest keeps its own schema and spec (the bounds in it are encoded with them), drops entries that an
//! older snapshot deleted, and keeps the snapshot and sequence numbers of the survivors.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use iceberg::spec::{
    DataFile, Datum, FieldSummary, Literal, ManifestContentType, ManifestEntryRef, ManifestFile, ManifestWriter,
    ManifestWriterBuilder, PartitionSpec, PartitionSpecRef, PrimitiveLiteral, PrimitiveType, SchemaRef,
    SnapshotSummaryCollector, Struct, TableMetadata,
};
use uuid::Uuid;

use crate::error::{During as _, Error, Result};
use crate::lake::{Lake, Loaded};
use crate::tables::CONNECTION;
use crate::version::TableStats;

/// How many small manifests a connection may have before they are merged.
const MERGE_AT: usize = 8;

/// From this size on a manifest is not merged with others.
const LARGE_BYTES: i64 = 4 << 20;

/// What a new snapshot consists of.
pub(crate) struct Live {
    pub(crate) manifests: Vec<ManifestFile>,
    pub(crate) stats: TableStats,
    pub(crate) summary: SnapshotSummaryCollector,
}

/// Entries that go into one rewritten manifest.
struct Pool {
    schema: SchemaRef,
    spec: PartitionSpec,
    entries: Vec<(ManifestEntryRef, bool)>,
}

/// Writes the manifests of one snapshot.
pub(crate) struct ManifestRun<'a> {
    lake: &'a Lake,
    loaded: &'a Loaded,
    metadata: &'a TableMetadata,
    snapshot_id: i64,
    written: &'a mut Vec<String>,
    stats: TableStats,
    summary: SnapshotSummaryCollector,
}

impl<'a> ManifestRun<'a> {
    pub(crate) fn new(
        lake: &'a Lake,
        loaded: &'a Loaded,
        metadata: &'a TableMetadata,
        snapshot_id: i64,
        written: &'a mut Vec<String>,
    ) -> Self {
        let (stats, summary) = (TableStats::default(), SnapshotSummaryCollector::default());
        Self { lake, loaded, metadata, snapshot_id, written, stats, summary }
    }

    /// Writes what changes, and returns all manifests of the snapshot.
    pub(crate) async fn write(mut self, replaced: &HashSet<Struct>, added: &[DataFile]) -> Result<Live> {
        let mut manifests = self.write_added(added).await?;
        let (kept, pools) = self.plan(replaced, added).await?;
        manifests.extend(kept);
        for pool in pools {
            let rewritten = self.write_pool(pool).await?;
            manifests.push(rewritten);
        }
        Ok(Live { manifests, stats: self.stats, summary: self.summary })
    }

    async fn write_added(&mut self, added: &[DataFile]) -> Result<Vec<ManifestFile>> {
        let (schema, spec) = (self.metadata.current_schema().clone(), self.metadata.default_partition_spec().clone());
        let mut by_connection: BTreeMap<&str, Vec<&DataFile>> = BTreeMap::new();
        for file in added {
            by_connection.entry(partition_connection(file.partition())?).or_default().push(file);
        }
        let mut manifests = Vec::with_capacity(by_connection.len());
        for files in by_connection.into_values() {
            let mut writer = self.writer(schema.clone(), (*spec).clone())?;
            for file in files {
                self.stats.files_added += 1;
                self.stats.rows_added += file.record_count();
                self.stats.bytes_added += file.file_size_in_bytes();
                self.summary.add_file(file, schema.clone(), spec.clone());
                // The sequence number is inherited from the manifest list when it is read.
                writer.add_file(file.clone(), -1).during("add a file to a manifest")?;
            }
            manifests.push(writer.write_manifest_file().await.during("write a manifest")?);
        }
        Ok(manifests)
    }

    /// Splits the parent's manifests into those that stay and the entries of those that are rewritten.
    async fn plan(&mut self, replaced: &HashSet<Struct>, added: &[DataFile]) -> Result<(Vec<ManifestFile>, Vec<Pool>)> {
        let Some(parent) = self.metadata.current_snapshot() else { return Ok((Vec::new(), Vec::new())) };
        let reader = self.loaded.table.manifest_list_reader(parent);
        let list = reader.load().await.during("read a manifest list")?;
        let types = partition_types(self.metadata)?;
        let crowded = crowded(list.entries(), &touched(replaced, added)?);
        let (mut kept, mut pools) = (Vec::new(), BTreeMap::new());
        for manifest in list.entries() {
            if manifest.content != ManifestContentType::Data {
                // Deletes of others: they apply to older files only, so they can't harm ours.
                kept.push(manifest.clone());
                continue;
            }
            if !manifest.has_added_files() && !manifest.has_existing_files() {
                continue; // It tells of deletions by older snapshots only.
            }
            self.check_spec(manifest)?;
            let merging = mergeable(manifest).is_some_and(|connection| crowded.contains(connection));
            if !merging && !may_contain(manifest, &types, replaced)? {
                kept.push(manifest.clone());
                continue;
            }
            if !self.pool(manifest, replaced, merging, &mut pools).await? {
                kept.push(manifest.clone());
            }
        }
        Ok((kept, pools.into_values().collect()))
    }

    /// Puts a manifest's live entries into the pools; false when none of them goes and the manifest may stay.
    async fn pool(
        &mut self,
        manifest: &ManifestFile,
        replaced: &HashSet<Struct>,
        merging: bool,
        pools: &mut BTreeMap<(String, i32), Pool>,
    ) -> Result<bool> {
        // Loading inherits snapshot id and sequence numbers, which survivors must keep.
        let loaded = manifest.load_manifest(&self.lake.io).await.during("read a manifest")?;
        let (entries, of) = loaded.into_parts();
        let live: Vec<_> = entries
            .into_iter()
            .filter(|entry| entry.is_alive())
            .map(|entry| {
                let goes = replaced.contains(entry.data_file().partition());
                (entry, goes)
            })
            .collect();
        if !merging && !live.iter().any(|(_, goes)| *goes) {
            return Ok(false);
        }
        for (entry, goes) in live {
            let connection = partition_connection(entry.data_file().partition())?.to_owned();
            let pool = pools.entry((connection, of.schema_id())).or_insert_with(|| Pool {
                schema: of.schema().clone(),
                spec: of.partition_spec().clone(),
                entries: Vec::new(),
            });
            pool.entries.push((entry, goes));
        }
        Ok(true)
    }

    async fn write_pool(&mut self, pool: Pool) -> Result<ManifestFile> {
        const DOING: &str = "rewrite a manifest";
        let spec: PartitionSpecRef = Arc::new(pool.spec.clone());
        let mut writer = self.writer(pool.schema.clone(), pool.spec)?;
        for (entry, goes) in pool.entries {
            let numbers = entry.snapshot_id().zip(entry.sequence_number());
            let (snapshot_id, sequence_number) =
                numbers.ok_or_else(|| Error::corrupt(format!("entry without numbers: {}", entry.file_path())))?;
            let file = entry.data_file();
            if goes {
                self.stats.files_removed += 1;
                self.stats.rows_removed += file.record_count();
                self.summary.remove_file(file, pool.schema.clone(), spec.clone());
                writer.add_delete_file(file.clone(), sequence_number, entry.file_sequence_number).during(DOING)?;
            } else {
                let file_number = entry.file_sequence_number;
                writer.add_existing_file(file.clone(), snapshot_id, sequence_number, file_number).during(DOING)?;
            }
        }
        writer.write_manifest_file().await.during(DOING)
    }

    fn writer(&mut self, schema: SchemaRef, spec: PartitionSpec) -> Result<ManifestWriter> {
        let location = format!("{}/metadata/{}-m.avro", self.metadata.location(), Uuid::now_v7());
        self.written.push(location.clone());
        let output = self.lake.io.new_output(location).during("open a manifest")?;
        Ok(ManifestWriterBuilder::new(output, Some(self.snapshot_id), schema, spec).build_v2_data())
    }

    fn check_spec(&self, manifest: &ManifestFile) -> Result<()> {
        if manifest.partition_spec_id == self.metadata.default_partition_spec_id() {
            return Ok(());
        }
        Err(Error::Unsupported {
            table: self.loaded.name.name.clone(),
            why: "it has live files of an older partition spec",
        })
    }
}

/// The connection that a partition belongs to: the first partition field of all our tables.
fn partition_connection(partition: &Struct) -> Result<&str> {
    match partition.fields().first() {
        Some(Some(Literal::Primitive(PrimitiveLiteral::String(connection)))) => Ok(connection),
        _ => Err(Error::corrupt("a partition without a connection")),
    }
}

/// The connections that a change touches.
fn touched<'b>(replaced: &'b HashSet<Struct>, added: &'b [DataFile]) -> Result<BTreeSet<&'b [u8]>> {
    let partitions = replaced.iter().chain(added.iter().map(DataFile::partition));
    partitions.map(|partition| Ok(partition_connection(partition)?.as_bytes())).collect()
}

/// Those touched connections that have so many small manifests that they are merged now.
fn crowded<'b>(manifests: &'b [ManifestFile], touched: &BTreeSet<&[u8]>) -> BTreeSet<&'b [u8]> {
    let mut counts: BTreeMap<&[u8], usize> = BTreeMap::new();
    for connection in manifests.iter().filter_map(mergeable).filter(|connection| touched.contains(connection)) {
        *counts.entry(connection).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count >= MERGE_AT).map(|(connection, _)| connection).collect()
}

/// The connection of a small data manifest that holds files of that one only.
fn mergeable(manifest: &ManifestFile) -> Option<&[u8]> {
    let is_small = manifest.content == ManifestContentType::Data && manifest.manifest_length < LARGE_BYTES;
    let field = manifest.partitions.as_ref()?.first()?;
    let (lower, upper) = (field.lower_bound.as_ref()?, field.upper_bound.as_ref()?);
    (is_small && !field.contains_null && lower == upper).then_some(lower.as_slice())
}

fn partition_types(metadata: &TableMetadata) -> Result<Vec<PrimitiveType>> {
    let error = || Error::Unsupported { table: metadata.location().to_owned(), why: "its partitions are not ours" };
    let fields = metadata.default_partition_spec().fields();
    if fields.first().is_none_or(|field| field.name != CONNECTION) {
        return Err(error());
    }
    let types = metadata.default_partition_type().fields().iter();
    types.map(|field| field.field_type.as_primitive_type().cloned().ok_or_else(error)).collect()
}

/// Whether a manifest can hold a file of one of these partitions, by the bounds in the manifest list.
fn may_contain(manifest: &ManifestFile, types: &[PrimitiveType], partitions: &HashSet<Struct>) -> Result<bool> {
    let Some(fields) = manifest.partitions.as_ref().filter(|fields| fields.len() == types.len()) else {
        return Ok(!partitions.is_empty());
    };
    let bounds: Vec<_> = fields.iter().zip(types).map(|(field, kind)| bounds(field, kind)).collect::<Result<_>>()?;
    let lies_within = |value: &Option<Literal>, (lower, upper): &(Option<Datum>, Option<Datum>)| {
        let value = value.as_ref().and_then(Literal::as_primitive_literal);
        match (value, lower, upper) {
            (Some(value), Some(lower), Some(upper)) => lower.literal() <= &value && &value <= upper.literal(),
            _ => true,
        }
    };
    Ok(partitions
        .iter()
        .any(|partition| partition.fields().iter().zip(&bounds).all(|(value, bounds)| lies_within(value, bounds))))
}

fn bounds(field: &FieldSummary, kind: &PrimitiveType) -> Result<(Option<Datum>, Option<Datum>)> {
    let decode = |bytes: &Option<iceberg::spec::ByteBuf>| {
        let decoded = bytes.as_ref().map(|bytes| Datum::try_from_bytes(bytes, kind.clone()));
        decoded.transpose().during("read the bounds of a manifest")
    };
    Ok((decode(&field.lower_bound)?, decode(&field.upper_bound)?))
}
