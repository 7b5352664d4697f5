//! What the columns of a report definition mean, checked once so that no row has to ask again.
//!
//! It knows positions and names only; values are read in `tally` (at staging) and `silver` (at landing).

use std::collections::BTreeSet;

use domain::report::{Definition, Measure, Target};

use crate::error::{Error, Result};

/// Columns that every bronze table has; a platform's column of the same name gets a prefix.
pub(crate) const BRONZE_OWN: [&str; 5] = ["connection_id", "pull_id", "requested_at", "row_number", "day"];

/// Where each part of the unified model stands in a report's rows.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    /// The bronze column of each report column, in the report's order.
    pub(crate) columns: Vec<String>,
    /// Positions whose cells may not be empty.
    pub(crate) keys: Vec<usize>,
    pub(crate) day: usize,
    pub(crate) account: usize,
    pub(crate) currency: Option<usize>,
    pub(crate) campaign: Option<usize>,
    pub(crate) order: Option<usize>,
    pub(crate) line: Option<usize>,
    pub(crate) breakdowns: Vec<usize>,
    pub(crate) measures: Vec<(Measure, usize)>,
}

impl Mapping {
    /// Checks a definition: it has a day and an account, no meaning twice, and names that a table can have.
    pub(crate) fn of(definition: &Definition) -> Result<Self> {
        let error = |why: String| Error::Definition { name: definition.name.clone(), why };
        if !is_word(&definition.name) {
            return Err(error("its name must be lower-case letters, digits and `_`".into()));
        }
        let columns: Vec<String> = definition.columns.iter().map(|column| bronze_column(&column.field)).collect();
        if columns.iter().collect::<BTreeSet<_>>().len() != columns.len() {
            return Err(error("two columns have the same field".into()));
        }
        let single = |target: Target| {
            let mut found = (0..columns.len()).filter(|position| definition.columns[*position].target == target);
            match (found.next(), found.next()) {
                (_, Some(_)) => Err(error(format!("two columns are mapped to {target:?}"))),
                (first, None) => Ok(first),
            }
        };
        let required =
            |target: Target| single(target)?.ok_or_else(|| error(format!("no column is mapped to {target:?}")));
        let measures = measures(definition);
        for (measure, _) in &measures {
            single(Target::Measure(*measure))?;
        }
        Ok(Self {
            keys: positions(definition, Target::is_key),
            day: required(Target::Day)?,
            account: required(Target::Account)?,
            currency: single(Target::Currency)?,
            campaign: single(Target::Campaign)?,
            order: single(Target::Order)?,
            line: single(Target::Line)?,
            breakdowns: positions(definition, |target| target == Target::Breakdown),
            measures,
            columns,
        })
    }
}

/// The name of a definition's bronze table.
pub(crate) fn bronze_table(definition: &Definition) -> String {
    format!("bronze_{}", definition.name)
}

fn positions(definition: &Definition, wanted: impl Fn(Target) -> bool) -> Vec<usize> {
    let columns = definition.columns.iter().enumerate();
    columns.filter(|(_, column)| wanted(column.target)).map(|(position, _)| position).collect()
}

fn measures(definition: &Definition) -> Vec<(Measure, usize)> {
    let columns = definition.columns.iter().enumerate();
    columns
        .filter_map(|(position, column)| match column.target {
            Target::Measure(measure) => Some((measure, position)),
            _ => None,
        })
        .collect()
}

fn bronze_column(field: &str) -> String {
    let word: String =
        field.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if BRONZE_OWN.contains(&word.as_str()) { format!("source_{word}") } else { word }
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use domain::Platform;
    use domain::ids::ReportId;
    use domain::report::Column;

    use super::*;

    fn definition(name: &str, columns: &[(&str, Target)]) -> Definition {
        Definition {
            id: ReportId::new(),
            platform: Platform::Dv360,
            name: name.into(),
            kind: "STANDARD".into(),
            columns: columns
                .iter()
                .map(|(field, target)| Column { field: (*field).into(), header: (*field).into(), target: *target })
                .collect(),
            cadence_seconds: 900,
            lookback_days: 30,
            lookback_cadence_seconds: 86_400,
            final_after_days: 7,
        }
    }

    #[test]
    fn a_platform_column_never_hides_one_of_ours() {
        let mapping =
            Mapping::of(&definition("d", &[("Day", Target::Day), ("Advertiser ID", Target::Account)])).unwrap();
        assert_eq!(mapping.columns, ["source_day", "advertiser_id"]);
    }

    #[test]
    fn a_definition_without_meaning_is_refused() {
        let clicks = Target::Measure(Measure::Clicks);
        let bad = [
            definition("d", &[("a", Target::Account)]),
            definition("d", &[("d", Target::Day)]),
            definition("Bad Name", &[("d", Target::Day), ("a", Target::Account)]),
            definition("d", &[("d", Target::Day), ("a", Target::Account), ("A", Target::Unmapped)]),
            definition("d", &[("d", Target::Day), ("a", Target::Account), ("b", clicks), ("c", clicks)]),
        ];
        for definition in bad {
            assert!(matches!(Mapping::of(&definition), Err(Error::Definition { .. })), "{definition:?}");
        }
    }
}
