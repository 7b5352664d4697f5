//! Writes one pull's rows, as text, into bronze data files.
//!
//! Rows come in any order of days, and more of them than fit memory. They are collected per day, and the largest
//! collection is written as a row group of its own when all together reach [`BUFFER_BYTES`]. So a file has row groups of
//! one day each, and reading one day later touches no other day's bytes. Two files of a large pull are written at a time,
//! each by a task of its own.
//!
//! The files' names hold the pull's id and the attempt's: staging again never overwrites a file that may be in use.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use bytes::Bytes;
use domain::report::RowBatch;
use futures::future::BoxFuture;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::{FileIO, FileWrite};
use iceberg::spec::{DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Literal, SchemaRef, Struct};
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::columns::epoch_days;
use crate::error::{During as _, Error, Result, joined};
use crate::mapping::Mapping;
use crate::pull::PullScope;
use crate::tally::day_at;

/// Text that is held before the largest day is written.
const BUFFER_BYTES: usize = 80 << 20;

/// Rows of one day that are written at once: an upper bound for a row group.
const GROUP_ROWS: usize = 128 * 1024;

/// Rows of a day that are kept together.
const SMALL_BATCH_ROWS: usize = 512;

/// From this size on a further file is begun.
const FILE_BYTES: usize = 256 << 20;

/// Files that a large pull is written to at a time.
const FILES_AT_ONCE: usize = 2;

const ROW_NUMBER: &str = "row_number";

const WRITING: &str = "write bronze rows";

/// Fast, and within a few percent of the size of higher levels for such text.
const ZSTD_LEVEL: i32 = 1;

/// How all Parquet files of the lake are written.
pub(crate) fn parquet_properties() -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).during("choose a compression level")?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build())
}

/// Of the report's own columns, which are text, nobody asks for the smallest and the largest. A row's number comes once,
/// so that a dictionary of them would be of no use.
fn properties(mapping: &Mapping) -> Result<WriterProperties> {
    let texts = mapping.columns.iter().map(|name| ColumnPath::from(name.as_str()));
    let shared = parquet_properties()?
        .into_builder()
        .set_column_dictionary_enabled(ROW_NUMBER.into(), false)
        .set_column_encoding(ROW_NUMBER.into(), Encoding::DELTA_BINARY_PACKED);
    Ok(texts.fold(shared, |it, column| it.set_column_statistics_enabled(column, EnabledStatistics::None)).build())
}

/// Rows of one day that wait to be written.
struct DayBuffer {
    row_numbers: Vec<i64>,
    /// Small batches rather than one that grows, so that taking rows never moves those that are there.
    full: Vec<RowBatch>,
    open: RowBatch,
    bytes: usize,
}

/// What all files of a pull have in common.
struct Layout {
    scope: Arc<PullScope>,
    mapping: Arc<Mapping>,
    folder: String,
    schema: SchemaRef,
    arrow_schema: ArrowSchemaRef,
    properties: WriterProperties,
    attempt: Uuid,
}

/// A file that is being written.
struct OpenFile {
    layout: Arc<Layout>,
    location: String,
    writer: AsyncArrowWriter<Sink>,
    /// The first and the last of its rows' days.
    days: (i32, i32),
    /// The first and the last of its rows' numbers.
    row_numbers: (i64, i64),
    rows: u64,
}

/// Writes the rows of one pull.
pub(crate) struct BronzeWriter {
    layout: Arc<Layout>,
    io: FileIO,
    buffers: BTreeMap<usize, DayBuffer>,
    buffered_bytes: usize,
    rows: usize,
    /// Files that take a row group just now; each comes back when it has it.
    busy: JoinSet<Result<OpenFile>>,
    idle: Vec<OpenFile>,
    files: Vec<DataFile>,
    /// Every file that was begun.
    written: Vec<String>,
}

impl BronzeWriter {
    /// A writer into the table at `folder`, whose (evolved) schema is `schema`.
    pub(crate) fn new(
        scope: Arc<PullScope>,
        mapping: Arc<Mapping>,
        io: FileIO,
        folder: String,
        schema: SchemaRef,
    ) -> Result<Self> {
        let arrow_schema = Arc::new(schema_to_arrow_schema(&schema).during("convert the bronze schema")?);
        let (properties, attempt) = (properties(&mapping)?, Uuid::now_v7());
        Ok(Self {
            layout: Arc::new(Layout { scope, mapping, folder, schema, arrow_schema, properties, attempt }),
            io,
            buffers: BTreeMap::new(),
            buffered_bytes: 0,
            rows: 0,
            busy: JoinSet::new(),
            idle: Vec::new(),
            files: Vec::new(),
            written: Vec::new(),
        })
    }

