//! What the connectors and the lake ask of the store, each behind the trait that they declare.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use connectors::{Call, Credentials, Family, KeeperError, Permit, Quota, Refusal, TokenKeeper};
use domain::ids::{ConnectionId, ConsentId, OrgId};
use domain::lake::TableName;
use domain::{Clock, TimeZone};
use keys::{Vault, places};
use lakehouse::{BoxedError, Pointers};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use store::quota::{Grant, Window};
use store::{Store, Tx};
use tokio::sync::Semaphore;

use crate::gates::Gates;

/// Where the tables' pointers stand.
#[derive(Debug)]
pub(crate) struct PointerPort {
    pub(crate) store: Store,
    pub(crate) org: OrgId,
}

#[async_trait]
impl Pointers for PointerPort {
    async fn current(&self, table: &TableName) -> Result<Option<String>, BoxedError> {
        let mut tx = self.store.begin(self.org).await?;
        Ok(store::pointer::current(&mut tx, table).await?)
    }
}

/// Keeps a connection's refresh token, sealed for exactly that connection.
#[derive(Debug)]
pub(crate) struct TokenPort {
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) org: OrgId,
    pub(crate) connection: ConnectionId,
    /// Renewals that may be under way at once: each keeps a connection to PostgreSQL while the platform answers.
    pub(crate) renewals: Arc<Semaphore>,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    refresh_token: String,
    scopes: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
}

/// Seals credentials for a place, to be stored in this transaction.
pub(crate) async fn seal_credentials(
    vault: &Vault,
    tx: &mut Tx,
    place: &str,
    credentials: &Credentials,
) -> Result<Vec<u8>, KeeperError> {
    let kept = Kept {
        refresh_token: credentials.refresh_token.expose_secret().to_owned(),
        scopes: credentials.scopes.clone(),
        expires_at: credentials.expires_at,
    };
    let text: SecretString = serde_json::to_string(&kept)?.into();
    Ok(vault.seal(tx, place, &text).await?)
}

/// Opens what [`seal_credentials`] sealed, for the place that it was sealed for.
async fn open_credentials(vault: &Vault, tx: &mut Tx, place: &str, sealed: &[u8]) -> Result<Credentials, KeeperError> {
    let text = vault.open(tx, place, sealed).await?;
    let Kept { refresh_token, scopes, expires_at } = serde_json::from_str(text.expose_secret())?;
    Ok(Credentials { refresh_token: refresh_token.into(), scopes, expires_at })
}

/// Seals what a consent brought for the connection that takes it over; its scopes beside it.
pub(crate) async fn reseal(
    vault: &Vault,
    tx: &mut Tx,
    from: ConsentId,
    to: ConnectionId,
    sealed: &[u8],
) -> Result<(Vec<u8>, Vec<String>), KeeperError> {
    let credentials = open_credentials(vault, tx, &places::offered(from), sealed).await?;
    Ok((seal_credentials(vault, tx, &places::credentials(to), &credentials).await?, credentials.scopes))
}

/// Credentials that nothing will keep: they are used to give themselves back.
#[derive(Debug)]
pub(crate) struct Unkept(pub(crate) Credentials);

#[async_trait]
impl TokenKeeper for Unkept {
    async fn load(&self) -> Result<Credentials, KeeperError> {
        Ok(self.0.clone())
    }

    async fn save(&self, _: &Credentials) -> Result<(), KeeperError> {
        Ok(())
    }

    /// Nobody else has them.
    async fn alone(&self) -> Result<Box<dyn Send>, KeeperError> {
        Ok(Box::new(()))
    }
}

/// The credentials that a consent brought and no connection has taken over yet.
#[derive(Debug)]
pub(crate) struct OfferedPort {
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) org: OrgId,
    pub(crate) consent: ConsentId,
}

#[async_trait]
impl TokenKeeper for OfferedPort {
    async fn load(&self) -> Result<Credentials, KeeperError> {
        let mut tx = self.store.begin(self.org).await?;
        let sealed = store::consent::hold(&mut tx, self.consent).await?.credentials;
        let sealed = sealed.ok_or("the consent has no credentials")?;
        open_credentials(&self.vault, &mut tx, &places::offered(self.consent), &sealed).await
    }

    async fn save(&self, rotated: &Credentials) -> Result<(), KeeperError> {
        let mut tx = self.store.begin(self.org).await?;
        let sealed = seal_credentials(&self.vault, &mut tx, &places::offered(self.consent), rotated).await?;
        store::consent::offer(&mut tx, self.consent, &sealed).await?;
        Ok(tx.commit().await?)
    }

    /// Only the workflow of the consent uses them, one step after the other.
    async fn alone(&self) -> Result<Box<dyn Send>, KeeperError> {
        Ok(Box::new(()))
    }
}

#[async_trait]
impl TokenKeeper for TokenPort {
    async fn load(&self) -> Result<Credentials, KeeperError> {
        let mut tx = self.store.begin(self.org).await?;
        let sealed = store::connection::credentials(&mut tx, self.connection).await?;
        let sealed = sealed.ok_or("the connection has no credentials")?;
        open_credentials(&self.vault, &mut tx, &places::credentials(self.connection), &sealed).await
    }

