//! Staging: a report's stream becomes bronze data files that no table names yet.
//!
//! Staging commits nothing and may be repeated; what an attempt left behind is removed when it fails, or collected as
//! garbage when it was killed. Memory is bounded by the writer's buffer, whatever the length of the report.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ErrorCode;
use domain::report::{Chunk, RowBatch, Trailer};
use futures::{Stream, StreamExt as _, stream};
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
        let mapping = Arc::new(Mapping::of(&scope.definition)?);
        let bronze = self.load_existing(pointers, scope.org, &bronze_table(&scope.definition)).await?;
        let metadata = bronze.metadata();
        let evolved = Shape::bronze(&mapping).evolve(metadata)?;
        let schema = evolved.map_or_else(|| metadata.current_schema().clone(), Arc::new);
        let folder = metadata.location().to_owned();
        let shared = Arc::new(scope.clone());
        let (io, columns) = (self.io.clone(), Arc::clone(&mapping));
        let mut writer = BronzeWriter::new(Arc::clone(&shared), columns, io, folder, schema.clone())?;
        // Tasks share the work: one reads and splits, one checks, this one sorts by day, others write.
        let checked = check(shared, mapping, ahead(rows));
        let staged = Box::pin(fill(&mut writer, scope, ahead(checked))).await;
        let described = staged.and_then(|(files, mut pull)| {
            describe_files(&mut pull, files, &schema, metadata.default_partition_type())?;
            storage::sync_folders(&self.root, writer.written())?;
            Ok(pull)
        });
        if described.is_err() {
            storage::remove_all(&self.io, &writer.abandon().await).await;
        }
        described
    }
}

/// What the check of a report leads to.
enum Checked {
    /// Rows that are taken, the positions of their days, and the number of the first.
    Rows { batch: RowBatch, days: Vec<usize>, first: u64 },
    /// The report's end, with what was counted on the way.
    End { trailer: Trailer, tally: Box<Tally> },
}

/// Checks a report's rows in the order in which they come; the first that is not right ends it.
fn check<E>(
    scope: Arc<PullScope>,
    mapping: Arc<Mapping>,
    rows: impl Stream<Item = Result<Chunk, E>> + Send + Unpin + 'static,
) -> impl Stream<Item = Result<Checked, StageError<E>>> + Send
where
    E: Send + 'static,
{
    let tally = Some(Box::new(Tally::new(Arc::clone(&scope), mapping)));
    stream::try_unfold((rows, tally), move |(mut rows, tally)| {
        let pull = scope.pull;
        async move {
            let refuse = |rejection| Error::Rejected { pull, rejection };
            let Some(chunk) = rows.next().await else { return Ok(None) };
            match (chunk.map_err(StageError::Source)?, tally) {
                (Chunk::Rows(batch), Some(mut tally)) => {
                    let first = tally.rows + 1;
                    tally.check(&batch).map_err(refuse)?;
                    let days = std::mem::take(&mut tally.row_days);
                    Ok(Some((Checked::Rows { batch, days, first }, (rows, Some(tally)))))
                }
                (Chunk::End(trailer), Some(tally)) => Ok(Some((Checked::End { trailer, tally }, (rows, None)))),
                (Chunk::Rows(_) | Chunk::End(_), None) => {
                    let what = "there is something after the report's end";
                    Err(refuse(Rejection::of_report(ErrorCode::ReportGarbledRow, what)).into())
                }
            }
        }
    })
}

/// Feeds the writer from the stream, and sums up what came.
async fn fill<E>(
    writer: &mut BronzeWriter,
    scope: &PullScope,
    mut rows: impl Stream<Item = Result<Checked, StageError<E>>> + Unpin,
) -> Result<(Vec<DataFile>, StagedPull), StageError<E>> {
    let refuse = |rejection| Error::Rejected { pull: scope.pull, rejection };
    let mut end = None;
    while let Some(checked) = rows.next().await {
        match checked? {
            Checked::Rows { batch, days, first } => writer.write(&batch, &days, first).await?,
            Checked::End { trailer, tally } => end = Some((trailer, tally)),
        }
    }
    let truncated = || Rejection::of_report(ErrorCode::ReportTruncated, "the report has no end");
    let (trailer, tally) = end.ok_or_else(|| refuse(truncated()))?;
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
