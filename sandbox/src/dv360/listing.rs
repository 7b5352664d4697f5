//! Ordering and paging of list answers. A page token is opaque and belongs to one list only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::Parameters;
use crate::document::{Document, text};
use crate::google::ApiError;
use crate::random::text_hash;

/// The page size when none is asked for.
const DEFAULT_PAGE_SIZE: usize = 100;

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    offset: usize,
    size: usize,
    list: u64,
}

impl Page {
    /// Reads `pageSize` and `pageToken`. `list` identifies what is listed and how.
    ///
    /// # Errors
    /// 400 when the size is out of range or the token belongs to another list.
    pub fn parse(parameters: &Parameters, largest: usize, list: &str) -> Result<Self, ApiError> {
        let list = text_hash(list);
        let size = match parameters.get("pageSize").map(|size| size.parse::<i64>()) {
            // Zero is how protobuf says that nothing was said.
            None | Some(Ok(0)) => DEFAULT_PAGE_SIZE.min(largest),
            Some(size) => {
                size.ok().and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= largest).ok_or_else(
                    || ApiError::invalid("pageSize", format!("Page size must be between 1 and {largest}.")),
                )?
            }
        };
        let offset = match parameters.get("pageToken").filter(|token| !token.is_empty()) {
            None => 0,
            Some(token) => {
                let offset = read_token(token, list);
                offset.ok_or_else(|| ApiError::invalid("pageToken", "The page token is invalid."))?
            }
        };
        Ok(Self { offset, size, list })
    }

    /// Cuts the page out of a whole list and writes the answer. An empty list is left out.
    #[must_use]
    pub fn answer(self, name: &str, items: Vec<Value>) -> Value {
        let end = self.offset.saturating_add(self.size);
        let more = end < items.len();
        let page: Vec<Value> = items.into_iter().skip(self.offset).take(self.size).collect();
        let mut answer = Map::new();
        if !page.is_empty() {
            answer.insert(name.to_owned(), Value::Array(page));
        }
        if more {
            answer.insert("nextPageToken".to_owned(), json!(write_token(end, self.list)));
        }
        Value::Object(answer)
    }
}

fn write_token(offset: usize, list: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list:x}.{offset}"))
}

fn read_token(token: &str, list: u64) -> Option<usize> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (owner, offset) = plain.split_once('.')?;
    (owner == format!("{list:x}")).then(|| offset.parse().ok()).flatten()
}

/// Sorts documents by `orderBy`: a field, or a field and `desc`. Ids break ties, so that paging
/// never shows an entity twice.
///
/// # Errors
/// 400 when the field cannot be ordered by.
pub fn sort(
    documents: &mut [Document],
    order_by: Option<&String>,
    allowed: &[&str],
    id_field: &str,
) -> Result<(), ApiError> {
    let order_by = order_by.map(|order| order.trim()).filter(|order| !order.is_empty());
    let default = allowed.first().copied().unwrap_or(id_field);
    let (field, descending) = match order_by.map(|order| order.split_once(char::is_whitespace).unwrap_or((order, ""))) {
        None => (default, false),
        Some((field, direction)) => match direction.trim() {
            "" => (field, false),
            "desc" => (field, true),
            other => return Err(ApiError::invalid("orderBy", format!("Invalid direction \"{other}\"."))),
        },
    };
    if !allowed.contains(&field) {
        return Err(ApiError::invalid("orderBy", format!("Invalid field \"{field}\".")));
    }
    documents.sort_by(|one, other| {
        let by_field = key(one, field).cmp(&key(other, field));
        let by_field = if descending { by_field.reverse() } else { by_field };
        by_field.then_with(|| key(one, id_field).cmp(&key(other, id_field)))
    });
    Ok(())
}

/// Ids are ordered as numbers, everything else as text.
fn key<'a>(document: &'a Document, field: &str) -> (u64, &'a str) {
    let value = text(document, field);
    if field.ends_with("Id") { (value.parse().unwrap_or(u64::MAX), "") } else { (0, value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn pages_cover_a_list_once() {
        let items: Vec<Value> = (0..5).map(|n| json!(n)).collect();
        let first = Page::parse(&parameters(&[("pageSize", "2")]), 200, "list").unwrap();
        let answer = first.answer("items", items.clone());
        let token = answer["nextPageToken"].as_str().unwrap().to_owned();
        let second = Page::parse(&parameters(&[("pageSize", "2"), ("pageToken", &token)]), 200, "list").unwrap();
        assert_eq!(second.answer("items", items.clone())["items"], json!([2, 3]));
        assert!(Page::parse(&parameters(&[("pageToken", &token)]), 200, "other list").is_err());
        assert!(Page::parse(&parameters(&[("pageSize", "201")]), 200, "list").is_err());
        assert!(Page::parse(&parameters(&[("pageSize", "-1")]), 200, "list").is_err());
        assert_eq!(first.answer("items", Vec::new()), json!({}));
    }
}
