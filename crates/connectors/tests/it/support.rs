//! What every test stands on: a platform, a connection to it, a quota that counts, a clock that is set.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use connectors::{
    Access, AccountRef, AdPlatform, Call, Credentials, Endpoints, Error, Family, KeeperError, Permit, Quota, Refusal,
    Setting, Timeouts, TokenKeeper,
};
use domain::entity::Field;
use domain::{Clock, Level, Platform};
use secrecy::{ExposeSecret as _, SecretString};

use crate::fake::{Fake, Reply};

#[derive(Debug)]
pub(crate) struct SetClock(pub(crate) Mutex<DateTime<Utc>>);

impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// Allows every call until it is told to stop, and remembers.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) permits: Mutex<Vec<Call>>,
    pub(crate) learned: Mutex<Vec<(Family, Refusal)>>,
    pub(crate) closed: Mutex<Option<Family>>,
}

impl Counts {
    pub(crate) fn of(&self, family: Family) -> usize {
        self.permits.lock().unwrap().iter().filter(|call| call.family == family).count()
    }
}

#[async_trait]
impl Quota for Counts {
    async fn permit(&self, call: &Call) -> Result<Permit, Error> {
        if *self.closed.lock().unwrap() == Some(call.family) {
            return Err(Error::RateLimited { retry_after: Duration::from_secs(7), account: call.account.clone() });
        }
        self.permits.lock().unwrap().push(call.clone());
        Ok(Permit::grant(call))
    }

    async fn learned(&self, call: &Call, refusal: Refusal) {
        self.learned.lock().unwrap().push((call.family, refusal));
    }
}

#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) kept: Mutex<Credentials>,
    pub(crate) saves: Mutex<u32>,
    pub(crate) broken: Mutex<bool>,
    pub(crate) alone: Arc<tokio::sync::Mutex<()>>,
}

#[async_trait]
impl TokenKeeper for Memory {
    async fn load(&self) -> Result<Credentials, KeeperError> {
        Ok(self.kept.lock().unwrap().clone())
    }

    async fn save(&self, rotated: &Credentials) -> Result<(), KeeperError> {
        if *self.broken.lock().unwrap() {
            return Err("the vault is closed".into());
        }
        *self.saves.lock().unwrap() += 1;
        *self.kept.lock().unwrap() = rotated.clone();
        Ok(())
    }

    async fn alone(&self) -> Result<Box<dyn Send>, KeeperError> {
        Ok(Box::new(Arc::clone(&self.alone).lock_owned().await))
    }
}

impl Memory {
    pub(crate) fn refresh_token(&self) -> String {
        self.kept.lock().unwrap().refresh_token.expose_secret().to_owned()
    }
}

pub(crate) struct World {
    pub(crate) fake: Fake,
    pub(crate) platform: Arc<dyn AdPlatform>,
    pub(crate) access: Access,
    pub(crate) quota: Arc<Counts>,
    pub(crate) keeper: Arc<Memory>,
    pub(crate) clock: Arc<SetClock>,
}

pub(crate) fn now() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

pub(crate) fn endpoints(base: &str) -> Endpoints {
    let url = |path: &str| format!("{base}{path}").parse().unwrap();
    Endpoints {
        authorize_url: url("/authorize"),
        token_url: url("/token"),
        revoke_url: url("/revoke"),
        display_video_url: url("/"),
        bid_manager_url: url("/"),
        client_id: "client".into(),
        client_secret: SecretString::from("client-secret"),
    }
}

/// All timeouts the same.
pub(crate) fn timeouts(each: Duration) -> Timeouts {
    Timeouts { connect: each, read_idle: each, write: each, download_idle: each }
}

/// A world that is patient, so that a busy machine does not look like a fault.
pub(crate) async fn world() -> World {
    world_with(|base| (endpoints(base), timeouts(Duration::from_secs(30)))).await
}

/// A world that waits only briefly when the reply will not come.
pub(crate) async fn world_for(reply: &Reply) -> World {
    let silent = matches!(reply, Reply::Hang | Reply::StandStill(_));
    let each = if silent { Duration::from_millis(400) } else { Duration::from_secs(30) };
    world_with(|base| (endpoints(base), timeouts(each))).await
}

pub(crate) async fn world_with(settings: impl FnOnce(&str) -> (Endpoints, Timeouts)) -> World {
    let fake = Fake::start().await;
    let clock = Arc::new(SetClock(Mutex::new(now())));
    let (endpoints, timeouts) = settings(&fake.base);
    let platform = connectors::platform(Platform::Dv360, endpoints, timeouts, clock.clone()).unwrap();
    let credentials = Credentials {
        refresh_token: SecretString::from("rt-1"),
        scopes: connectors::dv360::SCOPES.map(str::to_owned).into(),
        expires_at: None,
    };
    let keeper = Memory {
        kept: Mutex::new(credentials),
        saves: Mutex::default(),
        broken: Mutex::default(),
        alone: Arc::default(),
    };
    let (keeper, quota) = (Arc::new(keeper), Arc::new(Counts::default()));
    let access = Access::new(keeper.clone(), quota.clone());
    World { fake, platform, access, quota, keeper, clock }
}

pub(crate) fn account() -> AccountRef {
    AccountRef { platform_id: "123".into(), currency: "EUR".parse().unwrap(), zone: "Europe/Berlin".parse().unwrap() }
}

pub(crate) fn daily_budget(account: &AccountRef) -> Setting<'_> {
    Setting { account, level: Level::Line, platform_id: "77001", field: Field::DailyBudget }
}

/// Google's error body.
pub(crate) fn fault(status: u16, name: &str, message: &str) -> Reply {
    Reply::Json(status, serde_json::json!({"error": {"code": status, "message": message, "status": name}}))
}
