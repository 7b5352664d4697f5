//! Calls with a token: permit, call, one renewal after a 401, then either a body in the documented form or an [`Error`].

use std::sync::Arc;

use domain::Clock;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::failure;
use crate::access::{Access, Bearer, Renew as _};
use crate::endpoints::{Endpoints, Timeouts};
use crate::error::{Error, Result};
use crate::http::{Answer, Body, Http, Request, Subject};
use crate::quota::{Call, Family, Quota};

#[derive(Debug)]
pub(super) struct Client {
    http: Http,
    endpoints: Endpoints,
    clock: Arc<dyn Clock>,
}

/// One page of a list.
pub(super) trait Page: DeserializeOwned {
    type Item;

    fn into_parts(self) -> (Vec<Self::Item>, Option<String>);
}

impl Client {
    pub(super) fn new(endpoints: Endpoints, timeouts: Timeouts, clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self { http: Http::new(timeouts)?, endpoints, clock })
    }

    pub(super) const fn http(&self) -> &Http {
        &self.http
    }

    pub(super) const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// A read of entities: of the user's own things, or of an account's.
    pub(super) fn entity_read(&self, subject: Subject, account: Option<&str>, path: &[&str]) -> Request {
        let url = under(&self.endpoints.display_video_url, "v4", path);
        request(Family::Entities, subject, account, Method::GET, url, Body::None)
    }

    /// A change of something within an account.
    pub(super) fn change(&self, account: &str, path: &[&str], body: &impl Serialize) -> Result<Request> {
        let url = under(&self.endpoints.display_video_url, "v4", path);
        Ok(request(Family::Writes, Subject::Item, Some(account), Method::PATCH, url, json(body)?))
    }

    /// A look at reports.
    pub(super) fn report_read(&self, path: &[&str]) -> Request {
        let url = under(&self.endpoints.bid_manager_url, "v2", path);
        request(Family::Reports, Subject::User, None, Method::GET, url, Body::None)
    }

    /// An order for a report. It changes nothing that a user could be harmed by, so it is no write.
    pub(super) fn report_order(&self, path: &[&str], body: &impl Serialize) -> Result<Request> {
        let url = under(&self.endpoints.bid_manager_url, "v2", path);
        Ok(request(Family::Reports, Subject::User, None, Method::POST, url, json(body)?))
    }

    /// The body of a success.
    pub(super) async fn call<T: DeserializeOwned>(&self, access: &Access, request: &Request) -> Result<T> {
        let answer = self.answer(access, request).await?;
        self.body(access, request, &answer).await
    }

    /// The body of a success, or nothing when there is no such thing.
    pub(super) async fn find<T: DeserializeOwned>(&self, access: &Access, request: &Request) -> Result<Option<T>> {
        let answer = self.answer(access, request).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.body(access, request, &answer).await.map(Some)
    }

    /// All items of a list, page after page.
    pub(super) async fn list<P: Page>(
        &self,
        access: &Access,
        mut request: Request,
        size: &str,
    ) -> Result<Vec<P::Item>> {
        request.url.query_pairs_mut().append_pair("pageSize", size);
        let first_page = request.url.clone();
        let (mut items, mut last_token) = (Vec::new(), None);
        loop {
            let (page, token) = self.call::<P>(access, &request).await?.into_parts();
            items.extend(page);
            let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(items) };
            if last_token.as_ref() == Some(&token) {
                return Err(Error::unreadable("the list's next page is the same page", request.account()));
            }
            request.url = first_page.clone();
            request.url.query_pairs_mut().append_pair("pageToken", &token);
            last_token = Some(token);
        }
    }

    /// What a refusal means; a refusal for want of quota is told to the quota's owner.
    pub(super) async fn refused(&self, quota: &dyn Quota, answer: &Answer, request: &Request) -> Error {
        let Some(refusal) = failure::throttling(answer, request, self.now()) else {
            return failure::refusal(answer, request);
        };
        quota.learned(&request.call, refusal).await;
        failure::rate_limited(refusal, request)
    }

    async fn answer(&self, access: &Access, request: &Request) -> Result<Answer> {
        let bearer = access.bearer(self, None).await?;
        let answer = self.attempt(access, request, &bearer).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let renewed = access.bearer(self, Some(&bearer)).await?;
        self.attempt(access, request, &renewed).await
    }

    async fn attempt(&self, access: &Access, request: &Request, bearer: &Bearer) -> Result<Answer> {
        let permit = access.quota().permit(&request.call).await?;
        self.http.send(permit, request, Some(bearer)).await.map_err(|lost| failure::lost(lost, request))
    }

    async fn body<T: DeserializeOwned>(&self, access: &Access, request: &Request, answer: &Answer) -> Result<T> {
        if !answer.status.is_success() {
            return Err(self.refused(access.quota(), answer, request).await);
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            failure::unreadable(format!("{} is not as documented", request.url.path()), request, Some(error.into()))
        })
    }
}

fn request(family: Family, subject: Subject, account: Option<&str>, method: Method, url: Url, body: Body) -> Request {
    Request { call: Call { family, account: account.map(str::to_owned) }, subject, method, url, body }
}

fn json(body: &impl Serialize) -> Result<Body> {
    serde_json::to_vec(body)
        .map(Body::Json)
        .map_err(|error| Error::not_sent(format!("the request can't be written: {error}"), None))
}

/// `base/version/path…`, each part of the path escaped.
fn under(base: &Url, version: &str, path: &[&str]) -> Url {
    let mut url = base.clone();
    // A base that can't carry a path (`mailto:`) is left as it is, and the call to it fails.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(version).extend(path);
    }
    url
}
