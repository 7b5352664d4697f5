//! What every handler works with.

use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use domain::Clock;
use domain::ids::OrgId;
use keys::Vault;
use lakehouse::Lake;
use runtime::Settings;
use store::proposal::Filter;
use store::{Page, Store};

use crate::engine::Engine;
use crate::limit::Limits;
use crate::mail::Mailer;
use crate::outbound::Outbound;
use crate::password::Passwords;
use crate::shared::Shared;
use crate::spend_cache::SpendCache;
use crate::throttle::Throttle;
use crate::v1::campaign::Campaigns;
use crate::v1::proposal::Listed;

/// The application: cheap to clone, shared by all requests.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

/// What the application is made of.
pub struct Parts {
    /// The control plane.
    pub store: Store,
    /// The tables.
    pub lake: Lake,
    /// The workflow engine.
    pub engine: Engine,
    /// Seals secrets.
    pub vault: Vault,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
    /// The configuration.
    pub settings: Settings,
    /// Where the web application's files are.
    pub web: PathBuf,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// Asks addresses that organisations chose.
    pub outbound: Outbound,
    /// Sends mail.
    pub mailer: Mailer,
    /// Holds back guessing.
    pub throttle: Throttle,
    /// Holds back mails to who did not ask for them.
    pub forgotten: Throttle,
    /// What lines spent, as long as it holds.
    pub spends: SpendCache,
    /// Reads that are the same for all who look.
    pub reads: Reads,
    /// Holds back who asks too much.
    pub limits: Limits,
}

/// Reads that are the same for everybody in an organisation who looks at the same moment.
#[derive(Debug, Default)]
pub struct Reads {
    /// How all campaigns do.
    pub campaigns: Shared<OrgId, Arc<Campaigns>>,
    /// The overview, written out.
    pub overviews: Shared<OrgId, Bytes>,
    /// Pages of proposals, for those who may decide and those who may not.
    pub proposals: Shared<(OrgId, Filter, Page, bool), Arc<Listed>>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, engine, settings, .. } = self;
        f.debug_struct("App")
            .field("store", store)
            .field("engine", engine)
            .field("url", &settings.public_url)
            .finish_non_exhaustive()
    }
}

impl App {
    /// The application made of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Whether browsers reach the application through TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.settings.public_url.starts_with("https://")
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
