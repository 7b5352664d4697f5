//! The terms of use and the privacy notice: which versions hold, and who agreed to them.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use domain::ErrorCode;
use domain::ids::UserId;
use runtime::settings::Legal;
use serde::{Deserialize, Serialize};
use store::agreement::{self, Document};
use store::{Tx, audit};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::extract::Body;
use crate::problem::{Error, Result};

const TAG: &str = "terms";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(agree))
}

/// What people agree to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Terms {
    /// The terms of use.
    pub terms: LegalDocument,
    /// The privacy notice.
    pub privacy: LegalDocument,
}

/// A document that people agree to.
#[derive(Debug, Serialize, ToSchema)]
pub struct LegalDocument {
    /// The version that holds.
    #[schema(example = "1")]
    pub version: String,
    /// Where it can be read.
    #[schema(format = "uri")]
    pub url: String,
}

/// The versions that a person agrees to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgreementIn {
    /// The version of the terms.
    pub terms_version: String,
    /// The version of the privacy notice.
    pub privacy_version: String,
}

impl From<&Legal> for LegalDocument {
    fn from(legal: &Legal) -> Self {
        Self { version: legal.version.clone(), url: legal.url.clone() }
    }
}

/// The versions that hold, agreed to by somebody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agreed<'a>([(Document, &'a str); 2]);

impl<'a> Agreed<'a> {
    /// What is to be agreed to now.
    pub(crate) fn now(app: &'a App) -> Self {
        Self([(Document::Terms, &app.settings.terms.version), (Document::Privacy, &app.settings.privacy.version)])
    }

    /// What somebody agrees to.
    ///
    /// # Errors
    /// [`ErrorCode::TermsChanged`] when another version holds.
    pub(crate) fn new(app: &'a App, terms: &str, privacy: &str) -> Result<Self> {
        let held = terms == app.settings.terms.version && privacy == app.settings.privacy.version;
        if held { Ok(Self::now(app)) } else { Err(Error::refused(ErrorCode::TermsChanged)) }
    }

    /// Records it.
    ///
    /// # Errors
    /// As any statement.
    pub(crate) async fn record(self, tx: &mut Tx, user: UserId, at: DateTime<Utc>) -> Result<()> {
        for (document, version) in self.0 {
            agreement::record(tx, user, document, version, at).await?;
        }
        Ok(())
    }

    /// Whether a person agreed to all of it.
    ///
    /// # Errors
    /// As any statement.
    pub(crate) async fn is_given(self, tx: &mut Tx, user: UserId) -> Result<bool> {
        Ok(agreement::are_given(tx, user, &self.0).await?)
    }
}

/// The terms of use and the privacy notice that hold.
#[utoipa::path(get, path = "/terms", operation_id = "getTerms", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(()), responses((status = 200, body = Terms)))]
async fn show(State(app): State<App>) -> axum::Json<Terms> {
    axum::Json(Terms { terms: (&app.settings.terms).into(), privacy: (&app.settings.privacy).into() })
}

/// Agrees to the terms and the privacy notice that hold, where they changed since the person agreed.
#[utoipa::path(put, path = "/terms/agreement", operation_id = "agreeToTerms", tag = TAG,
    extensions(("x-permission" = json!("person"))), request_body = AgreementIn, responses((status = 204)))]
async fn agree(State(app): State<App>, session: Session, Body(input): Body<AgreementIn>) -> Result<StatusCode> {
    let agreed = Agreed::new(&app, &input.terms_version, &input.privacy_version)?;
    let mut tx = session.begin(&app).await?;
    if !agreed.is_given(&mut tx, session.user).await? {
        agreed.record(&mut tx, session.user, app.now()).await?;
        let AgreementIn { terms_version, privacy_version } = input;
        let entry = audit::Entry {
            actor: audit::Actor::Person(session.user),
            action: "user.agree".to_owned(),
            subject: "user",
            subject_id: session.user.uuid(),
            title: session.name,
            before: None,
            after: Some(serde_json::json!({"terms_version": terms_version, "privacy_version": privacy_version})),
        };
        audit::record(&mut tx, &entry, app.now()).await?;
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
