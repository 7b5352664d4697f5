//! The tables as code: their columns, partitions and properties, and how they grow.
//!
//! Tables only ever gain columns. Nothing is dropped, renamed or widened here: files and other readers rely on ids.
//!
//! **Bronze** is partitioned by connection alone. A pull is one file that way (days as partitions
//! would make one file per day of every pull), its rows lie in row groups of one day each, and the file's own bounds name its days; so finding
//! the rows of a day opens the files of that connection which span it, and reads only that day's row groups.
//!
//! **Silver and gold** are partitioned by connection and day, because a (connection, day) is what a restatement replaces.

use std::collections::HashMap;

use domain::ids::OrgId;
use domain::lake::TableName;
use domain::report::Measure;
use iceberg::spec::{
    FormatVersion, NestedField, NestedFieldRef, PrimitiveType, Schema, SortOrder, TableMetadata, TableMetadataBuilder,
    Transform, Type, UnboundPartitionSpec,
};
use strum::IntoEnumIterator as _;

use crate::error::{During as _, Result};
use crate::mapping::Mapping;
use crate::number::{PRECISION, SCALE};

/// The unified rows of all reports.
pub(crate) const SILVER: &str = "silver_delivery";

/// Sums per line and day.
pub(crate) const GOLD: &str = "gold_line_day";

/// The name of the table that the questions of this crate read.
#[must_use]
pub fn gold(org: OrgId) -> TableName {
    TableName { org, name: GOLD.to_owned() }
}

/// The column by which every table is partitioned first, and manifests are clustered.
pub(crate) const CONNECTION: &str = "connection_id";

/// Old metadata files that a table remembers; older ones are deleted once the pointer has moved.
const METADATA_VERSIONS: &str = "20";

/// A column.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: PrimitiveType,
    required: bool,
}

/// What a table should look like.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    columns: Vec<Column>,
    partitions: &'static [&'static str],
}

impl Shape {
    /// A bronze table: who brought the row, then every column of the report as text.
    pub(crate) fn bronze(mapping: &Mapping) -> Self {
        let own = [
            required(CONNECTION, PrimitiveType::String),
            required("pull_id", PrimitiveType::String),
            required("requested_at", PrimitiveType::Timestamptz),
            required("row_number", PrimitiveType::Long),
            required("day", PrimitiveType::Date),
        ];
        let texts = mapping.columns.iter().map(|name| optional(name, PrimitiveType::String));
        Self { columns: own.into_iter().chain(texts).collect(), partitions: &[CONNECTION] }
    }

    /// With the columns of another version of the same table, where it has more.
    pub(crate) fn merge(&mut self, other: Self) {
        for column in other.columns {
            if self.columns.iter().all(|known| known.name != column.name) {
                self.columns.push(column);
            }
        }
    }

    /// The silver table.
    pub(crate) fn silver() -> Self {
        let keys = [
            required(CONNECTION, PrimitiveType::String),
            required("report_id", PrimitiveType::String),
            required("account_id", PrimitiveType::String),
            required("day", PrimitiveType::Date),
            required("currency", PrimitiveType::String),
            required("campaign_id", PrimitiveType::String),
            required("order_id", PrimitiveType::String),
            required("line_id", PrimitiveType::String),
            required("breakdown", PrimitiveType::String),
            required("pull_id", PrimitiveType::String),
        ];
        Self { columns: keys.into_iter().chain(measures()).collect(), partitions: &[CONNECTION, "day"] }
    }

    /// The gold table.
    pub(crate) fn gold() -> Self {
        let keys = [
            required(CONNECTION, PrimitiveType::String),
            required("account_id", PrimitiveType::String),
            required("day", PrimitiveType::Date),
            required("currency", PrimitiveType::String),
            required("campaign_id", PrimitiveType::String),
            required("order_id", PrimitiveType::String),
            required("line_id", PrimitiveType::String),
        ];
        Self { columns: keys.into_iter().chain(measures()).collect(), partitions: &[CONNECTION, "day"] }
    }

    /// The first metadata of such a table.
    pub(crate) fn create(&self, location: String) -> Result<TableMetadata> {
        let columns = (1..).zip(&self.columns).map(|(id, column)| column.field(id));
        let schema = Schema::builder().with_fields(columns).build().during("build a table's schema")?;
        let mut spec = UnboundPartitionSpec::builder();
        for name in self.partitions {
            let id = schema.field_id_by_name(name).unwrap_or_default();
            spec = spec.add_partition_field(id, name, Transform::Identity).during("build a table's partitions")?;
        }
        let order = SortOrder::unsorted_order();
        TableMetadataBuilder::new(schema, spec.build(), order, location, FormatVersion::V2, properties())
            .and_then(TableMetadataBuilder::build)
            .map(|built| built.metadata)
            .during("build a table's metadata")
    }

    /// The table's schema with the columns that it lacks added; `None` when it lacks none.
    pub(crate) fn evolve(&self, metadata: &TableMetadata) -> Result<Option<Schema>> {
        let current = metadata.current_schema();
        let missing: Vec<&Column> =
            self.columns.iter().filter(|column| current.field_by_name(&column.name).is_none()).collect();
        if missing.is_empty() {
            return Ok(None);
        }
        let ids = metadata.last_column_id() + 1..;
        // Rows written before have no value for it, whatever the column wants to be.
        let added = ids.zip(missing).map(|(id, column)| Column { required: false, ..column.clone() }.field(id));
        let next_id = metadata.schemas_iter().map(|schema| schema.schema_id()).max().unwrap_or_default() + 1;
        Schema::builder()
            .with_schema_id(next_id)
            .with_fields(current.as_struct().fields().iter().cloned().chain(added))
            .build()
            .during("add columns to a table's schema")
            .map(Some)
    }
}

impl Column {
    fn field(&self, id: i32) -> NestedFieldRef {
        NestedField::new(id, &self.name, Type::Primitive(self.kind.clone()), self.required).into()
    }
}

/// The type of a measure's column.
fn kind(measure: Measure) -> PrimitiveType {
    if measure.is_count() { PrimitiveType::Long } else { PrimitiveType::Decimal { precision: PRECISION, scale: SCALE } }
}

fn measures() -> impl Iterator<Item = Column> {
    Measure::iter().map(|measure| optional(&measure.to_string(), kind(measure)))
}

fn required(name: &str, kind: PrimitiveType) -> Column {
    Column { name: name.to_owned(), kind, required: true }
}

fn optional(name: &str, kind: PrimitiveType) -> Column {
    Column { name: name.to_owned(), kind, required: false }
}

fn properties() -> HashMap<String, String> {
    [
        ("write.format.default", "parquet"),
        ("write.parquet.compression-codec", "zstd"),
        ("write.metadata.previous-versions-max", METADATA_VERSIONS),
        ("write.metadata.delete-after-commit.enabled", "true"),
        ("commit.retry.num-retries", "50"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}
