//! The filter language of list methods: `field="value"`, `AND`, `OR`, parentheses, and `>=`, `<=` for
//! the update time. As in Google's AIP-160, OR binds tighter than AND, and a bare sequence means AND.

use chrono::{DateTime, Utc};

use crate::document::{Document, text};
use crate::google::ApiError;

/// The longest filter.
const MAX_CHARS: usize = 500;

/// How deep parentheses may be nested.
const MAX_DEPTH: usize = 20;

/// A filter that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All of them hold.
    All(Vec<Filter>),
    /// One of them holds.
    Any(Vec<Filter>),
    /// A field has a value.
    Equals(String, String),
    /// Changed at this instant or later.
    UpdatedSince(DateTime<Utc>),
    /// Changed at this instant or earlier.
    UpdatedUntil(DateTime<Utc>),
}

impl Filter {
    /// Reads a filter that may name the given fields.
    ///
    /// # Errors
    /// 400 saying what is wrong with it.
    pub fn parse(source: &str, fields: &[&str]) -> Result<Self, ApiError> {
        let fail = |reason: String| ApiError::invalid("filter", reason);
        if source.chars().count() > MAX_CHARS {
            return Err(fail(format!("The filter is longer than {MAX_CHARS} characters.")));
        }
        let tokens = tokenize(source).map_err(fail)?;
        if tokens.is_empty() {
            return Ok(Self::All(Vec::new()));
        }
        let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, fields };
        let filter = parser.all().map_err(fail)?;
        match parser.peek() {
            None => Ok(filter),
            Some(token) => Err(fail(format!("Unexpected {token:?} in the filter."))),
        }
    }

    /// Whether a document passes.
    #[must_use]
    pub fn accepts(&self, document: &Document) -> bool {
        let updated = || DateTime::parse_from_rfc3339(text(document, "updateTime")).ok();
        match self {
            Self::All(parts) => parts.iter().all(|part| part.accepts(document)),
            Self::Any(parts) => parts.iter().any(|part| part.accepts(document)),
            Self::Equals(field, value) => text(document, field) == value,
            Self::UpdatedSince(instant) => updated().is_some_and(|updated| updated >= *instant),
            Self::UpdatedUntil(instant) => updated().is_some_and(|updated| updated <= *instant),
        }
    }

    /// Whether archived entities are asked for; they are hidden otherwise.
    #[must_use]
    pub fn names_archived(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::names_archived),
            Self::Equals(field, value) => field == "entityStatus" && value == "ENTITY_STATUS_ARCHIVED",
            Self::UpdatedSince(_) | Self::UpdatedUntil(_) => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Word(String),
    Operator(&'static str),
    Quoted(String),
}

fn tokenize(source: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' => {
                tokens.push(if first == '(' { Token::Open } else { Token::Close });
                1
            }
            '"' => {
                let (value, length) = quoted(rest)?;
                tokens.push(Token::Quoted(value));
                length
            }
            '=' | '<' | '>' | '!' | ':' => {
                let operator = [">=", "<=", "!=", "=", ">", "<", ":"].into_iter().find(|one| rest.starts_with(one));
                let operator = operator.ok_or_else(|| format!("Unexpected '{first}' in the filter."))?;
                tokens.push(Token::Operator(operator));
                operator.len()
            }
            letter if letter.is_ascii_alphabetic() => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
                let length = end.unwrap_or(rest.len());
                tokens.push(match rest.get(..length).unwrap_or_default() {
                    "AND" => Token::And,
                    "OR" => Token::Or,
                    word => Token::Word(word.to_owned()),
                });
                length
            }
            other => return Err(format!("Unexpected '{other}' in the filter.")),
        };
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

