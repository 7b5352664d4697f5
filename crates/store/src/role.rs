//! Roles: sets of permissions that an organisation gives to its members.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::ids::UserId;
use domain::{Permission, Role as BuiltIn};
use serde_json::json;
use strum::IntoEnumIterator as _;

use crate::audit::{self, Actor};
use crate::convert::count;
use crate::error::{Error, Result};
use crate::store::Tx;

/// The most roles that an organisation has.
const MOST: i64 = 100;

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name within the organisation.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it allows.
    pub permissions: BTreeSet<Permission>,
    /// Whether every organisation begins with it.
    pub built_in: bool,
    /// How many active members have it.
    pub members: u32,
}

/// Gives a new organisation the roles that every organisation begins with.
///
/// # Errors
/// As any statement.
pub(crate) async fn create_built_in(tx: &mut Tx, at: DateTime<Utc>) -> Result<()> {
    for role in BuiltIn::iter() {
        insert(tx, &role.to_string(), role.title(), &role.permissions(), true, at).await?;
    }
    Ok(())
}

/// The roles, by title.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx) -> Result<Vec<Role>> {
    let rows = roles!("ORDER BY r.title, r.name LIMIT $1", MOST).fetch_all(tx.conn()).await?;
    rows.into_iter().map(Role::try_from).collect()
}

/// One role.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, name: &str) -> Result<Role> {
    let row = roles!("WHERE r.name = $1", name).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "role" })?.try_into()
}

/// Makes a role of the organisation's own; `None` when there is one of this name.
///
/// # Errors
/// [`Error::TooMany`].
pub async fn create(
    tx: &mut Tx,
    name: &str,
    title: &str,
    permissions: &BTreeSet<Permission>,
    by: UserId,
    at: DateTime<Utc>,
) -> Result<Option<Role>> {
    if i64::try_from(list(tx).await?.len()).is_ok_and(|count| count >= MOST) {
        return Err(Error::TooMany { noun: "roles" });
    }
    if !insert(tx, name, title, permissions, false, at).await? {
        return Ok(None);
    }
    let role = fetch(tx, name).await?;
    record(tx, "role.create", None, Some(&role), by, at).await?;
    Ok(Some(role))
}

/// Changes what a role is called and allows. It holds for its members from their next request on.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::AdminRole`], which stays as it is so that nobody locks everybody out.
pub async fn update(
    tx: &mut Tx,
    name: &str,
    title: &str,
    permissions: &BTreeSet<Permission>,
    by: UserId,
    at: DateTime<Utc>,
) -> Result<Role> {
    refuse_admin(name)?;
    let before = fetch(tx, name).await?;
    sqlx::query!(
        "UPDATE roles SET title = $2, permissions = $3, changed_at = $4 WHERE name = $1",
        name,
        title,
        &texts(permissions),
        at,
    )
    .execute(tx.conn())
    .await?;
    let after = fetch(tx, name).await?;
    if after != before {
        record(tx, "role.update", Some(&before), Some(&after), by, at).await?;
    }
    Ok(after)
}

/// Removes a role of the organisation's own that nobody has.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::AdminRole`]; [`Error::RoleInUse`] when it is built in, or somebody has it (deactivated or
/// not) or is invited to it.
pub async fn delete(tx: &mut Tx, name: &str, by: UserId, at: DateTime<Utc>) -> Result<()> {
    refuse_admin(name)?;
    let role = fetch(tx, name).await?;
    let done = sqlx::query!(
        "DELETE FROM roles r WHERE r.name = $1 AND NOT r.built_in
         AND NOT EXISTS (SELECT FROM memberships m WHERE m.org_id = r.org_id AND m.role = r.name)
         AND NOT EXISTS (SELECT FROM invitations i WHERE i.org_id = r.org_id AND i.role = r.name
                         AND i.accepted_at IS NULL AND i.withdrawn_at IS NULL)
         AND NOT EXISTS (SELECT FROM sso_providers p WHERE p.org_id = r.org_id AND p.default_role = r.name)",
        name
    )
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Err(Error::RoleInUse);
    }
    record(tx, "role.delete", Some(&role), None, by, at).await
}

fn refuse_admin(name: &str) -> Result<()> {
    if name == BuiltIn::Admin.to_string() { Err(Error::AdminRole) } else { Ok(()) }
}

/// What permissions are called in the database.
pub(crate) fn texts(permissions: &BTreeSet<Permission>) -> Vec<String> {
    permissions.iter().map(Permission::to_string).collect()
}

/// Permissions from their names; one that is not known allows nothing.
pub(crate) fn permissions(names: &[String]) -> BTreeSet<Permission> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

async fn insert(
    tx: &mut Tx,
    name: &str,
    title: &str,
    permissions: &BTreeSet<Permission>,
    built_in: bool,
    at: DateTime<Utc>,
) -> Result<bool> {
    let org = tx.org();
    let done = sqlx::query!(
        "INSERT INTO roles (org_id, name, title, permissions, built_in, changed_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING",
        org.uuid(),
        name,
        title,
        &texts(permissions),
        built_in,
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn record(
    tx: &mut Tx,
    action: &str,
    before: Option<&Role>,
    after: Option<&Role>,
    by: UserId,
    at: DateTime<Utc>,
) -> Result<()> {
    let facts = |role: &Role| json!({"name": role.name, "title": role.title, "permissions": role.permissions});
    let entry = audit::Entry {
        actor: Actor::Person(by),
        action: action.to_owned(),
        subject: "role",
        subject_id: tx.org().uuid(),
        title: after.or(before).map(|role| role.title.clone()).unwrap_or_default(),
        before: before.map(facts),
        after: after.map(facts),
    };
    audit::record(tx, &entry, at).await.map(drop)
}

macro_rules! roles {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT r.name, r.title, r.permissions, r.built_in,
                      (SELECT count(*) FROM memberships m
                       WHERE m.org_id = r.org_id AND m.role = r.name AND m.deactivated_at IS NULL) AS "members!"
               FROM roles r "#
                + $which
            $(, $argument)*
        )
    };
}
use roles;

struct Row {
    name: String,
    title: String,
    permissions: Vec<String>,
    built_in: bool,
    members: i64,
}

impl TryFrom<Row> for Role {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row { name, title, permissions: names, built_in, members } = row;
        Ok(Self { name, title, permissions: permissions(&names), built_in, members: count("members", members)? })
    }
}
