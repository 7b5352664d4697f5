//! Sums per line of one (connection, day), from its silver rows.
//!
//! Two reports may state the same measure of the same lines (one by device, one without). Adding them up would double
//! the spend; so, for every account and measure, the sum is taken from one report: the oldest definition that states it.
//! A line's measure is null when the platform stated none of its rows' values.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, Date32Array, Decimal128Builder, Int64Builder, RecordBatch, StringArray, StringBuilder,
    UInt64Array, new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::{Field, SchemaRef as ArrowSchemaRef};
use domain::report::Measure;
use strum::IntoEnumIterator as _;

use crate::columns::{MeasureColumn, texts};
use crate::error::{During as _, Error, Result};
use crate::number::LARGEST;
use crate::tally::push_text;

/// The columns of silver by which rows are grouped; the first is dropped when reports are chosen between.
const KEYS: [&str; 7] = ["report_id", "connection_id", "account_id", "currency", "campaign_id", "order_id", "line_id"];
const REPORT: usize = 0;
const ACCOUNT: usize = 2;

/// One measure's sum for every group. Most reports state few of the measures, so groups that come after the last known
/// value take no room.
#[derive(Debug, Clone, Default)]
struct Sums {
    values: Vec<i128>,
    known: Vec<bool>,
}

impl Sums {
    fn add(&mut self, group: usize, value: i128) {
        if self.values.len() <= group {
            self.values.resize(group + 1, 0);
            self.known.resize(group + 1, false);
        }
        self.values[group] += value;
        self.known[group] = true;
    }

    fn get(&self, group: usize) -> Option<i128> {
        let is_known = self.known.get(group).copied().unwrap_or_default();
        is_known.then(|| self.values[group])
    }

    /// The groups that have a value, with it.
    fn known(&self) -> impl Iterator<Item = (usize, i128)> {
        self.values.iter().copied().enumerate().filter(|(group, _)| self.known[*group])
    }
}

/// Adds up one partition.
pub(crate) struct Gold {
    measures: Vec<Measure>,
    groups: HashMap<Arc<[u8]>, usize>,
    /// Each group's key: its texts, as [`push_text`] writes them.
    keys: Vec<Arc<[u8]>>,
    /// For each measure.
    sums: Vec<Sums>,
    /// What went in, added up without groups: what comes out is compared with it.
    stated: Vec<i128>,
}

impl Gold {
    pub(crate) fn new() -> Self {
        let measures: Vec<_> = Measure::iter().collect();
        Self {
            groups: HashMap::new(),
            keys: Vec::new(),
            sums: vec![Sums::default(); measures.len()],
            stated: vec![0; measures.len()],
            measures,
        }
    }

    /// Adds silver rows.
    pub(crate) fn add(&mut self, silver: &RecordBatch) -> Result<()> {
        let group_of = self.group(silver)?;
        for ((measure, sums), stated) in self.measures.iter().zip(&mut self.sums).zip(&mut self.stated) {
            let column = MeasureColumn::of(silver, *measure)?;
            if column.is_unknown() {
                continue;
            }
            for (row, group) in group_of.iter().enumerate() {
                if let Some(value) = column.value(row) {
                    sums.add(*group, value);
                    *stated += value;
                }
            }
        }
        Ok(())
    }

    /// The group of each row. Rows of one line come one after the other, so most keys equal the one before.
    fn group(&mut self, silver: &RecordBatch) -> Result<Vec<usize>> {
        let columns = KEYS.iter().map(|name| texts(silver, name)).collect::<Result<Vec<_>>>()?;
        let mut group_of: Vec<usize> = Vec::with_capacity(silver.num_rows());
        let mut key = Vec::new();
        for row in 0..silver.num_rows() {
            if let Some(last) = group_of.last().copied()
                && columns.iter().rev().all(|column| column.value(row) == column.value(row - 1))
            {
                group_of.push(last);
                continue;
            }
            key.clear();
            for column in &columns {
                push_text(&mut key, column.value(row));
            }
            let group = match self.groups.get(key.as_slice()) {
                Some(group) => *group,
                None => self.begin(key.as_slice().into()),
            };
            group_of.push(group);
        }
        Ok(group_of)
    }

    fn begin(&mut self, key: Arc<[u8]>) -> usize {
        self.groups.insert(key.clone(), self.keys.len());
        self.keys.push(key);
        self.keys.len() - 1
    }

