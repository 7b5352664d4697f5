//! Rules: what is watched, and what is proposed when it is off.

use axum::extract::State;
use domain::ids::RuleId;
use domain::rule::PacingRule;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use store::rule as rows;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::extract::{Body, Id, Object};
use crate::problem::{Error, FieldProblem, Result};
use crate::wire::{Finality, Items, decimal};

const TAG: &str = "rule";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(update))
}

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rule {
    /// The id.
    pub id: String,
    /// What it watches.
    pub kind: RuleKind,
    /// What it is called.
    pub name: String,
    /// Whether it is evaluated.
    pub enabled: bool,
    /// Its settings.
    pub settings: RuleSettings,
    /// What it does, in words.
    pub sentence: String,
    /// How often it was changed, from 1.
    pub version: u32,
}

/// What a rule watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// Spend against plan.
    Pacing,
}

/// The settings of a pacing rule; shares and indexes are decimal strings.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSettings {
    /// Below this index a line is behind.
    #[schema(example = "0.9")]
    pub behind_below: String,
    /// Above this index a line is ahead.
    #[schema(example = "1.1")]
    pub ahead_above: String,
    /// The largest change that is proposed, as a share of the daily budget.
    #[schema(example = "0.5")]
    pub max_step: String,
    /// Smaller changes than this share are not proposed.
    #[schema(example = "0.01")]
    pub min_step: String,
    /// How settled the newest complete day must be.
    pub needs: Finality,
}

/// Changes of a rule; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulePatch {
    /// Whether it is evaluated.
    pub enabled: Option<bool>,
    /// Its settings, all of them.
    #[schema(value_type = Option<RuleSettings>)]
    pub settings: Option<Object<RuleSettings>>,
}

/// All rules of the organisation.
#[utoipa::path(get, path = "/rules", operation_id = "listRules", tag = TAG,
    extensions(("x-permission" = json!("rules.read"))),
    responses((status = 200, body = Items<Rule>)))]
async fn list(State(app): State<App>, session: Session) -> Result<axum::Json<Items<Rule>>> {
    let mut tx = session.begin(&app).await?;
    let items = rows::list(&mut tx).await?.into_iter().map(Rule::from).collect();
    Ok(axum::Json(Items { items }))
}

/// Changes a rule; each change is a new version.
#[utoipa::path(patch, path = "/rules/{id}", operation_id = "updateRule", tag = TAG,
    extensions(("x-permission" = json!("rules.manage"))),
    params(("id" = String, Path, description = "The rule."),
           ("Idempotency-Key" = Option<String>, Header, description = "Names this request; the same key gets the same answer.")),
    request_body = RulePatch, responses((status = 200, body = Rule)))]
async fn update(
    State(app): State<App>,
    session: Session,
    Id(id): Id<RuleId>,
    Body(patch): Body<RulePatch>,
) -> Result<axum::Json<Rule>> {
    let RulePatch { enabled, settings } = patch;
    let settings = settings.map(|Object(settings)| PacingRule::try_from(settings)).transpose()?;
    let mut tx = session.begin(&app).await?;
    let rule = rows::update(&mut tx, id, &rows::Update { enabled, settings }, session.user, app.now()).await?;
    tx.commit().await?;
    Ok(axum::Json(rule.into()))
}

impl From<rows::Rule> for Rule {
    fn from(row: rows::Rule) -> Self {
        let rows::Rule { id, kind, name, enabled, version, settings, changed_at: _ } = row;
        let kind = match kind {
            rows::Kind::Pacing => RuleKind::Pacing,
        };
        Self {
            id: id.to_string(),
            kind,
            name,
            enabled,
            sentence: sentence(&settings),
            settings: settings.into(),
            version,
        }
    }
}

impl From<PacingRule> for RuleSettings {
    fn from(rule: PacingRule) -> Self {
        let PacingRule { behind_below, ahead_above, max_step, min_step, needs } = rule;
        Self {
            behind_below: decimal(behind_below),
            ahead_above: decimal(ahead_above),
            max_step: decimal(max_step),
            min_step: decimal(min_step),
            needs: needs.into(),
        }
    }
}

impl TryFrom<RuleSettings> for PacingRule {
    type Error = Error;

    fn try_from(settings: RuleSettings) -> Result<Self> {
        let RuleSettings { behind_below, ahead_above, max_step, min_step, needs } = settings;
        let mut fields = Vec::new();
        let mut number = |name: &str, text: &str| {
            text.parse::<Decimal>().unwrap_or_else(|_| {
                fields.push(FieldProblem::new(
                    format!("/settings/{name}"),
                    "This must be a decimal number, such as 0.9.",
                ));
                Decimal::ZERO
            })
        };
        let rule = Self {
            behind_below: number("behind_below", &behind_below),
            ahead_above: number("ahead_above", &ahead_above),
            max_step: number("max_step", &max_step),
            min_step: number("min_step", &min_step),
            needs: needs.into(),
        };
        if fields.is_empty() { Ok(rule) } else { Err(Error::Invalid { fields }) }
    }
}

/// What a pacing rule does, in words.
fn sentence(rule: &PacingRule) -> String {
    let percent = |share: Decimal| format!("{} %", decimal(share * Decimal::ONE_HUNDRED));
    let data = match rule.needs {
        domain::Finality::Intraday => "any complete day",
        domain::Finality::Provisional => "days that are over",
        domain::Finality::Final => "days that the platform no longer restates",
    };
    format!(
        "When a line has spent less than {} or more than {} of what it should have by now, propose the daily budget that \
         brings it back to plan: at most {} up or down, at least {}, judged on {data}.",
        percent(rule.behind_below),
        percent(rule.ahead_above),
        percent(rule.max_step),
        percent(rule.min_step),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_what_it_does() {
        let said = sentence(&PacingRule::default());
        assert!(
            said.contains("less than 90 % or more than 110 %")
                && said.contains("at most 50 % up or down, at least 1 %"),
            "{said}"
        );
    }

    #[test]
    fn settings_come_back_as_they_were_sent() {
        let rule = PacingRule::default();
        assert_eq!(PacingRule::try_from(RuleSettings::from(rule.clone())).unwrap(), rule);
        let odd = RuleSettings { max_step: "half".to_owned(), ..rule.into() };
        assert!(
            matches!(PacingRule::try_from(odd), Err(Error::Invalid { fields }) if fields[0].pointer == "/settings/max_step")
        );
    }
}
