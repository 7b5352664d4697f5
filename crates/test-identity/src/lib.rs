//! An identity provider: its document, its keys, and a token endpoint that signs what a test wants it to say.
//!
//! It lives in the test's own process and believes everybody: what a person would type on its page, the test decides.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that can't go on fails")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openidconnect::PrivateSigningKey as _;
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use rand::TryRngCore as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use url::Url;

/// What comes before the 32 bytes of an Ed25519 key (RFC 8410).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// What it knows us by.
pub const CLIENT: &str = "clp";
/// What it knows us for.
pub const SECRET: &str = "the provider's secret for us";

/// It listens until the test ends.
#[derive(Debug)]
pub struct IdentityProvider {
    /// Its issuer, which is its address.
    pub issuer: String,
    state: Arc<Mutex<Said>>,
}

/// What is asked for with a code, and what is said of whoever signed in.
#[derive(Debug, Default)]
struct Said {
    issuer: String,
    key: String,
    codes: HashMap<String, Asked>,
}

#[derive(Debug)]
struct Asked {
    challenge: String,
    claims: Value,
}

impl IdentityProvider {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Said { issuer: issuer.clone(), key: key(), ..Said::default() }));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { issuer, state }
    }

    /// Somebody signs in on the page that a browser was sent to: the query that it comes back with. `change` changes what is
    /// said of them.
    pub fn signs_in(&self, page: &str, person: &Value, change: impl FnOnce(&mut Value)) -> String {
        let asked: HashMap<String, String> = Url::parse(page).unwrap().query_pairs().into_owned().collect();
        assert_eq!((asked["client_id"].as_str(), asked["code_challenge_method"].as_str()), (CLIENT, "S256"));
        let now = chrono::Utc::now().timestamp();
        let mut claims = json!({
            "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            "email_verified": true,
        });
        claims.as_object_mut().unwrap().extend(person.as_object().unwrap().clone());
        change(&mut claims);
        let code = format!("code-{}", hex::encode(Sha256::digest(claims.to_string())));
        let asked_with = Asked { challenge: asked["code_challenge"].clone(), claims };
        self.state.lock().unwrap().codes.insert(code.clone(), asked_with);
        format!("code={code}&state={}", asked["state"])
    }
}

fn key() -> String {
    let mut seed = [0_u8; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut seed).unwrap();
    let der = STANDARD.encode([&PKCS8[..], &seed].concat());
    // Not a key that is kept: the words are put together here.
    format!("-----BEGIN {0}-----\n{der}\n-----END {0}-----\n", "PRIVATE KEY")
}

type Shared = State<Arc<Mutex<Said>>>;

async fn document(State(said): Shared) -> Json<Value> {
    let issuer = said.lock().unwrap().issuer.clone();
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

fn signing(key: &str) -> CoreEdDsaPrivateSigningKey {
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(key, None).unwrap()
}

async fn keys(State(said): Shared) -> Json<CoreJsonWebKeySet> {
    let key = said.lock().unwrap().key.clone();
    Json(CoreJsonWebKeySet::new(vec![signing(&key).as_verification_key()]))
}

async fn token(
    State(said): Shared,
    headers: axum::http::HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    let refuse = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({"error": error})));
    // RFC 6749, 2.3.1: both are encoded as in a form before they are put together.
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(CLIENT), encode(SECRET))));
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(&basic) {
        return Err(refuse("invalid_client"));
    }
    let mut said = said.lock().unwrap();
    let asked = said.codes.remove(&form["code"]).ok_or_else(|| refuse("invalid_grant"))?;
    if URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"])) != asked.challenge {
        return Err(refuse("invalid_grant"));
    }
    let head = URL_SAFE_NO_PAD.encode(json!({"alg": "EdDSA", "typ": "JWT"}).to_string());
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(asked.claims.to_string()));
    let signature = signing(&said.key).sign(&CoreJwsSigningAlgorithm::EdDsa, signed.as_bytes()).unwrap();
    let id_token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    Ok(Json(json!({"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": id_token})))
}
