//! `clp codec`: the endpoint at which Temporal's UI and command line have payloads decrypted for an operator.
//!
//! As Temporal documents a remote codec: `POST /decode` and `POST /encode` take and give `{"payloads": […]}`, payloads in
//! protobuf's JSON. The browser of an operator calls it, so one origin is let in; a bearer token says who may.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ::keys::{Codec, Master};
use anyhow::{Context as _, Result};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use runtime::{MasterKeys, SystemClock};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::Store;
use temporalio_common::protos::temporal::api::common::v1::Payload;
use tokio::net::TcpListener;

/// A page of a history, with payloads of 2 MB at most.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// What Temporal's UI sends beside the token.
const HEADERS: &str = "authorization, content-type, x-namespace";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Serves the endpoint until it is stopped.
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The database, as the application's role.
    #[arg(long, env = "CLP_DATABASE_URL", hide_env_values = true)]
    database: String,
    /// The address to listen on; with port 0 a free port is taken. TLS ends in front of it.
    #[arg(long, env = "CLP_CODEC_LISTEN", default_value = "127.0.0.1:8234")]
    listen: SocketAddr,
    /// The origin of Temporal's UI, such as `https://temporal.example`, whose pages may ask.
    #[arg(long, env = "CLP_CODEC_ORIGIN")]
    origin: Option<HeaderValue>,
    /// The token that who asks must bear.
    #[arg(long, env = "CLP_CODEC_TOKEN", hide_env_values = true, required_unless_present = "token_file")]
    token: Option<SecretString>,
    /// A file with that token.
    #[arg(long, env = "CLP_CODEC_TOKEN_FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
}

struct Endpoint {
    codec: Codec,
    origin: Option<HeaderValue>,
    /// The hash of `Bearer <token>`: comparing hashes tells nothing of the token by the time it takes.
    bearer: [u8; 32],
}

/// Payloads in protobuf's JSON.
#[derive(Serialize, Deserialize)]
struct Payloads {
    #[serde(default)]
    payloads: Vec<Wire>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    data: String,
}

/// Serves until the process is told to stop.
pub(crate) async fn run(verb: &Verb) -> Result<bool> {
    let Verb::Serve(arguments) = verb;
    let token = token(arguments)?;
    anyhow::ensure!(!token.expose_secret().is_empty(), "the codec's token is empty");
    let settings = MasterKeys::from_env().context("the master keys are not configured")?;
    let master = Arc::new(Master::new(&settings).context("the master keys can't be used")?);
    let store = Store::connect(&arguments.database, 2).await.context("the database can't be used")?;
    let codec = Codec::open(store, master, Arc::new(SystemClock)).await.context("the keys can't be used")?;
    let bearer = Sha256::digest(format!("Bearer {}", token.expose_secret())).into();
    let endpoint = Arc::new(Endpoint { codec, origin: arguments.origin.clone(), bearer });
    let listener = TcpListener::bind(arguments.listen).await;
    let listener = listener.with_context(|| format!("can't listen on {}", arguments.listen))?;
    println!("codec: listening on {}", listener.local_addr()?);
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    axum::serve(listener, router(endpoint)).with_graceful_shutdown(stop).await?;
    Ok(true)
}

fn token(arguments: &Serve) -> Result<SecretString> {
    match (&arguments.token, &arguments.token_file) {
        (Some(token), _) => Ok(token.clone()),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
            Ok(text.trim().to_owned().into())
        }
        (None, None) => anyhow::bail!("CLP_CODEC_TOKEN is not set"),
    }
}

fn router(endpoint: Arc<Endpoint>) -> Router {
    Router::new()
        .route("/decode", post(decode))
        .route("/encode", post(encode))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(from_fn_with_state(Arc::clone(&endpoint), let_in))
        .with_state(endpoint)
}

/// Answers a browser's question whether it may ask, and lets in who bears the token.
async fn let_in(State(endpoint): State<Arc<Endpoint>>, request: Request, next: Next) -> Response {
    let from = request.headers().get(header::ORIGIN).cloned();
    let from = from.filter(|origin| Some(origin) == endpoint.origin.as_ref());
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else if is_borne(&endpoint, request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = from {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
    }
    response
}

fn is_borne(endpoint: &Endpoint, headers: &HeaderMap) -> bool {
    let borne = headers.get(header::AUTHORIZATION).map(|value| Sha256::digest(value.as_bytes()));
    borne.is_some_and(|borne| borne.as_slice() == endpoint.bearer)
}

async fn decode(State(endpoint): State<Arc<Endpoint>>, Json(asked): Json<Payloads>) -> Response {
    let Some(payloads) = read(asked) else { return StatusCode::BAD_REQUEST.into_response() };
    answer(endpoint.codec.decrypt(payloads).await)
}

async fn encode(State(endpoint): State<Arc<Endpoint>>, Json(asked): Json<Payloads>) -> Response {
    let Some(payloads) = read(asked) else { return StatusCode::BAD_REQUEST.into_response() };
    answer(endpoint.codec.encrypt(payloads).await)
}

fn answer(outcome: ::keys::Result<Vec<Payload>>) -> Response {
    match outcome {
        Ok(payloads) => Json(Payloads { payloads: payloads.into_iter().map(Wire::from).collect() }).into_response(),
        Err(error) if error.is_transient() => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

fn read(asked: Payloads) -> Option<Vec<Payload>> {
    let one = |wire: Wire| {
        let value = |text: String| STANDARD.decode(text).ok();
        let metadata = wire.metadata.into_iter().map(|(name, text)| Some((name, value(text)?)));
        Some(Payload { metadata: metadata.collect::<Option<_>>()?, data: value(wire.data)?, ..Payload::default() })
    };
    asked.payloads.into_iter().map(one).collect()
}

impl From<Payload> for Wire {
    fn from(payload: Payload) -> Self {
        let metadata = payload.metadata.into_iter().map(|(name, value)| (name, STANDARD.encode(value)));
        Self { metadata: metadata.collect(), data: STANDARD.encode(payload.data) }
    }
}
