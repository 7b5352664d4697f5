//! The audit trail: who did what to what. Read only; it is written in the transactions that it tells of.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::AppendHeaders;
use chrono::{DateTime, Utc};
use domain::ids::{ApiKeyId, ConnectionId, InvitationId, OnboardingId, OrgId, ProposalId, RuleId, UserId};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use store::{PAGE_MOST, Paged, audit};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::auth::Session;
use crate::extract::Parameters;
use crate::paging::{self, Wanted};
use crate::problem::{BoxedError, Error, Result};
use crate::wire::Page;

const TAG: &str = "audit";
const LIST: &str = "audit";
const LONGEST_ACTION: usize = 100;
const LONGEST_TEXT: usize = 200;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(export))
}

/// One line of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    /// The id.
    pub id: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: AuditActor,
    /// What was done, as a stable word.
    pub action: String,
    /// To what.
    pub subject: AuditSubject,
    /// How it was before.
    #[schema(value_type = Option<Object>)]
    pub before: Option<serde_json::Value>,
    /// How it was afterwards.
    #[schema(value_type = Option<Object>)]
    pub after: Option<serde_json::Value>,
    /// From where; null where nobody asked, and for what is older than this record.
    pub origin: Option<AuditOrigin>,
}

/// From where something was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditOrigin {
    /// The address of the network.
    #[schema(example = "203.0.113.7")]
    pub address: Option<String>,
    /// The name of the API key, where a program asked in the person's name.
    pub api_key: Option<String>,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditActor {
    /// What kind of actor.
    pub kind: ActorKind,
    /// Its id; null for the platform itself.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
}

/// Kinds of actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person.
    Person,
    /// A rule.
    Rule,
    /// The platform itself.
    System,
}

/// What something was done to.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditSubject {
    /// What kind of thing.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
}

/// Which lines are wanted: those for which all that is given holds.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// Done by this person or rule.
    #[param(pattern = r"^([a-z]{3}_[0-9a-f]{32})?$")]
    pub actor: Option<String>,
    /// Of this action (`proposal.approve`), or of all of a noun (`proposal`).
    #[param(max_length = 100, pattern = r"^[a-z_.]*$")]
    pub action: Option<String>,
    /// Done to the thing with this id.
    #[param(pattern = r"^([a-z]{3}_[0-9a-f]{32})?$")]
    pub subject: Option<String>,
    /// With these words in what the thing or the actor is called.
    #[param(max_length = 200)]
    pub text: Option<String>,
    /// Not before this moment.
    pub since: Option<DateTime<Utc>>,
    /// Before this moment.
    pub until: Option<DateTime<Utc>>,
}

impl AuditFilter {
    fn action(&self) -> Result<Option<String>> {
        let Some(action) = self.action.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let is_word = action.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '.');
        if !is_word || action.len() > LONGEST_ACTION {
            return Err(Error::invalid("/action", "This must be a word such as `proposal.approve`."));
        }
        Ok(Some(action.to_owned()))
    }

    fn search(&self) -> Result<audit::Search> {
        let id = |pointer: &str, text: Option<&str>| match text.filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => uuid_in(text).map(Some).ok_or_else(|| Error::invalid(pointer, "This must be an id.")),
        };
        Ok(audit::Search {
            actor: id("/actor", self.actor.as_deref())?,
            action: self.action()?,
            subject: id("/subject", self.subject.as_deref())?,
            text: words("/text", self.text.as_deref(), LONGEST_TEXT)?,
            since: self.since,
            until: self.until,
        })
    }
}

/// What is looked for, without characters that no name has.
fn words(pointer: &str, text: Option<&str>, most: usize) -> Result<Option<String>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().count() > most {
        return Err(Error::invalid(pointer, format!("This may have at most {most} characters.")));
    }
    let seen: String = text.chars().filter(|c| !c.is_control()).collect();
    Ok(Some(seen.trim()).filter(|seen| !seen.is_empty()).map(str::to_owned))
}

/// What an id of any kind holds after its prefix.
fn uuid_in(text: &str) -> Option<Uuid> {
    let (prefix, digits) = text.split_once('_')?;
    let written =
        prefix.len() == 3 && digits.len() == 32 && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'));
    Uuid::try_parse(digits).ok().filter(|_| written)
}

/// What is wanted of the audit trail, newest first.
#[utoipa::path(get, path = "/audit", operation_id = "listAudit", tag = TAG,
    extensions(("x-permission" = json!("audit.read"))), params(AuditFilter, Wanted),
    responses((status = 200, body = Page<AuditEntry>)))]
async fn list(
    State(app): State<App>,
    session: Session,
    Parameters(filter): Parameters<AuditFilter>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<axum::Json<Page<AuditEntry>>> {
    let page = wanted.page(LIST)?;
    let search = filter.search()?;
    let mut tx = session.begin(&app).await?;
    let lines = audit::page(&mut tx, &search, page).await?;
    Ok(axum::Json(paging::answer(LIST, lines, AuditEntry::from)))
}

/// What is wanted of the audit trail as a CSV file, newest first, to its beginning.
#[utoipa::path(get, path = "/audit/export", operation_id = "exportAudit", tag = TAG,
    extensions(("x-permission" = json!("audit.read"))), params(AuditFilter),
    responses((status = 200, body = String, content_type = "text/csv")))]
