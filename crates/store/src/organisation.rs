//! Organisations: the unit of isolation.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::ids::{OrgId, UserId};
use domain::{Currency, TimeZone};
use serde_json::json;
use uuid::Uuid;

use crate::audit::{self, Actor};
use crate::convert::parsed;
use crate::error::{Error, Result};
use crate::role;
use crate::store::Tx;
use crate::user;

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// Its id.
    pub id: OrgId,
    /// What people call it.
    pub name: String,
    /// The currency in which it will see totals.
    pub reporting_currency: Currency,
    /// The zone of its own days.
    pub time_zone: TimeZone,
    /// Whether changes in platforms are switched off.
    pub frozen: bool,
    /// When it signed up.
    pub created_at: DateTime<Utc>,
}

/// A person and their new organisation.
#[derive(Clone)]
pub struct SignUp {
    /// The e-mail by which the person signs in.
    pub email: String,
    /// What the person is called.
    pub name: String,
    /// The hash of their password.
    pub password_hash: String,
    /// What the organisation is called.
    pub organisation_name: String,
    /// The currency in which it will see totals.
    pub reporting_currency: Currency,
    /// The zone of its own days.
    pub time_zone: TimeZone,
}

impl fmt::Debug for SignUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignUp").field("organisation_name", &self.organisation_name).finish_non_exhaustive()
    }
}

/// Makes the organisation that the transaction was begun for, with its first person as admin.
///
/// # Errors
/// [`Error::EmailTaken`]; then the transaction can only be undone.
pub async fn sign_up(tx: &mut Tx, new: &SignUp, at: DateTime<Utc>) -> Result<UserId> {
    let SignUp { email, name, password_hash, organisation_name, reporting_currency, time_zone } = new;
    let org = tx.org();
    let user = user::create(tx, email, name, password_hash, at).await?;
    sqlx::query!(
        "INSERT INTO organisations (org_id, name, reporting_currency, time_zone, created_at) VALUES ($1, $2, $3, $4, $5)",
        org.uuid(),
        organisation_name,
        reporting_currency.code(),
        time_zone.name(),
        at,
    )
    .execute(tx.conn())
    .await?;
    role::create_built_in(tx, at).await?;
    sqlx::query!(
        "INSERT INTO memberships (org_id, user_id, user_name, role, created_at) VALUES ($1, $2, $3, 'admin', $4)",
        org.uuid(),
        user.uuid(),
        name,
        at,
    )
    .execute(tx.conn())
    .await?;
    let entry = audit::Entry {
        actor: Actor::Person(user),
        action: "organisation.sign_up".to_owned(),
        subject: "organisation",
        subject_id: org.uuid(),
        title: organisation_name.clone(),
        before: None,
        after: Some(json!({"reporting_currency": reporting_currency, "time_zone": time_zone})),
    };
    audit::record(tx, &entry, at).await?;
    Ok(user)
}

/// The transaction's organisation.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx) -> Result<Organisation> {
    let row = sqlx::query_as!(
        Row,
        "SELECT org_id, name, reporting_currency, time_zone, frozen, created_at FROM organisations WHERE org_id = $1",
        tx.org().uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.ok_or(Error::NotFound { noun: "organisation" })?.try_into()
}

/// Switches changes in platforms off or on, with the reason for the audit trail, and says whether that was news.
///
/// # Errors
/// As any statement.
pub async fn set_frozen(
    tx: &mut Tx,
    frozen: bool,
    by: UserId,
    reason: Option<&str>,
    at: DateTime<Utc>,
) -> Result<bool> {
    let organisation = fetch(tx).await?;
    let done = sqlx::query!(
        "UPDATE organisations SET frozen = $2 WHERE org_id = $1 AND frozen <> $2",
        organisation.id.uuid(),
        frozen
    )
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let entry = audit::Entry {
        actor: Actor::Person(by),
        action: if frozen { "organisation.freeze" } else { "organisation.unfreeze" }.to_owned(),
        subject: "organisation",
        subject_id: organisation.id.uuid(),
        title: organisation.name,
        before: Some(json!({"frozen": !frozen})),
        after: Some(json!({"frozen": frozen, "reason": reason})),
    };
    audit::record(tx, &entry, at).await?;
    Ok(true)
}

/// Waits until no other transaction holds this lock, and holds it until the end of this one: the organisation's schedule
/// is made and removed by one at a time.
///
/// # Errors
/// As any statement.
pub async fn schedule_lock(tx: &mut Tx) -> Result<()> {
    let name = format!("{}/schedule", tx.org());
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0)) AS locked", name).fetch_one(tx.conn()).await?;
    Ok(())
}

struct Row {
    org_id: Uuid,
    name: String,
    reporting_currency: String,
    time_zone: String,
    frozen: bool,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Organisation {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row { org_id, name, reporting_currency, time_zone, frozen, created_at } = row;
        Ok(Self {
            id: org_id.into(),
            name,
            reporting_currency: parsed("reporting_currency", &reporting_currency)?,
            time_zone: parsed("time_zone", &time_zone)?,
            frozen,
            created_at,
        })
    }
}
