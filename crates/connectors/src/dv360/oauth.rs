//! Google's OAuth 2.0 token service: code to credentials, refresh token to access token, and giving back.
//!
//! Three small form posts, written here rather than taken from the `oauth2` crate: each has to pass through the permit and
//! the error classes of this crate, and what is left of the protocol on our side is its field names.

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use domain::ErrorCode;
use reqwest::Method;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::client::Client;
use super::failure;
use crate::access::{Access, Credentials, Renew, Renewed, dead_token};
use crate::error::{Error, Result};
use crate::http::{Answer, Body, Request, Subject};
use crate::quota::{Call, Family, Quota};

/// What the product needs to be granted.
pub(super) const SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/display-video", "https://www.googleapis.com/auth/doubleclickbidmanager"];

/// How long a token is taken to work when the answer does not say.
const DEFAULT_LIFETIME_SECONDS: i64 = 300;

#[derive(Deserialize)]
struct Grant {
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
    expires_in: Option<i64>,
    #[serde(default, deserialize_with = "optional_secret")]
    refresh_token: Option<SecretString>,
    refresh_token_expires_in: Option<i64>,
    scope: Option<String>,
}

/// RFC 6749's error body.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
}

impl Grant {
    fn scopes(&self) -> Option<Vec<String>> {
        self.scope.as_ref().map(|scope| scope.split_whitespace().map(str::to_owned).collect())
    }

    fn refresh_expires_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.refresh_token_expires_in.and_then(Duration::try_seconds).map(|lifetime| now + lifetime)
    }
}

impl Client {
    /// Exchanges the code of a consent.
    pub(super) async fn exchange_code(
        &self,
        quota: &dyn Quota,
        code: &SecretString,
        verifier: &SecretString,
        redirect_uri: &str,
    ) -> Result<Credentials> {
        let fields = vec![
            ("grant_type", "authorization_code".into()),
            ("code", code.clone()),
            ("redirect_uri", redirect_uri.into()),
            ("code_verifier", verifier.clone()),
        ];
        let grant = self.grant(quota, fields, consent_refused).await?;
        let (scopes, expires_at) = (grant.scopes().unwrap_or_default(), grant.refresh_expires_at(self.now()));
        let refresh_token = grant.refresh_token.ok_or_else(|| consent_expired("the answer has no refresh token"))?;
        Ok(Credentials { refresh_token, scopes, expires_at })
    }

    /// Gives a refresh token back; one that is unknown there is given back already.
    pub(super) async fn revoke(&self, access: &Access) -> Result<()> {
        let fields = vec![("token", access.refresh_token().await?)];
        let request = form(self.endpoints().revoke_url.clone(), fields);
        let answer = self.post_form(access.quota(), &request).await?;
        let already = answer.status.as_u16() == 400 && refusal(&answer).error == "invalid_token";
        if answer.status.is_success() || already {
            return Ok(());
        }
        Err(self.refused(access.quota(), &answer, &request).await)
    }

    async fn grant(
        &self,
        quota: &dyn Quota,
        mut fields: Vec<(&'static str, SecretString)>,
        meaning: fn(&Refusal) -> Option<Error>,
    ) -> Result<Grant> {
        fields.push(("client_id", self.endpoints().client_id.as_str().into()));
        fields.push(("client_secret", self.endpoints().client_secret.clone()));
        let request = form(self.endpoints().token_url.clone(), fields);
        let answer = self.post_form(quota, &request).await?;
        if answer.status.is_success() {
            // The parser's message may quote the body, and the body holds tokens.
            return serde_json::from_slice(&answer.body)
                .map_err(|_| Error::unreadable("the token service's answer is no grant", None));
        }
        if answer.status.is_client_error() {
            let refusal = refusal(&answer);
            if let Some(error) = meaning(&refusal) {
                return Err(error);
            }
            if !refusal.error.is_empty() {
                let message = format!("{}: {}", refusal.error, refusal.error_description);
                return Err(Error::rejected(message, None));
            }
        }
        Err(self.refused(quota, &answer, &request).await)
    }

    async fn post_form(&self, quota: &dyn Quota, request: &Request) -> Result<Answer> {
        let permit = quota.permit(&request.call).await?;
        self.http().send(permit, request, None).await.map_err(|lost| failure::lost(lost, request))
    }
}

#[async_trait]
impl Renew for Client {
    async fn renew(&self, quota: &dyn Quota, refresh_token: &SecretString) -> Result<Renewed> {
        let fields = vec![("grant_type", "refresh_token".into()), ("refresh_token", refresh_token.clone())];
        let grant = self.grant(quota, fields, renewal_refused).await?;
        Ok(Renewed {
            lifetime: Duration::seconds(grant.expires_in.unwrap_or(DEFAULT_LIFETIME_SECONDS).clamp(0, 86_400)),
            scopes: grant.scopes(),
            refresh_expires_at: grant.refresh_expires_at(self.now()),
            access_token: grant.access_token,
            refresh_token: grant.refresh_token,
        })
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock().now()
    }
}

fn form(url: Url, fields: Vec<(&'static str, SecretString)>) -> Request {
    let call = Call { family: Family::Tokens, account: None };
    Request { call, subject: Subject::User, method: Method::POST, url, body: Body::Form(fields) }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(SecretString::from))
}

fn refusal(answer: &Answer) -> Refusal {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn renewal_refused(refusal: &Refusal) -> Option<Error> {
    (refusal.error == "invalid_grant").then(|| dead_token(&refusal.error_description))
}

fn consent_refused(refusal: &Refusal) -> Option<Error> {
    (refusal.error == "invalid_grant").then(|| consent_expired(&refusal.error_description))
}

fn consent_expired(detail: &str) -> Error {
    Error::Configuration { code: ErrorCode::ConsentExpired, detail: detail.to_owned(), account: None }
}