    /// Takes rows whose days (as positions in the scope) are known; `first` is the number of the first.
    pub(crate) async fn write(&mut self, batch: &RowBatch, days: &[usize], first: u64) -> Result<()> {
        self.rows += days.len();
        let mut rows_of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (row, day) in days.iter().enumerate() {
            rows_of.entry(*day).or_default().push(row);
        }
        for (day, rows) in rows_of {
            let buffer = self.buffers.entry(day).or_insert_with(|| DayBuffer::new(batch.width()));
            self.buffered_bytes += buffer.take(batch, &rows, first);
            if buffer.row_numbers.len() >= GROUP_ROWS {
                self.flush(day).await?;
            }
        }
        while self.buffered_bytes > BUFFER_BYTES {
            let largest = self.buffers.iter().max_by_key(|(_, buffer)| buffer.bytes).map(|(day, _)| *day);
            let Some(day) = largest else { break };
            self.flush(day).await?;
        }
        Ok(())
    }

    /// Writes what is left, and returns all files.
    pub(crate) async fn close(&mut self) -> Result<Vec<DataFile>> {
        while let Some(day) = self.buffers.keys().next().copied() {
            self.flush(day).await?;
        }
        while let Some(done) = self.busy.join_next().await {
            self.idle.push(joined(done, WRITING)?);
        }
        for file in std::mem::take(&mut self.idle) {
            self.files.push(file.close().await?);
        }
        Ok(std::mem::take(&mut self.files))
    }

    /// Gives up; returns every file that was begun. Nothing writes to them any more.
    pub(crate) async fn abandon(&mut self) -> Vec<String> {
        self.busy.shutdown().await;
        std::mem::take(&mut self.written)
    }

    /// Every file that was begun.
    pub(crate) fn written(&self) -> impl Iterator<Item = &str> {
        self.written.iter().map(String::as_str)
    }

    /// Begins to write one day's rows as a row group.
    async fn flush(&mut self, position: usize) -> Result<()> {
        let Some(buffer) = self.buffers.remove(&position) else { return Ok(()) };
        self.buffered_bytes -= buffer.bytes;
        let day = epoch_days(day_at(&self.layout.scope, position));
        let mut file = self.free_file().await?;
        self.busy.spawn(async move {
            file.append(buffer, day).await?;
            Ok(file)
        });
        Ok(())
    }

    /// A file that takes a row group. A small pull has one file, however many days it has.
    async fn free_file(&mut self) -> Result<OpenFile> {
        let most = if self.rows > GROUP_ROWS { FILES_AT_ONCE } else { 1 };
        while self.idle.is_empty() {
            let done = match self.busy.try_join_next() {
                None if self.busy.len() < most => return self.open_file().await,
                None => self.busy.join_next().await,
                done => done,
            };
            let Some(done) = done else { continue };
            let file = joined(done, WRITING)?;
            if file.writer.bytes_written() >= FILE_BYTES {
                self.files.push(file.close().await?);
            } else {
                self.idle.push(file);
            }
        }
        match self.idle.pop() {
            Some(file) => Ok(file),
            None => self.open_file().await,
        }
    }

    async fn open_file(&mut self) -> Result<OpenFile> {
        const DOING: &str = "open a bronze file";
        let layout = Arc::clone(&self.layout);
        let (scope, number) = (&layout.scope, self.written.len());
        let name = format!("{}-{}-{number:03}.parquet", scope.pull, layout.attempt.simple());
        let location = format!("{}/data/connection_id={}/{name}", layout.folder, scope.connection);
        self.written.push(location.clone());
        let output = self.io.new_output(&location).during(DOING)?;
        let sink = Sink(output.writer().await.during(DOING)?);
        let properties = Some(layout.properties.clone());
        let writer = AsyncArrowWriter::try_new(sink, layout.arrow_schema.clone(), properties).during(DOING)?;
        Ok(OpenFile {
            layout,
            location,
            writer,
            days: (i32::MAX, i32::MIN),
            row_numbers: (i64::MAX, i64::MIN),
            rows: 0,
        })
    }
}

impl OpenFile {
    /// Writes one day's rows as a row group.
    async fn append(&mut self, buffer: DayBuffer, day: i32) -> Result<()> {
        let numbers = &buffer.row_numbers;
        let (Some(first), Some(last)) = (numbers.first().copied(), numbers.last().copied()) else { return Ok(()) };
        let rows = numbers.len();
        let batch = self.layout.record_batch(buffer, day, rows)?;
        self.writer.write(&batch).await.during(WRITING)?;
        self.writer.flush().await.during(WRITING)?;
        self.days = (self.days.0.min(day), self.days.1.max(day));
        self.row_numbers = (self.row_numbers.0.min(first), self.row_numbers.1.max(last));
        self.rows += u64::try_from(rows).unwrap_or_default();
        Ok(())
    }

