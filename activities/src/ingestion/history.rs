//! History for flights that began before the days that every new connection reads.
//!
//! A line is judged only when every day of its flight is known, and which flights there are is not known before campaigns
//! are read. What was planned once is on record as a pull, so that nothing is planned twice.

use chrono::{DateTime, NaiveDate, Utc};
use domain::DayRange;
use domain::pull::Kind;
use store::pull::Plan;

use super::harvest::Desk;
use crate::failure::Error;

/// History goes no further back than this: a flight that is longer stays without judgement, and is told so.
const MOST_HISTORY_DAYS: u32 = 400;

/// Plans the days between the first of the earliest running flight and those that were planned before.
pub(super) async fn plan(desk: &Desk<'_>, now: DateTime<Utc>) -> Result<(), Error> {
    let Some(today) = desk.accounts.iter().map(|account| account.time_zone.day_at(now)).max() else { return Ok(()) };
    let connection = desk.connection.id;
    let accounts: Vec<String> = desk.accounts.iter().map(|account| account.platform_id.clone()).collect();
    let mut tx = desk.context.store.begin(desk.org).await?;
    let Some(wanted) = store::entity::earliest_running_day(&mut tx, connection, today).await? else { return Ok(()) };
    for definition in desk.definitions.values() {
        let Some(begins) = store::pull::history_begins(&mut tx, connection, definition.id).await? else { continue };
        let Some(days) = missing(wanted, begins, today) else { continue };
        tracing::info!(
            connection.id = %connection,
            "connection {connection}: {} more days of history, from {} on", days.len(), days.first()
        );
        let (report, accounts) = (definition.id, accounts.clone());
        let history = Plan { connection, report, kind: Kind::Backfill, days, accounts, not_before: None };
        store::pull::plan_history(&mut tx, &history, now).await?;
    }
    Ok(tx.commit().await?)
}

/// The days from the wanted one to the day before those that were planned already, as far back as history goes.
fn missing(wanted: NaiveDate, begins: NaiveDate, today: NaiveDate) -> Option<DayRange> {
    let earliest = DayRange::ending(today, MOST_HISTORY_DAYS).first();
    DayRange::new(wanted.max(earliest), begins.pred_opt()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn history_reaches_back_to_the_first_day_of_a_running_flight() {
        let missing = |wanted| missing(day(wanted), day("2026-08-30"), day("2026-11-28"));
        assert_eq!(missing("2026-08-29"), DayRange::new(day("2026-08-29"), day("2026-08-29")));
        assert_eq!(missing("2026-06-01"), DayRange::new(day("2026-06-01"), day("2026-08-29")));
        assert_eq!(missing("2026-08-30"), None);
        assert_eq!(missing("2026-11-01"), None);
    }

    #[test]
    fn history_has_an_end() {
        let missing = missing(day("2019-01-01"), day("2026-08-30"), day("2026-11-28")).unwrap();
        assert_eq!(missing.first(), DayRange::ending(day("2026-11-28"), 400).first());
    }
}
