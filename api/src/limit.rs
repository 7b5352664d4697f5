//! How many requests are answered: for one person or API key, for one organisation, and for one address of the network
//! while nobody is signed in. Who asks for more waits; what was answered stands.
//!
//! Buckets are filled again evenly (GCRA), so that a limit of 1200 a minute lets 1200 pass at once and then 20 a second.
//! They are in this process's memory, or in Redis when several replicas run. When Redis can't be reached each replica
//! limits by itself: never an open door, never an outage.

mod memory;
mod redis;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use domain::ErrorCode;
use domain::ids::{ApiKeyId, OrgId, UserId};
use runtime::settings::{self, Rate};
use secrecy::ExposeSecret as _;

use crate::app::App;
use crate::auth::{Session, Via};
use crate::authorise::{Need, Needs};
use crate::problem::{BoxedError, Error, Result};

/// Every limit that holds for an answer: how many requests in how many seconds (draft-ietf-httpapi-ratelimit-headers).
pub const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// How much is left of each, and in how many seconds it is whole again.
pub const STATE: HeaderName = HeaderName::from_static("ratelimit");
/// What is limited. Probes and metrics are asked by the deployment itself, files by every page that opens.
pub const LIMITED: &str = "/api/";
const FORWARDED_FOR: &str = "x-forwarded-for";
const MINUTE: u64 = 60;

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// An address of the network, for whoever is not signed in. Of IPv6 a network: one host has the whole of it.
    Address(IpAddr),
    /// A person, whichever browser they use.
    User(UserId),
    /// A program with this key.
    ApiKey(ApiKeyId),
    /// All members of an organisation, and whatever acts for it.
    Organisation(OrgId),
}

/// What a [`Key`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An address of the network.
    Address,
    /// A person.
    User,
    /// A program.
    ApiKey,
    /// An organisation.
    Organisation,
}

impl Key {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Address(_) => Kind::Address,
            Self::User(_) => Kind::User,
            Self::ApiKey(_) => Kind::ApiKey,
            Self::Organisation(_) => Kind::Organisation,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "address:{address}"),
            Self::User(user) => write!(f, "user:{user}"),
            Self::ApiKey(key) => write!(f, "api_key:{key}"),
            Self::Organisation(org) => write!(f, "organisation:{org}"),
        }
    }
}

impl Kind {
    /// Its name in headers and metrics.
    const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::User => "user",
            Self::ApiKey => "api_key",
            Self::Organisation => "organisation",
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Address => "one address of the network before signing in",
            Self::User => "one person",
            Self::ApiKey => "one API key",
            Self::Organisation => "one organisation",
        }
    }
}

/// How a bucket stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Whose it is.
    pub kind: Kind,
    /// How much it lets pass.
    pub rate: Rate,
    /// How many requests it would let pass now.
    pub left: u32,
    /// How long until it lets the request pass; zero when it did.
    pub wait: Duration,
}

impl Bucket {
    /// Seconds until it is whole again.
    fn reset_seconds(&self) -> u64 {
        let missing = u64::from(self.rate.per_minute.saturating_sub(self.left));
        (missing * MINUTE).div_ceil(u64::from(self.rate.per_minute.max(1)))
    }

    fn refusal(&self) -> Error {
        let (most, whose, seconds) = (self.rate.per_minute, self.kind.in_words(), whole_seconds(self.wait));
        let plural = if seconds == 1 { "" } else { "s" };
        let detail = format!(
            "The limit for {whose} is {most} requests a minute, and it is reached. The next request is answered in \
             {seconds} second{plural}."
        );
        Error::Limited { code: ErrorCode::TooManyRequests, detail, wait: self.wait }
    }
}

/// A wait in seconds, never too short.
#[must_use]
pub fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// The limits of this deployment and the buckets that keep them.
#[derive(Debug)]
pub struct Limits {
    settings: settings::Limits,
    memory: memory::Memory,
    shared: Option<redis::Redis>,
}

impl Limits {
    /// As configured. Redis is not reached before it is needed.
    ///
    /// # Errors
    /// When the address of Redis can't be read.
    pub fn new(settings: &settings::Limits) -> std::result::Result<Self, BoxedError> {
        let shared = settings.redis_url.as_ref().map(|url| redis::Redis::new(url.expose_secret())).transpose()?;
        Ok(Self { settings: settings.clone(), memory: memory::Memory::new(settings), shared })
    }

    /// Asks for one request of each key. Either all buckets let it pass, or one says how long to wait.
    pub async fn ask(&self, keys: &[Key]) -> Vec<Bucket> {
        let asked: Vec<_> = keys.iter().map(|key| (*key, self.rate(key.kind()))).collect();
        if let Some(shared) = &self.shared {
            if let Some(buckets) = shared.ask(&asked).await {
                return buckets;
            }
            metrics::counter!("clp_limits_from_memory_total").increment(1);
        }
        self.memory.ask(&asked)
    }

    /// Gives memory back.
    pub fn upkeep(&self) {
        self.memory.forget_idle();
    }

    const fn rate(&self, kind: Kind) -> Rate {
        match kind {
            Kind::Address => self.settings.address,
            Kind::User => self.settings.user,
            Kind::ApiKey => self.settings.api_key,
            Kind::Organisation => self.settings.organisation,
        }
    }
}

/// Refuses requests beyond a limit, and tells with every answer how the limits stand.
pub async fn limited(State((app, needs)): State<(App, Arc<Needs>)>, request: Request, next: Next) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    if !parts.uri.path().starts_with(LIMITED) {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let keys = match keys(&app, &needs, &mut parts).await {
        Ok(keys) => keys,
        Err(error) => return error.into_response(),
    };
    let buckets = app.limits.ask(&keys).await;
    let mut response = match buckets.iter().find(|bucket| !bucket.wait.is_zero()) {
        None => next.run(Request::from_parts(parts, body)).await,
        Some(reached) => {
            metrics::counter!("clp_limited_total", "limit" => reached.kind.name()).increment(1);
            reached.refusal().into_response()
        }
    };
    tell(response.headers_mut(), &buckets);
    response
}