    async fn close(mut self) -> Result<DataFile> {
        let metadata = self.writer.finish().await.during("finish a bronze file")?;
        let offsets = metadata.row_groups().iter().filter_map(parquet::file::metadata::RowGroupMetaData::file_offset);
        let layout = &self.layout;
        let (lower, upper) =
            (layout.bounds(self.days.0, self.row_numbers.0), layout.bounds(self.days.1, self.row_numbers.1));
        DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path(self.location)
            .file_format(DataFileFormat::Parquet)
            .partition(Struct::from_iter([Some(Literal::string(layout.scope.connection))]))
            .record_count(self.rows)
            .file_size_in_bytes(u64::try_from(self.writer.bytes_written()).unwrap_or_default())
            .lower_bounds(lower)
            .upper_bounds(upper)
            .split_offsets(Some(offsets.collect()))
            .build()
            .map_err(|error| Error::corrupt(error.to_string()))
    }
}

impl Layout {
    fn record_batch(&self, buffer: DayBuffer, day: i32, rows: usize) -> Result<RecordBatch> {
        let cells = buffer.columns();
        let repeated = |text: String| Arc::new(StringArray::new_repeated(text, rows));
        let requested_at = vec![self.scope.requested_at.timestamp_micros(); rows];
        let mut arrays: HashMap<&str, ArrayRef> = HashMap::from([
            ("connection_id", repeated(self.scope.connection.to_string()) as ArrayRef),
            ("pull_id", repeated(self.scope.pull.to_string())),
            ("requested_at", Arc::new(TimestampMicrosecondArray::from(requested_at).with_timezone("+00:00"))),
            (ROW_NUMBER, Arc::new(Int64Array::from(buffer.row_numbers))),
            ("day", Arc::new(Date32Array::from(vec![day; rows]))),
        ]);
        for (name, column) in self.mapping.columns.iter().zip(cells) {
            arrays.insert(name, Arc::new(column));
        }
        let columns = self.arrow_schema.fields().iter().map(|field| {
            let known = arrays.remove(field.name().as_str());
            known.unwrap_or_else(|| new_null_array(field.data_type(), rows))
        });
        RecordBatch::try_new(self.arrow_schema.clone(), columns.collect()).during("build bronze rows")
    }

    fn bounds(&self, day: i32, row_number: i64) -> HashMap<i32, Datum> {
        let bounds = [
            ("connection_id", Datum::string(self.scope.connection)),
            ("pull_id", Datum::string(self.scope.pull)),
            ("requested_at", Datum::timestamptz_micros(self.scope.requested_at.timestamp_micros())),
            (ROW_NUMBER, Datum::long(row_number)),
            ("day", Datum::date(day)),
        ];
        let id = |name| self.schema.field_id_by_name(name);
        bounds.into_iter().filter_map(|(name, bound)| Some((id(name)?, bound))).collect()
    }
}

impl DayBuffer {
    fn new(width: usize) -> Self {
        let open = RowBatch::with_capacity(width, SMALL_BATCH_ROWS);
        Self { row_numbers: Vec::new(), full: Vec::new(), open, bytes: 0 }
    }

    /// Takes some rows of a batch whose first row has the number `first`; returns how many bytes it grew by.
    fn take(&mut self, batch: &RowBatch, rows: &[usize], first: u64) -> usize {
        let width = self.open.width();
        let mut grown = rows.len() * width * size_of::<u32>();
        for row in rows {
            let number = first + u64::try_from(*row).unwrap_or_default();
            self.row_numbers.push(i64::try_from(number).unwrap_or(i64::MAX));
            if self.open.len() == SMALL_BATCH_ROWS {
                let next = RowBatch::with_capacity(width, SMALL_BATCH_ROWS);
                self.full.push(std::mem::replace(&mut self.open, next));
            }
            let before = self.open.size_bytes();
            self.open.push_row(batch, *row);
            grown += self.open.size_bytes() - before;
        }
        self.bytes += grown;
        grown
    }

    /// Its cells, column by column.
    fn columns(&self) -> Vec<StringArray> {
        let batches = || self.full.iter().chain([&self.open]);
        let rows = batches().flat_map(|batch| (0..batch.len()).map(move |row| batch.cells(row)));
        let mut bytes = vec![0; self.open.width()];
        batches().for_each(|batch| batch.add_sizes(&mut bytes));
        let count = self.row_numbers.len();
        let mut columns: Vec<StringBuilder> =
            bytes.into_iter().map(|bytes| StringBuilder::with_capacity(count, bytes)).collect();
        for cells in rows {
            for (builder, cell) in columns.iter_mut().zip(cells) {
                builder.append_value(cell);
            }
        }
        columns.iter_mut().map(StringBuilder::finish).collect()
    }
}

/// Lets Parquet write to Iceberg's files; Iceberg's own adapter is private.
struct Sink(Box<dyn FileWrite>);

impl AsyncFileWriter for Sink {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, parquet::errors::Result<()>> {
        Box::pin(async { self.0.write(bytes).await.map_err(external) })
    }

    fn complete(&mut self) -> BoxFuture<'_, parquet::errors::Result<()>> {
        Box::pin(async { self.0.close().await.map_err(external) })
    }
}

fn external(error: iceberg::Error) -> parquet::errors::ParquetError {
    parquet::errors::ParquetError::External(Box::new(error))
}
