//! The storage that reports are downloaded from: addresses are signed and expire, and take no other
//! authorization.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use futures::stream;

use super::csv::{Cut, Rows};
use crate::dv360::Parameters;
use crate::faults::{Action, Stage};
use crate::random::sign;
use crate::state::Sandbox;

/// How long an address works, in seconds of virtual time.
const LINK_SECONDS: i64 = 3_600;

/// How instants are written in signed addresses.
const COMPACT: &str = "%Y%m%dT%H%M%SZ";

/// The signed path of a report's file.
#[must_use]
pub fn signed_path(seed: u64, query_id: u64, report_id: u64, now: DateTime<Utc>) -> String {
    let path = format!("/storage/{query_id}/{report_id}.csv");
    let date = now.format(COMPACT).to_string();
    let signature = sign(seed, "storage", &format!("{path}\n{date}\n{LINK_SECONDS}"));
    format!(
        "{path}?X-Goog-Algorithm=GOOG4-HMAC-SHA256&X-Goog-Date={date}&X-Goog-Expires={LINK_SECONDS}&X-Goog-Signature={signature}"
    )
}

/// Downloads a report.
pub(super) async fn download(
    State(sandbox): State<Arc<Sandbox>>,
    Path((query, file)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if headers.contains_key(header::AUTHORIZATION) {
        let message = "A signed URL takes no Authorization header.";
        return refuse(StatusCode::BAD_REQUEST, "InvalidArgument", message);
    }
    let now = sandbox.clock.now();
    if let Err((status, code, message)) = check_signature(sandbox.options.seed, uri.path(), &parameters, now) {
        return refuse(status, code, message);
    }
    let key = query.parse().ok().zip(file.strip_suffix(".csv").and_then(|id| id.parse().ok()));
    let (mut state, now) = sandbox.settled();
    let report = key.and_then(|key| Some((key, state.queries.reports.get(&key)?)));
    let done = report.filter(|(_, report)| report.is_done(now));
    let Some((key, plan)) = done.map(|(key, report)| (key, Arc::clone(&report.plan))) else {
        return refuse(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.");
    };
    // An address says not who downloads: a fault for one user meets the reports of their own queries.
    let owner = state.queries.queries.get(&key.0).map(|query| query.owner.clone());
    let cut = match state.faults.strike(Stage::Download, "GET", uri.path(), owner.as_deref()) {
        Some(Action::Truncated { after_rows }) => Some(Cut { after_rows, silence: Duration::ZERO }),
        Some(Action::Stalled { after_rows, seconds }) => {
            Some(Cut { after_rows, silence: Duration::from_secs(seconds) })
        }
        _ => None,
    };
    let kept = state.queries.last_file.as_ref().filter(|(of, _)| *of == key && cut.is_none());
    let kept = kept.map(|(_, pieces)| pieces.clone());
    drop(state);
    let disposition = format!("attachment; filename=\"{query}_{file}\"");
    let body = match kept {
        Some(pieces) => Body::from_stream(stream::iter(pieces.into_iter().map(io::Result::Ok))),
        None => Rows::new(sandbox, key, plan, cut).into_body(),
    };
    let headers = [(header::CONTENT_TYPE, "text/csv".to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    (headers, body).into_response()
}

/// On failure, what to refuse with: the status, the storage's own code, a sentence.
fn check_signature(
    seed: u64,
    path: &str,
    parameters: &Parameters,
    now: DateTime<Utc>,
) -> Result<(), (StatusCode, &'static str, &'static str)> {
    let get = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
    let (date, expires) = (get("X-Goog-Date"), get("X-Goog-Expires"));
    if sign(
        seed,
        "storage",
        &format!(
            "{path}
{date}
{expires}"
        ),
    ) != get("X-Goog-Signature")
    {
        return Err((StatusCode::FORBIDDEN, "SignatureDoesNotMatch", "Access denied."));
    }
    let signed_at = NaiveDateTime::parse_from_str(date, COMPACT).map(|date| date.and_utc());
    let lifetime = expires.parse().map(TimeDelta::seconds).unwrap_or_default();
    if signed_at.map_or(true, |signed_at| now >= signed_at + lifetime) {
        return Err((StatusCode::BAD_REQUEST, "ExpiredToken", "The provided token has expired."));
    }
    Ok(())
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let body =
        format!("<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    (status, [(header::CONTENT_TYPE, "application/xml; charset=UTF-8")], body).into_response()
}
