//! Virtual time: system time plus an offset that the admin API moves. The offset lives in a file
//! when one is given, because the product's own clock reads the same file and both must agree.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// Milliseconds in one second, the resolution in which the offset is kept.
const MILLIS: i64 = 1_000;

/// The one source of time in the sandbox.
#[derive(Debug)]
pub struct Clock {
    file: Option<PathBuf>,
    offset_millis: AtomicI64,
}

impl Clock {
    /// Makes a clock that keeps its offset in `file`, or in memory alone.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file, offset_millis: AtomicI64::new(0) }
    }

    /// The virtual present.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let offset = TimeDelta::milliseconds(self.offset_millis());
        Utc::now().checked_add_signed(offset).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// How far virtual time is ahead of the system's, in milliseconds. The file is read at each
    /// use: another process may have moved it. An unreadable number keeps the last good one.
    #[must_use]
    pub fn offset_millis(&self) -> i64 {
        let Some(path) = &self.file else { return self.offset_millis.load(Ordering::SeqCst) };
        match fs::read_to_string(path) {
            Ok(text) => {
                if let Some(millis) = parse_seconds(text.trim()) {
                    self.offset_millis.store(millis, Ordering::SeqCst);
                } else {
                    tracing::warn!("the clock file {} holds no decimal number", path.display());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.offset_millis.store(0, Ordering::SeqCst);
            }
            Err(error) => tracing::warn!(%error, "could not read the clock file {}", path.display()),
        }
        self.offset_millis.load(Ordering::SeqCst)
    }

    /// Moves virtual time by a number of milliseconds.
    ///
    /// # Errors
    /// When the clock file cannot be written.
    pub fn advance_millis(&self, millis: i64) -> io::Result<()> {
        self.set_offset(self.offset_millis().saturating_add(millis))
    }

    /// Moves virtual time so that it is `instant` now.
    ///
    /// # Errors
    /// When the clock file cannot be written.
    pub fn set_now(&self, instant: DateTime<Utc>) -> io::Result<()> {
        self.set_offset((instant - Utc::now()).num_milliseconds())
    }

    fn set_offset(&self, millis: i64) -> io::Result<()> {
        if let Some(path) = &self.file {
            // Written beside and renamed, so that a reader never sees half a number.
            let beside = path.with_extension(format!("{}.tmp", std::process::id()));
            fs::write(&beside, format_seconds(millis))?;
            fs::rename(&beside, path)?;
        }
        self.offset_millis.store(millis, Ordering::SeqCst);
        Ok(())
    }
}

/// Reads a signed decimal number of seconds as milliseconds; digits past the third are dropped.
#[must_use]
pub fn parse_seconds(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let padded: String = fraction.chars().chain("000".chars()).take(3).collect();
    let millis = whole.parse::<i64>().ok()?.checked_mul(MILLIS)?.checked_add(padded.parse().ok()?)?;
    Some(if negative { -millis } else { millis })
}

/// Writes milliseconds as a decimal number of seconds, without needless digits.
#[must_use]
pub fn format_seconds(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let (whole, rest) = (millis.unsigned_abs() / 1_000, millis.unsigned_abs() % 1_000);
    if rest == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest:03}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_read_back_as_written() {
        for millis in [0, 1, -1, 1_500, -86_400_000, 999, -1_001] {
            assert_eq!(parse_seconds(&format_seconds(millis)), Some(millis));
        }
        assert_eq!(parse_seconds("12.3456"), Some(12_345));
        assert_eq!(parse_seconds("abc"), None);
        assert_eq!(parse_seconds(""), None);
    }

    #[test]
    fn two_clocks_share_time_through_one_file() {
        let path = std::env::temp_dir().join(format!("sandbox-clock-{}", std::process::id()));
        let (one, other) = (Clock::new(Some(path.clone())), Clock::new(Some(path.clone())));
        assert_eq!(one.offset_millis(), 0, "a missing file means no offset");
        one.advance_millis(90_500).unwrap();
        assert_eq!(other.offset_millis(), 90_500);
        assert_eq!(fs::read_to_string(&path).unwrap(), "90.500");
        fs::remove_file(path).unwrap();
    }
}
