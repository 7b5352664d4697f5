//! The sandbox as a person with a browser and its admin see it: consent, and the report's bytes as they are.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connectors::{Call, Credentials, Endpoints, KeeperError, Permit, Quota, Refusal, Ticket, TokenKeeper};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use url::Url;
use uuid::Uuid;

/// The user who sees the bulk advertiser and nothing else.
const BULK_USER: &str = "bulk@agency.example";
const REDIRECT: &str = "http://localhost:9/back";
const SCOPES: &str =
    "https://www.googleapis.com/auth/display-video https://www.googleapis.com/auth/doubleclickbidmanager";

/// A running sandbox.
pub(crate) struct Twin {
    base: Url,
    http: reqwest::Client,
}

/// A code that was consented to, with what proves that it is ours.
pub(crate) struct Consent {
    pub(crate) code: SecretString,
    pub(crate) verifier: SecretString,
    pub(crate) redirect: &'static str,
}

impl Twin {
    pub(crate) fn new(base: &str) -> Result<Self> {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { base: Url::parse(base)?, http })
    }

    /// What a deployment's configuration would say of it.
    pub(crate) fn endpoints(&self) -> Result<Endpoints> {
        Ok(Endpoints {
            authorize_url: self.base.join("o/oauth2/v2/auth")?,
            token_url: self.base.join("token")?,
            revoke_url: self.base.join("revoke")?,
            display_video_url: self.base.clone(),
            bid_manager_url: self.base.clone(),
            client_id: "sandbox-client".into(),
            client_secret: "sandbox-secret".into(),
        })
    }

    /// Says yes on the consent page.
    pub(crate) async fn consent(&self) -> Result<Consent> {
        let verifier = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let form = [
            ("client_id", "sandbox-client"),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", SCOPES),
            ("state", "bench"),
            ("access_type", "offline"),
            ("prompt", "consent"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("account", BULK_USER),
            ("decision", "allow"),
        ];
        let answer = self.http.post(self.base.join("o/oauth2/v2/auth")?).form(&form).send().await?;
        let back = answer.headers().get("location").context("the consent page did not lead back")?.to_str()?;
        let fields: BTreeMap<String, String> = Url::parse(back)?.query_pairs().into_owned().collect();
        let code = fields.get("code").context("the consent gave no code")?.clone();
        Ok(Consent { code: code.into(), verifier: verifier.into(), redirect: REDIRECT })
    }

    /// Moves the sandbox's time.
    pub(crate) async fn advance(&self, seconds: u64) -> Result<()> {
        let request = self.http.post(self.base.join("admin/v1/clock")?).json(&json!({"advance_seconds": seconds}));
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Writes the rows of a finished report to a file, as they are on the wire, without what follows them. From then on
    /// the sandbox serves the report as a storage does: what it costs to make it up is no part of reading it.
    pub(crate) async fn save_rows(
        &self,
        credentials: &Credentials,
        ticket: &Ticket,
        to: &std::path::Path,
    ) -> Result<()> {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", credentials.refresh_token.expose_secret()),
            ("client_id", "sandbox-client"),
            ("client_secret", "sandbox-secret"),
        ];
        let token: Value = self.http.post(self.base.join("token")?).form(&form).send().await?.json().await?;
        let token = token["access_token"].as_str().context("access_token")?;
        let path = format!("v2/queries/{}/reports/{}", ticket.query_id, ticket.report_id);
        let report: Value = self.http.get(self.base.join(&path)?).bearer_auth(token).send().await?.json().await?;
        let address = report["metadata"]["googleCloudStoragePath"].as_str().context("the report is not done")?;
        let mut download = self.http.get(address).send().await?.error_for_status()?;
        let mut file = tokio::io::BufWriter::new(tokio::fs::File::create(to).await?);
        let mut line = Vec::new();
        while let Some(bytes) = download.chunk().await? {
            for part in bytes.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(part);
                if !part.ends_with(b"\n") {
                    continue;
                }
                // An empty line, or a totals row with an empty first cell, ends the rows.
                if line.starts_with(b"\n") || line.starts_with(b"\r\n") || line.starts_with(b",") {
                    file.flush().await?;
                    while download.chunk().await?.is_some() {}
                    return Ok(());
                }
                file.write_all(&line).await?;
                line.clear();
            }
        }
        anyhow::bail!("the report has no end")
    }
}

/// Keeps the credentials of this run.
pub(crate) struct Kept(pub(crate) Credentials);

#[async_trait]
impl TokenKeeper for Kept {
    async fn load(&self) -> Result<Credentials, KeeperError> {
        Ok(self.0.clone())
    }

    async fn save(&self, _rotated: &Credentials) -> Result<(), KeeperError> {
        Ok(())
    }

    async fn alone(&self) -> Result<Box<dyn Send>, KeeperError> {
        Ok(Box::new(()))
    }
}

/// A handful of calls needs no quota.
pub(crate) struct Unlimited;

#[async_trait]
impl Quota for Unlimited {
    async fn permit(&self, call: &Call) -> connectors::Result<Permit> {
        Ok(Permit::grant(call))
    }

    async fn learned(&self, _call: &Call, _refusal: Refusal) {}
}
