//! The `sandbox` command: reads its options, builds the world, serves until it is told to stop.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use sandbox::world::report_file::BadFile;
use sandbox::{Options, Sandbox, StartError};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How long open connections may go on after a signal to stop.
const GRACE: Duration = Duration::from_secs(3);

/// The exit code for a report file that cannot be served.
const BAD_FILE: u8 = 2;

#[derive(Parser)]
#[command(version, about = "A twin of Display & Video 360, Bid Manager and Google OAuth")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the twin until SIGTERM or Ctrl-C.
    Serve(Serve),
}

#[derive(Args)]
struct Serve {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Where to write the URL once the sandbox answers.
    #[arg(long)]
    port_file: Option<PathBuf>,
    /// What all chance derives from.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Where the offset of virtual time is kept, in seconds; shared with the product's clock.
    #[arg(long)]
    clock_file: Option<PathBuf>,
    /// How many virtual seconds a report takes: a number or a range such as 20-60.
    #[arg(long, default_value = "20-60", value_parser = parse_delay)]
    report_delay_seconds: RangeInclusive<i64>,
    /// A Display & Video 360 report (CSV) to serve instead of the invented agency.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Adds an advertiser with this many line items, seen by bulk@agency.example.
    #[arg(long, default_value_t = 0)]
    bulk_lines: u64,
    /// How many real milliseconds the patch of a line item takes.
    #[arg(long, default_value_t = 20)]
    patch_millis: u64,
    /// Where to keep what happens, so that the next start goes on from it; the clock file keeps the time.
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// The OAuth client id.
    #[arg(long, default_value = "sandbox-client")]
    client_id: String,
    /// The OAuth client secret.
    #[arg(long, default_value = "sandbox-secret", env = "SANDBOX_CLIENT_SECRET", hide_env_values = true)]
    client_secret: String,
}

fn parse_delay(text: &str) -> Result<RangeInclusive<i64>, String> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let read = |part: &str| part.trim().parse::<i64>().map_err(|_| format!("'{text}' is neither a number nor a range"));
    let (low, high) = (read(low)?, read(high)?);
    if low < 0 || high < low {
        Err(format!("'{text}' does not run from a smaller to a larger number"))
    } else {
        Ok(low..=high)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let Command::Serve(arguments) = Cli::parse().command;
    match serve(arguments).await {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("the sandbox stopped: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Serve) -> anyhow::Result<ExitCode> {
    let (listen, port_file) = (arguments.listen.clone(), arguments.port_file.clone());
    let sandbox = match Sandbox::new(options(arguments)) {
        Ok(sandbox) => Arc::new(sandbox),
        Err(StartError::Report(BadFile(sentence)) | StartError::OtherWorld(sentence)) => {
            // A sentence for the person who chose the file, not a log line.
            io::Write::write_all(&mut io::stderr(), format!("{sentence}\n").as_bytes())?;
            return Ok(ExitCode::from(BAD_FILE));
        }
        Err(StartError::State(error)) => return Err(error).context("could not use the state folder"),
        Err(StartError::Clock(error)) => return Err(error).context("could not write the clock file"),
    };
    let listener = TcpListener::bind(&listen).await.with_context(|| format!("could not listen on {listen}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut server = tokio::spawn(sandbox::serve(listener, sandbox, wait_for(stopped)));
    if let Some(path) = port_file {
        announce(&path, &url).with_context(|| format!("could not write {}", path.display()))?;
    }
    tracing::info!(url, "the sandbox answers at {url}");
    tokio::select! {
        outcome = &mut server => outcome??,
        outcome = signalled() => {
            outcome?;
            stop.send_replace(true);
            // A call that hangs on purpose must not hold up the end.
            if tokio::time::timeout(GRACE, &mut server).await.is_err() {
                server.abort();
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn wait_for(mut stopped: tokio::sync::watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a reason to stop as well.
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn signalled() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        outcome = tokio::signal::ctrl_c() => outcome,
    }
}

/// Written beside and renamed, so that who waits for the file never reads half a URL.
fn announce(path: &Path, url: &str) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    fs::write(&beside, url)?;
    fs::rename(&beside, path)
}

fn options(arguments: Serve) -> Options {
    Options {
        seed: arguments.seed,
        clock_file: arguments.clock_file,
        report_delay_seconds: arguments.report_delay_seconds,
        report: arguments.report,
        bulk_lines: arguments.bulk_lines,
        patch_millis: arguments.patch_millis,
        state_dir: arguments.state_dir,
        client_id: arguments.client_id,
        client_secret: arguments.client_secret,
    }
}