/// Reads a quoted value; also how many bytes it took.
fn quoted(source: &str) -> Result<(String, usize), String> {
    let mut value = String::new();
    let mut escaped = false;
    for (at, letter) in source.char_indices().skip(1) {
        match letter {
            _ if escaped => {
                value.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Ok((value, at + 1)),
            _ => value.push(letter),
        }
    }
    Err("A quoted value in the filter does not end.".to_owned())
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    fields: &'a [&'a str],
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.any()?];
        loop {
            match self.peek() {
                Some(Token::And) => {
                    self.at += 1;
                    parts.push(self.any()?);
                }
                Some(Token::Word(_) | Token::Open) => parts.push(self.any()?),
                _ => return Ok(single(parts, Filter::All)),
            }
        }
    }

    fn any(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.term()?];
        while self.peek() == Some(&Token::Or) {
            self.at += 1;
            parts.push(self.term()?);
        }
        Ok(single(parts, Filter::Any))
    }

    fn term(&mut self) -> Result<Filter, String> {
        match self.next() {
            Some(Token::Open) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err("The filter is nested too deeply.".to_owned());
                }
                let inner = self.all()?;
                self.depth -= 1;
                if self.next() == Some(Token::Close) {
                    Ok(inner)
                } else {
                    Err("A parenthesis in the filter is not closed.".to_owned())
                }
            }
            Some(Token::Word(field)) => self.restriction(field),
            other => Err(format!("Expected a field, got {}.", describe(other.as_ref()))),
        }
    }

    fn restriction(&mut self, field: String) -> Result<Filter, String> {
        if !self.fields.contains(&field.as_str()) {
            return Err(format!("Invalid filter field \"{field}\"."));
        }
        let operator = match self.next() {
            Some(Token::Operator(operator)) => operator,
            other => return Err(format!("Expected an operator after {field}, got {}.", describe(other.as_ref()))),
        };
        let value = match self.next() {
            Some(Token::Quoted(value)) => value,
            other => return Err(format!("Expected a quoted value for {field}, got {}.", describe(other.as_ref()))),
        };
        if field != "updateTime" {
            return match operator {
                "=" => Ok(Filter::Equals(field, value)),
                _ => Err(format!("The field {field} must use the operator =.")),
            };
        }
        let instant = DateTime::parse_from_rfc3339(&value)
            .map_err(|_| format!("\"{value}\" is no time in ISO 8601 format."))?
            .with_timezone(&Utc);
        match operator {
            ">=" => Ok(Filter::UpdatedSince(instant)),
            "<=" => Ok(Filter::UpdatedUntil(instant)),
            _ => Err("The field updateTime must use the operator >= or <=.".to_owned()),
        }
    }
}

fn single(mut parts: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            join(parts)
        }
    }
}

fn describe(token: Option<&Token>) -> String {
    token.map_or_else(|| "the end of the filter".to_owned(), |token| format!("{token:?}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::object;

    const FIELDS: [&str; 4] = ["displayName", "entityStatus", "lineItemType", "updateTime"];

    fn accepts(filter: &str) -> bool {
        let document = object(json!({
            "displayName": "A \"B\", C",
            "entityStatus": "ENTITY_STATUS_PAUSED",
            "lineItemType": "DISPLAY",
            "updateTime": "2027-01-02T03:04:05.678Z",
        }));
        Filter::parse(filter, &FIELDS).unwrap().accepts(&document)
    }

    #[test]
    fn the_documented_examples_are_understood() {
        let statuses = "(entityStatus=\"ENTITY_STATUS_ACTIVE\" OR entityStatus=\"ENTITY_STATUS_PAUSED\")";
        assert!(accepts(statuses));
        assert!(accepts(&format!("{statuses} AND lineItemType=\"DISPLAY\"")));
        assert!(!accepts(&format!("{statuses} AND lineItemType=\"VIDEO\"")));
        assert!(accepts("updateTime>=\"2027-01-02T03:04:05Z\""));
        assert!(!accepts("updateTime <= \"2027-01-02T03:04:05Z\""));
    }

    #[test]
    fn quotes_inside_values_are_escaped() {
        assert!(accepts(r#"displayName="A \"B\", C""#));
    }

    #[test]
    fn or_binds_tighter_than_and_and_a_sequence_means_and() {
        assert!(!accepts("lineItemType=\"VIDEO\" AND entityStatus=\"X\" OR entityStatus=\"ENTITY_STATUS_PAUSED\""));
        assert!(accepts("lineItemType=\"DISPLAY\" entityStatus=\"ENTITY_STATUS_PAUSED\""));
    }

    #[test]
    fn what_the_platform_refuses_is_refused() {
        let long = format!("displayName=\"{}\"", "x".repeat(500));
        for bad in [
            "displayName=unquoted",
            "displayName>=\"x\"",
            "updateTime=\"2027-01-02T00:00:00Z\"",
            "updateTime>=\"yesterday\"",
            "budget=\"5\"",
            "(displayName=\"x\"",
            "displayName=\"x",
            "AND",
            "displayName:\"x\"",
            &long,
        ] {
            assert_eq!(Filter::parse(bad, &FIELDS).unwrap_err().code, 400, "{bad}");
        }
    }

    #[test]
    fn archived_entities_must_be_named() {
        let named = Filter::parse("entityStatus=\"ENTITY_STATUS_ARCHIVED\"", &FIELDS).unwrap();
        assert!(named.names_archived());
        assert!(!Filter::parse("", &FIELDS).unwrap().names_archived());
    }
}
