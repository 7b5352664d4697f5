//! The platform as a person with a browser sees it: HTTP, one cookie, redirects followed by hand.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// One signed-in (or not yet signed-in) person.
#[derive(Debug, Clone)]
pub struct Person {
    http: reqwest::Client,
    base: String,
    cookie: Option<String>,
}

/// An answer that was not a success, as problem details.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {title}")]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// What happened.
    pub title: String,
    /// The whole answer.
    pub body: Value,
}

impl Person {
    /// Somebody who has just opened the page.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_mins(1))
            .build()?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), cookie: None })
    }

    /// Reads.
    ///
    /// # Errors
    /// [`Problem`] for anything but a success.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.answer(self.request(Method::GET, path)).await
    }

    /// Does something, with an idempotency key of its own.
    ///
    /// # Errors
    /// [`Problem`] for anything but a success.
    pub async fn send(&self, method: Method, path: &str, body: Value) -> Result<Value> {
        self.send_with_key(method, path, body, &Uuid::new_v4().to_string()).await
    }

    /// Does something under a key: twice under the same key is once.
    ///
    /// # Errors
    /// [`Problem`] for anything but a success.
    pub async fn send_with_key(&self, method: Method, path: &str, body: Value, key: &str) -> Result<Value> {
        let request =
            self.request(method, path).header("Idempotency-Key", key).header("X-Requested-With", "clp").json(&body);
        self.answer(request).await
    }

    /// The token of the session, when there is one.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        Some(self.cookie.as_ref()?.split_once('=')?.1)
    }

    /// Signs an agency up.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn sign_up(&mut self, email: &str, password: &str, agency: &str) -> Result<Value> {
        let body = json!({
            "email": email, "password": password, "name": "Ana Planner", "organisation_name": agency,
            "reporting_currency": "EUR", "time_zone": "Europe/Berlin", "terms_version": "1", "privacy_version": "1",
        });
        self.take_session(Method::POST, "/api/v1/sign-up", body).await
    }

    /// Signs in.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn sign_in(&mut self, email: &str, password: &str) -> Result<Value> {
        self.take_session(Method::POST, "/api/v1/session", json!({"email": email, "password": password})).await
    }

    /// Goes on in another organisation.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn switch(&mut self, organisation: &str) -> Result<Value> {
        let body = json!({"organisation": organisation});
        self.take_session(Method::PUT, "/api/v1/session/organisation", body).await
    }

    /// Goes through the platform's consent page as a browser would, choosing a user and pressing a button; ends at the
    /// address to which the callback led.
    ///
    /// # Errors
    /// When a page is not what it should be.
    pub async fn consent(&self, redirect_url: &str, user: &str, decision: &str) -> Result<String> {
        self.consent_in_part(redirect_url, user, decision, |_| true).await
    }

    /// As [`Self::consent`], for a person who leaves ticked only those scopes that `ticked` says.
    ///
    /// # Errors
    /// When a page is not what it should be.
    pub async fn consent_in_part(
        &self,
        redirect_url: &str,
        user: &str,
        decision: &str,
        ticked: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let page = self.http.get(redirect_url).send().await?.error_for_status()?;
        let page_url = page.url().clone();
        let html = page.text().await?;
        let action = attribute(&html, "<form", "action").context("the consent page has no form")?;
        let mut fields = hidden_fields(&html);
        // What the page asks of the person; whatever else it carries is sent back as it is.
        fields.retain(|(name, _)| name != "account" && name != "decision");
        for (_, scopes) in fields.iter_mut().filter(|(name, _)| name == "scope") {
            *scopes = scopes.split(' ').filter(|scope| ticked(scope)).collect::<Vec<_>>().join(" ");
        }
        fields.push(("account".into(), user.into()));
        fields.push(("decision".into(), decision.into()));
        let answer = self.http.post(page_url.join(&action)?).form(&fields).send().await?;
        let callback = location(&answer).context("the consent page did not lead back")?;
        let landed = self.with_cookie(self.http.get(callback)).send().await?;
        let status = landed.status();
        match location(&landed) {
            Some(to) => Ok(to),
            None => bail!("the callback answered {status}: {}", landed.text().await?),
        }
    }

    async fn take_session(&mut self, method: Method, path: &str, body: Value) -> Result<Value> {
        let request = self.request(method, path).header("X-Requested-With", "clp");
        let request = request.header("Idempotency-Key", Uuid::new_v4().to_string()).json(&body);
        let response = request.send().await?;
        let cookie = response.headers().get(SET_COOKIE).and_then(|value| value.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
        let body = read(response).await?;
        ensure!(cookie.is_some(), "{path} set no cookie");
        self.cookie = cookie;
        Ok(body)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.with_cookie(self.http.request(method, format!("{}{path}", self.base)))
    }

    fn with_cookie(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value> {
        read(request.send().await?).await
    }
}

async fn read(response: Response) -> Result<Value> {
    let status = response.status();
    let text = response.text().await?;
    let value: Value =
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
    if status.is_success() {
        return Ok(value);
    }
    let text_of = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Err(Problem { status: status.as_u16(), code: text_of("code"), title: text_of("title"), body: value.clone() }.into())
}

fn location(response: &Response) -> Option<String> {
    let redirects = [StatusCode::FOUND, StatusCode::SEE_OTHER, StatusCode::TEMPORARY_REDIRECT];
    let header = response.headers().get(LOCATION)?.to_str().ok()?;
    redirects.contains(&response.status()).then(|| header.to_owned())
}

/// The value of an attribute of the first tag that begins like this.
fn attribute(html: &str, tag: &str, name: &str) -> Option<String> {
    let rest = &html[html.find(tag)?..];
    let tag = &rest[..rest.find('>')?];
    let value = &tag[tag.find(&format!("{name}=\""))? + name.len() + 2..];
    Some(unescape(&value[..value.find('"')?]))
}

fn hidden_fields(html: &str) -> Vec<(String, String)> {
    html.split("<input ")
        .skip(1)
        .filter(|input| input.contains("type=\"hidden\""))
        .filter_map(|input| {
            let input = format!("<input {input}");
            Some((attribute(&input, "<input", "name")?, attribute(&input, "<input", "value").unwrap_or_default()))
        })
        .collect()
}

fn unescape(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
