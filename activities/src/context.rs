//! What all activities share: the store, the lake, the platforms, the clock, the vault and the engine's client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use connectors::{Access, AccountRef, AdPlatform, Endpoints, Timeouts};
use domain::Clock;
use domain::ids::{ConnectionId, OrgId};
use keys::{Master, Vault};
use runtime::{Environment, Settings};
use secrecy::ExposeSecret as _;
use store::Store;
use store::account::Account;
use store::connection::Connection;
use temporalio_client::Client;
use tokio::sync::{Mutex, Semaphore};
use url::Url;

use crate::failure::Error;
use crate::gates::Gates;
use crate::ports::{PointerPort, QuotaPort, TokenPort};

/// Connections to PostgreSQL per worker.
const MOST_CONNECTIONS: u32 = 16;
/// Tokens that a worker renews at the same time, each with one of those connections in hand.
const MOST_RENEWALS: usize = 4;

/// The shared parts.
pub struct Context {
    pub(crate) store: Store,
    pub(crate) lake: lakehouse::Lake,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) vault: Vault,
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    platforms: BTreeMap<String, Arc<dyn AdPlatform>>,
    /// One per connection, so that a token is renewed once however many activities use it.
    accesses: Mutex<BTreeMap<(OrgId, ConnectionId), Arc<Access>>>,
    renewals: Arc<Semaphore>,
}

/// Where data is kept: all that landing and tidying up need. No platform is asked and no workflow started from here.
#[derive(Debug, Clone)]
pub(crate) struct Depot {
    pub(crate) store: Store,
    pub(crate) lake: lakehouse::Lake,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Depot {
    /// Where an organisation's tables stand.
    pub(crate) fn pointers(&self, org: OrgId) -> PointerPort {
        PointerPort { store: self.store.clone(), org }
    }
}

impl Context {
    /// Opens everything that the settings name.
    ///
    /// # Errors
    /// When PostgreSQL can't be reached, the warehouse can't be made, or an endpoint is not a URL.
    pub async fn open(settings: Settings, clock: Arc<dyn Clock>, client: Client) -> Result<Self, Error> {
        let store = Store::connect(settings.database_url.expose_secret(), MOST_CONNECTIONS).await?;
        let lake = lakehouse::Lake::open(&settings.warehouse)?;
        let vault = Vault::new(Arc::new(Master::new(&settings.master_keys)?), Arc::clone(&clock));
        let mut platforms = BTreeMap::new();
        for environment in settings.environments.values() {
            let endpoints = endpoints(environment)?;
            let timeouts = timeouts(environment);
            let platform = connectors::platform(environment.platform, endpoints, timeouts, Arc::clone(&clock))?;
            platforms.insert(environment.name.clone(), platform);
        }
        let (accesses, renewals) = (Mutex::default(), Arc::new(Semaphore::new(MOST_RENEWALS)));
        Ok(Self { store, lake, clock, vault, client, settings, platforms, accesses, renewals })
    }

    /// The connector of a connection.
    pub(crate) fn platform(&self, connection: &Connection) -> Result<&Arc<dyn AdPlatform>, Error> {
        self.platforms
            .get(&connection.environment)
            .ok_or_else(|| Error::NoEnvironment { environment: connection.environment.clone() })
    }

    /// How long a change sent through a connection may go unanswered.
    pub(crate) fn change_deadline(&self, connection: &Connection) -> Result<TimeDelta, Error> {
        let environment = self.settings.environments.get(&connection.environment);
        let environment =
            environment.ok_or_else(|| Error::NoEnvironment { environment: connection.environment.clone() })?;
        Ok(TimeDelta::from_std(timeouts(environment).write).unwrap_or(TimeDelta::MAX))
    }

    /// The authorisation of a connection.
    pub(crate) async fn access(&self, org: OrgId, connection: &Connection) -> Arc<Access> {
        let mut accesses = self.accesses.lock().await;
        let access = accesses.entry((org, connection.id)).or_insert_with(|| {
            let (store, vault, renewals) = (self.store.clone(), self.vault.clone(), Arc::clone(&self.renewals));
            let keeper = TokenPort { store, vault, org, connection: connection.id, renewals };
            Arc::new(Access::new(Arc::new(keeper), self.quota(connection)))
        });
        Arc::clone(access)
    }

    /// Forgets what is cached of a connection's authorisation, after a person gave a new one.
    pub(crate) async fn forget_access(&self, org: OrgId, connection: ConnectionId) {
        self.accesses.lock().await.remove(&(org, connection));
    }

    /// A connection's part in the quotas of its environment.
    pub(crate) fn quota(&self, connection: &Connection) -> Arc<QuotaPort> {
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        let gates = Gates { environment: connection.environment.clone(), connection: connection.id };
        Arc::new(QuotaPort { store, clock, gates })
    }

    /// Where data is kept.
    pub(crate) fn depot(&self) -> Depot {
        Depot { store: self.store.clone(), lake: self.lake.clone(), clock: Arc::clone(&self.clock) }
    }

    /// Where an organisation's tables stand.
    pub(crate) fn pointers(&self, org: OrgId) -> PointerPort {
        PointerPort { store: self.store.clone(), org }
    }
}

/// What the connector needs to know of an account.
pub(crate) fn account_ref(account: &Account) -> AccountRef {
    AccountRef { platform_id: account.platform_id.clone(), currency: account.currency, zone: account.time_zone }
}

/// A change is documented to be slow at times, and a report begins to flow late.
fn timeouts(environment: &Environment) -> Timeouts {
    let answer = Duration::from_secs(environment.answer_seconds.into());
    Timeouts { read_idle: answer, write: answer * 2, download_idle: answer * 2, ..Timeouts::default() }
}

fn endpoints(environment: &Environment) -> Result<Endpoints, Error> {
    let url = |text: &str| {
        Url::parse(text)
            .map_err(|error| Error::Inconsistent { what: "an endpoint's URL", why: format!("{text}: {error}") })
    };
    Ok(Endpoints {
        authorize_url: url(&environment.authorize_url)?,
        token_url: url(&environment.token_url)?,
        revoke_url: url(&environment.revoke_url)?,
        display_video_url: url(&environment.entities_url)?,
        bid_manager_url: url(&environment.reports_url)?,
        client_id: environment.client_id.clone(),
        client_secret: environment.client_secret.clone(),
    })
}
