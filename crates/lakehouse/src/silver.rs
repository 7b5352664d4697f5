//! Rows of a report become rows of the unified model, and rows of others are carried over.
//!
//! It trusts that staging has checked every cell: what can't be read here was damaged since, and is an error. Keys that
//! come twice in one pull's day are found here.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, BooleanArray, Date32Array, Decimal128Builder, Int64Builder, RecordBatch, StringArray,
    StringBuilder, new_null_array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use domain::report::Measure;
use domain::{Currency, ErrorCode};

use crate::columns::{longs, texts};
use crate::error::{During as _, Error, Rejection, Result};
use crate::mapping::Mapping;
use crate::number::{self, Cell, PRECISION, SCALE};
use crate::pull::PullScope;
use crate::tally::{hash, push_text};

/// For keys that are hashes already: takes their lower half as it is.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let half = bytes.first_chunk().copied().unwrap_or_default();
        self.0 ^= u64::from_ne_bytes(half);
    }
}

/// Turns one pull's rows of one day into silver rows.
pub(crate) struct Converter<'a> {
    scope: &'a PullScope,
    mapping: &'a Mapping,
    schema: ArrowSchemaRef,
    day: i32,
    /// The accounts whose rows are wanted; `None` for all.
    only: Option<&'a BTreeSet<String>>,
    seen: HashSet<u128, BuildHasherDefault<Hashed>>,
}

impl<'a> Converter<'a> {
    pub(crate) fn new(
        scope: &'a PullScope,
        mapping: &'a Mapping,
        schema: ArrowSchemaRef,
        day: i32,
        only: Option<&'a BTreeSet<String>>,
    ) -> Self {
        Self { scope, mapping, schema, day, only, seen: HashSet::default() }
    }

    /// Converts a batch of bronze rows.
    pub(crate) fn convert(&mut self, bronze: &RecordBatch) -> Result<RecordBatch> {
        match self.only {
            Some(only) => self.convert_all(&self.wanted(bronze, only)?),
            None => self.convert_all(bronze),
        }
    }

    /// The rows of the wanted accounts.
    fn wanted(&self, bronze: &RecordBatch, only: &BTreeSet<String>) -> Result<RecordBatch> {
        let accounts = texts(bronze, &self.mapping.columns[self.mapping.account])?;
        let wanted: BooleanArray =
            accounts.iter().map(|account| Some(only.contains(account.unwrap_or_default().trim()))).collect();
        filter_record_batch(bronze, &wanted).during("select the rows of some accounts")
    }

    fn convert_all(&mut self, bronze: &RecordBatch) -> Result<RecordBatch> {
        let rows = bronze.num_rows();
        let repeated = |text: String| Arc::new(StringArray::new_repeated(text, rows)) as ArrayRef;
        let accounts = self.trimmed(bronze, Some(self.mapping.account))?;
        let mut arrays: HashMap<String, ArrayRef> = HashMap::from([
            ("connection_id".to_owned(), repeated(self.scope.connection.to_string())),
            ("report_id".to_owned(), repeated(self.scope.definition.id.to_string())),
            ("pull_id".to_owned(), repeated(self.scope.pull.to_string())),
            ("day".to_owned(), Arc::new(Date32Array::from(vec![self.day; rows]))),
            ("currency".to_owned(), Arc::new(self.currencies(&accounts)?)),
        ]);
        let keys = [
            ("account_id", accounts),
            ("campaign_id", self.trimmed(bronze, self.mapping.campaign)?),
            ("order_id", self.trimmed(bronze, self.mapping.order)?),
            ("line_id", self.trimmed(bronze, self.mapping.line)?),
            ("breakdown", self.breakdowns(bronze)?),
        ];
        self.refuse_duplicates(bronze, &keys)?;
        arrays.extend(keys.into_iter().map(|(name, array)| (name.to_owned(), Arc::new(array) as ArrayRef)));
        for (measure, column) in &self.mapping.measures {
            let texts = texts(bronze, &self.mapping.columns[*column])?;
            arrays.insert(measure.to_string(), numbers(texts, *measure)?);
        }
        let columns = self
            .schema
            .fields()
            .iter()
            .map(|field| arrays.remove(field.name()).unwrap_or_else(|| new_null_array(field.data_type(), rows)));
        RecordBatch::try_new(self.schema.clone(), columns.collect()).during("build silver rows")
    }

    /// A column without surrounding spaces; empty texts where the report has no such column.
    fn trimmed(&self, bronze: &RecordBatch, position: Option<usize>) -> Result<StringArray> {
        let Some(position) = position else {
            return Ok(StringArray::new_repeated("", bronze.num_rows()));
        };
        let texts = texts(bronze, &self.mapping.columns[position])?;
        if texts.null_count() == 0 && texts.iter().flatten().all(|text| text.trim().len() == text.len()) {
            return Ok(texts.clone());
        }
        Ok(StringArray::from_iter_values(texts.iter().map(|text| text.unwrap_or_default().trim())))
    }