    /// The gold rows of the day.
    pub(crate) fn finish(self, schema: &ArrowSchemaRef, day: i32) -> Result<RecordBatch> {
        self.check()?;
        let Self { measures, groups, keys, sums, .. } = self;
        drop(groups);
        let columns = key_columns(&keys)?;
        drop(keys);
        let (lines, sums) = lines(&columns.iter().collect::<Vec<_>>(), sums);
        let mut arrays: HashMap<String, ArrayRef> = HashMap::new();
        for (name, column) in KEYS.iter().zip(&columns).skip(REPORT + 1) {
            arrays.insert((*name).to_owned(), take(column, &lines, None).during("select lines")?);
        }
        let rows = lines.len();
        arrays.insert("day".to_owned(), Arc::new(Date32Array::from(vec![day; rows])));
        for (measure, sums) in measures.iter().zip(sums) {
            let name = measure.to_string();
            if let Ok(field) = schema.field_with_name(&name) {
                arrays.insert(name, column(field, *measure, (0..rows).map(|line| sums.get(line)))?);
            }
        }
        let column =
            |field: &Arc<Field>| arrays.remove(field.name()).unwrap_or_else(|| new_null_array(field.data_type(), rows));
        RecordBatch::try_new(schema.clone(), schema.fields().iter().map(column).collect()).during("build gold rows")
    }

    /// Grouping must not lose or add anything.
    fn check(&self) -> Result<()> {
        for ((measure, sums), stated) in self.measures.iter().zip(&self.sums).zip(&self.stated) {
            if sums.values.iter().sum::<i128>() != *stated {
                return Err(Error::corrupt(format!("the sums of {measure} by line differ from its rows")));
            }
        }
        Ok(())
    }
}

/// The keys' texts, column by column.
fn key_columns(keys: &[Arc<[u8]>]) -> Result<Vec<StringArray>> {
    let mut builders: Vec<StringBuilder> = KEYS.iter().map(|_| StringBuilder::with_capacity(keys.len(), 0)).collect();
    for key in keys {
        let mut rest: &[u8] = key;
        for builder in &mut builders {
            let (length, after) = rest.split_first_chunk().ok_or_else(damaged)?;
            let (text, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(damaged)?;
            builder.append_value(std::str::from_utf8(text).map_err(|_| damaged())?);
            rest = after;
        }
    }
    Ok(builders.iter_mut().map(StringBuilder::finish).collect())
}

fn damaged() -> Error {
    Error::corrupt("a key of gold can't be read back")
}

/// The lines: the first group of each (for its key), and each measure's sums, taken from the report that owns it.
fn lines(keys: &[&StringArray], sums: Vec<Sums>) -> (UInt64Array, Vec<Sums>) {
    let groups = keys[REPORT].len();
    let first = keys[REPORT].iter().next().flatten();
    if keys[REPORT].iter().all(|report| report == first) {
        return (UInt64Array::from_iter_values((0..groups).map(|group| group as u64)), sums);
    }
    let mut positions: HashMap<Vec<&str>, usize> = HashMap::new();
    let (mut firsts, mut line_of) = (Vec::new(), Vec::with_capacity(groups));
    for group in 0..groups {
        let key: Vec<&str> = keys.iter().skip(REPORT + 1).map(|column| column.value(group)).collect();
        let line = *positions.entry(key).or_insert_with(|| {
            firsts.push(group as u64);
            firsts.len() - 1
        });
        line_of.push(line);
    }
    let merged = sums.iter().map(|sums| {
        let owners = owners(keys, sums);
        let mut merged = Sums::default();
        for (group, value) in sums.known() {
            if owners.get(keys[ACCOUNT].value(group)) == Some(&keys[REPORT].value(group)) {
                merged.add(line_of[group], value);
            }
        }
        merged
    });
    (UInt64Array::from(firsts), merged.collect())
}

/// For each account, the report that a measure is taken from: the oldest, as ids sort by age.
fn owners<'k>(keys: &[&'k StringArray], sums: &Sums) -> BTreeMap<&'k str, &'k str> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (group, _) in sums.known() {
        let report = keys[REPORT].value(group);
        let owner = owners.entry(keys[ACCOUNT].value(group)).or_insert(report);
        *owner = report.min(*owner);
    }
    owners
}

fn column(field: &Field, measure: Measure, values: impl Iterator<Item = Option<i128>>) -> Result<ArrayRef> {
    let overflow = || Error::Overflow { measure: measure.to_string() };
    if measure.is_count() {
        let mut counts = Int64Builder::new();
        for value in values {
            counts.append_option(value.map(i64::try_from).transpose().map_err(|_| overflow())?);
        }
        return Ok(Arc::new(counts.finish()));
    }
    let mut amounts = Decimal128Builder::new().with_data_type(field.data_type().clone());
    for value in values {
        if value.is_some_and(|value| value.abs() > LARGEST) {
            return Err(overflow());
        }
        amounts.append_option(value);
    }
    Ok(Arc::new(amounts.finish()))
}
