//! Reads rows back from data files: staged ones that no table names yet, and those of a table's partitions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use domain::DayRange;
use domain::ids::ConnectionId;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use iceberg::arrow::ArrowFileReader;
use iceberg::expr::Reference;
use iceberg::io::{FileIO, FileMetadata, InputFile};
use iceberg::scan::{ArrowRecordBatchStream, FileScanTask};
use iceberg::spec::{DataFile, Datum, Literal, SchemaRef, Struct};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use crate::columns::epoch_days;
use crate::error::{During as _, Error, Result};
use crate::lake::Loaded;
use crate::tables::CONNECTION;

/// Rows that are in memory at once.
const BATCH_ROWS: usize = 16 * 1024;

/// The partition of a (connection, day), as silver and gold have it.
pub(crate) fn partition(connection: ConnectionId, day: NaiveDate) -> Struct {
    Struct::from_iter([Some(Literal::string(connection)), Some(Literal::date(epoch_days(day)))])
}

/// A pull's bronze files that no table names yet. Their footers are read once, however many days are read.
pub(crate) struct StagedFiles(Vec<StagedFile>);

struct StagedFile {
    input: InputFile,
    size: u64,
    metadata: ArrowReaderMetadata,
    /// The columns that are read.
    columns: ProjectionMask,
    /// The row groups of each day: staging writes none with two days.
    groups: BTreeMap<i32, Vec<usize>>,
}

impl StagedFiles {
    /// Opens files to read some of their columns.
    pub(crate) async fn open(io: &FileIO, files: &[DataFile], columns: &[String]) -> Result<Self> {
        let mut opened = Vec::with_capacity(files.len());
        for file in files {
            opened.push(StagedFile::open(io, file, columns).await?);
        }
        Ok(Self(opened))
    }

    /// The rows of one day; other days' row groups are not touched.
    pub(crate) async fn day(&self, day: i32) -> Result<impl Stream<Item = Result<RecordBatch>> + Unpin + use<>> {
        let mut streams = Vec::new();
        for file in &self.0 {
            if let Some(groups) = file.groups.get(&day) {
                streams.push(file.read(groups.clone()).await?);
            }
        }
        Ok(futures::stream::iter(streams).flatten().map(|batch| batch.during("read bronze rows")))
    }
}

impl StagedFile {
    async fn open(io: &FileIO, file: &DataFile, columns: &[String]) -> Result<Self> {
        const DOING: &str = "open a bronze file";
        let (input, size) = (io.new_input(file.file_path()).during(DOING)?, file.file_size_in_bytes());
        let mut reader = ArrowFileReader::new(FileMetadata { size }, input.reader().await.during(DOING)?);
        let metadata = ArrowReaderMetadata::load_async(&mut reader, ArrowReaderOptions::new()).await.during(DOING)?;
        let names = columns.iter().map(String::as_str).chain(["row_number"]);
        let columns = ProjectionMask::columns(metadata.parquet_schema(), names);
        let mut groups: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (index, group) in metadata.metadata().row_groups().iter().enumerate() {
            let day = day_of_group(group).ok_or_else(|| {
                Error::corrupt(format!("row group {index} of {} does not hold one day", file.file_path()))
            })?;
            groups.entry(day).or_default().push(index);
        }
        Ok(Self { input, size, metadata, columns, groups })
    }

    async fn read(&self, groups: Vec<usize>) -> Result<ParquetRecordBatchStream<ArrowFileReader>> {
        const DOING: &str = "read bronze rows";
        let reader = ArrowFileReader::new(FileMetadata { size: self.size }, self.input.reader().await.during(DOING)?);
        ParquetRecordBatchStreamBuilder::new_with_metadata(reader, self.metadata.clone())
            .with_row_groups(groups)
            .with_projection(self.columns.clone())
            .with_batch_size(BATCH_ROWS)
            .build()
            .during(DOING)
    }
}

/// The day that all rows of a row group have, by its statistics.
fn day_of_group(group: &RowGroupMetaData) -> Option<i32> {
    let day = group.columns().iter().find(|column| column.column_path().string() == "day")?;
    let Some(Statistics::Int32(days)) = day.statistics() else { return None };
    days.min_opt().filter(|first| days.max_opt() == Some(*first)).copied()
}

/// The tasks that read a table's partitions of some connections and days, by partition; rows come with the columns of
/// `schema`, which may be newer than the table's.
pub(crate) async fn partition_tasks(
    loaded: &Loaded,
    schema: &SchemaRef,
    connections: &BTreeSet<ConnectionId>,
    days: DayRange,
) -> Result<HashMap<Struct, Vec<FileScanTask>>> {
    const DOING: &str = "find the files of a partition";
    let filter = Reference::new(CONNECTION)
        .is_in(connections.iter().map(Datum::string))
        .and(Reference::new("day").greater_than_or_equal_to(Datum::date(epoch_days(days.first()))))
        .and(Reference::new("day").less_than_or_equal_to(Datum::date(epoch_days(days.last()))));
    let scan = loaded.table.scan().with_filter(filter).build().during(DOING)?;
    let mut planned = scan.plan_files().await.during(DOING)?;
    let mut tasks: HashMap<Struct, Vec<FileScanTask>> = HashMap::new();
    while let Some(mut task) = planned.try_next().await.during(DOING)? {
        // Whole partitions are read, and every column from the file itself rather than as a constant of the partition.
        let Some(partition) = task.partition.take() else { continue };
        task.predicate = None;
        task.schema = schema.clone();
        task.project_field_ids = field_ids(schema);
        tasks.entry(partition).or_default().push(task);
    }
    Ok(tasks)
}

/// Streams the rows of some tasks, one file after the other.
pub(crate) fn read(loaded: &Loaded, tasks: Vec<FileScanTask>) -> Result<ArrowRecordBatchStream> {
    let reader = loaded
        .table
        .reader_builder()
        .with_batch_size(BATCH_ROWS)
        .with_data_file_concurrency_limit(1)
        .with_row_group_filtering_enabled(true)
        .build();
    let tasks = futures::stream::iter(tasks.into_iter().map(Ok)).boxed();
    Ok(reader.read(tasks).during("read rows")?.stream())
}

fn field_ids(schema: &SchemaRef) -> Vec<i32> {
    schema.as_struct().fields().iter().map(|field| field.id).collect()
}
