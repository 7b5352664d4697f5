//! The whole platform of one test: servers, sandbox, worker and api, on ports and data of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use keys::{Codec, Master};
use runtime::{MasterKeys, SystemClock};
use tempfile::TempDir;

use crate::client::Person;
use crate::process::Process;
use crate::sandbox_admin::SandboxAdmin;
use crate::servers::{Database, Sandbox, Temporal, UP, program, root};
use crate::wait::until;

/// What a test wants to be different.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seconds between two ticks of a schedule.
    pub tick_seconds: u32,
    /// Further arguments of the sandbox.
    pub sandbox: Vec<String>,
    /// A PostgreSQL server other than the shared one, by its superuser's URL.
    pub postgres: Option<String>,
    /// Further variables of the worker.
    pub worker: Vec<(String, String)>,
    /// Further variables of the API.
    pub api: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            // Far apart: a test asks for its cycles itself.
            tick_seconds: 86_400,
            sandbox: vec!["--report-delay-seconds".into(), "1".into()],
            postgres: None,
            worker: Vec::new(),
            api: Vec::new(),
        }
    }
}

/// A running platform.
#[derive(Debug)]
pub struct Stack {
    /// The worker.
    pub worker: Process,
    /// The API's process.
    pub api: Process,
    /// The sandbox.
    pub sandbox: Sandbox,
    /// The Temporal server.
    pub temporal: Temporal,
    /// The database.
    pub database: Database,
    /// Where the API listens.
    pub url: String,
    /// The lake's folder.
    pub warehouse: PathBuf,
    variables: Vec<(String, String)>,
    worker_variables: Vec<(String, String)>,
    folder: TempDir,
}

impl Stack {
    /// Starts everything.
    ///
    /// # Errors
    /// When something does not come up; the end of its log is in the error.
    pub async fn start(options: Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("clp-it.").tempdir()?;
        let path = folder.path();
        let database = match &options.postgres {
            Some(admin_url) => Database::create_on(admin_url).await?,
            None => Database::create().await?,
        };
        let arguments: Vec<&str> = options.sandbox.iter().map(String::as_str).collect();
        let (temporal, sandbox) = tokio::try_join!(Temporal::start(path), Sandbox::start(path, &arguments))?;
        let warehouse = path.join("warehouse");
        let variables = variables(&database, &temporal, &sandbox, &warehouse, options.tick_seconds);
        let worker = start_worker(path, &variables, &options.worker)?;
        let (api, url) = start_api(path, "api", &variables, &options.api).await?;
        let worker_variables = options.worker;
        Ok(Self { worker, api, sandbox, temporal, database, url, warehouse, variables, worker_variables, folder })
    }

    /// The folder with the logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the platform was configured with.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// Somebody who has just opened the page.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn person(&self) -> Result<Person> {
        Person::new(&self.url)
    }

    /// The sandbox's admin interface.
    #[must_use]
    pub fn sandbox_admin(&self) -> SandboxAdmin {
        SandboxAdmin::new(&self.sandbox.url)
    }

    /// Starts a worker again after it was killed.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn restart_worker(&mut self) -> Result<()> {
        self.worker = start_worker(self.folder.path(), &self.variables, &self.worker_variables)?;
        Ok(())
    }

    /// Configures the programs otherwise from their next start on; `None` takes a variable away.
    pub fn configure(&mut self, name: &str, value: Option<&str>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// Starts another worker, then stops the one before in good order.
    ///
    /// # Errors
    /// When one can't be started or stopped.
    pub fn roll_worker(&mut self) -> Result<()> {
        let next = start_worker(self.folder.path(), &self.variables, &self.worker_variables)?;
        let mut before = std::mem::replace(&mut self.worker, next);
        before.stop(UP)
    }

    /// Stops the API in good order and starts it again at the same address.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart_api(&mut self) -> Result<()> {
        self.api.stop(UP)?;
        let port = self.url.rsplit(':').next().and_then(|port| port.parse().ok()).context("the api's port")?;
        self.api = start_api_on(self.folder.path(), "api", &self.variables, port).await?;
        Ok(())
    }

    /// What encrypts and decrypts the payloads of this platform's workflows.
    ///
    /// # Errors
    /// When its keys can't be read.
    pub async fn codec(&self) -> Result<Codec> {
        let key = self.variable("CLP_MASTER_KEY").context("CLP_MASTER_KEY is not set")?;
        let master = Master::new(&MasterKeys { current: Some(key.into()), ..MasterKeys::default() })?;
        let store = store::Store::connect(&self.database.app_url, 1).await?;
        Ok(Codec::open(store, Arc::new(master), Arc::new(SystemClock)).await?)
    }

    /// Asks `clp`, configured as the other programs; how it ended and what it said.
    ///
    /// # Errors
    /// When it can't be started.
    pub async fn clp(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = tokio::process::Command::new(program("clp")?);
        let output = command.args(arguments).envs(self.variables.iter().cloned()).output().await?;
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Ok((output.status.code(), said))
    }

    /// Starts a second replica of the API beside the first; its process and where it listens.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn second_api(&self, more: &[(String, String)]) -> Result<(Process, String)> {
        start_api(self.folder.path(), "api-2", &self.variables, more).await
    }

    /// Keeps the logs of a failed test where the person who ran it can read them, and says where.
    #[must_use]
    pub fn logs(&self) -> String {
        ["worker", "api", "sandbox", "temporal"]
            .map(|name| {
                let text = std::fs::read_to_string(self.folder().join(format!("{name}.log"))).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                format!("--- {name}\n{}", lines[lines.len().saturating_sub(30)..].join("\n"))
            })
            .join("\n")
    }
}

