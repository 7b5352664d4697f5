//! A connection's authorisation: an access token that renews itself, one renewal at a time.
//!
//! One [`Access`] is shared by all that use a connection in this process. Its lock is held while the token is renewed,
//! so that forty waiting calls cost one renewal; the keeper's lock keeps other processes out meanwhile. A refresh token that the platform replaces is saved by the keeper before the
//! new access token is used: were we killed in between, the saved one must be the one that works.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use domain::ErrorCode;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

use crate::error::{Error, Result, Source};
use crate::quota::Quota;

/// How long before its end a token is renewed, at most.
const MARGIN_SECONDS: i64 = 60;

/// What a keeper of tokens failed with.
pub type KeeperError = Source;

/// What a consent gave us, and what is kept.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Renews access tokens. The only lasting secret.
    pub refresh_token: SecretString,
    /// The scopes that the user granted.
    pub scopes: Vec<String>,
    /// When the refresh token itself ends, where the platform says so.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Keeps a connection's credentials, encrypted, somewhere that outlives this process.
#[async_trait]
pub trait TokenKeeper: Send + Sync {
    /// The credentials in force.
    async fn load(&self) -> Result<Credentials, KeeperError>;

    /// Replaces the credentials: the platform has rotated the refresh token and the one before may be dead.
    async fn save(&self, rotated: &Credentials) -> Result<(), KeeperError>;

    /// Waits until nobody else, in any process, renews this connection's token; nobody does while the answer is kept.
    async fn alone(&self) -> Result<Box<dyn Send>, KeeperError>;
}

/// A connection's authorisation and its share of the quotas.
pub struct Access {
    keeper: Arc<dyn TokenKeeper>,
    quota: Arc<dyn Quota>,
    state: Mutex<State>,
}

/// Names itself only: it holds secrets.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// Rotated credentials that the keeper could not save: they come before what it has.
    unsaved: Option<Credentials>,
    /// A refresh token that the platform refused: it is not sent again, until a new consent replaces it.
    dead: Option<SecretString>,
    renewals: u64,
}

struct Token {
    bearer: Bearer,
    scopes: Vec<String>,
    renew_at: DateTime<Utc>,
}

/// An access token, and the renewal that it came from.
#[derive(Clone)]
pub(crate) struct Bearer {
    secret: SecretString,
    renewal: u64,
}

impl Bearer {
    pub(crate) fn expose(&self) -> &str {
        self.secret.expose_secret()
    }
}

/// What a renewal gave.
pub(crate) struct Renewed {
    pub(crate) access_token: SecretString,
    pub(crate) lifetime: Duration,
    /// `None` when the platform does not repeat them: then they are as they were.
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) refresh_token: Option<SecretString>,
    pub(crate) refresh_expires_at: Option<DateTime<Utc>>,
}

/// How a platform renews tokens.
#[async_trait]
pub(crate) trait Renew: Send + Sync {
    async fn renew(&self, quota: &dyn Quota, refresh_token: &SecretString) -> Result<Renewed>;

    fn now(&self) -> DateTime<Utc>;
}

impl Access {
    /// The authorisation that the keeper has, with its share of the quotas.
    #[must_use]
    pub fn new(keeper: Arc<dyn TokenKeeper>, quota: Arc<dyn Quota>) -> Self {
        Self { keeper, quota, state: Mutex::default() }
    }

    pub(crate) fn quota(&self) -> &dyn Quota {
        self.quota.as_ref()
    }

    /// A token that works: the present one, or a new one when that is about to end or is the one that was refused.
    pub(crate) async fn bearer(&self, by: &dyn Renew, refused: Option<&Bearer>) -> Result<Bearer> {
        let mut state = self.state.lock().await;
        let now = by.now();
        if let Some(token) = &state.token {
            let was_refused = refused.is_some_and(|refused| refused.renewal == token.bearer.renewal);
            if now < token.renew_at && !was_refused {
                return Ok(token.bearer.clone());
            }
        }
        self.renew(&mut state, by).await
    }

    /// Renews the token whatever its age, and says which scopes it has.
    pub(crate) async fn scopes(&self, by: &dyn Renew) -> Result<Vec<String>> {
        let mut state = self.state.lock().await;
        self.renew(&mut state, by).await?;
        Ok(state.token.as_ref().map(|token| token.scopes.clone()).unwrap_or_default())
    }

    /// The refresh token in force.
    pub(crate) async fn refresh_token(&self) -> Result<SecretString> {
        let mut state = self.state.lock().await;
        Ok(self.credentials(&mut state).await?.refresh_token)
    }

    async fn renew(&self, state: &mut State, by: &dyn Renew) -> Result<Bearer> {
        // Until the rotated token is saved: one that two renew at once is dead for the second, and may be for both.
        let _alone = self.keeper.alone().await.map_err(keeper_failed)?;
        let credentials = self.credentials(state).await?;
        if state.dead.as_ref().is_some_and(|dead| same(dead, &credentials.refresh_token)) {
            return Err(dead_token("the refresh token was refused before"));
        }
        let renewed = match by.renew(self.quota(), &credentials.refresh_token).await {
            Err(error) if error.code() == ErrorCode::TokenDead => {
                state.dead = Some(credentials.refresh_token);
                state.token = None;
                return Err(error);
            }
            other => other?,
        };
        self.keep_rotated(state, &credentials, &renewed).await?;
        state.renewals += 1;
        let bearer = Bearer { secret: renewed.access_token, renewal: state.renewals };
        let margin = Duration::seconds(MARGIN_SECONDS).min(renewed.lifetime / 4);
        state.token = Some(Token {
            bearer: bearer.clone(),
            scopes: renewed.scopes.unwrap_or(credentials.scopes),
            renew_at: by.now() + renewed.lifetime - margin,
        });
        Ok(bearer)
    }

    async fn credentials(&self, state: &mut State) -> Result<Credentials> {
        if let Some(unsaved) = &state.unsaved {
            self.keeper.save(unsaved).await.map_err(keeper_failed)?;
            state.unsaved = None;
        }
        self.keeper.load().await.map_err(keeper_failed)
    }

    async fn keep_rotated(&self, state: &mut State, before: &Credentials, renewed: &Renewed) -> Result<()> {
        let Some(refresh_token) = &renewed.refresh_token else { return Ok(()) };
        if same(refresh_token, &before.refresh_token) {
            return Ok(());
        }
        let rotated = Credentials {
            refresh_token: refresh_token.clone(),
            scopes: renewed.scopes.clone().unwrap_or_else(|| before.scopes.clone()),
            expires_at: renewed.refresh_expires_at,
        };
        if let Err(source) = self.keeper.save(&rotated).await {
            state.unsaved = Some(rotated);
            return Err(keeper_failed(source));
        }
        Ok(())
    }
}

/// The authorisation is over: a person has to consent again.
pub(crate) fn dead_token(detail: &str) -> Error {
    Error::Configuration { code: ErrorCode::TokenDead, detail: detail.to_owned(), account: None }
}

fn keeper_failed(source: Source) -> Error {
    Error::Storage { what: "token keeper", source }
}

fn same(left: &SecretString, right: &SecretString) -> bool {
    left.expose_secret() == right.expose_secret()
}
