//! Consents: the way to a platform's own page on which a person grants access, and back.
//!
//! The code that comes back is sealed into the consent's row; an activity exchanges it. No token is ever seen here.

use axum::extract::State;
use axum::response::Redirect;
use chrono::TimeDelta;
use domain::ErrorCode;
use domain::ids::{ConnectionId, OnboardingId, OrgId};
use keys::places;
use runtime::Environment;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use store::consent::{Consent, Purpose};
use store::onboarding::State as Progress;
use store::{Tx, connection, consent, intent, onboarding};
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use workflows::contract::onboarding::ConsentAnsweredV1;
use workflows::{OnboardOrganization, queues};

use crate::app::App;
use crate::auth::Session;
use crate::extract::{Body, Id, Parameters};
use crate::problem::{Error, Result, chain};
use crate::wire::Platform;
use crate::{allowance, starter, token, update};

const TAG: &str = "consent";
const WIZARD: &str = "/onboarding";
const CONNECTIONS: &str = "/connections";
const CALLBACK: &str = "/api/v1/consents/callback";
/// How long a person may take on the platform's page.
const LASTS: TimeDelta = TimeDelta::minutes(15);
const GOOGLE_SCOPES: &str =
    "https://www.googleapis.com/auth/display-video https://www.googleapis.com/auth/doubleclickbidmanager";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(start)).routes(routes!(reconnect)).routes(routes!(answer))
}

/// Which platform is to be connected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentIn {
    /// The platform.
    pub platform: Platform,
}

/// Where a person grants access.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentOut {
    /// The platform's page; the browser goes there.
    #[schema(format = "uri")]
    pub redirect_url: String,
}

/// What a platform's page sends back.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConsentAnswer {
    /// The code, when the person said yes.
    #[param(value_type = Option<String>)]
    pub code: Option<SecretString>,
    /// The state that was sent along.
    #[param(value_type = Option<String>)]
    pub state: Option<SecretString>,
    /// Why there is no code.
    pub error: Option<String>,
}

/// Begins a consent for the onboarding under way. Safe to repeat: each makes a fresh one.
#[utoipa::path(post, path = "/onboarding/consent", operation_id = "startConsent", tag = TAG,
    extensions(("x-permission" = json!("connections.manage"))),
    params(("Idempotency-Key" = Option<String>, Header, description = "Accepted; a repeated request makes a fresh consent.")),
    request_body = ConsentIn, responses((status = 200, body = ConsentOut)))]
async fn start(
    State(app): State<App>,
    session: Session,
    Body(input): Body<ConsentIn>,
) -> Result<axum::Json<ConsentOut>> {
    let platform = domain::Platform::from(input.platform);
    let environment = environment(&app, platform)?;
    let mut tx = session.begin(&app).await?;
    let row = onboarding::latest(&mut tx).await?.ok_or(Error::NOT_FOUND)?;
    if row.state != Progress::Connecting {
        return Err(Error::refused(ErrorCode::Conflict));
    }
    let connection = if let Some(connection) = row.connection {
        connection
    } else {
        allowance::connection(&app, &mut tx, app.now()).await?;
        let (environment, title) = (environment.name.clone(), platform.title().to_owned());
        connection::create(&mut tx, &connection::New { platform, environment, title }, app.now()).await?
    };
    onboarding::set_connection(&mut tx, row.id, platform, connection).await?;
    ask(&app, &session, tx, (connection, Purpose::Onboard), environment).await
}

/// The endpoints in which new connections of a platform are made.
fn environment(app: &App, platform: domain::Platform) -> Result<&Environment> {
    let known = app.settings.environment_for(platform);
    known.ok_or_else(|| Error::invalid("/platform", "This platform can't be connected in this deployment."))
}

