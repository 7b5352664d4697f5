//! Pages of long lists, newest first, by position rather than by number: a row that is added meanwhile shifts nothing.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The most rows that a page may have.
pub const PAGE_MOST: u32 = 200;

/// Where a row stands in a list that is ordered by a moment and, within it, by id.
pub type Position = (DateTime<Utc>, Uuid);

/// Which page is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page {
    /// The position of the last row of the page before; `None` for the first page.
    pub after: Option<Position>,
    /// How many rows at most.
    pub limit: u32,
}

impl Page {
    /// The first page.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    fn size(self) -> u32 {
        self.limit.clamp(1, PAGE_MOST)
    }

    /// One row more than the page has: it tells whether there is a next page.
    pub(crate) fn fetch(self) -> i64 {
        i64::from(self.size()) + 1
    }

    /// The moment before which rows are wanted.
    pub(crate) fn before_at(self) -> DateTime<Utc> {
        // PostgreSQL's timestamps end long before chrono's do.
        const END: i64 = 253_402_300_799;
        self.after.map_or_else(|| DateTime::from_timestamp(END, 0).unwrap_or_default(), |(at, _)| at)
    }

    /// Within that moment, the id before which rows are wanted.
    pub(crate) fn before_id(self) -> Uuid {
        self.after.map_or_else(Uuid::max, |(_, id)| id)
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Position>,
}

impl<T> Paged<T> {
    /// Makes the page from what [`Page::fetch`] rows brought.
    pub(crate) fn new(page: Page, mut items: Vec<T>, position: impl Fn(&T) -> Position) -> Self {
        let size = page.size() as usize;
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(position);
        Self { items, next }
    }
}
