//! Google's Display & Video 360: entities and changes through its API v4, reports through the Bid Manager API v2.
//!
//! # Calls
//! Bid Manager allows 2,000 calls a day and project, so reports are asked for sparingly: see `reports`. A steady pull
//! costs one call to ask, one per look, and a download that no quota counts.

mod accounts;
mod client;
mod definition;
mod entities;
mod failure;
mod oauth;
mod report_csv;
mod reports;
mod settings;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use domain::entity::Entity;
use domain::report::{Chunk, Definition};
use domain::{Clock, Money};
use futures::stream::BoxStream;
use secrecy::SecretString;

use self::client::Client;
use crate::access::{Access, Credentials};
use crate::ad_platform::{
    AccountRef, AdPlatform, Applied, Download, Live, PlatformAccount, ReportSpec, ReportState, Setting, Ticket,
    Verified,
};
use crate::endpoints::{Endpoints, Timeouts};
use crate::error::Result;
use crate::quota::Quota;

pub use definition::default_definition;

/// The scopes that a consent must grant.
pub const SCOPES: [&str; 2] = oauth::SCOPES;

/// The connector of Display & Video 360.
#[derive(Debug)]
pub struct Dv360 {
    client: Client,
}

impl Dv360 {
    /// A connector to the environment that the endpoints name.
    ///
    /// # Errors
    /// [`Error::Setup`](crate::Error::Setup) when no HTTPS client can be made on this machine.
    pub fn new(endpoints: Endpoints, timeouts: Timeouts, clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self { client: Client::new(endpoints, timeouts, clock)? })
    }
}

#[async_trait]
impl AdPlatform for Dv360 {
    async fn exchange_code(
        &self,
        quota: &dyn Quota,
        code: &SecretString,
        verifier: &SecretString,
        redirect_uri: &str,
    ) -> Result<Credentials> {
        self.client.exchange_code(quota, code, verifier, redirect_uri).await
    }

    async fn verify_access(&self, access: &Access) -> Result<Verified> {
        self.client.verify_access(access).await
    }

    async fn list_accounts(&self, access: &Access) -> Result<Vec<PlatformAccount>> {
        self.client.list_accounts(access).await
    }

    async fn list_entities(&self, access: &Access, account: &AccountRef) -> Result<Vec<Entity>> {
        self.client.list_entities(access, account).await
    }

    async fn request_report(&self, access: &Access, spec: &ReportSpec<'_>, known: Option<&Ticket>) -> Result<Ticket> {
        self.client.request_report(access, spec, known).await
    }

    async fn poll_report(&self, access: &Access, ticket: &Ticket) -> Result<ReportState> {
        self.client.poll_report(access, ticket).await
    }

    async fn fetch_report(
        &self,
        _access: &Access,
        download: &Download,
        definition: &Definition,
    ) -> Result<BoxStream<'static, Result<Chunk>>> {
        self.client.fetch_report(download, definition).await
    }

    async fn read_live(&self, access: &Access, setting: &Setting<'_>) -> Result<Live> {
        self.client.read_live(access, setting).await
    }

    async fn apply(&self, access: &Access, setting: &Setting<'_>, after: Money) -> Result<Applied> {
        self.client.apply(access, setting, after).await
    }

    async fn revoke(&self, access: &Access) -> Result<()> {
        self.client.revoke(access).await
    }
}
