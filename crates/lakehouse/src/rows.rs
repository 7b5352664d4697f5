//! Reads rows back from data files: staged ones that no table names yet, and those of a table's partitions.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use domain::DayRange;
use domain::ids::ConnectionId;
use futures::{StreamExt as _, TryStreamExt as _};
use iceberg::expr::{Bind as _, Reference};
use iceberg::scan::{ArrowRecordBatchStream, FileScanTask};
use iceberg::spec::{DataFile, Datum, Literal, SchemaRef, Struct};

use crate::columns::epoch_days;
use crate::error::{During as _, Result};
use crate::lake::Loaded;
use crate::tables::CONNECTION;

/// Rows that are in memory at once.
const BATCH_ROWS: usize = 16 * 1024;

/// The partition of a (connection, day), as silver and gold have it.
pub(crate) fn partition(connection: ConnectionId, day: NaiveDate) -> Struct {
    Struct::from_iter([Some(Literal::string(connection)), Some(Literal::date(epoch_days(day)))])
}

/// The tasks that read one day's rows of staged bronze files; other days' row groups are not touched.
pub(crate) fn day_tasks(files: &[DataFile], schema: &SchemaRef, day: NaiveDate) -> Result<Vec<FileScanTask>> {
    let days = epoch_days(day);
    let of_day = Reference::new("day").equal_to(Datum::date(days));
    let predicate = of_day.bind(schema.clone(), true).during("select the rows of a day")?;
    let id = schema.field_id_by_name("day").unwrap_or_default();
    let may_hold = |file: &&DataFile| {
        let day = Datum::date(days);
        let lower = file.lower_bounds().get(&id).is_none_or(|bound| *bound <= day);
        let upper = file.upper_bounds().get(&id).is_none_or(|bound| *bound >= day);
        lower && upper
    };
    let tasks = files.iter().filter(may_hold).map(|file| {
        FileScanTask::builder()
            .with_file_size_in_bytes(file.file_size_in_bytes())
            .with_start(0)
            .with_length(file.file_size_in_bytes())
            .with_data_file_path(file.file_path().to_owned())
            .with_data_file_format(file.file_format())
            .with_schema(schema.clone())
            .with_project_field_ids(field_ids(schema))
            .with_predicate(Some(predicate.clone()))
            .with_case_sensitive(true)
            .build()
    });
    Ok(tasks.collect())
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
