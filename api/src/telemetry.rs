//! The metrics of this process, in the form that Prometheus reads.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

const SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// How often what was observed is folded into its buckets, when nobody reads it.
pub const UPKEEP: Duration = Duration::from_secs(30);

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts recording; a second start in one process (tests) keeps the first.
pub fn start() {
    METRICS.get_or_init(|| {
        let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("seconds".to_owned()), SECONDS);
        let started = builder.and_then(PrometheusBuilder::install_recorder);
        started.inspect_err(|error| tracing::error!(%error, "metrics could not be started: {error}")).ok()
    });
}

/// All metrics as text.
pub fn render() -> String {
    METRICS.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default()
}

/// Folds what was observed into its buckets.
pub fn upkeep() {
    if let Some(handle) = METRICS.get().and_then(Option::as_ref) {
        handle.run_upkeep();
    }
}
