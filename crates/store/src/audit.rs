//! The audit trail: who did what to what. It only grows; the database refuses changes to it.

use chrono::{DateTime, Utc};
use domain::Origin;
use domain::ids::{ApiKeyId, AuditId, RuleId, UserId};
use serde_json::Value;
use uuid::Uuid;

use crate::convert::parsed_option;
use crate::error::{Error, Result};
use crate::page::{Page, Paged};
use crate::store::Tx;

/// The most lines that are read about one thing.
const ABOUT_MOST: i64 = 500;

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A person.
    Person(UserId),
    /// A rule.
    Rule(RuleId),
    /// The platform by itself.
    System,
}

impl Actor {
    const fn kind(self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::Rule(_) => "rule",
            Self::System => "system",
        }
    }

    fn id(self) -> Option<Uuid> {
        match self {
            Self::Person(user) => Some(user.uuid()),
            Self::Rule(rule) => Some(rule.uuid()),
            Self::System => None,
        }
    }

    fn read(kind: &str, id: Option<Uuid>) -> Result<Self> {
        match (kind, id) {
            ("person", Some(id)) => Ok(Self::Person(UserId::from_uuid(id))),
            ("rule", Some(id)) => Ok(Self::Rule(RuleId::from_uuid(id))),
            ("system", None) => Ok(Self::System),
            (other, _) => Err(Error::unreadable("actor_kind", format!("`{other}` with such an id"))),
        }
    }
}

/// Something that was done, to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Who did it.
    pub actor: Actor,
    /// What was done, as `noun.verb`: `proposal.approve`.
    pub action: String,
    /// The kind of thing that it was done to: `proposal`.
    pub subject: &'static str,
    /// Which one.
    pub subject_id: Uuid,
    /// What people call that thing.
    pub title: String,
    /// How it was before, as far as that matters.
    pub before: Option<Value>,
    /// How it was afterwards, as far as that matters.
    pub after: Option<Value>,
}

/// One line of the trail.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its id.
    pub id: AuditId,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub actor: Actor,
    /// What people call whoever did it; `None` for the platform itself.
    pub actor_name: Option<String>,
    /// What was done.
    pub action: String,
    /// The kind of thing that it was done to.
    pub subject: String,
    /// Which one.
    pub subject_id: Uuid,
    /// What people called that thing then.
    pub title: String,
    /// How it was before.
    pub before: Option<Value>,
    /// How it was afterwards.
    pub after: Option<Value>,
    /// From where it was done.
    pub origin: Origin,
    /// What the API key is called, where one was used.
    pub key_name: Option<String>,
}

/// Which lines are wanted: those for which all that is given holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Done by this person, rule or key's owner.
    pub actor: Option<Uuid>,
    /// Of this action, or of all of a noun: `proposal` or `proposal.approve`.
    pub action: Option<String>,
    /// Done to this thing.
    pub subject: Option<Uuid>,
    /// With these words in what the thing or the actor is called, in upper or lower case.
    pub text: Option<String>,
    /// Not before this moment.
    pub since: Option<DateTime<Utc>>,
    /// Before this moment.
    pub until: Option<DateTime<Utc>>,
}

/// Adds a line, in the transaction of what it is about.
///
/// # Errors
/// As any statement.
pub async fn record(tx: &mut Tx, entry: &Entry, at: DateTime<Utc>) -> Result<AuditId> {
    let Entry { actor, action, subject, subject_id, title, before, after } = entry;
    let (org, id, origin) = (tx.org(), AuditId::new(), tx.origin());
    sqlx::query!(
        "INSERT INTO audit (org_id, id, at, actor_kind, actor_id, action, subject, subject_id, title, before, after,
                            origin_address, origin_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        org.uuid(),
        id.uuid(),
        at,
        actor.kind(),
        actor.id(),
        action,
        *subject,
        subject_id,
        title,
        before.as_ref(),
        after.as_ref(),
        origin.address.map(|address| address.to_string()),
        origin.key.map(ApiKeyId::uuid),
    )
    .execute(tx.conn())
    .await?;
    Ok(id)
}

