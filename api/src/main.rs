//! The API's program: reads the configuration, connects, serves, and ends in good order.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use api::engine::Engine;
use api::limit::Limits;
use api::{App, Parts, detector, static_files, sweeper, telemetry};
use clap::Parser;
use keys::{Codec, Master, Vault};
use lakehouse::Lake;
use runtime::{Settings, clock_from};
use secrecy::ExposeSecret as _;
use store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Connections to PostgreSQL: requests are short, and a server has some hundred for all processes.
const MOST_CONNECTIONS: u32 = 20;
/// How long requests under way may take to end.
const GRACE: Duration = Duration::from_secs(20);

/// Serves the platform's API and its web application. Configured by environment variables.
#[derive(Debug, Parser)]
#[command(name = "api", version)]
struct Arguments {
    /// Prints the OpenAPI document and ends.
    #[arg(long)]
    openapi: bool,
    /// The address to listen on; with port 0 a free port is taken.
    #[arg(long, env = "CLP_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A file that is given the address once it is bound.
    #[arg(long, env = "CLP_ADDRESS_FILE")]
    address_file: Option<std::path::PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

/// One sentence with its reasons, for whoever started the program.
#[expect(clippy::print_stderr, reason = "logging may not have started")]
fn tell(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

async fn run(arguments: Arguments) -> Result<()> {
    if arguments.openapi {
        return print_document();
    }
    runtime::telemetry::start();
    telemetry::start();
    let app = connect().await?;
    let listener = TcpListener::bind(arguments.listen).await;
    let listener = listener.with_context(|| format!("can't listen on {}", arguments.listen))?;
    let address = listener.local_addr().context("can't tell the address that is listened on")?;
    if let Some(file) = &arguments.address_file {
        let written = std::fs::write(file, format!("{address}\n"));
        written.with_context(|| format!("can't write the address to {}", file.display()))?;
    }
    tracing::info!(http.address = %address, "listening on {address}");
    serve(app, listener).await
}

#[expect(clippy::print_stdout, reason = "printing is what the flag asks for")]
fn print_document() -> Result<()> {
    print!("{}", api::openapi::text(&api::document()).context("can't write the document")?);
    Ok(())
}

/// Everything that requests need. The workflow engine is reached when it is first needed.
async fn connect() -> Result<App> {
    let settings = Settings::from_env().context("the configuration is not complete")?;
    let clock = clock_from(settings.clock_file.clone());
    let master = Master::new(&settings.master_keys).context("the master keys can't be used")?;
    let master = Arc::new(master);
    let vault = Vault::new(Arc::clone(&master), Arc::clone(&clock));
    let store = Store::connect(settings.database_url.expose_secret(), MOST_CONNECTIONS).await;
    let store = store.context("can't connect to the database that CLP_DATABASE_URL names")?;
    let codec = Codec::open(store.clone(), master, Arc::clone(&clock)).await;
    let codec = codec.context("the keys for the payloads of workflows can't be used")?;
    let limits = Limits::new(&settings.limits).map_err(anyhow::Error::from_boxed);
    let limits = limits.context("CLP_REDIS_URL can't be used")?;
    let lake = Lake::open(&settings.warehouse).context("can't open the warehouse that CLP_WAREHOUSE names")?;
    let mailer = api::mail::Mailer::new(settings.mail.as_ref()).map_err(anyhow::Error::from_boxed)?;
    Ok(App::new(Parts {
        outbound: api::outbound::Outbound::new(settings.sso_private)?,
        mailer,
        store,
        lake,
        engine: Engine::new(&settings.temporal_address, &settings.temporal_namespace, codec),
        vault,
        clock,
        settings,
        web: static_files::folder(),
        passwords: api::password::Passwords::default(),
        throttle: api::throttle::Throttle::default(),
        forgotten: api::throttle::Throttle::default(),
        spends: api::spend_cache::SpendCache::default(),
        reads: api::app::Reads::default(),
        limits,
    }))
}

/// Serves until told to stop; then no new request is taken, and those under way may end.
async fn serve(app: App, listener: TcpListener) -> Result<()> {
    let stop = CancellationToken::new();
    let sweeper = tokio::spawn(sweeper::run(app.clone(), stop.clone()));
    let detector = tokio::spawn(detector::run(app.clone(), stop.clone()));
    let service = api::router(&app).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let server = tokio::spawn(server.into_future());
    told_to_stop().await?;
    tracing::info!("stopping: requests under way may end");
    stop.cancel();
    let ended = async {
        sweeper.await.context("the sweeper did not end well")?;
        detector.await.context("the detector did not end well")?;
        server.await.context("the server did not end well")?.context("the server failed")
    };
    if let Ok(ended) = tokio::time::timeout(GRACE, ended).await {
        ended?;
    } else {
        tracing::warn!("some requests did not end in time and are broken off");
    }
    app.store.close().await;
    Ok(())
}

async fn told_to_stop() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("can't listen for SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        pressed = tokio::signal::ctrl_c() => pressed.context("can't listen for Ctrl-C"),
    }
}
