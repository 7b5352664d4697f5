//! Writes one pull's rows, as text, into bronze data files.
//!
//! Rows come in any order of days, and more of them than fit memory. They are collected per day, and the largest
//! collection is written as a row group of its own when all together reach [`BUFFER_BYTES`]. So a file has row groups of
//! one day each, and reading one day later touches no other day's bytes.
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
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use uuid::Uuid;

use crate::columns::epoch_days;
use crate::error::{During as _, Error, Result};
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

/// Of the report's own columns, which are text, nobody asks for the smallest and the largest.
fn properties(mapping: &Mapping) -> Result<WriterProperties> {
    let texts = mapping.columns.iter().map(|name| ColumnPath::from(name.as_str()));
    let shared = parquet_properties()?.into_builder();
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

/// A file that is being written.
struct OpenFile {
    location: String,
    writer: AsyncArrowWriter<Sink>,
    /// The first and the last of its rows' days.
    days: (i32, i32),
    /// The first and the last of its rows' numbers.
    row_numbers: (i64, i64),
    rows: u64,
}

/// Writes the rows of one pull.
pub(crate) struct BronzeWriter<'a> {
    scope: &'a PullScope,
    mapping: &'a Mapping,
    io: &'a FileIO,
    folder: String,
    schema: SchemaRef,
    arrow_schema: ArrowSchemaRef,
    properties: WriterProperties,
    attempt: Uuid,
    buffers: BTreeMap<usize, DayBuffer>,
    buffered_bytes: usize,
    open: Option<OpenFile>,
    files: Vec<DataFile>,
    /// Every file that was begun.
    pub(crate) written: Vec<String>,
}

impl<'a> BronzeWriter<'a> {
    /// A writer into the table at `folder`, whose (evolved) schema is `schema`.
    pub(crate) fn new(
        scope: &'a PullScope,
        mapping: &'a Mapping,
        io: &'a FileIO,
        folder: String,
        schema: SchemaRef,
    ) -> Result<Self> {
        let arrow_schema = schema_to_arrow_schema(&schema).during("convert the bronze schema")?;
        Ok(Self {
            scope,
            mapping,
            io,
            folder,
            arrow_schema: Arc::new(arrow_schema),
            schema,
            properties: properties(mapping)?,
            attempt: Uuid::now_v7(),
            buffers: BTreeMap::new(),
            buffered_bytes: 0,
            open: None,
            files: Vec::new(),
            written: Vec::new(),
        })
    }

    /// Takes rows whose days (as positions in the scope) are known; `first` is the number of the first.
    pub(crate) async fn write(&mut self, batch: &RowBatch, days: &[usize], first: u64) -> Result<()> {
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
        self.close_file().await?;
        Ok(std::mem::take(&mut self.files))
    }

    /// Writes one day's rows as a row group.
    async fn flush(&mut self, position: usize) -> Result<()> {
        let Some(buffer) = self.buffers.remove(&position) else { return Ok(()) };
        self.buffered_bytes -= buffer.bytes;
        let day = epoch_days(day_at(self.scope, position));
        let numbers = &buffer.row_numbers;
        let (Some(first), Some(last)) = (numbers.first().copied(), numbers.last().copied()) else { return Ok(()) };
        let rows = numbers.len();
        let batch = self.record_batch(buffer, day, rows)?;
        let mut file = match self.open.take() {
            Some(file) => file,
            None => self.open_file().await?,
        };
        file.writer.write(&batch).await.during("write bronze rows")?;
        file.writer.flush().await.during("write bronze rows")?;
        file.days = (file.days.0.min(day), file.days.1.max(day));
        file.row_numbers = (file.row_numbers.0.min(first), file.row_numbers.1.max(last));
        file.rows += u64::try_from(rows).unwrap_or_default();
        let is_full = file.writer.bytes_written() >= FILE_BYTES;
        self.open = Some(file);
        if is_full { self.close_file().await } else { Ok(()) }
    }

    fn record_batch(&self, buffer: DayBuffer, day: i32, rows: usize) -> Result<RecordBatch> {
        let cells = buffer.columns();
        let repeated = |text: String| Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)));
        let requested_at = vec![self.scope.requested_at.timestamp_micros(); rows];
        let mut arrays: HashMap<&str, ArrayRef> = HashMap::from([
            ("connection_id", repeated(self.scope.connection.to_string()) as ArrayRef),
            ("pull_id", repeated(self.scope.pull.to_string())),
            ("requested_at", Arc::new(TimestampMicrosecondArray::from(requested_at).with_timezone("+00:00"))),
            ("row_number", Arc::new(Int64Array::from(buffer.row_numbers))),
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

    async fn open_file(&mut self) -> Result<OpenFile> {
        const DOING: &str = "open a bronze file";
        let number = self.written.len();
        let name = format!("{}-{}-{number:03}.parquet", self.scope.pull, self.attempt.simple());
        let location = format!("{}/data/connection_id={}/{name}", self.folder, self.scope.connection);
        self.written.push(location.clone());
        let output = self.io.new_output(&location).during(DOING)?;
        let sink = Sink(output.writer().await.during(DOING)?);
        let properties = Some(self.properties.clone());
        let writer = AsyncArrowWriter::try_new(sink, self.arrow_schema.clone(), properties).during(DOING)?;
        Ok(OpenFile { location, writer, days: (i32::MAX, i32::MIN), row_numbers: (i64::MAX, i64::MIN), rows: 0 })
    }

    async fn close_file(&mut self) -> Result<()> {
        const DOING: &str = "finish a bronze file";
        let Some(mut file) = self.open.take() else { return Ok(()) };
        let metadata = file.writer.finish().await.during(DOING)?;
        let offsets = metadata.row_groups().iter().filter_map(parquet::file::metadata::RowGroupMetaData::file_offset);
        let (lower, upper) =
            (self.bounds(file.days.0, file.row_numbers.0), self.bounds(file.days.1, file.row_numbers.1));
        let described = DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path(file.location)
            .file_format(DataFileFormat::Parquet)
            .partition(Struct::from_iter([Some(Literal::string(self.scope.connection))]))
            .record_count(file.rows)
            .file_size_in_bytes(u64::try_from(file.writer.bytes_written()).unwrap_or_default())
            .lower_bounds(lower)
            .upper_bounds(upper)
            .split_offsets(Some(offsets.collect()))
            .build()
            .map_err(|error| Error::corrupt(error.to_string()))?;
        self.files.push(described);
        Ok(())
    }

    fn bounds(&self, day: i32, row_number: i64) -> HashMap<i32, Datum> {
        let bounds = [
            ("connection_id", Datum::string(self.scope.connection)),
            ("pull_id", Datum::string(self.scope.pull)),
            ("requested_at", Datum::timestamptz_micros(self.scope.requested_at.timestamp_micros())),
            ("row_number", Datum::long(row_number)),
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
        let rows = || batches().flat_map(|batch| (0..batch.len()).map(move |row| batch.cells(row)));
        let mut bytes = vec![0; self.open.width()];
        for cells in rows() {
            for (bytes, cell) in bytes.iter_mut().zip(cells) {
                *bytes += cell.len();
            }
        }
        let count = self.row_numbers.len();
        let mut columns: Vec<StringBuilder> =
            bytes.into_iter().map(|bytes| StringBuilder::with_capacity(count, bytes)).collect();
        for cells in rows() {
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
