//! From a data range to the days that a report covers.

use chrono::{Datelike, Days, Months, NaiveDate};
use serde_json::Value;

use crate::document::read_date;
use crate::google::ApiError;

/// How far back "all time" reaches, in days.
const ALL_TIME_DAYS: u64 = 3_650;

/// Turns a data range into first and last day, seen from `today`.
///
/// # Errors
/// 400 when the range is unknown or lacks its dates.
pub fn resolve(range: &Value, today: NaiveDate) -> Result<(NaiveDate, NaiveDate), ApiError> {
    let kind = range.get("range").and_then(Value::as_str).unwrap_or_default();
    if kind == "CUSTOM_DATES" {
        return custom(range);
    }
    let yesterday = back(today, 1);
    let month = first_of_month(today);
    let quarter = first_of_quarter(today);
    let week = back(today, u64::from(today.weekday().num_days_from_sunday()));
    let days = match kind {
        "CURRENT_DAY" => (today, today),
        "PREVIOUS_DAY" => (yesterday, yesterday),
        "WEEK_TO_DATE" => (week, today),
        "MONTH_TO_DATE" => (month, today),
        "QUARTER_TO_DATE" => (quarter, today),
        "YEAR_TO_DATE" => (first_of_year(today), today),
        "PREVIOUS_WEEK" => (back(week, 7), back(week, 1)),
        "PREVIOUS_MONTH" => (first_of_month(back(month, 1)), back(month, 1)),
        "PREVIOUS_QUARTER" => (first_of_quarter(back(quarter, 1)), back(quarter, 1)),
        "PREVIOUS_YEAR" => (first_of_year(back(first_of_year(today), 1)), back(first_of_year(today), 1)),
        "LAST_7_DAYS" => (back(today, 7), yesterday),
        "LAST_14_DAYS" => (back(today, 14), yesterday),
        "LAST_30_DAYS" => (back(today, 30), yesterday),
        "LAST_60_DAYS" => (back(today, 60), yesterday),
        "LAST_90_DAYS" => (back(today, 90), yesterday),
        "LAST_365_DAYS" => (back(today, 365), yesterday),
        "ALL_TIME" => (back(today, ALL_TIME_DAYS), yesterday),
        other => return Err(ApiError::invalid("metadata.dataRange.range", format!("Invalid value \"{other}\"."))),
    };
    Ok(days)
}

fn custom(range: &Value) -> Result<(NaiveDate, NaiveDate), ApiError> {
    let day = |name: &str| {
        let day = range.get(name).and_then(read_date);
        day.ok_or_else(|| ApiError::invalid(&format!("metadata.dataRange.{name}"), "A valid date is required."))
    };
    let (start, end) = (day("customStartDate")?, day("customEndDate")?);
    if end < start {
        return Err(ApiError::invalid("metadata.dataRange.customEndDate", "Must be the start date or later."));
    }
    Ok((start, end))
}

fn back(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_sub_days(Days::new(days)).unwrap_or(day)
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

fn first_of_quarter(day: NaiveDate) -> NaiveDate {
    let month = first_of_month(day);
    month.checked_sub_months(Months::new(month.month0() % 3)).unwrap_or(month)
}

fn first_of_year(day: NaiveDate) -> NaiveDate {
    NaiveDate::from_ymd_opt(day.year(), 1, 1).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolved(kind: &str) -> (String, String) {
        // A Wednesday.
        let today = NaiveDate::from_ymd_opt(2027, 5, 12).unwrap();
        let (first, last) = resolve(&json!({"range": kind}), today).unwrap();
        (first.to_string(), last.to_string())
    }

    #[test]
    fn ranges_are_those_of_the_documentation() {
        for (kind, first, last) in [
            ("CURRENT_DAY", "2027-05-12", "2027-05-12"),
            ("PREVIOUS_DAY", "2027-05-11", "2027-05-11"),
            ("WEEK_TO_DATE", "2027-05-09", "2027-05-12"),
            ("MONTH_TO_DATE", "2027-05-01", "2027-05-12"),
            ("QUARTER_TO_DATE", "2027-04-01", "2027-05-12"),
            ("YEAR_TO_DATE", "2027-01-01", "2027-05-12"),
            ("PREVIOUS_WEEK", "2027-05-02", "2027-05-08"),
            ("PREVIOUS_MONTH", "2027-04-01", "2027-04-30"),
            ("PREVIOUS_QUARTER", "2027-01-01", "2027-03-31"),
            ("PREVIOUS_YEAR", "2026-01-01", "2026-12-31"),
            ("LAST_7_DAYS", "2027-05-05", "2027-05-11"),
            ("LAST_90_DAYS", "2027-02-11", "2027-05-11"),
        ] {
            assert_eq!(resolved(kind), (first.to_owned(), last.to_owned()), "{kind}");
        }
    }

    #[test]
    fn custom_dates_must_be_there_and_in_order() {
        let today = NaiveDate::from_ymd_opt(2027, 5, 12).unwrap();
        let day = |day: u32| json!({"year": 2027, "month": 5, "day": day});
        let good = json!({"range": "CUSTOM_DATES", "customStartDate": day(1), "customEndDate": day(2)});
        assert!(resolve(&good, today).is_ok());
        let swapped = json!({"range": "CUSTOM_DATES", "customStartDate": day(2), "customEndDate": day(1)});
        assert!(resolve(&swapped, today).is_err());
        assert!(resolve(&json!({"range": "CUSTOM_DATES"}), today).is_err());
        assert!(resolve(&json!({"range": "LAST_3_DAYS"}), today).is_err());
    }
}
