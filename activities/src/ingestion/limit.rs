//! How long a step may take, however many connections are slow: what is not done by then goes on in the next cycle.

use std::time::Duration;

use connectors::Error;
use domain::ErrorCode;
use domain::ids::CycleId;
use domain::report::Chunk;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::time::{Instant, timeout_at};

/// Connections that are worked on at the same time.
pub(super) const SIDE_BY_SIDE: usize = 8;
/// The whole harvest, so that what came is committed soon.
pub(super) const HARVEST: Duration = Duration::from_mins(4);
/// All requests of a cycle.
pub(super) const REQUEST: Duration = Duration::from_mins(2);
/// Kept back from downloads, to record that one was too slow.
const TO_RECORD: Duration = Duration::from_secs(15);

/// The time that a step has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    begun: Instant,
    end: Instant,
}

impl Limit {
    pub(super) fn of(length: Duration) -> Self {
        let begun = Instant::now();
        Self { begun, end: begun + length }
    }

    /// The result of some work, or nothing when it is not done in time.
    pub(super) async fn within<T>(self, work: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.end, work).await.ok()
    }

    /// Whether too little is left to begin a download: one that is cut short is charged to its pull, so each has at least
    /// half of the time.
    pub(super) fn is_late(self) -> bool {
        Instant::now() >= self.begun + (self.end - self.begun) / 2
    }

    /// A report's rows, ended by an error when they take too long: whoever stages them then throws away what there is.
    pub(super) fn rows(
        self,
        rows: BoxStream<'static, Result<Chunk, Error>>,
    ) -> BoxStream<'static, Result<Chunk, Error>> {
        let end = self.end.checked_sub(TO_RECORD).unwrap_or(self.end);
        stream::unfold(Some(rows), move |rows| async move {
            let mut rows = rows?;
            // Rows that are always there already would never be timed out.
            let next = if Instant::now() < end { timeout_at(end, rows.next()).await.ok() } else { None };
            match next {
                Some(chunk) => chunk.map(|chunk| (chunk, Some(rows))),
                None => Some((Err(too_slow()), None)),
            }
        })
        .boxed()
    }
}

fn too_slow() -> Error {
    let detail = format!("the report's download takes longer than {} s", HARVEST.saturating_sub(TO_RECORD).as_secs());
    Error::Transient { code: ErrorCode::PlatformTimeout, detail, account: None, source: None }
}

/// Puts another one first in each cycle: were time always up before the last one, it would never be served.
pub(super) fn take_turns<T>(all: &mut [T], cycle: CycleId) {
    let places = u128::try_from(all.len()).unwrap_or(u128::MAX).max(1);
    let first = usize::try_from(cycle.uuid().as_u128() % places).unwrap_or(0);
    all.rotate_left(first);
}

#[cfg(test)]
mod tests {
    use domain::report::RowBatch;

    use super::*;

    fn rows(count: usize) -> BoxStream<'static, Result<Chunk, Error>> {
        stream::iter((0..count).map(|_| Ok(Chunk::Rows(RowBatch::with_capacity(1, 0))))).boxed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_download_that_takes_too_long_ends_with_an_error_and_no_more_rows() {
        let limit = Limit::of(HARVEST);
        let silent = rows(2).chain(stream::pending()).boxed();
        let seen: Vec<_> = limit.rows(silent).collect().await;
        assert_eq!(seen.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
        assert!(matches!(&seen[2], Err(error) if error.code() == ErrorCode::PlatformTimeout));
        assert!(limit.is_late() && limit.within(async {}).await.is_some(), "there is time to record it");

        // Time is up: not even rows that are there already are taken.
        let seen: Vec<_> = limit.rows(rows(1_000)).collect().await;
        assert_eq!(seen.iter().map(Result::is_ok).collect::<Vec<_>>(), [false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_download_in_time_is_whole() {
        let limit = Limit::of(HARVEST);
        assert!(!limit.is_late());
        let seen: Vec<_> = limit.rows(rows(3)).collect().await;
        assert!(seen.len() == 3 && seen.iter().all(Result::is_ok));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_never_ends_is_left_when_time_is_up() {
        let limit = Limit::of(REQUEST);
        assert_eq!(limit.within(std::future::pending::<()>()).await, None);
        assert_eq!(limit.within(std::future::ready(1)).await, Some(1), "what is done already counts");
    }

    #[test]
    fn everybody_is_first_at_some_time() {
        let mut first = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut all = [0, 1, 2, 3];
            take_turns(&mut all, CycleId::new());
            assert_eq!(all.iter().sum::<i32>(), 6);
            first.insert(all[0]);
        }
        assert_eq!(first.len(), 4);
        take_turns(&mut Vec::<i32>::new(), CycleId::new());
    }
}
