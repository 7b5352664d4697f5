//! An application over a database of its own, and a browser that keeps its cookie.

use std::sync::Arc;

use api::engine::Engine;
use api::{App, Parts};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::clock::StoppedClock;
use domain::ids::{OrgId, UserId};
use keys::{Codec, Master, Vault};
use lakehouse::Lake;
use runtime::settings::{Allowances, Legal, Limits, Mail};
use runtime::{Environment, MasterKeys, Settings};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};
use store::Store;
use test_database::TestDatabase;
use tower::ServiceExt as _;

/// Nobody listens there: every test runs as if the engine were away.
const NO_ENGINE: &str = "127.0.0.1:1";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A database that is dropped with this value.
pub(crate) struct World {
    database: TestDatabase,
    folder: tempfile::TempDir,
    pub(crate) app: App,
    pub(crate) router: Router,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with("http://127.0.0.1:8080").await
    }

    /// An application that browsers reach at this address.
    pub(crate) async fn with(public_url: &str) -> Self {
        Self::made(public_url, Limits::default(), None).await
    }

    /// One that sends mail through this server.
    pub(crate) async fn mailing(public_url: &str, mail: Option<Mail>) -> Self {
        Self::made(public_url, Limits::default(), mail).await
    }

    /// An application that answers only so many requests.
    pub(crate) async fn limited(public_url: &str, limits: Limits) -> Self {
        Self::made(public_url, limits, None).await
    }

    async fn made(public_url: &str, limits: Limits, mail: Option<Mail>) -> Self {
        let database = TestDatabase::create("api").await.unwrap();
        store::migrate(&database.url("clp_owner")).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(&database.url("clp_app"), folder.path(), public_url, limits);
        let clock = Arc::new(StoppedClock("2026-11-21T12:00:00Z".parse().unwrap()));
        let master = Arc::new(Master::new(&settings.master_keys).unwrap());
        let store = Store::connect(&database.url("clp_app"), 10).await.unwrap();
        let codec = Codec::open(store.clone(), Arc::clone(&master), clock.clone()).await.unwrap();
        let app = App::new(Parts {
            outbound: api::outbound::Outbound::new(settings.sso_private).unwrap(),
            mailer: api::mail::Mailer::new(mail.as_ref()).unwrap(),
            store,
            lake: Lake::open(&settings.warehouse).unwrap(),
            engine: Engine::new(NO_ENGINE, "default", codec),
            vault: Vault::new(master, clock.clone()),
            clock,
            web: folder.path().join("web"),
            limits: api::limit::Limits::new(&settings.limits).unwrap(),
            settings,
            spends: api::spend_cache::SpendCache::default(),
            reads: api::app::Reads::default(),
            passwords: api::password::Passwords::default(),
            throttle: api::throttle::Throttle::default(),
            forgotten: api::throttle::Throttle::default(),
        });
        let router = api::router(&app);
        Self { database, folder, app, router }
    }

    /// A browser that nobody has signed in with.
    pub(crate) fn browser(&self) -> Browser {
        Browser { router: self.router.clone(), cookie: None }
    }

    /// A browser of a new organisation's first person.
    pub(crate) async fn signed_up(&self, email: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.post("/api/v1/sign-up", &sign_up(email)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        browser
    }

    /// Changes rows behind the application's back.
    pub(crate) async fn sql(&self, statement: &str) -> u64 {
        let mut admin = PgConnection::connect(&self.database.url("postgres")).await.unwrap();
        admin.execute(statement).await.unwrap().rows_affected()
    }

    /// Puts a file where the web application's files are.
    pub(crate) fn web_file(&self, path: &str, content: &str) {
        let file = self.folder.path().join("web").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
}

fn settings(database_url: &str, folder: &std::path::Path, public_url: &str, limits: Limits) -> Settings {
    let environment = Environment {
        name: "dv360.sandbox".to_owned(),
        platform: domain::Platform::Dv360,
        authorize_url: "http://sandbox.test/o/oauth2/v2/auth".to_owned(),
        token_url: "http://sandbox.test/token".to_owned(),
        revoke_url: "http://sandbox.test/revoke".to_owned(),
        entities_url: "http://sandbox.test".to_owned(),
        reports_url: "http://sandbox.test".to_owned(),
        client_id: "client".to_owned(),
        client_secret: "secret".into(),
        answer_seconds: 30,
    };
    Settings {
        database_url: database_url.to_owned().into(),
        temporal_address: NO_ENGINE.to_owned(),
        temporal_namespace: "default".to_owned(),
        warehouse: folder.join("lake").display().to_string(),
        master_keys: MasterKeys { current: Some(STANDARD.encode([7; 32]).into()), ..MasterKeys::default() },
        clock_file: None,
        public_url: public_url.to_owned(),
        mail: None,
        sso_private: true,
        terms: Legal { version: "1".to_owned(), url: format!("{public_url}/legal/terms") },
        privacy: Legal { version: "1".to_owned(), url: format!("{public_url}/legal/privacy") },
        tick_seconds: 900,
        limits,
        allowances: Allowances { connections: 1, runs_per_hour: 2, ..Allowances::default() },
        environments: [(environment.name.clone(), environment)].into(),
    }
}

/// A sign-up that fits.
pub(crate) fn sign_up(email: &str) -> Value {
    json!({
        "email": email, "password": PASSWORD, "name": "Ana", "organisation_name": "Agency",
        "reporting_currency": "EUR", "time_zone": "Europe/Berlin", "terms_version": "1", "privacy_version": "1",
    })
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Sends requests as the web application does, and keeps its session's cookie.
#[derive(Clone)]
pub(crate) struct Browser {
    router: Router,
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(request(Method::GET, path, None)).await
    }

    /// The ids of the organisation that it works in and of its person.
    pub(crate) async fn ids(&mut self) -> (OrgId, UserId) {
        let me = self.get("/api/v1/me").await.body;
        let id = |pointer: &str| me.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        (id("/organisation/id").parse().unwrap(), id("/user/id").parse().unwrap())
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send(request(Method::POST, path, Some(body))).await
    }

    /// A request that is named by a key.
    pub(crate) async fn keyed(&mut self, method: Method, path: &str, key: &str, body: &Value) -> Answer {
        let mut request = request(method, path, Some(body));
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        self.send(request).await
    }

    pub(crate) async fn send(&mut self, mut request: Request<Body>) -> Answer {
        if let Some(cookie) = &self.cookie {
            request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::String(text)),
        };
        if let Some(cookie) = answer.headers.get(header::SET_COOKIE) {
            self.cookie = cookie.to_str().unwrap().split(';').next().map(str::to_owned);
        }
        answer
    }
}

/// A request with the headers of the web application.
pub(crate) fn request(method: Method, path: &str, body: Option<&Value>) -> Request<Body> {
    let safe = method == Method::GET;
    let mut builder = Request::builder().method(method).uri(path);
    if !safe {
        builder = builder.header("x-requested-with", "clp");
    }
    match body {
        Some(body) => {
            builder.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())).unwrap()
        }
        None => builder.body(Body::empty()).unwrap(),
    }
}
