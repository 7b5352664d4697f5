//! The report's rows against the platform's own totals.
//!
//! Counts must be equal. Decimals must be equal to every digit that the total shows; where rows are shown rounded, the
//! platform's total of unrounded values may differ by half a unit of the rows' last digit for every row, and that is
//! noted. So is what our own rounding of cells with more digits than the lake holds explains. A column with withheld cells
//! can't be compared, and neither can one without a total.

use domain::ErrorCode;
use domain::report::Trailer;

use crate::error::Rejection;
use crate::number::{self, Cell, Number, ONE, SCALE};
use crate::pull::{PullScope, TotalCheck, TotalOutcome};
use crate::tally::Sum;

/// Compares every measure; the first that differs refuses the report.
pub(crate) fn reconcile(
    scope: &PullScope,
    sums: &[Sum],
    rows: u64,
    trailer: &Trailer,
) -> Result<Vec<TotalCheck>, Rejection> {
    let checks = sums.iter().map(|sum| {
        let header = scope.definition.columns.get(sum.column).map_or("", |column| column.header.as_str());
        let total = trailer.totals.iter().find(|(of, _)| of == header).map(|(_, text)| text.as_str());
        let outcome = compare(sum, rows, total).map_err(|detail| Rejection {
            code: ErrorCode::ReportTotalsDiffer,
            row: None,
            column: Some(header.to_owned()),
            detail,
        })?;
        Ok(TotalCheck { measure: sum.measure, outcome })
    });
    checks.collect()
}

fn compare(sum: &Sum, rows: u64, total: Option<&str>) -> Result<TotalOutcome, String> {
    let skipped = |why: &str| Ok(TotalOutcome::Skipped { why: why.to_owned() });
    let Some(text) = total.map(str::trim).filter(|text| !text.is_empty()) else {
        return skipped("the report has no total of it");
    };
    if sum.withheld > 0 {
        return skipped("some of its rows are withheld by the platform");
    }
    match number::parse(text, sum.measure) {
        None => Err(format!("its total is not a number: `{}`", text.chars().take(80).collect::<String>())),
        Some(Cell::Withheld) => skipped("its total is withheld by the platform"),
        Some(Cell::Known(total)) => compare_number(sum, rows, total),
    }
}

fn compare_number(sum: &Sum, rows: u64, total: Number) -> Result<TotalOutcome, String> {
    let difference = sum.nanos - total.nanos;
    let rounding = if sum.measure.is_count() { 0 } else { half_unit(total.digits) };
    if difference.abs() <= rounding {
        return Ok(TotalOutcome::Equal);
    }
    let rounding_of_rows = if sum.measure.is_count() { 0 } else { rounding_of_rows(sum, rows) };
    let shown = |nanos| number::to_decimal(nanos).unwrap_or_default();
    if difference.abs() <= rounding + rounding_of_rows {
        return Ok(TotalOutcome::WithinRounding { difference: shown(difference) });
    }
    Err(format!("its rows add up to {}, its total is {}", shown(sum.nanos), shown(total.nanos)))
}

/// By how much rows may differ from what they are the rounding of: half a unit of the last digit that they show, or, for
/// cells that were cut to the lake's digits, half a billionth each, rounded up as a whole.
fn rounding_of_rows(sum: &Sum, rows: u64) -> i128 {
    half_unit(sum.digits) * i128::from(rows) + i128::from(sum.rounded.div_ceil(2))
}

/// Half a unit of the last of so many digits, in billionths; none where all of the lake's digits are shown.
fn half_unit(digits: u32) -> i128 {
    if digits >= SCALE { 0 } else { ONE / 10_i128.pow(digits) / 2 }
}

#[cfg(test)]
mod tests {
    use domain::report::Measure;

    use super::*;

    fn sum(measure: Measure, nanos: i128, digits: u32) -> Sum {
        Sum { measure, column: 0, nanos, digits, withheld: 0, rounded: 0 }
    }

    #[test]
    fn counts_are_compared_exactly() {
        let impressions = sum(Measure::Impressions, 10 * ONE, 2);
        assert_eq!(compare(&impressions, 3, Some("10")), Ok(TotalOutcome::Equal));
        assert!(compare(&impressions, 3, Some("11")).is_err());
    }

    #[test]
    fn money_is_compared_to_the_digits_that_the_total_shows() {
        let cost = sum(Measure::MediaCost, 12_345_678_900, 9);
        assert_eq!(compare(&cost, 3, Some("12.3456789")), Ok(TotalOutcome::Equal));
        assert_eq!(compare(&cost, 3, Some("12.35")), Ok(TotalOutcome::Equal));
        assert!(compare(&cost, 3, Some("12.3457789")).is_err());
    }

    #[test]
    fn rounded_rows_may_differ_by_their_rounding_and_no_more() {
        let cost = sum(Measure::MediaCost, 300_000_000, 2);
        let within = compare(&cost, 3, Some("0.315")).unwrap();
        assert!(matches!(within, TotalOutcome::WithinRounding { difference } if difference.to_string() == "-0.015"));
        assert!(compare(&cost, 3, Some("0.316")).is_err());
    }

    #[test]
    fn cells_that_the_lake_rounds_may_differ_by_half_a_billionth_each() {
        // Three cells of 0.0000000014 are three billionths here, 4.2 billionths at the platform.
        let cost = Sum { rounded: 3, ..sum(Measure::MediaCost, 3, 10) };
        let within = compare(&cost, 3, Some("0.0000000042")).unwrap();
        assert!(
            matches!(within, TotalOutcome::WithinRounding { difference } if difference.to_string() == "-0.000000001")
        );
        assert!(compare(&cost, 3, Some("0.000000006")).is_err());
        let exact = sum(Measure::MediaCost, 3, 9);
        assert!(compare(&exact, 3, Some("0.000000004")).is_err());
    }

    #[test]
    fn withheld_cells_and_missing_totals_are_said_not_judged() {
        let withheld = Sum { withheld: 1, ..sum(Measure::Clicks, 0, 0) };
        for (sum, total) in
            [(&withheld, Some("7")), (&sum(Measure::Clicks, 0, 0), None), (&sum(Measure::Clicks, 0, 0), Some("< 1000"))]
        {
            assert!(matches!(compare(sum, 1, total), Ok(TotalOutcome::Skipped { .. })));
        }
    }
}