async fn export(
    State(app): State<App>,
    session: Session,
    Parameters(filter): Parameters<AuditFilter>,
) -> Result<(AppendHeaders<[(HeaderName, &'static str); 2]>, Body)> {
    let search = filter.search()?;
    let first = row(&HEAD)?;
    // A page is read when the one before has been taken: a long trail is never in memory as a whole.
    let pages = stream::try_unfold(Some(None), move |after| {
        let (app, session, search) = (app.clone(), session.clone(), search.clone());
        async move {
            let Some(after) = after else { return Ok::<_, BoxedError>(None) };
            let mut tx = session.begin(&app).await?;
            let Paged { items, next } = audit::page(&mut tx, &search, store::Page { after, limit: PAGE_MOST }).await?;
            let rows = items.into_iter().map(|line| row(&cells(line.into()))).collect::<Result<Vec<_>>>()?;
            Ok(Some((rows.concat(), next.map(Some))))
        }
    });
    let headers = AppendHeaders([
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
    ]);
    Ok((headers, Body::from_stream(stream::once(std::future::ready(Ok(first))).chain(pages))))
}

const HEAD: [&str; 12] = [
    "id",
    "at",
    "actor_kind",
    "actor",
    "action",
    "subject_kind",
    "subject",
    "title",
    "before",
    "after",
    "address",
    "api_key",
];

fn cells(entry: AuditEntry) -> [String; 12] {
    let AuditEntry { id, at, actor, action, subject, before, after, origin } = entry;
    let json = |value: Option<serde_json::Value>| value.map(|value| value.to_string()).unwrap_or_default();
    let (address, api_key) = origin.map_or((None, None), |origin| (origin.address, origin.api_key));
    let kind = match actor.kind {
        ActorKind::Person => "person",
        ActorKind::Rule => "rule",
        ActorKind::System => "system",
    };
    let actor = actor.id.unwrap_or_default();
    let cells = [
        id,
        at.to_rfc3339(),
        kind.to_owned(),
        actor,
        action,
        subject.kind,
        subject.id,
        subject.title,
        json(before),
        json(after),
        address.unwrap_or_default(),
        api_key.unwrap_or_default(),
    ];
    cells.map(harmless)
}

/// A text that no spreadsheet takes for a formula: people choose names, and others open the file.
fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

fn row<T: AsRef<[u8]>>(cells: &[T]) -> Result<Vec<u8>> {
    const WRITE: &str = "write a row of the export";
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells).map_err(Error::internal(WRITE))?;
    writer.into_inner().map_err(|error| Error::internal(WRITE)(error.to_string()))
}

impl From<audit::Line> for AuditEntry {
    fn from(line: audit::Line) -> Self {
        let audit::Line { id, at, actor, actor_name, action, subject, subject_id, title, before, after, .. } = line;
        let domain::Origin { address, key } = line.origin;
        let origin = (address.is_some() || key.is_some()).then(|| AuditOrigin {
            address: address.map(|address| address.to_string()),
            api_key: key.map(|key| line.key_name.unwrap_or_else(|| key.to_string())),
        });
        Self {
            id: id.to_string(),
            at,
            actor: AuditActor {
                kind: actor.into(),
                id: actor_id(actor),
                name: actor_name.unwrap_or_else(|| unnamed(actor).to_owned()),
            },
            action,
            subject: AuditSubject { id: subject_text(&subject, subject_id), kind: subject, title },
            before,
            after,
            origin,
        }
    }
}

fn actor_id(actor: audit::Actor) -> Option<String> {
    match actor {
        audit::Actor::Person(user) => Some(user.to_string()),
        audit::Actor::Rule(rule) => Some(rule.to_string()),
        audit::Actor::System => None,
    }
}

impl From<audit::Actor> for ActorKind {
    fn from(actor: audit::Actor) -> Self {
        match actor {
            audit::Actor::Person(_) => Self::Person,
            audit::Actor::Rule(_) => Self::Rule,
            audit::Actor::System => Self::System,
        }
    }
}

/// What somebody is called who has no name any more.
pub(super) const fn unnamed(actor: audit::Actor) -> &'static str {
    match actor {
        audit::Actor::Person(_) => "A former member",
        audit::Actor::Rule(_) => "A former rule",
        audit::Actor::System => "The platform",
    }
}

/// The id of what something was done to, in the form that its own pages use.
fn subject_text(kind: &str, id: Uuid) -> String {
    match kind {
        "organisation" => OrgId::from_uuid(id).to_string(),
        "proposal" => ProposalId::from_uuid(id).to_string(),
        "rule" => RuleId::from_uuid(id).to_string(),
        "connection" => ConnectionId::from_uuid(id).to_string(),
        "user" | "member" => UserId::from_uuid(id).to_string(),
        "api_key" => ApiKeyId::from_uuid(id).to_string(),
        "invitation" => InvitationId::from_uuid(id).to_string(),
        "onboarding" => OnboardingId::from_uuid(id).to_string(),
        _ => id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        assert_eq!(harmless("=1+1".to_owned()), "'=1+1");
        assert_eq!(harmless("Agency".to_owned()), "Agency");
        assert_eq!(String::from_utf8(row(&["a,b", "c\"d"]).unwrap()).unwrap(), "\"a,b\",\"c\"\"d\"\n");
    }

    #[test]
    fn an_action_is_taken_as_it_is_written() {
        let action = |text: &str| {
            let filter = AuditFilter {
                actor: None,
                action: Some(text.to_owned()),
                subject: None,
                text: None,
                since: None,
                until: None,
            };
            filter.action().ok()
        };
        assert_eq!(action("proposal.approve"), Some(Some("proposal.approve".to_owned())));
        assert_eq!(action(""), Some(None));
        assert!(["\u{84}", " proposal", "Proposal"].map(action).iter().all(Option::is_none));
    }

    #[test]
    fn an_id_of_any_kind_is_understood() {
        let user = UserId::new();
        assert_eq!(uuid_in(&user.to_string()), Some(user.uuid()));
        assert_eq!(uuid_in(&user.to_string().to_uppercase()), None);
        assert_eq!(uuid_in("somebody"), None);
    }
}
