//! The platforms' call quotas, counted in virtual time. A call that is refused or fails still counts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::America::Los_Angeles;

use super::error::ApiError;

/// Calls per minute and project to Display & Video 360.
const PROJECT_PER_MINUTE: u32 = 1_500;
/// Writes among them.
const PROJECT_WRITES_PER_MINUTE: u32 = 700;
/// Calls per minute, project and advertiser.
const ADVERTISER_PER_MINUTE: u32 = 300;
/// Writes among them.
const ADVERTISER_WRITES_PER_MINUTE: u32 = 150;
/// Calls per day and project to Bid Manager; days end at midnight Pacific time.
pub const BID_MANAGER_PER_DAY: u32 = 2_000;
/// Calls per second and user to Bid Manager: 240 a minute.
pub const BID_MANAGER_PER_SECOND: i64 = 4;

const DISPLAY_VIDEO_SERVICE: &str = "displayvideo.googleapis.com";
const BID_MANAGER_SERVICE: &str = "doubleclickbidmanager.googleapis.com";

/// What has been used up.
#[derive(Debug, Default)]
pub struct Quota {
    /// By quota and owner: the window counted in, and the calls in it.
    windows: BTreeMap<String, (i64, u32)>,
    /// By user: when the bucket was last filled (Unix milliseconds), and thousandths of a call in it.
    buckets: BTreeMap<String, (i64, i64)>,
}

impl Quota {
    /// Counts one call to Display & Video 360.
    ///
    /// # Errors
    /// 429 when a quota is used up.
    pub fn display_video(
        &mut self,
        project: &str,
        advertiser: Option<u64>,
        write: bool,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let minute = now.timestamp().div_euclid(60);
        let mut limits = vec![("Requests per minute", format!("dv/{project}"), PROJECT_PER_MINUTE)];
        if write {
            limits.push(("Write requests per minute", format!("dv/{project}/w"), PROJECT_WRITES_PER_MINUTE));
        }
        if let Some(advertiser) = advertiser {
            let key = format!("dv/{project}/{advertiser}");
            if write {
                let limit = "Write requests per minute per advertiser";
                limits.push((limit, format!("{key}/w"), ADVERTISER_WRITES_PER_MINUTE));
            }
            limits.push(("Requests per minute per advertiser", key, ADVERTISER_PER_MINUTE));
        }
        // Every window counts the call, even when an earlier one refuses it.
        let mut refused = None;
        for (name, key, limit) in limits {
            if self.count(key, minute) > limit && refused.is_none() {
                refused = Some(ApiError::resource_exhausted("Requests", name, DISPLAY_VIDEO_SERVICE, project));
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Counts one call to Bid Manager.
    ///
    /// # Errors
    /// 429 when a quota is used up.
    pub fn bid_manager(&mut self, project: &str, email: &str, now: DateTime<Utc>) -> Result<(), ApiError> {
        let over_day = self.count(format!("bm/{project}"), pacific_day(now)) > BID_MANAGER_PER_DAY;
        let over_second = !self.take(format!("{project}/{email}"), now.timestamp_millis());
        let limit = match (over_day, over_second) {
            (true, _) => "Queries per day",
            (false, true) => "Queries per minute per user",
            (false, false) => return Ok(()),
        };
        Err(ApiError::resource_exhausted("Queries", limit, BID_MANAGER_SERVICE, project))
    }

    /// The calls counted so far today (Pacific time) for a project.
    #[must_use]
    pub fn bid_manager_used(&self, project: &str, now: DateTime<Utc>) -> u32 {
        let counted = self.windows.get(&format!("bm/{project}")).filter(|(day, _)| *day == pacific_day(now));
        counted.map_or(0, |(_, calls)| *calls)
    }

    fn count(&mut self, key: String, window: i64) -> u32 {
        let entry = self.windows.entry(key).or_insert((window, 0));
        if entry.0 != window {
            *entry = (window, 0);
        }
        entry.1 = entry.1.saturating_add(1);
        entry.1
    }

    /// Takes one call from a bucket of one second's worth that fills as time passes.
    fn take(&mut self, key: String, now_millis: i64) -> bool {
        let full = BID_MANAGER_PER_SECOND * 1_000;
        let (filled_at, level) = self.buckets.entry(key).or_insert((now_millis, full));
        // A clock that was set back refills nothing.
        let gained = (now_millis - *filled_at).clamp(0, 1_000) * BID_MANAGER_PER_SECOND;
        *filled_at = now_millis;
        *level = (*level + gained).min(full);
        let enough = *level >= 1_000;
        if enough {
            *level -= 1_000;
        }
        enough
    }
}

/// The day in which Google counts.
fn pacific_day(now: DateTime<Utc>) -> i64 {
    i64::from(now.with_timezone(&Los_Angeles).date_naive().to_epoch_days())
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone};

    use super::*;

    #[test]
    fn the_fifth_call_in_a_second_is_refused() {
        let (mut quota, now) = (Quota::default(), Utc::now());
        for _ in 0..4 {
            quota.bid_manager("p", "u", now).unwrap();
        }
        assert_eq!(quota.bid_manager("p", "u", now).unwrap_err().code, 429);
        quota.bid_manager("p", "other", now).unwrap();
        quota.bid_manager("p", "u", now + TimeDelta::seconds(1)).unwrap();
    }

    #[test]
    fn the_day_ends_at_midnight_pacific() {
        // 23:00 in Los Angeles is 07:00 UTC in winter.
        let evening = Utc.with_ymd_and_hms(2027, 1, 15, 7, 0, 0).unwrap();
        let mut quota = Quota::default();
        for call in 0..2_000 {
            quota.bid_manager("p", &format!("u{call}"), evening).unwrap();
        }
        assert!(quota.bid_manager("p", "u", evening).is_err());
        quota.bid_manager("p", "u", evening + TimeDelta::hours(1)).unwrap();
    }

    #[test]
    fn an_advertiser_takes_150_writes_a_minute() {
        let (mut quota, now) = (Quota::default(), Utc.with_ymd_and_hms(2027, 1, 15, 7, 0, 0).unwrap());
        for _ in 0..150 {
            quota.display_video("p", Some(1), true, now).unwrap();
        }
        assert_eq!(quota.display_video("p", Some(1), true, now).unwrap_err().status, "RESOURCE_EXHAUSTED");
        quota.display_video("p", Some(2), true, now).unwrap();
        quota.display_video("p", Some(1), true, now + TimeDelta::seconds(60)).unwrap();
    }
}
