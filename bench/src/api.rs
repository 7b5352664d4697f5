//! `bench api`: the reads that an open web application asks for, at a fixed rate.
//!
//! Each read is asked for on schedule whether or not the one before was answered, and its time counts from the moment at
//! which it was due: a server that falls behind can't hide it (no coordinated omission). Row-level security and
//! authorisation are on; only the rate limits are far away. Beside the reads stands `/livez`, which does nothing: the
//! limit of this machine, with server, database and this program on the same cores. `alone` is what a read takes when
//! nothing else is asked: people of one agency who ask for the same at once share the work (`api::shared`), and that column
//! says what they share.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::gauge::percentile;

/// Who asks nothing of the server.
const LIMIT: &str = "/livez";
/// What an open page asks for again and again, the most often first.
const READS: [&str; 5] = ["/api/v1/proposals", "/api/v1/runs", "/api/v1/me", "/api/v1/overview", "/api/v1/campaigns"];
/// How often a read is asked for alone.
const ALONE: u32 = 40;
/// What is asked for and not counted, while caches fill.
const WARM_UP: Duration = Duration::from_secs(2);
/// The aim: 95 of 100 answers come within.
const MOST_P95_MS: f64 = 50.0;
const LONGEST: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where the API listens.
    #[arg(long, env = "CLP_URL")]
    url: String,
    /// Who asks.
    #[arg(long, default_value = "ana@demo-agency.example")]
    email: String,
    /// Their password.
    #[arg(long, env = "CLP_DEMO_PASSWORD", hide_env_values = true)]
    password: String,
    /// How many requests a second.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// For how many seconds, for each read.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Only measure.
    #[arg(long)]
    unjudged: bool,
}

/// What came of a row of requests.
struct Outcome {
    /// How long each took from when it was due, in milliseconds.
    took_ms: Vec<f64>,
    /// How many were answered with something else than a success.
    failed: usize,
    /// From when the first was due until the last was answered.
    seconds: f64,
}

/// Whether the aim is reached.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool> {
    let http = Client::builder().timeout(LONGEST).pool_max_idle_per_host(256).build()?;
    let session = sign_in(&http, arguments).await?;
    println!(
        "{:<22} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7}",
        "read", "alone ms", "asked/s", "done/s", "p50 ms", "p95 ms", "p99 ms", "failed"
    );
    let mut reached = true;
    for path in std::iter::once(LIMIT).chain(READS) {
        let url = format!("{}{path}", arguments.url);
        ask(&http, &url, &session, arguments.rate, WARM_UP).await;
        let alone = alone(&http, &url, &session).await;
        let outcome = ask(&http, &url, &session, arguments.rate, Duration::from_secs(arguments.seconds.into())).await;
        reached &= tell(path, arguments.rate, alone, &outcome);
    }
    let verdict = if reached { "reached" } else { "MISSED" };
    println!("aim: p95 below {MOST_P95_MS} ms at {} requests/s for each: {verdict}", arguments.rate);
    Ok(reached || arguments.unjudged)
}

#[expect(clippy::cast_precision_loss, reason = "some ten thousand requests")]
fn tell(path: &str, rate: u32, alone: f64, outcome: &Outcome) -> bool {
    let Outcome { took_ms, failed, seconds } = outcome;
    let part = |part| percentile(took_ms, part);
    let (p95, done) = (part(0.95), took_ms.len() as f64 / seconds);
    let (p50, p99) = (part(0.5), part(0.99));
    println!("{path:<22} {alone:>9.1} {rate:>8} {done:>8.0} {p50:>8.1} {p95:>8.1} {p99:>8.1} {failed:>7}");
    *failed == 0 && p95 < MOST_P95_MS
}

/// How long one answer takes after the other, in milliseconds: the middle of some.
async fn alone(http: &Client, url: &str, session: &str) -> f64 {
    let mut took_ms = Vec::new();
    for _ in 0..ALONE {
        let asked = Instant::now();
        answered(http.get(url).header(COOKIE, session)).await;
        took_ms.push(asked.elapsed().as_secs_f64() * 1_000.0);
    }
    percentile(&took_ms, 0.5)
}

/// Whether a request gets a whole answer that is a success.
async fn answered(request: RequestBuilder) -> bool {
    match request.send().await {
        Ok(response) => response.status().is_success() && response.bytes().await.is_ok(),
        Err(_) => false,
    }
}

/// Asks at a fixed rate.
async fn ask(http: &Client, url: &str, session: &str, rate: u32, span: Duration) -> Outcome {
    let (sender, mut answers) = mpsc::unbounded_channel();
    let (begun, step) = (Instant::now(), Duration::from_secs(1) / rate);
    let mut due = begun;
    while due < begun + span {
        sleep_until(due).await;
        let (sender, request) = (sender.clone(), http.get(url).header(COOKIE, session));
        tokio::spawn(async move {
            let fine = answered(request).await;
            sender.send((due.elapsed(), fine)).ok();
        });
        due += step;
    }
    drop(sender);
    let (mut took_ms, mut failed) = (Vec::new(), 0);
    while let Some((took, fine)) = answers.recv().await {
        took_ms.push(took.as_secs_f64() * 1_000.0);
        failed += usize::from(!fine);
    }
    Outcome { took_ms, failed, seconds: begun.elapsed().as_secs_f64() }
}

/// The cookie of a new session.
async fn sign_in(http: &Client, arguments: &Arguments) -> Result<String> {
    let body = json!({"email": arguments.email, "password": arguments.password}).to_string();
    let request = http.post(format!("{}/api/v1/session", arguments.url)).header(CONTENT_TYPE, "application/json");
    let response: Response = request.header("X-Requested-With", "clp").body(body).send().await?.error_for_status()?;
    let cookie = response.headers().get(SET_COOKIE).context("signing in set no cookie")?.to_str()?.to_owned();
    let me: Value = response.json().await?;
    ensure!(me["onboarding"]["state"] == "done", "the organisation has no data");
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}
