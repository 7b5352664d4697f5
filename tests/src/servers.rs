//! The outside servers of one test: its own database, its own Temporal server, its own sandbox.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::process::{Process, free_port};
use crate::wait::until;

/// How long a server may take to come up on a loaded machine.
pub const UP: Duration = Duration::from_mins(1);

/// The value of a variable that `bin/test` sets.
///
/// # Errors
/// Says which one is missing and how to get it.
pub fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: run the tests through bin/test"))
}

/// A program of the platform, built by `bin/test`.
///
/// # Errors
/// When `CLP_BIN_DIR` is not set.
pub fn program(name: &str) -> Result<PathBuf> {
    Ok(PathBuf::from(variable("CLP_BIN_DIR")?).join(name))
}

/// The root of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// A database of its own on the test server, migrated.
#[derive(Debug, Clone)]
pub struct Database {
    /// The URL of the role that owns the tables.
    pub owner_url: String,
    /// The URL of the role that the platform uses.
    pub app_url: String,
}

impl Database {
    /// Makes and migrates a database on the server named by `CLP_PG_ADMIN_URL`.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub async fn create() -> Result<Self> {
        Self::create_on(&variable("CLP_PG_ADMIN_URL")?).await
    }

    /// Makes and migrates a database on a server, given its superuser's URL.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub async fn create_on(admin_url: &str) -> Result<Self> {
        let name = format!("clp_{}", uuid::Uuid::now_v7().simple());
        let mut admin = PgConnection::connect(admin_url).await?;
        admin.execute(format!("CREATE DATABASE {name} OWNER clp_owner").as_str()).await?;
        let url = |role: &str| {
            let url = admin_url.replacen("//postgres:", &format!("//{role}:"), 1);
            format!("{}/{name}", url.rsplit_once('/').map_or(url.as_str(), |(server, _)| server))
        };
        let database = Self { owner_url: url("clp_owner"), app_url: url("clp_app") };
        store::migrate(&database.owner_url).await?;
        Ok(database)
    }
}

/// A PostgreSQL server of its own, for tests that kill it.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    folder: PathBuf,
    port: u16,
}

/// A Temporal server of its own.
#[derive(Debug)]
pub struct Temporal {
    /// The process.
    pub process: Process,
    folder: PathBuf,
    port: u16,
}

impl Temporal {
    /// Starts one with its data in `folder`.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(folder: &Path) -> Result<Self> {
        let port = free_port()?;
        let process = Self::launch(folder, port)?;
        let temporal = Self { process, folder: folder.to_path_buf(), port };
        temporal.wait().await?;
        Ok(temporal)
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it and starts it again on the same data and port.
    ///
    /// # Errors
    /// When it does not come up again.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = Self::launch(&self.folder, self.port)?;
        self.wait().await
    }

    fn launch(folder: &Path, port: u16) -> Result<Process> {
        let temporal = variable("CLP_TEMPORAL")?;
        let mut command = Command::new(temporal);
        command
            .args(["server", "start-dev", "--ip", "127.0.0.1", "--headless", "--log-level", "warn", "--port"])
            .arg(port.to_string())
            .arg("--db-filename")
            .arg(folder.join("temporal.db"));
        for (flag, file) in [("--search-attribute", "search-attributes"), ("--dynamic-config-value", "dynamic-config")]
        {
            let settings = std::fs::read_to_string(root().join("temporal").join(file))?;
            for line in settings.lines().filter(|line| line.contains('=')) {
                command.args([flag, line]);
            }
        }
        Process::start("temporal", &mut command, folder)
    }

    /// Asks it something with its own command line, which knows nothing of the codec.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn ask(&self, arguments: &[&str]) -> Result<()> {
        let mut command = tokio::process::Command::new(variable("CLP_TEMPORAL")?);
        let output = command.args(arguments).args(["--address", &self.address()]).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    async fn wait(&self) -> Result<()> {
        until("the Temporal server", UP, || async {
            Ok(self.ask(&["operator", "cluster", "health"]).await.is_ok().then_some(()))
        })
        .await
    }
}

