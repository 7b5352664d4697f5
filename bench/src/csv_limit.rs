//! The limit that ingestion is compared with: the same file through arrow-csv into one Parquet file, with inferred types
//! and the lake's compression. It checks nothing, sums nothing, splits nothing by day, and syncs nothing to disk.

use std::fs::File;
use std::io::Seek as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use crate::gauge::{Cost, Gauge};

/// Rows from which the types are inferred.
const INFER_ROWS: usize = 10_000;
const BATCH_ROWS: usize = 8_192;

/// What one run did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Limit {
    pub(crate) rows: u64,
    pub(crate) cost: Cost,
}

#[expect(clippy::print_stdout, reason = "its answer to the process that started it")]
pub(crate) fn run(csv: &Path, parquet: &Path) -> Result<()> {
    let gauge = Gauge::start()?;
    let mut input = File::open(csv)?;
    let format = Format::default().with_header(true);
    let (schema, _) = format.infer_schema(&mut input, Some(INFER_ROWS))?;
    input.rewind()?;
    let schema = Arc::new(schema);
    let reader = ReaderBuilder::new(Arc::clone(&schema)).with_header(true).with_batch_size(BATCH_ROWS).build(input)?;
    let compression = Compression::ZSTD(ZstdLevel::try_new(1)?);
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(File::create(parquet)?, schema, Some(properties))?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch?;
        rows += u64::try_from(batch.num_rows())?;
        writer.write(&batch)?;
    }
    writer.close()?;
    println!("{}", serde_json::to_string(&Limit { rows, cost: gauge.stop()? })?);
    Ok(())
}
