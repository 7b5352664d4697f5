//! Writes the rows of one silver or gold partition to data files.
//!
//! Names are never reused: they hold the commit's id and the attempt's. Every location is noted before it is written, so
//! that a failed attempt can be removed.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use domain::ids::CommitId;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use iceberg::spec::{DataFile, DataFileFormat, PartitionKey, SchemaRef, Struct, TableMetadata};
use iceberg::writer::base_writer::data_file_writer::{DataFileWriter, DataFileWriterBuilder};
use iceberg::writer::file_writer::ParquetWriterBuilder;
use iceberg::writer::file_writer::location_generator::{
    DefaultFileNameGenerator, DefaultLocationGenerator, LocationGenerator,
};
use iceberg::writer::file_writer::rolling_writer::RollingFileWriterBuilder;
use iceberg::writer::{IcebergWriter as _, IcebergWriterBuilder as _};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::bronze::parquet_properties;
use crate::error::{During as _, Result, joined};

/// From this size on a further file is begun.
const FILE_BYTES: usize = 128 << 20;

/// Locations of files that were begun.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noted(Arc<Mutex<Vec<String>>>);

impl Noted {
    fn note(&self, location: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(location.to_owned());
    }

    /// All that was noted.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Iceberg's own locations, noted.
#[derive(Debug, Clone)]
struct NotedLocations {
    inner: DefaultLocationGenerator,
    noted: Noted,
}

impl LocationGenerator for NotedLocations {
    fn generate_location(&self, partition_key: Option<&PartitionKey>, file_name: &str) -> String {
        let location = self.inner.generate_location(partition_key, file_name);
        self.noted.note(&location);
        location
    }
}

type Writer = DataFileWriter<ParquetWriterBuilder, NotedLocations, DefaultFileNameGenerator>;
type Builder = DataFileWriterBuilder<ParquetWriterBuilder, NotedLocations, DefaultFileNameGenerator>;

/// Writes partitions of one table for one attempt of a commit.
pub(crate) struct TableWriter {
    /// The columns of the batches that it takes.
    pub(crate) arrow_schema: ArrowSchemaRef,
    builder: Builder,
    key: PartitionKey,
}

impl TableWriter {
    pub(crate) fn new(
        io: &FileIO,
        metadata: &TableMetadata,
        schema: &SchemaRef,
        commit: CommitId,
        noted: Noted,
    ) -> Result<Self> {
        let arrow_schema = schema_to_arrow_schema(schema).during("convert a table's schema")?;
        let inner = DefaultLocationGenerator::new(metadata).during("find a table's folder")?;
        let prefix = format!("{commit}-{}", Uuid::now_v7().simple());
        let rolling = RollingFileWriterBuilder::new(
            ParquetWriterBuilder::new(parquet_properties()?, schema.clone()),
            FILE_BYTES,
            io.clone(),
            NotedLocations { inner, noted },
            DefaultFileNameGenerator::new(prefix, None, DataFileFormat::Parquet),
        );
        let spec = metadata.default_partition_spec().as_ref().clone();
        Ok(Self {
            arrow_schema: Arc::new(arrow_schema),
            builder: DataFileWriterBuilder::new(rolling),
            key: PartitionKey::new(spec, schema.clone(), Struct::empty()),
        })
    }

    /// Begins a partition.
    pub(crate) async fn begin(&self, partition: Struct) -> Result<PartitionWriter> {
        let key = self.key.copy_with_data(partition);
        let inner = self.builder.build(Some(key)).await.during("open a data file")?;
        Ok(PartitionWriter { inner })
    }
}

/// Writes one partition.
pub(crate) struct PartitionWriter {
    inner: Writer,
}

impl PartitionWriter {
    pub(crate) async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.inner.write(batch).await.during("write a data file")
    }

    /// Compresses what is left, and waits until it is on the disk: beside the runtime's own threads, which go on.
    pub(crate) async fn close(mut self) -> Result<Vec<DataFile>> {
        const DOING: &str = "finish a data file";
        let runtime = Handle::current();
        let closing = tokio::task::spawn_blocking(move || runtime.block_on(self.inner.close()).during(DOING));
        joined(closing.await, DOING)
    }
}
