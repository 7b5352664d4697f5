//! Logging: one line per event, readable on a terminal or as JSON for a collector.

use tracing_subscriber::EnvFilter;

/// Starts logging. `CLP_LOG` sets what is logged (as `RUST_LOG` would), `CLP_LOG_FORMAT=json` how.
pub fn start() {
    let filter = EnvFilter::try_from_env("CLP_LOG").unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let json = std::env::var("CLP_LOG_FORMAT").is_ok_and(|format| format == "json");
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first.
    let started = if json { builder.json().try_init() } else { builder.try_init() };
    drop(started);
}
