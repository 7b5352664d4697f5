//! Members: who belongs to an organisation, in which role, and whether they still may.

use chrono::{DateTime, Utc};
use domain::Role as BuiltIn;
use domain::ids::{OrgId, UserId};
use serde_json::json;
use uuid::Uuid;

use crate::audit::{self, Actor};
use crate::error::{Error, Result};
use crate::role;
use crate::store::{Store, Tx};

/// The most members that are listed.
const LIST_MOST: i64 = 1_000;

/// A member.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    /// The person.
    pub user: UserId,
    /// What they are called.
    pub name: String,
    /// Their e-mail address, which is not for logs.
    pub email: String,
    /// The name of their role.
    pub role: String,
    /// Since when they belong to it.
    pub joined_at: DateTime<Utc>,
    /// Since when they may not sign in to it any more.
    pub deactivated_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("user", &self.user).field("role", &self.role).finish_non_exhaustive()
    }
}

/// An organisation that a person belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belonging {
    /// The organisation.
    pub org: OrgId,
    /// What it is called.
    pub name: String,
    /// The name of the person's role there.
    pub role: String,
}

/// The members, by name; those who were deactivated too.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx) -> Result<Vec<Member>> {
    let rows = members!("ORDER BY m.user_name, m.user_id LIMIT $1", LIST_MOST).fetch_all(tx.conn()).await?;
    Ok(rows.into_iter().map(Member::from).collect())
}

/// One member.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, user: UserId) -> Result<Member> {
    let row = members!("WHERE m.user_id = $1", user.uuid()).fetch_optional(tx.conn()).await?;
    Ok(row.ok_or(Error::NotFound { noun: "member" })?.into())
}

/// Whether somebody with this e-mail belongs to the organisation and may sign in.
///
/// # Errors
/// As any statement.
pub async fn is_active(tx: &mut Tx, email: &str) -> Result<bool> {
    let row = members!("WHERE e.email = $1 AND m.deactivated_at IS NULL", email).fetch_optional(tx.conn()).await?;
    Ok(row.is_some())
}

/// The organisations that a person belongs to, before one of them is chosen.
///
/// # Errors
/// As any statement.
pub async fn organisations_of(store: &Store, user: UserId) -> Result<Vec<Belonging>> {
    let rows = sqlx::query!(
        r#"SELECT org_id AS "org_id!", name AS "name!", role AS "role!" FROM organisations_of($1)"#,
        user.uuid()
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| Belonging { org: row.org_id.into(), name: row.name, role: row.role }).collect())
}

/// Makes a person a member; one who was a member before becomes active again, in this role. `by` is whoever invited them.
///
/// # Errors
/// [`Error::NotFound`] when there is no such role; [`Error::Missing`] when there is no such person.
pub async fn add(tx: &mut Tx, user: UserId, name: &str, role: &str, by: UserId, at: DateTime<Utc>) -> Result<Member> {
    role::fetch(tx, role).await?;
    let org = tx.org();
    sqlx::query!(
        "INSERT INTO memberships (org_id, user_id, user_name, role, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role, deactivated_at = NULL",
        org.uuid(),
        user.uuid(),
        name,
        role,
        at,
    )
    .execute(tx.conn())
    .await?;
    let member = fetch(tx, user).await?;
    record(tx, "member.join", &member, (json!({}), json!({"role": role})), by, at).await?;
    Ok(member)
}

/// Gives a member another role, from their next request on.
///
/// # Errors
/// [`Error::NotFound`] when there is no such member or role; [`Error::LastAdmin`].
pub async fn set_role(tx: &mut Tx, user: UserId, role: &str, by: UserId, at: DateTime<Utc>) -> Result<Member> {
    lock_admins(tx).await?;
    let before = fetch(tx, user).await?;
    role::fetch(tx, role).await?;
    if before.role == role {
        return Ok(before);
    }
    sqlx::query!("UPDATE memberships SET role = $2 WHERE user_id = $1", user.uuid(), role).execute(tx.conn()).await?;
    refuse_without_admin(tx).await?;
    let change = (json!({"role": before.role}), json!({"role": role}));
    record(tx, "member.set_role", &before, change, by, at).await?;
    fetch(tx, user).await
}

/// Keeps a member out, or lets them in again. Their sessions end at once.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::LastAdmin`].
pub async fn set_active(tx: &mut Tx, user: UserId, active: bool, by: UserId, at: DateTime<Utc>) -> Result<Member> {
    lock_admins(tx).await?;
    let before = fetch(tx, user).await?;
    if before.deactivated_at.is_none() == active {
        return Ok(before);
    }
    sqlx::query!("UPDATE memberships SET deactivated_at = $2 WHERE user_id = $1", user.uuid(), (!active).then_some(at))
        .execute(tx.conn())
        .await?;
    refuse_without_admin(tx).await?;
    if !active {
        sqlx::query!("DELETE FROM sessions WHERE user_id = $1", user.uuid()).execute(tx.conn()).await?;
    }
    let action = if active { "member.activate" } else { "member.deactivate" };
    record(tx, action, &before, (json!({"active": !active}), json!({"active": active})), by, at).await?;
    fetch(tx, user).await
}

/// Two admins can't take each other's role away in the same moment.
async fn lock_admins(tx: &mut Tx) -> Result<()> {
    sqlx::query!(
        "SELECT user_id FROM memberships WHERE role = $1 ORDER BY user_id FOR UPDATE",
        BuiltIn::Admin.to_string()
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(())
}

async fn refuse_without_admin(tx: &mut Tx) -> Result<()> {
    let left = sqlx::query!(
        r#"SELECT count(*) AS "count!" FROM memberships WHERE role = $1 AND deactivated_at IS NULL"#,
        BuiltIn::Admin.to_string()
    )
    .fetch_one(tx.conn())
    .await?;
    if left.count == 0 {
        tx.give_up();
        return Err(Error::LastAdmin);
    }
    Ok(())
}

async fn record(
    tx: &mut Tx,
    action: &str,
    member: &Member,
    (before, after): (serde_json::Value, serde_json::Value),
    by: UserId,
    at: DateTime<Utc>,
) -> Result<()> {
    let entry = audit::Entry {
        actor: Actor::Person(by),
        action: action.to_owned(),
        subject: "member",
        subject_id: member.user.uuid(),
        title: member.name.clone(),
        before: Some(before),
        after: Some(after),
    };
    audit::record(tx, &entry, at).await.map(drop)
}

macro_rules! members {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT m.user_id, m.user_name, e.email AS "email!", m.role, m.created_at, m.deactivated_at
               FROM memberships m JOIN member_emails() e ON e.user_id = m.user_id "#
                + $which
            $(, $argument)*
        )
    };
}
use members;

struct Row {
    user_id: Uuid,
    user_name: String,
    email: String,
    role: String,
    created_at: DateTime<Utc>,
    deactivated_at: Option<DateTime<Utc>>,
}

impl From<Row> for Member {
    fn from(row: Row) -> Self {
        let Row { user_id, user_name, email, role, created_at, deactivated_at } = row;
        Self { user: user_id.into(), name: user_name, email, role, joined_at: created_at, deactivated_at }
    }
}
