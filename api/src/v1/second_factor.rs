//! The second factor of a person: an authenticator's codes (RFC 6238), with recovery codes for when it is lost.

use axum::extract::State;
use axum::http::StatusCode;
use domain::ErrorCode;
use domain::ids::UserId;
use keys::places;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use store::{Tx, second_factor as rows};
use totp_rs::{Builder, Secret, Totp};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::extract::Body;
use crate::problem::{Error, Result};
use crate::v1::password::is_right;
use crate::v1::session::record;

const TAG: &str = "second factor";
/// What an authenticator shows beside the code.
const ISSUER: &str = "Campaign Lifecycle Platform";
const RECOVERY_CODES: usize = 10;
/// 80 bits: nobody guesses one, throttled or not.
const RECOVERY_BYTES: usize = 10;
const RECOVERY_GROUP: usize = 5;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show, begin, confirm)).routes(routes!(remove))
}

/// Whether the person has a second factor.
#[derive(Debug, Serialize, ToSchema)]
pub struct SecondFactor {
    /// Whether a code is asked for when they sign in.
    pub on: bool,
    /// How many recovery codes are left.
    pub recovery_codes_left: u32,
}

/// Begins to set one up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecondFactorIn {
    /// The person's password.
    #[schema(value_type = String, format = "password")]
    pub password: SecretString,
}

/// What an authenticator is to be given. It is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewSecondFactor {
    /// The secret, in base 32, to be typed in.
    pub secret: String,
    /// The same as an `otpauth://` address, to be shown as a QR code.
    pub url: String,
}

/// A code of the authenticator.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeIn {
    /// Six digits.
    #[schema(value_type = String, example = "123456")]
    pub code: SecretString,
}

/// Codes for when the authenticator is lost, each for one sign-in. They are shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// The codes.
    pub recovery_codes: Vec<String>,
}

/// Removes the second factor.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemovalIn {
    /// The person's password.
    #[schema(value_type = String, format = "password")]
    pub password: SecretString,
    /// A code of the authenticator, or a recovery code.
    #[schema(value_type = String, example = "123456")]
    pub code: SecretString,
}

/// Whether the person has a second factor.
#[utoipa::path(get, path = "/second-factor", operation_id = "getSecondFactor", tag = TAG,
    extensions(("x-permission" = json!("person"))), responses((status = 200, body = SecondFactor)))]
async fn show(State(app): State<App>, session: Session) -> Result<axum::Json<SecondFactor>> {
    let off = SecondFactor { on: false, recovery_codes_left: 0 };
    let Some((mut tx, true)) = kept(&app, session.user).await? else { return Ok(axum::Json(off)) };
    let row = rows::fetch(&mut tx, session.user).await?;
    Ok(axum::Json(row.map_or(off, |row| SecondFactor { on: true, recovery_codes_left: row.codes_left })))
}

/// Begins to set up a second factor. It is not asked for until a first code of it was right.
#[utoipa::path(post, path = "/second-factor", operation_id = "beginSecondFactor", tag = TAG,
    extensions(("x-permission" = json!("person"))),
    request_body = SecondFactorIn, responses((status = 201, body = NewSecondFactor)))]
async fn begin(
    State(app): State<App>,
    session: Session,
    Body(input): Body<SecondFactorIn>,
) -> Result<(StatusCode, axum::Json<NewSecondFactor>)> {
    is_right(&app, &session, input.password, "/password").await?;
    match kept(&app, session.user).await? {
        Some((_, true)) => return Err(Error::refused(ErrorCode::SecondFactorSet)),
        Some((mut tx, false)) if tx.org() != session.org => {
            rows::delete(&mut tx, session.user).await?;
            tx.commit().await?;
        }
        _ => {}
    }
    let secret = Secret::generate();
    let text: SecretString = secret.to_base32().into();
    // A colon would end the name.
    let totp = Builder::new().with_secret(secret).with_account_name(session.email.replace(':', " "));
    let totp = totp.with_issuer(Some(ISSUER)).build().map_err(Error::internal("make a second factor"))?;
    let url = totp.to_url().map_err(Error::internal("write a second factor's address"))?;
    let mut tx = session.begin(&app).await?;
    let sealed = app.vault.seal(&mut tx, &places::second_factor(session.user), &text).await?;
    rows::begin(&mut tx, session.user, &sealed, app.now()).await?;
    tx.commit().await?;
    let secret = text.expose_secret().to_owned();
    Ok((StatusCode::CREATED, axum::Json(NewSecondFactor { secret, url })))
}

/// Turns the second factor on, with a first code of it.
#[utoipa::path(put, path = "/second-factor", operation_id = "confirmSecondFactor", tag = TAG,
    extensions(("x-permission" = json!("person"))),
    request_body = CodeIn, responses((status = 200, body = RecoveryCodes)))]