/// Records the consent and makes the address of the platform's page.
async fn ask(
    app: &App,
    session: &Session,
    mut tx: Tx,
    (connection, purpose): (ConnectionId, Purpose),
    environment: &Environment,
) -> Result<axum::Json<ConsentOut>> {
    let (state, verifier) = (token::new()?, token::new()?);
    let redirect_uri = format!("{}{CALLBACK}", app.settings.public_url);
    let new = consent::New {
        connection,
        purpose,
        user: session.user,
        state: state.expose_secret().to_owned(),
        verifier: app.vault.seal(&mut tx, &places::verifier(connection), &verifier).await?,
        redirect_uri: redirect_uri.clone(),
        expires_at: app.now() + LASTS,
    };
    consent::create(&mut tx, &new, app.now()).await?;
    tx.commit().await?;
    let page = authorize_url(environment, &redirect_uri, &state, &token::challenge(&verifier))?;
    Ok(axum::Json(ConsentOut { redirect_url: page }))
}

fn authorize_url(
    environment: &Environment,
    redirect_uri: &str,
    state: &SecretString,
    challenge: &str,
) -> Result<String> {
    let mut url =
        Url::parse(&environment.authorize_url).map_err(Error::internal("read the address of a consent page"))?;
    url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", &environment.client_id),
        ("redirect_uri", redirect_uri),
        ("scope", GOOGLE_SCOPES),
        ("state", state.expose_secret()),
        ("access_type", "offline"),
        ("prompt", "consent"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ]);
    Ok(url.into())
}

/// Begins a new consent for a connection whose access was lost; its data and schedule stay. Safe to repeat.
#[utoipa::path(post, path = "/connections/{id}/reconnect", operation_id = "reconnectConnection", tag = TAG,
    extensions(("x-permission" = json!("connections.manage"))),
    params(("id" = String, Path, description = "The connection."),
           ("Idempotency-Key" = Option<String>, Header, description = "Accepted; a repeated request makes a fresh consent.")),
    responses((status = 200, body = ConsentOut)))]
async fn reconnect(
    State(app): State<App>,
    session: Session,
    Id(id): Id<ConnectionId>,
) -> Result<axum::Json<ConsentOut>> {
    let mut tx = session.begin(&app).await?;
    let row = connection::fetch(&mut tx, id).await?;
    let onboarding = onboarding::latest(&mut tx).await?;
    let purpose = match &onboarding {
        Some(waiting) if waits_for(waiting, id) => Purpose::Onboard,
        Some(past) if past.state.has_dashboard() && row.status != connection::Status::Removed => Purpose::Reconnect,
        _ => {
            let detail = "This connection is being set up, or was given up: go on in the setup.".to_owned();
            return Err(Error::Refused { code: ErrorCode::Conflict, detail: Some(detail) });
        }
    };
    let environment = app.settings.environments.get(&row.environment);
    let environment =
        environment.ok_or_else(|| Error::invalid("", "This platform can't be connected in this deployment."))?;
    ask(&app, &session, tx, (id, purpose), environment).await
}

/// Where a platform's page sends the browser back to; it goes on to where the person came from.
#[utoipa::path(get, path = "/consents/callback", operation_id = "answerConsent", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(()),
    params(ConsentAnswer), responses((status = 303, description = "To the wizard, or to the connections.")))]
async fn answer(
    State(app): State<App>,
    session: Option<Session>,
    Parameters(answer): Parameters<ConsentAnswer>,
) -> Redirect {
    let mut place = WIZARD.to_owned();
    let Err(error) = take(&app, session, answer, &mut place).await else { return Redirect::to(&place) };
    let code = error.problem().code;
    tracing::info!(problem.code = %code, error = %chain(&error), "a consent led to {code}");
    let joint = if place.contains('?') { '&' } else { '?' };
    Redirect::to(&format!("{place}{joint}problem={code}"))
}

