//! The worker: reads the configuration, builds the clients, registers workflows and activities, runs until SIGTERM.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use activities::Context;
use anyhow::{Context as _, Result};
use domain::Clock;
use keys::{Codec, Master};
use metrics_exporter_prometheus::PrometheusBuilder;
use runtime::{Settings, clock_from, telemetry};
use secrecy::ExposeSecret as _;
use store::Store;
use temporalio_client::{Client, Connection, ConnectionOptions, Url};
use temporalio_sdk::runtime::RuntimeOptions;
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use tokio::signal::unix::{SignalKind, signal};

/// Reports are millions of short-lived allocations: measured by `bin/bench ingest`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long running activities may go on after SIGTERM before they are cancelled; they resume elsewhere.
const GRACE: Duration = Duration::from_secs(10);
/// Connections to PostgreSQL for the keys of payloads.
const CODEC_CONNECTIONS: u32 = 2;
/// After a kill, work that was promised to the dead worker's cache is offered to all workers again.
const STICKY: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<()> {
    telemetry::start();
    if std::env::args().nth(1).as_deref() == Some("migrate") {
        return migrate().await;
    }
    let settings = Settings::from_env()?;
    serve_metrics()?;
    let runtime = Runtime::from_current_tokio(RuntimeOptions::builder().build().map_err(anyhow::Error::msg)?)?;
    let clock = clock_from(settings.clock_file.clone());
    let client = connect(&settings, &codec(&settings, &clock).await?).await?;
    let context = Arc::new(Context::open(settings, clock, client.clone()).await?);
    let mut cycles = Worker::new(
        &runtime,
        client.clone(),
        prepared(activities::cycles(&context).map_err(anyhow::Error::from_boxed)?),
    )?;
    let mut write_backs =
        Worker::new(&runtime, client, prepared(activities::write_backs(&context).map_err(anyhow::Error::from_boxed)?))?;
    let schedules = tokio::spawn(activities::schedule::keep(Arc::clone(&context)));
    let stops = [cycles.shutdown_handle(), write_backs.shutdown_handle()];
    tokio::spawn(async move {
        if let Err(error) = asked_to_stop().await {
            tracing::error!("the worker can't be told to stop: {error}");
            return;
        }
        tracing::info!("draining");
        for stop in &stops {
            stop();
        }
    });
    tracing::info!("working on {} and {}", workflows::queues::CYCLES, workflows::queues::WRITE_BACKS);
    // A worker's future can't be moved to another thread, so both run here.
    let (cycles, write_backs) = tokio::join!(cycles.run(), write_backs.run());
    schedules.abort();
    cycles.and(write_backs).context("a worker ended")?;
    Ok(())
}

/// `worker migrate`: applies the migrations that are missing, as the role that owns the tables.
async fn migrate() -> Result<()> {
    let url =
        std::env::var("CLP_OWNER_DATABASE_URL").context("CLP_OWNER_DATABASE_URL must name the owner's database")?;
    store::migrate(&url).await?;
    tracing::info!("the database is up to date");
    Ok(())
}

fn prepared(mut options: WorkerOptions) -> WorkerOptions {
    options.graceful_shutdown_period = Some(GRACE);
    options.sticky_queue_schedule_to_start_timeout = STICKY;
    options
}

/// Encrypts what the workflow engine is given. It reads its keys through connections of its own: it must not wait for those of
/// the activities.
async fn codec(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Codec> {
    let master = Arc::new(Master::new(&settings.master_keys)?);
    let store = Store::connect(settings.database_url.expose_secret(), CODEC_CONNECTIONS).await?;
    Ok(Codec::open(store, master, Arc::clone(clock)).await?)
}

async fn connect(settings: &Settings, codec: &Codec) -> Result<Client> {
    let url = Url::parse(&format!("http://{}", settings.temporal_address)).context("TEMPORAL_ADDRESS")?;
    let identity = format!("worker/{}", std::process::id());
    let connection = Connection::connect(ConnectionOptions::new(url).identity(identity).build())
        .await
        .with_context(|| format!("the Temporal server at {} can't be reached", settings.temporal_address))?;
    Ok(Client::new(connection, codec.client_options(&settings.temporal_namespace))?)
}

/// Serves Prometheus metrics on `CLP_METRICS_LISTEN`, when it is set.
fn serve_metrics() -> Result<()> {
    let Ok(listen) = std::env::var("CLP_METRICS_LISTEN") else { return Ok(()) };
    let address: SocketAddr = listen.parse().context("CLP_METRICS_LISTEN")?;
    PrometheusBuilder::new().with_http_listener(address).install().context("metrics can't be served")
}

async fn asked_to_stop() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