fn variables(
    database: &Database,
    temporal: &Temporal,
    sandbox: &Sandbox,
    warehouse: &Path,
    tick_seconds: u32,
) -> Vec<(String, String)> {
    let key = base64::engine::general_purpose::STANDARD.encode([7_u8; 32]);
    let google = |path: &str| format!("{}{path}", sandbox.url);
    [
        ("CLP_DATABASE_URL", database.app_url.clone()),
        ("TEMPORAL_ADDRESS", temporal.address()),
        ("CLP_WAREHOUSE", warehouse.display().to_string()),
        ("CLP_MASTER_KEY", key),
        ("CLP_CLOCK_FILE", sandbox.clock_file.display().to_string()),
        ("CLP_TICK_SECONDS", tick_seconds.to_string()),
        ("CLP_DV360_ENVIRONMENT", "dv360.sandbox".into()),
        ("CLP_DV360_CLIENT_ID", "sandbox-client".into()),
        ("CLP_DV360_CLIENT_SECRET", "sandbox-secret".into()),
        ("CLP_DV360_AUTHORIZE_URL", google("/o/oauth2/v2/auth")),
        ("CLP_DV360_TOKEN_URL", google("/token")),
        ("CLP_DV360_REVOKE_URL", google("/revoke")),
        ("CLP_DV360_DISPLAY_VIDEO_URL", sandbox.url.clone()),
        ("CLP_DV360_BID_MANAGER_URL", sandbox.url.clone()),
        // A test asks for more runs in an hour than people do.
        ("CLP_RUNS_PER_HOUR", "100000".into()),
        // A test's identity provider is on this machine.
        ("CLP_SSO_PRIVATE", "1".into()),
        ("CLP_LOG", "info,temporalio_sdk_core=warn".into()),
        ("CLP_WEB_DIR", root().join("web/dist").display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn start_worker(folder: &Path, variables: &[(String, String)], more: &[(String, String)]) -> Result<Process> {
    let mut command = Command::new(program("worker")?);
    command.envs(variables.iter().cloned()).envs(more.iter().cloned());
    Process::start("worker", &mut command, folder)
}

async fn start_api(
    folder: &Path,
    name: &str,
    variables: &[(String, String)],
    more: &[(String, String)],
) -> Result<(Process, String)> {
    let (variables, port) = ([variables, more].concat(), crate::process::free_port()?);
    Ok((start_api_on(folder, name, &variables, port).await?, format!("http://127.0.0.1:{port}")))
}

async fn start_api_on(folder: &Path, name: &str, variables: &[(String, String)], port: u16) -> Result<Process> {
    let address_file = folder.join(format!("{name}.address"));
    std::fs::remove_file(&address_file).ok();
    let url = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(program("api")?);
    command.envs(variables.iter().cloned());
    command.env("CLP_LISTEN", format!("127.0.0.1:{port}")).env("CLP_PUBLIC_URL", &url);
    command.env("CLP_ADDRESS_FILE", &address_file);
    let mut process = Process::start(name, &mut command, folder)?;
    until("the api", UP, || {
        let alive = process.check();
        let up = address_file.exists();
        async move { alive.map(|()| up.then_some(())) }
    })
    .await
    .with_context(|| process.log_end())?;
    Ok(process)
}