/// Keeps what the person came back with, once, and tells or starts the workflow that exchanges it. `place` is where the
/// person came from, as soon as that is known.
async fn take(app: &App, session: Option<Session>, answer: ConsentAnswer, place: &mut String) -> Result<()> {
    const EXPIRED: Error = Error::refused(ErrorCode::ConsentExpired);
    let ConsentAnswer { code, state, error } = answer;
    let session = session.ok_or(Error::refused(ErrorCode::SignedOut))?;
    let state = state.ok_or(EXPIRED)?;
    let (org, id) = consent::lookup(&app.store, state.expose_secret()).await?.ok_or(EXPIRED)?;
    if org != session.org {
        return Err(EXPIRED);
    }
    let mut tx = app.store.begin(org).await?;
    let row = consent::fetch(&mut tx, id).await?;
    if row.user != session.user {
        return Err(EXPIRED);
    }
    if row.purpose == Purpose::Reconnect {
        *place = format!("{CONNECTIONS}?reconnected={}", row.connection);
    }
    let code = code.filter(|_| error.is_none());
    let sealed = match code {
        Some(code) => Some(app.vault.seal(&mut tx, &places::code(id), &code).await?),
        None => None,
    };
    if !consent::answer(&mut tx, id, sealed.as_deref(), app.now()).await? {
        return Err(EXPIRED);
    }
    match row.purpose {
        Purpose::Onboard => answer_onboarding(app, tx, &row, sealed.is_some()).await,
        Purpose::Reconnect => answer_reconnection(app, tx, &row, sealed.is_some()).await,
    }
}

/// A consent that was given is exchanged by a workflow of its own; one that was not leaves the connection as it is.
async fn answer_reconnection(app: &App, mut tx: Tx, row: &Consent, given: bool) -> Result<()> {
    let now = app.now();
    if !given {
        consent::close(&mut tx, row.id, Some(ErrorCode::ConsentDenied), None, now).await?;
        tx.commit().await?;
        return Err(Error::refused(ErrorCode::ConsentDenied));
    }
    let intent = intent::create(&mut tx, intent::Kind::Reconnect, row.id.uuid(), now, now).await?;
    tx.commit().await?;
    starter::start_at_once(app, intent).await;
    Ok(())
}

/// A consent that was given is passed on to the onboarding that waits for it.
async fn answer_onboarding(app: &App, mut tx: Tx, row: &Consent, given: bool) -> Result<()> {
    let org = tx.org();
    let waiting = onboarding::latest(&mut tx).await?.filter(|waiting| waits_for(waiting, row.connection));
    if let (false, Some(waiting)) = (given, &waiting) {
        onboarding::set_problem(&mut tx, waiting.id, Some(ErrorCode::ConsentDenied), None).await?;
    }
    tx.commit().await?;
    if !given {
        return Err(Error::refused(ErrorCode::ConsentDenied));
    }
    let onboarding = waiting.ok_or(Error::refused(ErrorCode::Conflict))?;
    let answered = ConsentAnsweredV1 { consent: row.id, connection: row.connection };
    tell(app, org, onboarding.id, answered).await
}

/// Whether an onboarding waits for a person to authorise this connection.
fn waits_for(row: &onboarding::Onboarding, id: ConnectionId) -> bool {
    row.state == Progress::Connecting && row.connection == Some(id)
}

async fn tell(app: &App, org: OrgId, onboarding: OnboardingId, answered: ConsentAnsweredV1) -> Result<()> {
    let name = format!("consent-{}", answered.consent);
    let sent = async {
        let unharmed = "No connection was made and nothing was read.";
        let found = update::find::<OnboardOrganization>(app, queues::onboarding(org, onboarding), unharmed).await?;
        found.update(OnboardOrganization::consent_answered, answered, name).await
    };
    sent.await.map_err(|error| match error {
        // The code was not taken: the person starts again, and an address can say no more than a code.
        Error::Unsent { .. } | Error::Workflows { .. } => {
            tracing::warn!(error = %chain(&error), "a consent could not be passed on: {}", chain(&error));
            Error::refused(ErrorCode::ConsentExpired)
        }
        other => other,
    })
}