    async fn save(&self, rotated: &Credentials) -> Result<(), KeeperError> {
        let mut tx = self.store.begin(self.org).await?;
        let sealed = seal_credentials(&self.vault, &mut tx, &places::credentials(self.connection), rotated).await?;
        store::connection::replace_credentials(&mut tx, self.connection, &sealed).await?;
        Ok(tx.commit().await?)
    }

    async fn alone(&self) -> Result<Box<dyn Send>, KeeperError> {
        let place = Arc::clone(&self.renewals).acquire_owned().await?;
        let mut tx = self.store.begin(self.org).await?;
        store::connection::refresh_lock(&mut tx, self.connection).await?;
        // The transaction changes nothing: dropping it gives the lock back.
        Ok(Box::new((tx, place)))
    }
}

/// One connection's part in the quotas of its environment, counted in PostgreSQL so that all workers share them.
#[derive(Debug)]
pub(crate) struct QuotaPort {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) gates: Gates,
}

/// Bid Manager: 2,000 calls per project and day, which begins at midnight Pacific; 4 per second, in any second: one
/// call per window of more than a third of a second never exceeds that.
const REPORTS_PER_DAY: u64 = 2_000;
const REPORTS_APART: TimeDelta = TimeDelta::milliseconds(350);
/// A wait this short is waited for: it keeps calls apart, and is no quota that is used up.
const SHORT_WAIT: Duration = Duration::from_millis(1_100);
const SHORT_WAITS: u32 = 30;
/// Display & Video 360: 1,500 calls per project and minute, of which 700 may write.
const CALLS_PER_MINUTE: u64 = 1_500;
/// Kept back from reads, so that a change or a pause never waits for ingestion.
const WRITE_SHARE: u64 = 300;
const WRITES_PER_MINUTE: u64 = 600;
const PACIFIC: &str = "America/Los_Angeles";

impl QuotaPort {
    fn window(&self, what: &str, anchor: DateTime<Utc>, length: TimeDelta, limit: u64) -> Window {
        Window { name: format!("{}/{what}", self.gates.environment), anchor, length, limit }
    }

    /// The windows that a call draws on.
    fn windows(&self, call: &Call, now: DateTime<Utc>) -> Vec<Window> {
        let minute = |what, limit| self.window(what, DateTime::UNIX_EPOCH, TimeDelta::minutes(1), limit);
        match call.family {
            Family::Reports => vec![
                self.window("reports/day", pacific_midnight(now), TimeDelta::days(1), REPORTS_PER_DAY),
                self.window("reports/spacing", DateTime::UNIX_EPOCH, REPORTS_APART, 1),
            ],
            Family::Entities => vec![minute("calls/minute", CALLS_PER_MINUTE - WRITE_SHARE)],
            Family::Writes => {
                vec![minute("calls/minute", CALLS_PER_MINUTE), minute("writes/minute", WRITES_PER_MINUTE)]
            }
            Family::Tokens => vec![],
        }
    }

    /// Takes what a call needs, or says until when it is refused, and whether that is the account's own quota.
    async fn take(&self, call: &Call, now: DateTime<Utc>) -> Result<Option<(DateTime<Utc>, bool)>, store::Error> {
        if let Some((gate, until)) = store::quota::closed(&self.store, &self.gates.passed(call), now).await? {
            return Ok(Some((until, self.gates.account(call) == Some(gate))));
        }
        match store::quota::take(&self.store, &self.windows(call, now), 1, now).await? {
            Grant::Granted => Ok(None),
            Grant::Refused { until } => Ok(Some((until, false))),
        }
    }
}

/// The last midnight in Los Angeles, where Google's quota days begin.
fn pacific_midnight(now: DateTime<Utc>) -> DateTime<Utc> {
    PACIFIC.parse::<TimeZone>().map_or(DateTime::UNIX_EPOCH, |zone| zone.start_of(zone.day_at(now)))
}

fn storage(source: store::Error) -> connectors::Error {
    connectors::Error::Storage { what: "quota", source: source.into() }
}

#[async_trait]
impl Quota for QuotaPort {
    async fn permit(&self, call: &Call) -> connectors::Result<Permit> {
        metrics::counter!("clp_platform_calls_total", "family" => call.family.name()).increment(1);
        for _ in 0..SHORT_WAITS {
            let now = self.clock.now();
            let Some((until, is_the_account_s)) = self.take(call, now).await.map_err(storage)? else {
                return Ok(Permit::grant(call));
            };
            let retry_after = (until - now).to_std().unwrap_or(Duration::ZERO);
            if retry_after > SHORT_WAIT {
                let account = call.account.clone().filter(|_| is_the_account_s);
                return Err(connectors::Error::RateLimited { retry_after, account });
            }
            tokio::time::sleep(retry_after).await;
        }
        Err(connectors::Error::RateLimited { retry_after: SHORT_WAIT, account: None })
    }

    async fn learned(&self, call: &Call, refusal: Refusal) {
        let Refusal { scope, retry_after } = refusal;
        let until = self.clock.now() + TimeDelta::from_std(retry_after).unwrap_or(TimeDelta::minutes(1));
        for gate in self.gates.closed(call, scope) {
            if let Err(error) = store::quota::block(&self.store, &gate, until).await {
                tracing::warn!("a refused call could not be remembered: {error}");
            }
        }
    }
}