/// Who asks. What anybody may ask counts for the address, signed in or not: signing in is among it.
async fn keys(app: &App, needs: &Needs, parts: &mut Parts) -> Result<Vec<Key>> {
    let route = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let session = match needs.find(&parts.method, &route) {
        None | Some(Need::Anybody) => None,
        Some(Need::Member | Need::Person | Need::Permission(_)) => match Session::of(parts, app).await {
            // A key that does not hold is refused further in; whoever tries many counts as not signed in.
            Err(Error::Refused { .. }) => None,
            found => found?,
        },
    };
    Ok(match session {
        Some(session) => {
            let caller = match session.via {
                Via::Browser(_) => Key::User(session.user),
                Via::Key(key) => Key::ApiKey(key),
            };
            vec![caller, Key::Organisation(session.org)]
        }
        None => vec![Key::Address(address(parts, app.settings.limits.trusted_proxies))],
    })
}

/// The address that a request comes from. Of what `X-Forwarded-For` says only that is believed which the proxies in front
/// have added: each adds, at the end, who it was asked by.
#[must_use]
pub fn peer(parts: &Parts, trusted_proxies: usize) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let told = trusted_proxies.checked_sub(1).and_then(|skipped| forwarded(&parts.headers, skipped));
    told.or(peer).map(|address| address.to_canonical())
}

fn address(parts: &Parts, trusted_proxies: usize) -> IpAddr {
    network(peer(parts, trusted_proxies).unwrap_or(Ipv6Addr::UNSPECIFIED.into()))
}

fn forwarded(headers: &HeaderMap, skipped: usize) -> Option<IpAddr> {
    let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
    let told: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    told.iter().rev().nth(skipped)?.parse().ok()
}

/// Of IPv6 the first half.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

fn tell(headers: &mut HeaderMap, buckets: &[Bucket]) {
    let policy = |bucket: &Bucket| format!("\"{}\";q={};w={MINUTE}", bucket.kind.name(), bucket.rate.per_minute);
    let state = |bucket: &Bucket| format!("\"{}\";r={};t={}", bucket.kind.name(), bucket.left, bucket.reset_seconds());
    let mut set = |name, items: Vec<String>| {
        if let Ok(value) = HeaderValue::from_str(&items.join(", ")) {
            headers.insert(name, value);
        }
    };
    set(POLICY, buckets.iter().map(policy).collect());
    set(STATE, buckets.iter().map(state).collect());
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(forwarded: &[&str]) -> Parts {
        let request = forwarded.iter().fold(Request::get("/"), |request, line| request.header(FORWARDED_FOR, *line));
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(ConnectInfo::<SocketAddr>("192.0.2.1:9000".parse().unwrap()));
        parts
    }

    fn from(forwarded: &[&str], trusted: usize) -> String {
        address(&parts(forwarded), trusted).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_say_is_believed() {
        assert_eq!(from(&["203.0.113.7"], 0), "192.0.2.1");
        assert_eq!(from(&["198.51.100.1, 203.0.113.7"], 1), "203.0.113.7");
        assert_eq!(from(&["198.51.100.1", "203.0.113.7, 10.0.0.1"], 2), "203.0.113.7");
        // A request that came past the proxies, and one whose header is nonsense.
        assert_eq!(from(&[], 1), "192.0.2.1");
        assert_eq!(from(&["nonsense"], 1), "192.0.2.1");
        assert_eq!(from(&["203.0.113.7"], 2), "192.0.2.1");
    }

    #[test]
    fn of_ipv6_a_network_is_one_address() {
        assert_eq!(from(&["2001:db8:1:2:3:4:5:6"], 1), "2001:db8:1:2::");
        assert_eq!(from(&["::ffff:203.0.113.7"], 1), "203.0.113.7");
    }

    fn limits(per_minute: u32) -> Limits {
        let rate = Rate { per_minute };
        let settings = settings::Limits { user: rate, address: rate, ..settings::Limits::default() };
        Limits::new(&settings).unwrap()
    }

    #[tokio::test]
    async fn a_bucket_lets_so_many_pass_and_then_says_when() {
        let (limits, ana, bob) = (limits(3), Key::User(UserId::new()), Key::User(UserId::new()));
        for left in [2, 1, 0] {
            let bucket = limits.ask(&[ana]).await[0];
            assert_eq!((bucket.left, bucket.wait), (left, Duration::ZERO));
        }
        let bucket = limits.ask(&[ana]).await[0];
        assert!(bucket.wait > Duration::from_secs(18) && bucket.wait <= Duration::from_secs(20), "{bucket:?}");
        assert_eq!((bucket.reset_seconds(), whole_seconds(bucket.wait)), (60, 20));
        assert!(limits.ask(&[bob]).await[0].wait.is_zero());
        limits.upkeep();
        assert!(!limits.ask(&[ana]).await[0].wait.is_zero(), "upkeep must not forgive");
    }

    #[tokio::test]
    async fn without_redis_requests_are_limited_all_the_same() {
        let rate = Rate { per_minute: 1 };
        let redis_url = Some("redis://127.0.0.1:1/".to_owned().into());
        let limits = Limits::new(&settings::Limits { user: rate, redis_url, ..settings::Limits::default() }).unwrap();
        let ana = Key::User(UserId::new());
        assert!(limits.ask(&[ana]).await[0].wait.is_zero());
        assert!(!limits.ask(&[ana]).await[0].wait.is_zero());
    }
}