async fn confirm(
    State(app): State<App>,
    session: Session,
    Body(input): Body<CodeIn>,
) -> Result<axum::Json<RecoveryCodes>> {
    let (mut tx, on) = kept(&app, session.user).await?.ok_or(Error::NOT_FOUND)?;
    if on {
        return Err(Error::refused(ErrorCode::SecondFactorSet));
    }
    app.throttle.admit(&session.email)?;
    if !is_code(&app, &mut tx, session.user, input.code.expose_secret()).await? {
        return Err(Error::invalid("/code", "This is not the code that belongs to this secret now."));
    }
    app.throttle.forgive(&session.email);
    let codes = (0..RECOVERY_CODES).map(|_| recovery_code()).collect::<Result<Vec<String>>>()?;
    rows::confirm(&mut tx, session.user, &codes, app.now()).await?;
    record(&mut tx, session.user, &session.name, "user.second_factor_on", app.now()).await?;
    tx.commit().await?;
    Ok(axum::Json(RecoveryCodes { recovery_codes: codes.iter().map(|code| grouped(code)).collect() }))
}

/// Removes the second factor: from now on the password alone is asked for.
#[utoipa::path(post, path = "/second-factor/removal", operation_id = "removeSecondFactor", tag = TAG,
    extensions(("x-permission" = json!("person"))), request_body = RemovalIn, responses((status = 204)))]
async fn remove(State(app): State<App>, session: Session, Body(input): Body<RemovalIn>) -> Result<StatusCode> {
    is_right(&app, &session, input.password, "/password").await?;
    let (mut tx, _) = kept(&app, session.user).await?.ok_or(Error::NOT_FOUND)?;
    app.throttle.admit(&session.email)?;
    if !is_any_code(&app, &mut tx, session.user, input.code.expose_secret()).await? {
        return Err(Error::invalid("/code", "This code is not right, or was used before."));
    }
    app.throttle.forgive(&session.email);
    rows::delete(&mut tx, session.user).await?;
    record(&mut tx, session.user, &session.name, "user.second_factor_off", app.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses who signs in with the right password of somebody whose second factor is on, and does not have its code. Who calls
/// holds back guessing.
///
/// # Errors
/// [`ErrorCode::CodeNeeded`]; [`ErrorCode::WrongCode`].
pub(crate) async fn ask(app: &App, user: UserId, code: Option<&SecretString>) -> Result<()> {
    let Some((mut tx, true)) = kept(app, user).await? else { return Ok(()) };
    let code = code.ok_or(Error::refused(ErrorCode::CodeNeeded))?;
    let right = is_any_code(app, &mut tx, user, code.expose_secret()).await?;
    tx.commit().await?;
    if right { Ok(()) } else { Err(Error::refused(ErrorCode::WrongCode)) }
}

/// A transaction of the organisation in which a person's second factor is kept, and whether it is on.
async fn kept(app: &App, user: UserId) -> Result<Option<(Tx, bool)>> {
    let Some(kept) = rows::find(&app.store, user).await? else { return Ok(None) };
    Ok(Some((app.store.begin(kept.org).await?, kept.confirmed)))
}

async fn is_any_code(app: &App, tx: &mut Tx, user: UserId, code: &str) -> Result<bool> {
    Ok(is_code(app, tx, user, code).await? || rows::take_code(tx, user, &plain(code), app.now()).await?)
}

/// Whether it is a code of now, a moment ago or in a moment, that was not taken before; it is taken.
async fn is_code(app: &App, tx: &mut Tx, user: UserId, code: &str) -> Result<bool> {
    let Some(row) = rows::fetch(tx, user).await? else { return Ok(false) };
    let secret = app.vault.open(tx, &places::second_factor(user), &row.secret).await?;
    let now = u64::try_from(app.now().timestamp()).unwrap_or_default();
    match totp(&secret)?.check(&plain(code), now) {
        Some(step) => Ok(rows::take_step(tx, user, step).await?),
        None => Ok(false),
    }
}

fn totp(secret: &SecretString) -> Result<Totp> {
    const READ: &str = "read a second factor";
    let secret =
        Secret::try_from_base32(secret.expose_secret()).map_err(|_| Error::internal(READ)("it is not base 32"))?;
    Builder::new().with_secret(secret).build().map_err(Error::internal(READ))
}

/// A code as people type it, with blanks and hyphens, in lower or upper case.
fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// A code as people can read it out.
fn grouped(code: &str) -> String {
    let letters: Vec<char> = code.chars().collect();
    let groups: Vec<String> = letters.chunks(RECOVERY_GROUP).map(|group| group.iter().collect()).collect();
    groups.join("-")
}

fn recovery_code() -> Result<String> {
    let mut bytes = [0_u8; RECOVERY_BYTES];
    OsRng.try_fill_bytes(&mut bytes).map_err(Error::internal("make a recovery code"))?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_typed_as_it_is_read() {
        assert_eq!(plain("123 456"), "123456");
        let code = recovery_code().unwrap();
        assert_eq!(plain(&grouped(&code).to_uppercase()), code);
        assert_eq!(grouped("0123456789abcdef0123"), "01234-56789-abcde-f0123");
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B: the last six of its eight digits.
        let totp = totp(&"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".into()).unwrap();
        assert_eq!(totp.check("287082", 59), Some(1));
        assert_eq!(totp.check("081804", 1_111_111_109), Some(37_037_036));
        assert_eq!(totp.check("081804", 1_111_111_109 + 90), None, "it is old");
    }
}
