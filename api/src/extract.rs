//! What handlers take from a request: parsed, or refused with a problem that names the field.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::app::App;
use crate::problem::{Error, FieldProblem, Result};

/// The longest e-mail address that there is.
const LONGEST_EMAIL: usize = 254;
/// The longest reason that a person can give.
const LONGEST_REASON: usize = 500;

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &App) -> Result<Self> {
        if !is_json(request.headers()) {
            let detail = "The request's body must be JSON, with the header `Content-Type: application/json`.";
            return Err(Error::protocol(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| unread(&rejection))?;
        parse(&bytes).map(Self)
    }
}

/// Why a body could not be read: too large, or broken off.
fn unread(rejection: &BytesRejection) -> Error {
    Error::protocol(rejection.status(), "The request's body could not be read: it is too large, or broke off.")
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().to_string();
        Error::invalid(pointer(&path, &message), in_words(&message))
    })?;
    json.end().map_err(|_| Error::invalid("", "There is something after the end of the JSON document."))?;
    Ok(value)
}

/// `settings.needs` as `/settings/needs`; a field that is missing or too much is named in the message only.
fn pointer(path: &str, message: &str) -> String {
    let parent =
        if path == "." { String::new() } else { format!("/{}", path.replace(['.', '['], "/").replace(']', "")) };
    match field_in(message) {
        Some(field) if !parent.ends_with(&format!("/{field}")) => format!("{parent}/{field}"),
        _ => parent,
    }
}

fn field_in(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("missing field `").or_else(|| message.strip_prefix("unknown field `"))?;
    rest.split('`').next()
}

/// A parser's message without its line and column, which the pointer says better.
fn in_words(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    match message {
        missing if missing.starts_with("missing field") => "This is needed.".to_owned(),
        unknown if unknown.starts_with("unknown field") => "There is no such field.".to_owned(),
        other => format!("This can't be read: {other}."),
    }
}

/// What is an object in the document. Serde alone would take a list of a struct's values for it as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// A whole number, also as JSON may write it: 90, 90.0 or 9e1.
///
/// # Errors
/// When it is none, or out of range.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u16, D::Error> {
    let number = f64::deserialize(deserializer)?;
    let text = number.to_string();
    text.parse()
        .map_err(|_| <D::Error as de::Error>::custom(format!("`{text}` is not a whole number from 0 to {}", u16::MAX)))
}

/// A text of a form without the space around it: 1 to `most` characters, none of which can't be seen. Where it may have
/// several lines, those that break and indent them may be seen.
///
/// # Errors
/// What is wrong with the field.
pub fn text(pointer: &str, text: &str, most: usize, lines: bool) -> std::result::Result<String, FieldProblem> {
    let trimmed = text.trim();
    let unseen = |c: char| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'));
    // The space counts too, so that the document can say how long the text may be.
    if trimmed.is_empty() || text.chars().count() > most || text.chars().any(unseen) {
        return Err(FieldProblem::new(pointer, format!("This must have 1 to {most} characters.")));
    }
    Ok(trimmed.to_owned())
}

/// An e-mail address as it is kept and looked for: something before the @, and a domain after it. Whether it receives mail,
/// only a mail tells.
///
/// # Errors
/// What is wrong with the field `email`.
pub fn email(text: &str) -> std::result::Result<String, FieldProblem> {
    let email = normal_email(text);
    let odd = |c: char| c.is_whitespace() || c.is_control();
    let split = email.split_once('@').filter(|_| email.len() <= LONGEST_EMAIL && !email.chars().any(odd));
    let is_one = split.is_some_and(|(name, domain)| {
        !name.is_empty() && !domain.contains('@') && domain.len() >= 3 && domain.contains('.')
    });
    if is_one { Ok(email) } else { Err(FieldProblem::new("/email", "This must be an e-mail address.")) }
}

/// An e-mail address in the one spelling that counts.
#[must_use]
pub fn normal_email(text: &str) -> String {
    text.trim().to_lowercase()
}

/// Why somebody did something, in their words.
///
/// # Errors
/// [`Error::Invalid`] when there are none, or too many.
pub fn reason(words: &str) -> Result<String> {
    Ok(text("/reason", words, LONGEST_REASON, true)?)
}

/// An id in the path. A text that is no id of the wanted kind names nothing.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<T: FromStr> FromRequestParts<App> for Id<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Error::NOT_FOUND)?;
        text.parse().map(Self).map_err(|_| Error::NOT_FOUND)
    }
}

/// The parameters behind the question mark.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Parameters<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &App) -> Result<Self> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|axum::extract::Query(value)| Self(value)).map_err(|rejection| bad_query(&rejection))
    }
}

fn bad_query(rejection: &QueryRejection) -> Error {
    let text = rejection.body_text();
    let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
    match text.split_once(": ") {
        Some((parameter, message)) => Error::invalid(format!("/{parameter}"), in_words(message)),
        None => Error::invalid("", in_words(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_e_mail_address_has_a_name_and_a_domain() {
        assert_eq!(email(" Ana@Agency.example ").unwrap(), "ana@agency.example");
        assert!(email("a+b@x.io").is_ok());
        for odd in ["", "ana", "@agency.example", "ana@", "ana@agency", "a na@agency.example", "ana@b@c.example"] {
            assert!(email(odd).is_err(), "{odd}");
        }
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Outer {
        name: String,
        inner: Option<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only parsed")]
    struct Inner {
        counts: Vec<u8>,
    }

    fn refused(json: &str) -> Vec<FieldProblem> {
        match parse::<Outer>(json.as_bytes()) {
            Err(Error::Invalid { fields }) => fields,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_field_that_can_t_be_read_is_named_by_its_pointer() {
        let pointer = |json| refused(json)[0].pointer.clone();
        assert_eq!(pointer("{}"), "/name");
        assert_eq!(pointer(r#"{"name": 5}"#), "/name");
        assert_eq!(pointer(r#"{"name": "a", "other": 1}"#), "/other");
        assert_eq!(pointer(r#"{"name": "a", "inner": {}}"#), "/inner/counts");
        assert_eq!(pointer(r#"{"name": "a", "inner": {"counts": [1, "b"]}}"#), "/inner/counts/1");
        assert_eq!(pointer(r#"{"name": "a"} more"#), "");
    }

    #[test]
    fn a_list_is_no_object_however_well_its_values_fit() {
        assert_eq!(refused(r#"["a", {"counts": []}]"#)[0].pointer, "");
        assert_eq!(refused("null")[0].message, "This can't be read: invalid type: null, expected an object.");
        let nested = serde_json::from_str::<Option<Object<Inner>>>("[[1]]");
        assert!(nested.is_err() && serde_json::from_str::<Option<Object<Inner>>>("null").unwrap().is_none());
    }

    #[test]
    fn a_text_has_something_to_see() {
        assert_eq!(text("/a", " Ana ", 5, false).unwrap(), "Ana");
        assert_eq!(text("/a", "two\nlines", 10, true).unwrap(), "two\nlines");
        for odd in ["", "  ", "too long", "a\0", "a\nb", " Ana  "] {
            assert_eq!(text("/a", odd, 5, false).unwrap_err().pointer, "/a", "{odd:?}");
        }
        assert!(text("/a", "a\0", 5, true).is_err());
    }
}
