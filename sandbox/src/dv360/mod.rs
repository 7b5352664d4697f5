//! The Display & Video 360 API, version 4: partners, advertisers, campaigns, insertion orders and
//! line items, as far as a pacing product reads and changes them.

pub mod entities;
pub mod fields;
pub mod filter;
pub mod listing;
pub mod patch;
pub mod rules;
pub mod schema;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::google::ApiError;
use crate::state::Sandbox;

/// The query parameters of a call.
pub type Parameters = BTreeMap<String, String>;

/// Parameters that every Google API accepts.
const COMMON: [&str; 11] = [
    "alt",
    "fields",
    "key",
    "quotaUser",
    "prettyPrint",
    "access_token",
    "oauth_token",
    "callback",
    "$.xgafv",
    "uploadType",
    "upload_protocol",
];

/// The longest `quotaUser`.
const MAX_QUOTA_USER_CHARS: usize = 40;

/// The routes of the API.
pub fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/v4/partners", get(entities::list_partners))
        .route("/v4/advertisers", get(entities::list_advertisers))
        .route("/v4/advertisers/{advertiser}", get(entities::get_advertiser))
        .route("/v4/advertisers/{advertiser}/{collection}", get(entities::list_entities))
        .route("/v4/advertisers/{advertiser}/{collection}/{id}", get(entities::get_entity).patch(patch::patch_entity))
}

/// Checks that a call has no parameter that the method does not know.
///
/// # Errors
/// 400 naming the parameter.
pub fn check_parameters(parameters: &Parameters, known: &[&str]) -> Result<(), ApiError> {
    for (name, value) in parameters {
        if !known.contains(&name.as_str()) && !COMMON.contains(&name.as_str()) {
            let message =
                format!("Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter.");
            return Err(ApiError::invalid("", message));
        }
        if name == "alt" && value != "json" {
            return Err(ApiError::invalid("alt", format!("Unsupported value \"{value}\".")));
        }
        if name == "quotaUser" && value.chars().count() > MAX_QUOTA_USER_CHARS {
            return Err(ApiError::invalid("quotaUser", "At most 40 characters are allowed."));
        }
    }
    Ok(())
}

/// Reads an id from a path.
///
/// # Errors
/// 400 when it is no positive int64.
pub fn parse_id(field: &str, text: &str) -> Result<u64, ApiError> {
    let id = text.parse::<i64>().ok().and_then(|id| u64::try_from(id).ok());
    id.ok_or_else(|| ApiError::invalid(field, format!("Invalid value \"{text}\" (TYPE_INT64).")))
}
