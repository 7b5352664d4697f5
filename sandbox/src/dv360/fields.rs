//! Partial responses: the `fields` parameter, such as `lineItems(lineItemId,pacing/dailyMaxMicros)`.

use serde_json::{Map, Value};

use crate::google::ApiError;

/// How deep a selection may be nested.
const MAX_DEPTH: usize = 20;

/// One selected field and what is selected below it; nothing below means everything.
#[derive(Debug, PartialEq, Eq)]
struct Selector {
    name: String,
    below: Vec<Selector>,
}

/// Reduces an answer to the selected fields.
///
/// # Errors
/// 400 when the selection cannot be read.
pub fn select(answer: Value, fields: Option<&String>) -> Result<Value, ApiError> {
    let Some(text) = fields.map(|text| text.trim()).filter(|text| !text.is_empty()) else { return Ok(answer) };
    let mut reader = Reader { rest: text, depth: 0 };
    let selectors = reader.list().filter(|_| reader.rest.is_empty());
    let selectors = selectors.ok_or_else(|| ApiError::invalid("fields", format!("Invalid field selection {text}")))?;
    Ok(reduce(answer, &selectors))
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn list(&mut self) -> Option<Vec<Selector>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut selectors = vec![self.one()?];
        while let Some(rest) = self.rest.strip_prefix(',') {
            self.rest = rest;
            selectors.push(self.one()?);
        }
        self.depth -= 1;
        Some(selectors)
    }

    fn one(&mut self) -> Option<Selector> {
        let end = self.rest.find([',', '/', '(', ')']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        if name.is_empty() {
            return None;
        }
        let mut below = Vec::new();
        if let Some(rest) = self.rest.strip_prefix('/') {
            self.rest = rest;
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return None;
            }
            below.push(self.one()?);
            self.depth -= 1;
        } else if let Some(rest) = self.rest.strip_prefix('(') {
            self.rest = rest;
            below = self.list()?;
            self.rest = self.rest.strip_prefix(')')?;
        }
        Some(Selector { name: name.to_owned(), below })
    }
}

fn reduce(value: Value, selectors: &[Selector]) -> Value {
    if selectors.is_empty() {
        return value;
    }
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(|item| reduce(item, selectors)).collect()),
        Value::Object(map) => {
            let mut kept = Map::new();
            for (name, child) in map {
                if let Some(selector) = selectors.iter().find(|one| one.name == name || one.name == "*") {
                    kept.insert(name, reduce(child, &selector.below));
                }
            }
            Value::Object(kept)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_selected_remains() {
        let answer = json!({"lineItems": [{"lineItemId": "1", "pacing": {"a": 1, "b": 2}}], "nextPageToken": "x"});
        let text = "lineItems(lineItemId,pacing/a)".to_owned();
        let got = select(answer.clone(), Some(&text)).unwrap();
        assert_eq!(got, json!({"lineItems": [{"lineItemId": "1", "pacing": {"a": 1}}]}));
        assert_eq!(select(answer.clone(), None).unwrap(), answer);
        assert!(select(answer, Some(&"lineItems(".to_owned())).is_err());
    }
}
