//! Roles: what members may do, as sets of permissions.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use domain::{ErrorCode, Permission};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::role as rows;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::extract::{self, Body, Id};
use crate::problem::{Error, Result};
use crate::wire::{Items, PermissionName};

const TAG: &str = "role";
const LONGEST_TITLE: usize = 100;
/// As the database allows.
const LONGEST_NAME: usize = 41;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(update, delete))
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
pub struct Role {
    /// Its name, which stays when its title changes.
    #[schema(example = "campaign_manager")]
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it allows, by name.
    #[schema(example = json!(["delivery.read"]))]
    pub permissions: Vec<String>,
    /// Whether every organisation begins with it; it can't be removed then.
    pub built_in: bool,
    /// How many members have it who may sign in.
    pub members: u32,
}

/// What a role is called and allows.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleIn {
    /// What people call it, 1 to 100 characters.
    #[schema(format = "line", max_length = 100)]
    pub title: String,
    /// What it allows, by name.
    #[schema(value_type = Vec<PermissionName>)]
    pub permissions: Vec<String>,
}

impl From<rows::Role> for Role {
    fn from(row: rows::Role) -> Self {
        let rows::Role { name, title, permissions, built_in, members } = row;
        let permissions = permissions.iter().map(Permission::to_string).collect();
        Self { name, title, permissions, built_in, members }
    }
}

/// The organisation's roles.
#[utoipa::path(get, path = "/roles", operation_id = "listRoles", tag = TAG,
    extensions(("x-permission" = json!("members.read"))), responses((status = 200, body = Items<Role>)))]
async fn list(State(app): State<App>, session: Session) -> Result<axum::Json<Items<Role>>> {
    let mut tx = session.begin(&app).await?;
    let items = rows::list(&mut tx).await?.into_iter().map(Role::from).collect();
    Ok(axum::Json(Items { items }))
}

/// Makes a role of the organisation's own. Its name is made of its title.
#[utoipa::path(post, path = "/roles", operation_id = "createRole", tag = TAG,
    extensions(("x-permission" = json!("members.manage"))),
    params(("Idempotency-Key" = Option<String>, Header, description = "Names this request; the same key gets the same answer.")),
    request_body = RoleIn, responses((status = 201, body = Role)))]
async fn create(
    State(app): State<App>,
    session: Session,
    Body(input): Body<RoleIn>,
) -> Result<(StatusCode, axum::Json<Role>)> {
    let (title, permissions) = check(input)?;
    let mut tx = session.begin(&app).await?;
    let name = name_of(&title);
    let made = rows::create(&mut tx, &name, &title, &permissions, session.user, app.now()).await?;
    let made = made.ok_or(Error::Refused {
        code: ErrorCode::Conflict,
        detail: Some(format!("There is a role called `{name}` already.")),
    })?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, axum::Json(made.into())))
}

/// Changes what a role is called and allows.
#[utoipa::path(put, path = "/roles/{id}", operation_id = "updateRole", tag = TAG,
    extensions(("x-permission" = json!("members.manage"))),
    params(("id" = String, Path, description = "The role's name.")),
    request_body = RoleIn, responses((status = 200, body = Role)))]
async fn update(
    State(app): State<App>,
    session: Session,
    Id(name): Id<String>,
    Body(input): Body<RoleIn>,
) -> Result<axum::Json<Role>> {
    let (title, permissions) = check(input)?;
    let mut tx = session.begin(&app).await?;
    let role = rows::update(&mut tx, &name, &title, &permissions, session.user, app.now()).await?;
    tx.commit().await?;
    Ok(axum::Json(role.into()))
}

/// Removes a role that nobody has.
#[utoipa::path(delete, path = "/roles/{id}", operation_id = "deleteRole", tag = TAG,
    extensions(("x-permission" = json!("members.manage"))),
    params(("id" = String, Path, description = "The role's name.")), responses((status = 204)))]
async fn delete(State(app): State<App>, session: Session, Id(name): Id<String>) -> Result<StatusCode> {
    let mut tx = session.begin(&app).await?;
    rows::delete(&mut tx, &name, session.user, app.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether a text can be a role's name at all.
pub(crate) fn is_role_name(text: &str) -> bool {
    text.len() <= LONGEST_TITLE && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn check(input: RoleIn) -> Result<(String, BTreeSet<Permission>)> {
    let RoleIn { title, permissions } = input;
    let title = extract::text("/title", &title, LONGEST_TITLE, false)?;
    let mut known = BTreeSet::new();
    for (index, name) in permissions.iter().enumerate() {
        let permission: Option<Permission> = name.parse().ok();
        let unknown = || Error::invalid(format!("/permissions/{index}"), "There is no such permission.");
        known.insert(permission.ok_or_else(unknown)?);
    }
    Ok((title, known))
}

/// `Campaign manager (DE)` as `campaign_manager_de`. A title that does not begin with such a letter, and one that consists
/// of others altogether, gets one.
fn name_of(title: &str) -> String {
    let words: Vec<String> = title
        .to_lowercase()
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let mut name = words.join("_");
    if name.is_empty() {
        name = hex::encode(&Sha256::digest(title)[..4]);
    }
    if !name.starts_with(|letter: char| letter.is_ascii_lowercase()) {
        name.insert_str(0, "role_");
    }
    name.chars().take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_s_name_is_made_of_its_title() {
        assert_eq!(name_of("Campaign manager (DE)"), "campaign_manager_de");
        assert_eq!(name_of("42"), "role_42");
        assert_eq!(name_of("運用担当"), "role_4720c0b1");
        assert_eq!(name_of(&"日".repeat(100)).len(), "role_".len() + 8);
        assert_eq!(name_of(&"9".repeat(100)).len(), LONGEST_NAME);
    }

    #[test]
    fn a_permission_that_does_not_exist_is_named() {
        let input =
            RoleIn { title: "T".to_owned(), permissions: vec!["delivery.read".to_owned(), "moon.fly".to_owned()] };
        let Err(Error::Invalid { fields }) = check(input) else { panic!("this must not pass") };
        assert_eq!(fields[0].pointer, "/permissions/1");
    }
}
