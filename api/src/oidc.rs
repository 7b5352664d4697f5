//! `OpenID` Connect: the authorisation code flow with PKCE, against a provider that an organisation chose.
//!
//! What proves a sign-in (state, nonce, verifier) is made of one secret that stays in the browser's cookie, so an answer that
//! comes with another browser is worth nothing.

use chrono::Utc;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreIdTokenVerifier, CoreProviderMetadata};
use openidconnect::{
    AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    TokenResponse as _,
};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::extract;
use crate::outbound::{self, Outbound};
use crate::problem::BoxedError;

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// What a provider says of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// What the provider calls them, for good.
    pub(crate) subject: String,
    /// Their e-mail address, in lower case.
    pub(crate) email: String,
    /// What people call them.
    pub(crate) name: Option<String>,
}

/// What we are at a provider.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registration<'a> {
    /// The provider's issuer.
    pub(crate) issuer: &'a str,
    /// What it calls us.
    pub(crate) client_id: &'a str,
    /// Where it sends browsers back to.
    pub(crate) redirect_uri: &'a str,
}

/// The texts of one sign-in, made of the secret in the browser's cookie.
pub(crate) struct Proof {
    /// Comes back with the answer.
    pub(crate) state: String,
    nonce: String,
    verifier: String,
}

impl Proof {
    /// The texts of the sign-in with this secret.
    pub(crate) fn of(secret: &SecretString) -> Self {
        let text = |name: &str| {
            let mut digest = Sha256::new();
            digest.update(name);
            digest.update(secret.expose_secret());
            hex::encode(digest.finalize())
        };
        Self { state: text("state"), nonce: text("nonce"), verifier: text("verifier") }
    }
}

/// Reads a provider's own document, and checks that it is the issuer's.
///
/// # Errors
/// When it can't be reached or read, or names another issuer.
pub(crate) async fn discover(outbound: &Outbound, issuer: &str) -> Result<CoreProviderMetadata, BoxedError> {
    let issuer = IssuerUrl::new(issuer.to_owned())?;
    Ok(CoreProviderMetadata::discover_async(issuer, outbound).await?)
}

/// The provider's page on which a person signs in.
///
/// # Errors
/// As [`discover`].
pub(crate) async fn page(outbound: &Outbound, at: Registration<'_>, proof: &Proof) -> Result<Url, BoxedError> {
    let client = client(outbound, at, None).await?;
    let (state, nonce) = (CsrfToken::new(proof.state.clone()), Nonce::new(proof.nonce.clone()));
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(proof.verifier.clone()));
    let request = client.authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce);
    let request = request.add_scope(Scope::new("email".to_owned())).add_scope(Scope::new("profile".to_owned()));
    Ok(request.set_pkce_challenge(challenge).url().0)
}

/// Exchanges a code for what the provider says of the person, and checks that it is about this sign-in.
///
/// # Errors
/// When the provider can't be reached, refuses, or its answer can't be trusted.
pub(crate) async fn exchange(
    outbound: &Outbound,
    at: Registration<'_>,
    secret: &SecretString,
    code: &SecretString,
    proof: &Proof,
) -> Result<Person, BoxedError> {
    let client = client(outbound, at, Some(secret)).await?;
    let code = AuthorizationCode::new(code.expose_secret().to_owned());
    let request = client.exchange_code(code)?.set_pkce_verifier(PkceCodeVerifier::new(proof.verifier.clone()));
    let answer = request.request_async(outbound).await.map_err(|_| "the code was not exchanged")?;
    let token = answer.id_token().ok_or("there is no id token")?;
    // A provider lives in real time, whatever clock the platform is given.
    let verifier: CoreIdTokenVerifier<'_> = client.id_token_verifier().set_time_fn(Utc::now);
    let claims = token.claims(&verifier, &Nonce::new(proof.nonce.clone()))?;
    let email = claims.email().ok_or("there is no e-mail in the id token")?;
    if claims.email_verified() == Some(false) {
        return Err("the e-mail is not verified".into());
    }
    let name = claims.name().and_then(|name| name.get(None)).map(|name| name.to_string());
    Ok(Person { subject: claims.subject().to_string(), email: extract::normal_email(email), name })
}

async fn client(
    outbound: &Outbound,
    at: Registration<'_>,
    secret: Option<&SecretString>,
) -> Result<Client, BoxedError> {
    let secret = secret.map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
    let metadata = discover(outbound, at.issuer).await?;
    let client = CoreClient::from_provider_metadata(metadata, ClientId::new(at.client_id.to_owned()), secret);
    Ok(client.set_redirect_uri(RedirectUrl::new(at.redirect_uri.to_owned())?))
}

impl<'c> AsyncHttpClient<'c> for Outbound {
    type Error = outbound::Error;
    type Future = BoxFuture<'c, Result<HttpResponse, outbound::Error>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        let answered = async {
            let request = reqwest::Request::try_from(request).map_err(outbound::Error::Unreachable)?;
            let (status, headers, body) = self.send(request).await?;
            let mut answer = HttpResponse::new(body);
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok(answer)
        };
        answered.boxed()
    }
}