/// A page of what is wanted of the trail, newest first.
///
/// # Errors
/// As any statement.
pub async fn page(tx: &mut Tx, search: &Search, page: Page) -> Result<Paged<Line>> {
    let Search { actor, action, subject, text, since, until } = search;
    let pattern = text.as_deref().map(|text| format!("%{}%", escaped(text)));
    let rows = lines!(
        "WHERE (a.at, a.id) < ($1, $2)
           AND ($4::uuid IS NULL OR a.actor_id = $4)
           AND ($5::text IS NULL OR a.action = $5 OR a.action LIKE $5 || '.%')
           AND ($6::uuid IS NULL OR a.subject_id = $6)
           AND ($7::text IS NULL OR a.title ILIKE $7 OR coalesce(m.user_name, r.name) ILIKE $7)
           AND ($8::timestamptz IS NULL OR a.at >= $8) AND ($9::timestamptz IS NULL OR a.at < $9)
         ORDER BY a.at DESC, a.id DESC LIMIT $3",
        page.before_at(),
        page.before_id(),
        page.fetch(),
        *actor,
        action.as_deref().map(escaped) as _,
        *subject,
        pattern as _,
        *since as _,
        *until as _
    )
    .fetch_all(tx.conn())
    .await?;
    let lines = rows.into_iter().map(Line::try_from).collect::<Result<_>>()?;
    Ok(Paged::new(page, lines, |line: &Line| (line.at, line.id.uuid())))
}

/// A text in which nothing stands for other texts in a pattern.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// What was done to one thing, oldest first.
///
/// # Errors
/// As any statement.
pub async fn list_about(tx: &mut Tx, subject_id: Uuid) -> Result<Vec<Line>> {
    let rows = lines!("WHERE a.subject_id = $1 ORDER BY a.at, a.id LIMIT $2", subject_id, ABOUT_MOST)
        .fetch_all(tx.conn())
        .await?;
    rows.into_iter().map(Line::try_from).collect()
}

macro_rules! lines {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT a.id, a.at, a.actor_kind, a.actor_id, coalesce(m.user_name, r.name) AS actor_name, a.action,
                      a.subject, a.subject_id, a.title, a.before, a.after, a.origin_address, a.origin_key,
                      k.name AS "key_name?"
               FROM audit a
               LEFT JOIN memberships m ON m.org_id = a.org_id AND m.user_id = a.actor_id AND a.actor_kind = 'person'
               LEFT JOIN rules r ON r.org_id = a.org_id AND r.id = a.actor_id AND a.actor_kind = 'rule'
               LEFT JOIN api_keys k ON k.org_id = a.org_id AND k.id = a.origin_key "#
                + $which
            $(, $argument)*
        )
    };
}
use lines;

struct Row {
    id: Uuid,
    at: DateTime<Utc>,
    actor_kind: String,
    actor_id: Option<Uuid>,
    actor_name: Option<String>,
    action: String,
    subject: String,
    subject_id: Uuid,
    title: String,
    before: Option<Value>,
    after: Option<Value>,
    origin_address: Option<String>,
    origin_key: Option<Uuid>,
    key_name: Option<String>,
}

impl TryFrom<Row> for Line {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id.into(),
            at: row.at,
            actor: Actor::read(&row.actor_kind, row.actor_id)?,
            actor_name: row.actor_name,
            action: row.action,
            subject: row.subject,
            subject_id: row.subject_id,
            title: row.title,
            before: row.before,
            after: row.after,
            origin: Origin {
                address: parsed_option("origin_address", row.origin_address.as_deref())?,
                key: row.origin_key.map(ApiKeyId::from_uuid),
            },
            key_name: row.key_name,
        })
    }
}
