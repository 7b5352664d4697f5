//! Small helpers for reading and writing JSON documents by dotted path. The sandbox keeps every
//! entity as the document that goes over the wire, so that nothing can be lost in translation.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// A JSON object.
pub type Document = Map<String, Value>;

/// The value at a dotted path.
#[must_use]
pub fn at<'a>(document: &'a Document, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let mut value = document.get(parts.next()?)?;
    for part in parts {
        value = value.get(part)?;
    }
    Some(value)
}

/// The text at a dotted path; empty when absent.
#[must_use]
pub fn text<'a>(document: &'a Document, path: &str) -> &'a str {
    at(document, path).and_then(Value::as_str).unwrap_or_default()
}

/// The int64 at a dotted path, which the wire writes as text.
#[must_use]
pub fn number(document: &Document, path: &str) -> Option<i64> {
    at(document, path).and_then(int64)
}

/// The date at a dotted path.
#[must_use]
pub fn date(document: &Document, path: &str) -> Option<NaiveDate> {
    at(document, path).and_then(read_date)
}

/// An int64 as protobuf's JSON may write it: text or number.
#[must_use]
pub fn int64(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Reads `{"year":…,"month":…,"day":…}`.
#[must_use]
pub fn read_date(value: &Value) -> Option<NaiveDate> {
    let part = |name: &str| value.get(name).and_then(int64);
    let year = i32::try_from(part("year")?).ok()?;
    NaiveDate::from_ymd_opt(year, u32::try_from(part("month")?).ok()?, u32::try_from(part("day")?).ok()?)
}

/// Writes `{"year":…,"month":…,"day":…}`.
#[must_use]
pub fn write_date(day: NaiveDate) -> Value {
    json!({"year": day.year(), "month": day.month(), "day": day.day()})
}

/// Writes an instant as the platform does: UTC with milliseconds.
#[must_use]
pub fn write_instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Puts a value at a dotted path, making the objects on the way; `None` removes it.
pub fn put(document: &mut Document, path: &str, value: Option<Value>) {
    match (path.split_once('.'), value) {
        (None, Some(value)) => {
            document.insert(path.to_owned(), value);
        }
        (None, None) => {
            document.remove(path);
        }
        (Some((first, rest)), value) => {
            let child = document.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if !child.is_object() {
                *child = Value::Object(Map::new());
            }
            if let Value::Object(child) = child {
                put(child, rest, value);
            }
        }
    }
}

/// Turns the value of a `json!` object into a document.
#[must_use]
pub fn object(value: Value) -> Document {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found() {
        let mut document = Document::new();
        put(&mut document, "pacing.dailyMaxMicros", Some(json!("5")));
        assert_eq!(number(&document, "pacing.dailyMaxMicros"), Some(5));
        put(&mut document, "pacing.dailyMaxMicros", None);
        assert_eq!(at(&document, "pacing.dailyMaxMicros"), None);
    }

    #[test]
    fn dates_survive_the_wire() {
        let day = NaiveDate::from_ymd_opt(2027, 2, 28).unwrap();
        assert_eq!(read_date(&write_date(day)), Some(day));
        assert_eq!(read_date(&json!({"year": 2027, "month": 2, "day": 30})), None);
    }
}
