//! Staging: a report's stream becomes bronze data files that no table names yet.
//!
//! Staging commits nothing and may be repeated; what an attempt left behind is removed when it fails, or collected as
//! garbage when it was killed. Memory is bounded by the writer's buffer, whatever the length of the report.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ErrorCode;
use domain::report::{Chunk, Trailer};
use futures::{Stream, StreamExt as _};
use iceberg::spec::{DataFile, FormatVersion, Schema, StructType, serialize_data_file_to_json};

use crate::ahead::ahead;
use crate::bronze::BronzeWriter;
use crate::error::{During as _, Error, Rejection, Result, StageError};
use crate::lake::Lake;
use crate::mapping::{Mapping, bronze_table};
use crate::pointers::Pointers;
use crate::pull::{PullScope, StagedPull};
use crate::storage;
use crate::tables::Shape;
use crate::tally::Tally;
use crate::totals;

impl Lake {
    /// Streams one pull's rows into bronze data files, checking every row. No table names the files yet.
    ///
    /// # Errors
    /// [`StageError::Source`] with the stream's own error; [`Error::Rejected`] when the report is not taken; storage errors.
    /// Then nothing of the attempt is left.
    pub async fn stage_pull<E>(
        &self,
        pointers: &dyn Pointers,
        scope: &PullScope,
        rows: impl Stream<Item = Result<Chunk, E>> + Send + 'static,
    ) -> Result<StagedPull, StageError<E>>
    where
        E: Send + 'static,
    {
        let mapping = Mapping::of(&scope.definition)?;
        let bronze = self.load_existing(pointers, scope.org, &bronze_table(&scope.definition)).await?;
        let metadata = bronze.metadata();
        let evolved = Shape::bronze(&mapping).evolve(metadata)?;
        let schema = evolved.map_or_else(|| metadata.current_schema().clone(), Arc::new);
        let folder = metadata.location().to_owned();
        let mut writer = BronzeWriter::new(scope, &mapping, &self.io, folder, schema.clone())?;
        let staged = Box::pin(fill(&mut writer, scope, &mapping, ahead(rows))).await;
        let described = staged.and_then(|(files, mut pull)| {
            describe_files(&mut pull, files, &schema, metadata.default_partition_type())?;
            storage::sync_folders(&self.root, writer.written.iter().map(String::as_str))?;
            Ok(pull)
        });
        if described.is_err() {
            storage::remove_all(&self.io, &writer.written).await;
        }
        described
    }
}

/// Feeds the writer from the stream, and sums up what came.
async fn fill<E>(
    writer: &mut BronzeWriter<'_>,
    scope: &PullScope,
    mapping: &Mapping,
    mut rows: impl Stream<Item = Result<Chunk, E>> + Unpin,
) -> Result<(Vec<DataFile>, StagedPull), StageError<E>> {
    let refuse = |rejection| Error::Rejected { pull: scope.pull, rejection };
    let mut tally = Tally::new(scope, mapping);
    let mut trailer: Option<Trailer> = None;
    while let Some(chunk) = rows.next().await {
        match chunk.map_err(StageError::Source)? {
            Chunk::Rows(batch) if trailer.is_none() => {
                let first = tally.rows + 1;
                tally.check(&batch).map_err(refuse)?;
                writer.write(&batch, &tally.row_days, first).await?;
            }
            Chunk::End(end) if trailer.is_none() => trailer = Some(end),
            Chunk::Rows(_) | Chunk::End(_) => {
                let what = "there is something after the report's end";
                return Err(refuse(Rejection::of_report(ErrorCode::ReportGarbledRow, what)).into());
            }
        }
    }
    let truncated = || Rejection::of_report(ErrorCode::ReportTruncated, "the report has no end");
    let trailer = trailer.ok_or_else(|| refuse(truncated()))?;
    let checks = totals::reconcile(scope, &tally.sums, tally.rows, &trailer).map_err(refuse)?;
    let files = writer.close().await?;
    let pull = StagedPull {
        pull: scope.pull,
        files: Vec::new(),
        columns: BTreeMap::new(),
        slices: tally.slices()?,
        rows: tally.rows,
        bytes: files.iter().map(DataFile::file_size_in_bytes).sum(),
        media_cost: tally.media_cost()?,
        withheld_cells: tally.sums.iter().map(|sum| sum.withheld).sum(),
        rounded_cells: tally.sums.iter().map(|sum| sum.rounded).sum(),
        report_time: trailer.report_time,
        totals: checks,
    };
    Ok((files, pull))
}

fn describe_files(pull: &mut StagedPull, files: Vec<DataFile>, schema: &Schema, partition: &StructType) -> Result<()> {
    let fields = schema.as_struct().fields();
    pull.columns = fields.iter().map(|field| (field.name.clone(), field.id)).collect();
    for file in files {
        let json = serialize_data_file_to_json(file, partition, FormatVersion::V2).during("describe a bronze file")?;
        pull.files.push(json);
    }
    Ok(())
}
