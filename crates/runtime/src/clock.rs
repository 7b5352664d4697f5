//! The clocks that read the machine.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use domain::Clock;

/// The machine's own clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// The machine's clock, moved by an offset that stands in a file as seconds (a decimal number, negative for the past).
///
/// Several processes that read the same file live in the same simulated time. A missing or unreadable file is no
/// offset: a clock never fails.
#[derive(Debug, Clone)]
pub struct FileClock {
    file: PathBuf,
}

impl FileClock {
    /// A clock that reads its offset from this file.
    #[must_use]
    pub const fn new(file: PathBuf) -> Self {
        Self { file }
    }

    fn offset(&self) -> Duration {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        offset_from(&text).unwrap_or_else(Duration::zero)
    }
}

impl Clock for FileClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.offset()
    }
}

/// Reads `-12.5` as twelve and a half seconds back.
fn offset_from(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let seconds: i64 = whole.parse().ok()?;
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    Duration::try_milliseconds(seconds.checked_mul(1000)?.checked_add(sign * millis)?)
}

/// The clock that the configuration names: the machine's, or a simulated one.
#[must_use]
pub fn clock_from(file: Option<PathBuf>) -> Arc<dyn Clock> {
    match file {
        Some(file) => Arc::new(FileClock::new(file)),
        None => Arc::new(SystemClock),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_read_as_seconds() {
        let millis = |text| offset_from(text).map(|offset| offset.num_milliseconds());
        assert_eq!(millis("3600"), Some(3_600_000));
        assert_eq!(millis("-12.5\n"), Some(-12_500));
        assert_eq!(millis("0.25"), Some(250));
        assert_eq!(millis("-0.25"), Some(-250));
        assert_eq!(millis("soon"), None);
        assert_eq!(millis(""), None);
    }

    #[test]
    fn a_simulated_clock_follows_its_file_while_time_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock");
        let clock = FileClock::new(file.clone());
        assert!((clock.now() - Utc::now()).num_seconds().abs() < 5);
        std::fs::write(&file, "86400").unwrap();
        assert!((clock.now() - Utc::now()).num_seconds() > 86_390);
    }
}
