//! Rules: what an organisation watches. Every change of a rule makes a new version of it.

use chrono::{DateTime, Utc};
use domain::ids::{RuleId, UserId};
use domain::rule::PacingRule;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::{self, Actor};
use crate::convert::{count, json as read_json, parsed, to_json};
use crate::error::{Error, Result};
use crate::store::Tx;

/// The most rules that an organisation's list has.
const LIST_MOST: i64 = 200;

/// What the rule is called that a new organisation has.
pub const DEFAULT_NAME: &str = "Keep lines on pace";

/// A kind of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// It watches pacing and suggests daily budgets.
    Pacing,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// Its kind.
    pub kind: Kind,
    /// What people call it.
    pub name: String,
    /// Whether it is evaluated.
    pub enabled: bool,
    /// How often it was changed, plus one.
    pub version: u32,
    /// Its settings.
    pub settings: PacingRule,
    /// When it was last changed.
    pub changed_at: DateTime<Utc>,
}

/// A change of a rule; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// Whether it is evaluated.
    pub enabled: Option<bool>,
    /// Its settings.
    pub settings: Option<PacingRule>,
}

/// Makes the pacing rule that every organisation begins with, unless there is one.
///
/// # Errors
/// As any statement.
pub async fn ensure_default(tx: &mut Tx, at: DateTime<Utc>) -> Result<RuleId> {
    let (org, id) = (tx.org(), RuleId::new());
    sqlx::query!(
        "INSERT INTO rules (org_id, id, kind, name, enabled, version, settings, changed_at)
         VALUES ($1, $2, 'pacing', $3, true, 1, $4, $5)
         ON CONFLICT (org_id, kind, name) DO NOTHING",
        org.uuid(),
        id.uuid(),
        DEFAULT_NAME,
        to_json("settings", &PacingRule::default())?,
        at,
    )
    .execute(tx.conn())
    .await?;
    let row = sqlx::query!("SELECT id FROM rules WHERE kind = 'pacing' AND name = $1", DEFAULT_NAME)
        .fetch_one(tx.conn())
        .await?;
    Ok(row.id.into())
}

/// The rules, by name.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx) -> Result<Vec<Rule>> {
    let rows = rules!("ORDER BY name, id LIMIT $1", LIST_MOST).fetch_all(tx.conn()).await?;
    rows.into_iter().map(Rule::try_from).collect()
}

/// One rule.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: RuleId) -> Result<Rule> {
    let row = rules!("WHERE id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "rule" })?.try_into()
}

/// Changes a rule: a new version of it, with a line in the audit trail. A change that changes nothing makes neither.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::InvalidRule`].
pub async fn update(tx: &mut Tx, id: RuleId, update: &Update, by: UserId, at: DateTime<Utc>) -> Result<Rule> {
    let row = rules!("WHERE id = $1 FOR UPDATE", id.uuid()).fetch_optional(tx.conn()).await?;
    let before = Rule::try_from(row.ok_or(Error::NotFound { noun: "rule" })?)?;
    let Update { enabled, settings } = update;
    let after = Rule {
        enabled: enabled.unwrap_or(before.enabled),
        settings: settings.clone().unwrap_or_else(|| before.settings.clone()),
        ..before.clone()
    };
    after.settings.validate()?;
    if after == before {
        return Ok(before);
    }
    sqlx::query!(
        "UPDATE rules SET enabled = $2, settings = $3, version = version + 1, changed_at = $4 WHERE id = $1",
        id.uuid(),
        after.enabled,
        to_json("settings", &after.settings)?,
        at,
    )
    .execute(tx.conn())
    .await?;
    let entry = audit::Entry {
        actor: Actor::Person(by),
        action: "rule.change".to_owned(),
        subject: "rule",
        subject_id: id.uuid(),
        title: after.name.clone(),
        before: Some(summary(&before)),
        after: Some(summary(&after)),
    };
    audit::record(tx, &entry, at).await?;
    fetch(tx, id).await
}

fn summary(rule: &Rule) -> Value {
    json!({"enabled": rule.enabled, "settings": rule.settings})
}

macro_rules! rules {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            "SELECT id, kind, name, enabled, version, settings, changed_at FROM rules " + $which
            $(, $argument)*
        )
    };
}
use rules;

struct Row {
    id: Uuid,
    kind: String,
    name: String,
    enabled: bool,
    version: i32,
    settings: Value,
    changed_at: DateTime<Utc>,
}

impl TryFrom<Row> for Rule {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row { id, kind, name, enabled, version, settings, changed_at } = row;
        Ok(Self {
            id: id.into(),
            kind: parsed("kind", &kind)?,
            name,
            enabled,
            version: count("version", version)?,
            settings: read_json("settings", settings)?,
            changed_at,
        })
    }
}
