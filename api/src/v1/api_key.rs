//! API keys: made, listed, revoked. A key acts for who made it, and may do no more than they may themselves.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use domain::Permission;
use domain::ids::ApiKeyId;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use store::api_key as rows;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{KEY_BEGINNING, Session};
use crate::extract::{self, Body, Id};
use crate::problem::{Error, FieldProblem, Result};
use crate::token;
use crate::wire::{Items, KeyPermissionName};

const TAG: &str = "api key";
const LONGEST_NAME: usize = 100;
/// How much of a key is shown for as long as it is listed.
const SHOWN: usize = 10;
const MOST_DAYS: u16 = 365;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKey {
    /// The id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// How its secret begins.
    #[schema(example = "clp_Ab3dEf")]
    pub beginning: String,
    /// What it may do, by name, as far as who made it may do it too.
    #[schema(example = json!(["delivery.read"]))]
    pub permissions: Vec<String>,
    /// The name of who made it.
    pub made_by: String,
    /// Whether it holds now.
    pub state: ApiKeyState,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// When it was last used, within a minute; null when it never was.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Whether a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyState {
    /// It holds.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody revoked it.
    Revoked,
    /// Who made it belongs to the organisation no more.
    MakerLeft,
}

/// A key that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyIn {
    /// What it will be called.
    #[schema(format = "line", max_length = 100, example = "Looker export")]
    pub name: String,
    /// What it may do, by name: at least one, and none that you don't have.
    #[schema(min_items = 1, value_type = Vec<KeyPermissionName>)]
    pub permissions: Vec<String>,
    /// After how many days it ends by itself, 1 to 365.
    #[schema(minimum = 1, maximum = 365, example = 90)]
    #[serde(deserialize_with = "extract::whole")]
    pub expires_in_days: u16,
}

/// A key that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewApiKey {
    /// The key.
    pub key: ApiKey,
    /// Its secret, which is shown this once: it is sent as `Authorization: Bearer`.
    pub secret: String,
}

impl ApiKey {
    fn new(row: rows::ApiKey, now: DateTime<Utc>) -> Self {
        let state = if row.revoked_at.is_some() {
            ApiKeyState::Revoked
        } else if !row.maker_active {
            ApiKeyState::MakerLeft
        } else if row.expires_at <= now {
            ApiKeyState::Expired
        } else {
            ApiKeyState::Active
        };
        Self {
            id: row.id.to_string(),
            name: row.name,
            beginning: row.beginning,
            permissions: row.permissions.iter().map(Permission::to_string).collect(),
            made_by: row.maker_name,
            state,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// The organisation's keys, newest first, with those that hold no more.
#[utoipa::path(get, path = "/api-keys", operation_id = "listApiKeys", tag = TAG,
    extensions(("x-permission" = json!("api_keys.manage"))), responses((status = 200, body = Items<ApiKey>)))]
async fn list(State(app): State<App>, session: Session) -> Result<axum::Json<Items<ApiKey>>> {
    let mut tx = session.begin(&app).await?;
    let now = app.now();
    let items = rows::list(&mut tx).await?.into_iter().map(|row| ApiKey::new(row, now)).collect();
    Ok(axum::Json(Items { items }))
}

/// Makes a key. Its secret is in this answer and nowhere else; asked again, another key is made.
#[utoipa::path(post, path = "/api-keys", operation_id = "createApiKey", tag = TAG,
    extensions(("x-permission" = json!("api_keys.manage"))),
    request_body = ApiKeyIn, responses((status = 201, body = NewApiKey)))]
async fn create(
    State(app): State<App>,
    session: Session,
    Body(input): Body<ApiKeyIn>,
) -> Result<(StatusCode, axum::Json<NewApiKey>)> {
    let (name, permissions, lasts) = check(&session, &input)?;
    let now = app.now();
    let secret = format!("{KEY_BEGINNING}{}", token::new()?.expose_secret());
    let new = rows::New {
        name: &name,
        beginning: &secret[..SHOWN],
        token: &secret,
        permissions: &permissions,
        by: session.user,
        expires_at: now + lasts,
    };
    let mut tx = session.begin(&app).await?;
    let key = rows::create(&mut tx, &new, now).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, axum::Json(NewApiKey { key: ApiKey::new(key, now), secret })))
}

fn check(session: &Session, input: &ApiKeyIn) -> Result<(String, BTreeSet<Permission>, TimeDelta)> {
    let mut fields = Vec::new();
    let name = extract::text("/name", &input.name, LONGEST_NAME, false).unwrap_or_else(|field| {
        fields.push(field);
        String::new()
    });
    let mut permissions = BTreeSet::new();
    for (index, text) in input.permissions.iter().enumerate() {
        match text.parse::<Permission>() {
            Ok(permission) if !permission.is_for_keys() => {
                let message = format!("`{permission}` is for persons: no key may have it.");
                fields.push(FieldProblem::new(format!("/permissions/{index}"), message));
            }
            Ok(permission) if session.permissions.contains(&permission) => {
                permissions.insert(permission);
            }
            _ => fields.push(FieldProblem::new(format!("/permissions/{index}"), "You don't have this permission.")),
        }
    }
    if input.permissions.is_empty() {
        fields.push(FieldProblem::new("/permissions", "A key needs at least one permission."));
    }
    if !(1..=MOST_DAYS).contains(&input.expires_in_days) {
        fields.push(FieldProblem::new("/expires_in_days", "This must be 1 to 365 days."));
    }
    if !fields.is_empty() {
        return Err(Error::Invalid { fields });
    }
    Ok((name, permissions, TimeDelta::days(input.expires_in_days.into())))
}

/// Revokes a key, from its next request on. Asked again, nothing changes.
#[utoipa::path(delete, path = "/api-keys/{id}", operation_id = "revokeApiKey", tag = TAG,
    extensions(("x-permission" = json!("api_keys.manage"))),
    params(("id" = String, Path, description = "The key.")), responses((status = 204)))]
async fn revoke(State(app): State<App>, session: Session, Id(id): Id<ApiKeyId>) -> Result<StatusCode> {
    let mut tx = session.begin(&app).await?;
    rows::revoke(&mut tx, id, session.user, app.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