impl Postgres {
    /// Starts one with its data in `folder`; it keeps every commit through a kill.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(folder: &Path) -> Result<Self> {
        let folder = folder.join("postgres");
        std::fs::create_dir_all(&folder)?;
        hand_over(&folder)?;
        let mut init = as_unprivileged("initdb")?;
        let status = init.args(["-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-D"]);
        let output = status.arg(folder.join("data")).output()?;
        anyhow::ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let port = free_port()?;
        let process = Self::launch(&folder, port)?;
        let server = Self { process, folder, port };
        let mut admin = server.wait().await?;
        let roles = std::fs::read_to_string(root().join("migrations/roles.sql"))?;
        sqlx::raw_sql(&roles).execute(&mut admin).await?;
        Ok(server)
    }

    /// The superuser's URL.
    #[must_use]
    pub fn admin_url(&self) -> String {
        // The password is not asked for: this server is this test's alone, on the loopback.
        format!("postgres://postgres:none@127.0.0.1:{}/postgres", self.port)
    }

    /// Kills it as a power cut would and starts it again.
    ///
    /// # Errors
    /// When it does not come up again.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        crate::chaos::cut_power(&self.folder.join("data")).await?;
        self.process.kill()?;
        self.process = Self::launch(&self.folder, self.port)?;
        self.wait().await?;
        Ok(())
    }

    fn launch(folder: &Path, port: u16) -> Result<Process> {
        let mut command = as_unprivileged("postgres")?;
        command.arg("-D").arg(folder.join("data")).args(["-p", &port.to_string()]);
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=100"] {
            command.args(["-c", setting]);
        }
        Process::start("postgres", &mut command, folder)
    }

    async fn wait(&self) -> Result<PgConnection> {
        let url = self.admin_url();
        until("PostgreSQL", UP, || async { Ok(PgConnection::connect(&url).await.map(Some)?) }).await
    }
}

/// PostgreSQL refuses to run as root: then it runs as its own user.
fn as_unprivileged(program: &str) -> Result<Command> {
    let program = PathBuf::from(variable("CLP_PG_BIN")?).join(program);
    if !is_root() {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    Ok(command)
}

fn hand_over(folder: &Path) -> Result<()> {
    if is_root() {
        // Every folder above must let the server's user through.
        for above in folder.ancestors().take(2) {
            Command::new("chmod").arg("755").arg(above).status()?;
        }
        Command::new("chown").arg("postgres").arg(folder).status()?;
    }
    Ok(())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| {
        use std::os::unix::fs::MetadataExt as _;
        metadata.uid() == 0
    })
}

/// A sandbox of its own.
#[derive(Debug)]
pub struct Sandbox {
    /// The process.
    pub process: Process,
    /// Its base URL.
    pub url: String,
    /// The file through which it shares its time.
    pub clock_file: PathBuf,
}

impl Sandbox {
    /// Starts one with further arguments.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(folder: &Path, arguments: &[&str]) -> Result<Self> {
        let (port_file, clock_file) = (folder.join("sandbox.url"), folder.join("clock"));
        let mut command = Command::new(program("sandbox")?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--port-file"]).arg(&port_file);
        command.arg("--clock-file").arg(&clock_file).args(arguments);
        let process = Process::start("sandbox", &mut command, folder)?;
        let url = until("the sandbox", UP, || async {
            Ok(std::fs::read_to_string(&port_file).ok().filter(|text| text.ends_with('\n') || text.len() > 10))
        })
        .await?;
        Ok(Self { process, url: url.trim().to_owned(), clock_file })
    }
}

/// A Redis server of its own, that keeps nothing.
#[derive(Debug)]
pub struct Redis {
    /// The process.
    pub process: Process,
    folder: PathBuf,
    port: u16,
}

impl Redis {
    /// Starts one.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(folder: &Path) -> Result<Self> {
        let port = free_port()?;
        let process = Self::launch(folder, port)?;
        let redis = Self { process, folder: folder.to_path_buf(), port };
        redis.wait().await?;
        Ok(redis)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Starts it again on the same port after it was killed.
    ///
    /// # Errors
    /// When it does not come up again.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = Self::launch(&self.folder, self.port)?;
        self.wait().await
    }

    fn launch(folder: &Path, port: u16) -> Result<Process> {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.current_dir(folder);
        Process::start("redis", &mut command, folder)
    }

    async fn wait(&self) -> Result<()> {
        until("Redis", UP, || async {
            Ok(tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok().then_some(()))
        })
        .await
    }
}
