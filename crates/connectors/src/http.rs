//! The only way out of this crate.
//!
//! [`Http::send`] takes a [`Permit`] by value: a call without leave does not compile. [`Http::download`] takes none,
//! because a signed URL is served by a store that has no quota. Redirects are not followed: an answer that sends a token
//! elsewhere is an answer that can't be read.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::access::Bearer;
use crate::endpoints::Timeouts;
use crate::error::{Error, Result};
use crate::quota::{Call, Family, Permit};

/// A request that is about to be made.
pub(crate) struct Request {
    pub(crate) call: Call,
    pub(crate) subject: Subject,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Body,
}

/// What a refusal of the request would be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The user's rights as a whole.
    User,
    /// One account.
    Account,
    /// One thing within an account.
    Item,
}

pub(crate) enum Body {
    None,
    Json(Vec<u8>),
    Form(Vec<(&'static str, SecretString)>),
}

impl Request {
    pub(crate) const fn is_write(&self) -> bool {
        matches!(self.call.family, Family::Writes)
    }

    pub(crate) fn account(&self) -> Option<String> {
        self.call.account.clone()
    }
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Bytes,
}

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Lost {
    pub(crate) what: &'static str,
    /// Whether the request may have left us.
    pub(crate) may_have_been_sent: bool,
    pub(crate) timed_out: bool,
    #[source]
    source: reqwest::Error,
}

impl Lost {
    fn new(error: reqwest::Error) -> Self {
        let sent = !(error.is_connect() || error.is_builder());
        let timed_out = error.is_timeout() && sent;
        let what = match (sent, timed_out) {
            (false, _) => "no connection",
            (true, true) => "no answer in time",
            (true, false) => "the connection broke off",
        };
        // The URL of a download is a key: it may not end up in a log.
        Self { what, may_have_been_sent: sent, timed_out, source: error.without_url() }
    }
}

#[derive(Debug)]
pub(crate) struct Http {
    reads: Client,
    writes: Client,
    downloads: Client,
}

impl Http {
    pub(crate) fn new(timeouts: Timeouts) -> Result<Self> {
        let client = |idle: Duration, whole: Option<Duration>| {
            let builder = Client::builder()
                .user_agent(concat!("clp-connectors/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .connect_timeout(timeouts.connect)
                .read_timeout(idle);
            let builder = match whole {
                Some(whole) => builder.timeout(whole),
                None => builder,
            };
            builder.build().map_err(|error| Error::Setup { source: error.into() })
        };
        Ok(Self {
            reads: client(timeouts.read_idle, None)?,
            writes: client(timeouts.write, Some(timeouts.write))?,
            downloads: client(timeouts.download_idle, None)?,
        })
    }

    /// Makes one call, once.
    pub(crate) async fn send(
        &self,
        permit: Permit,
        request: &Request,
        bearer: Option<&Bearer>,
    ) -> Result<Answer, Box<Lost>> {
        let client = if request.is_write() { &self.writes } else { &self.reads };
        let mut builder = with_body(client.request(request.method.clone(), request.url.clone()), &request.body);
        if let Some(bearer) = bearer {
            builder = builder.bearer_auth(bearer.expose());
        }
        let answer = whole_answer(builder).await.map_err(|error| Box::new(Lost::new(error)));
        let status = answer.as_ref().map_or(0, |answer| answer.status.as_u16());
        let family = permit.call().family.name();
        tracing::debug!(
            call.family = family,
            http.status = status,
            http.path = request.url.path(),
            "called a platform"
        );
        answer
    }

    /// Begins to fetch a signed URL, without a token.
    pub(crate) async fn download(&self, url: Url) -> Result<Response, Box<Lost>> {
        self.downloads.get(url).send().await.map_err(|error| Box::new(Lost::new(error)))
    }
}

fn with_body(builder: RequestBuilder, body: &Body) -> RequestBuilder {
    match body {
        Body::None => builder,
        Body::Json(json) => builder.header(CONTENT_TYPE, "application/json").body(json.clone()),
        Body::Form(fields) => {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
            builder.form(&fields)
        }
    }
}

async fn whole_answer(builder: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = builder.send().await?;
    let retry_after = retry_after(&response);
    Ok(Answer { status: response.status(), retry_after, body: response.bytes().await? })
}

/// What the answer's `Retry-After` says.
pub(crate) fn retry_after(response: &Response) -> Option<String> {
    response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Reads on in a download.
pub(crate) async fn next_bytes(response: &mut Response) -> Result<Option<Bytes>, Box<Lost>> {
    response.chunk().await.map_err(|error| Box::new(Lost::new(error)))
}
