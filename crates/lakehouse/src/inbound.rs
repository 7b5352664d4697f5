//! Staged pulls on their way in: their files and tables, and the checks that what was staged is what arrives.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use domain::ids::{ConnectionId, OrgId, PullId, ReportId};
use domain::report::Measure;
use iceberg::spec::{DataFile, Schema, TableMetadata, deserialize_data_file_from_json};
use rust_decimal::Decimal;

use crate::columns::MeasureColumn;
use crate::error::{During as _, Error, Result};
use crate::lake::{Lake, Loaded};
use crate::mapping::{Mapping, bronze_table};
use crate::number;
use crate::pointers::Pointers;
use crate::pull::Landing;
use crate::rows::StagedFiles;
use crate::tables::{SILVER, Shape};

/// One landing with all that is needed to land it.
pub(crate) struct Inbound {
    pub(crate) landing: Landing,
    pub(crate) mapping: Mapping,
    pub(crate) bronze: Loaded,
    /// The bronze schema with more columns, when the definition has gained some.
    pub(crate) evolved: Option<Schema>,
    pub(crate) files: Vec<DataFile>,
    /// The same files, open.
    pub(crate) staged: StagedFiles,
}

/// Rows and money on their way from one layer to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) rows: u64,
    /// Media cost in billionths, whatever the currency: it is compared, never shown as an amount.
    media_cost: i128,
}

impl Flow {
    /// Adds silver rows.
    pub(crate) fn add(&mut self, silver: &RecordBatch) -> Result<()> {
        let cost = MeasureColumn::of(silver, Measure::MediaCost)?;
        self.rows += u64::try_from(silver.num_rows()).unwrap_or_default();
        self.media_cost += (0..silver.num_rows()).filter_map(|row| cost.value(row)).sum::<i128>();
        Ok(())
    }

    fn describe(self) -> String {
        let cost = number::to_decimal(self.media_cost).unwrap_or_default();
        format!("{} rows with a media cost of {cost}", self.rows)
    }
}

impl Inbound {
    /// The landings that change something, checked against each other.
    pub(crate) async fn all(
        lake: &Lake,
        pointers: &dyn Pointers,
        org: OrgId,
        landings: &[Landing],
    ) -> Result<Vec<Self>> {
        let landings: Vec<_> = landings.iter().filter(|landing| !landing.days.is_empty()).collect();
        check_consistency(org, &landings)?;
        let mut tables: HashMap<String, (Loaded, Shape)> = HashMap::new();
        for landing in &landings {
            let (name, shape) = (bronze_table(&landing.scope.definition), shape(landing)?);
            match tables.entry(name) {
                Entry::Occupied(mut known) => known.get_mut().1.merge(shape),
                // One pointer is read once, so that two pulls of one report build on the same version.
                Entry::Vacant(unknown) => {
                    let loaded = lake.load_existing(pointers, org, unknown.key()).await?;
                    unknown.insert((loaded, shape));
                }
            }
        }
        let mut inbound = Vec::with_capacity(landings.len());
        for landing in landings {
            if let Some((bronze, shape)) = tables.get(&bronze_table(&landing.scope.definition)) {
                inbound.push(Self::of(lake, landing, bronze.clone(), shape).await?);
            }
        }
        Ok(inbound)
    }

    async fn of(lake: &Lake, landing: &Landing, bronze: Loaded, shape: &Shape) -> Result<Self> {
        let mapping = Mapping::of(&landing.scope.definition)?;
        let metadata = bronze.metadata();
        let evolved = shape.evolve(metadata)?;
        let schema = evolved.clone().map_or_else(|| metadata.current_schema().clone(), Arc::new);
        for (name, id) in &landing.staged.columns {
            if schema.field_id_by_name(name) != Some(*id) {
                return Err(Error::StaleStaging { pull: landing.scope.pull, column: name.clone() });
            }
        }
        let blame = |error: Error| error.of_pull(landing.scope.pull);
        let files = described(landing, metadata, &schema).map_err(blame)?;
        let staged = StagedFiles::open(&lake.io, &files, &mapping.columns).await.map_err(blame)?;
        Ok(Self { landing: landing.clone(), mapping, bronze, evolved, files, staged })
    }

    /// Rows in must be rows out, and money too.
    pub(crate) fn check(&self, day: NaiveDate, found: Flow) -> Result<()> {
        let mut expected = Flow::default();
        let lands = |account: &str| self.landing.days.get(&day).is_some_and(|accounts| accounts.contains(account));
        for slice in self.landing.staged.slices.iter().filter(|slice| slice.day == day && lands(&slice.account)) {
            expected.rows += slice.rows;
            expected.media_cost += nanos(slice.media_cost);
        }
        if expected == found {
            return Ok(());
        }
        let (expected, found) = (expected.describe(), found.describe());
        Err(Error::Unbalanced { layer: SILVER, day, expected, found }.of_pull(self.landing.scope.pull))
    }
}

/// The files as staging described them.
fn described(landing: &Landing, metadata: &TableMetadata, schema: &Schema) -> Result<Vec<DataFile>> {
    let (spec, partition) = (metadata.default_partition_spec_id(), metadata.default_partition_type());
    let files = landing.staged.files.iter().map(|json| {
        deserialize_data_file_from_json(json, spec, partition, schema).during("read a staged file's description")
    });
    let files = files.collect::<Result<Vec<_>>>()?;
    let rows: u64 = files.iter().map(DataFile::record_count).sum();
    if rows != landing.staged.rows {
        return Err(Error::corrupt(format!("{rows} rows in files, {} staged", landing.staged.rows)));
    }
    Ok(files)
}

fn shape(landing: &Landing) -> Result<Shape> {
    Ok(Shape::bronze(&Mapping::of(&landing.scope.definition)?))
}

fn nanos(amount: Decimal) -> i128 {
    let missing = number::SCALE.saturating_sub(amount.scale());
    amount.mantissa() * 10_i128.pow(missing)
}

/// No day of an account's report may come twice, and no pull may land outside of what it asked for.
fn check_consistency(org: OrgId, landings: &[&Landing]) -> Result<()> {
    let mut places: BTreeSet<(ConnectionId, ReportId, NaiveDate, &str)> = BTreeSet::new();
    let mut pulls: BTreeSet<PullId> = BTreeSet::new();
    for landing in landings {
        let scope = &landing.scope;
        let refuse = |why: &str| Err(Error::landing(format!("pull {}: {why}", scope.pull)));
        if scope.org != org {
            return refuse("it belongs to another organisation");
        }
        if landing.staged.pull != scope.pull || !pulls.insert(scope.pull) {
            return refuse("it comes twice, or with another pull's rows");
        }
        for (day, accounts) in &landing.days {
            if !scope.days.contains(*day) {
                return refuse("it lands on a day that it did not ask for");
            }
            for account in accounts {
                if !scope.accounts.contains_key(account) {
                    return refuse("it lands on an account that it did not ask for");
                }
                if !places.insert((scope.connection, scope.definition.id, *day, account)) {
                    return refuse("another pull lands on the same day of the same report and account");
                }
            }
        }
    }
    Ok(())
}