    fn currencies(&self, accounts: &StringArray) -> Result<StringArray> {
        let mut last: Option<(&str, Currency)> = None;
        let mut codes = Vec::with_capacity(accounts.len());
        for account in accounts.iter().flatten() {
            let currency = match last {
                Some((known, currency)) if known == account => currency,
                _ => *self.scope.accounts.get(account).ok_or_else(|| Error::corrupt("a row of an unknown account"))?,
            };
            last = Some((account, currency));
            codes.push(currency.code());
        }
        Ok(StringArray::from(codes))
    }

    /// The breakdown columns as one text, `name=value;name=value`, with `\` before a `;` or `\` in a value.
    fn breakdowns(&self, bronze: &RecordBatch) -> Result<StringArray> {
        let positions = &self.mapping.breakdowns;
        let columns = positions.iter().map(|position| {
            let name = &self.mapping.columns[*position];
            Ok((name.as_str(), texts(bronze, name)?))
        });
        let columns: Vec<_> = columns.collect::<Result<_>>()?;
        let mut joined = String::new();
        let mut builder = StringBuilder::with_capacity(bronze.num_rows(), 0);
        for row in 0..bronze.num_rows() {
            joined.clear();
            for (index, (name, texts)) in columns.iter().enumerate() {
                joined.push_str(if index == 0 { "" } else { ";" });
                joined.push_str(name);
                joined.push('=');
                push_escaped(&mut joined, texts.value(row).trim());
            }
            builder.append_value(&joined);
        }
        Ok(builder.finish())
    }

    fn refuse_duplicates(&mut self, bronze: &RecordBatch, keys: &[(&str, StringArray)]) -> Result<()> {
        let mut key = Vec::new();
        for row in 0..bronze.num_rows() {
            key.clear();
            for (_, column) in keys {
                push_text(&mut key, column.value(row));
            }
            if !self.seen.insert(hash(&key)) {
                return Err(self.duplicate(longs(bronze, "row_number")?.value(row), keys, row));
            }
        }
        Ok(())
    }

    fn duplicate(&self, row_number: i64, keys: &[(&str, StringArray)], row: usize) -> Error {
        let mut rejection = Rejection::of_report(ErrorCode::ReportDuplicateKey, "the key came before:");
        for (name, column) in keys.iter().filter(|(_, column)| !column.value(row).is_empty()) {
            let quote: String = column.value(row).chars().take(40).collect();
            rejection.detail.extend([" ", name, " `", quote.as_str(), "`"]);
        }
        rejection.row = u64::try_from(row_number).ok();
        Error::Rejected { pull: self.scope.pull, rejection }
    }
}

fn push_escaped(joined: &mut String, value: &str) {
    if !value.contains([';', '\\']) {
        joined.push_str(value);
        return;
    }
    for character in value.chars() {
        if matches!(character, ';' | '\\') {
            joined.push('\\');
        }
        joined.push(character);
    }
}

fn numbers(texts: &StringArray, measure: Measure) -> Result<ArrayRef> {
    let rows = |wanted: bool| if wanted { texts.len() } else { 0 };
    let mut counts = Int64Builder::with_capacity(rows(measure.is_count()));
    let mut amounts = Decimal128Builder::with_capacity(rows(!measure.is_count()));
    for text in texts {
        let cell = number::parse(text.unwrap_or_default(), measure);
        let known = match cell.ok_or_else(|| Error::corrupt(format!("a staged cell of {measure}")))? {
            Cell::Known(number) => Some(number.nanos),
            Cell::Withheld => None,
        };
        if measure.is_count() {
            counts.append_option(known.and_then(number::count));
        } else {
            amounts.append_option(known);
        }
    }
    if measure.is_count() {
        return Ok(Arc::new(counts.finish()));
    }
    let scale = i8::try_from(SCALE).unwrap_or_default();
    let precision = u8::try_from(PRECISION).unwrap_or_default();
    let amounts = amounts.finish().with_precision_and_scale(precision, scale).during("build an amount's column")?;
    Ok(Arc::new(amounts))
}

/// What landings replace in one partition: for each report, the accounts.
pub(crate) type Covered<'a> = Vec<(String, &'a BTreeSet<String>)>;

/// The rows of a partition that no landing replaces: those of other reports and other accounts.
pub(crate) fn carried(batch: &RecordBatch, schema: &ArrowSchemaRef, covered: &Covered<'_>) -> Result<RecordBatch> {
    let (reports, accounts) = (texts(batch, "report_id")?, texts(batch, "account_id")?);
    let stays = (0..batch.num_rows()).map(|row| {
        let (report, account) = (reports.value(row), accounts.value(row));
        !covered.iter().any(|(of, accounts)| of == report && accounts.contains(account))
    });
    let stays: BooleanArray = stays.map(Some).collect();
    let kept = filter_record_batch(batch, &stays).during("select carried rows")?;
    RecordBatch::try_new(schema.clone(), kept.columns().to_vec()).during("carry rows over")
}
