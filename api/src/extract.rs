//! What handlers take from a request: parsed, or refused with a problem that names the field.

use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::problem::{Error, Result};

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
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
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
    use crate::problem::FieldProblem;

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
}
