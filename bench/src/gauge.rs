//! Measures a stretch of this process's work: seconds, processor seconds, and the most memory it had.

use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// Linux counts processor time in hundredths of a second for everybody who asks through /proc.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a stretch of work took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// By the clock on the wall.
    pub(crate) seconds: f64,
    /// Of all cores together.
    pub(crate) cpu_seconds: f64,
    /// The most resident memory, of the whole process.
    pub(crate) peak_mb: f64,
}

/// A stretch of work that is being measured.
pub(crate) struct Gauge {
    began: Instant,
    cpu_seconds: f64,
}

impl Gauge {
    /// Forgets the peak so far and begins.
    pub(crate) fn start() -> Result<Self> {
        // "5" resets the peak of the resident memory: proc(5).
        fs::write("/proc/self/clear_refs", "5").context("the peak of memory can't be reset")?;
        Ok(Self { began: Instant::now(), cpu_seconds: cpu_seconds()? })
    }

    pub(crate) fn stop(self) -> Result<Cost> {
        let seconds = self.began.elapsed().as_secs_f64();
        Ok(Cost { seconds, cpu_seconds: cpu_seconds()? - self.cpu_seconds, peak_mb: peak_mb()? })
    }
}

fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name in brackets, and may hold spaces.
    let after_name = stat.rsplit_once(')').context("/proc/self/stat")?.1;
    let mut ticks = after_name.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = ticks.next().zip(ticks.next()).context("/proc/self/stat")?;
    Ok((user? + system?) / TICKS_PER_SECOND)
}

fn peak_mb() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("/proc/self/status has no VmHWM")?;
    let kilobytes: f64 = peak.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes / 1_000.0)
}

/// The value below which this part of the values lies.
pub(crate) fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let steps = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some hundred values, and a part between 0 and 1"
    )]
    let position = (steps as f64 * part).round() as usize;
    sorted.get(position).copied().unwrap_or(f64::NAN)
}
