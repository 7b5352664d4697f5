//! Cursors: opaque texts that say where the next page of a list begins.
//!
//! A cursor belongs to the list that made it; sent to another list it is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{PAGE_MOST, Page, Paged, Position};
use utoipa::IntoParams;

use crate::problem::{Error, Result};
use crate::wire;

/// How many items a page has when nobody says.
const USUAL: u32 = 50;
/// No cursor of ours is longer.
const LONGEST: usize = 400;

/// Which page of a list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Where the page begins: the `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// How many, 1 to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

impl Wanted {
    /// The page of a list in the store that a request asks for.
    ///
    /// # Errors
    /// As [`decode`] and [`limit`].
    pub fn page(&self, list: &str) -> Result<Page> {
        let after = position::<Position>(list, self.cursor.as_deref())?;
        Ok(Page { after, limit: limit(self.limit)? })
    }
}

#[derive(Serialize, Deserialize)]
struct Cursor<P> {
    list: String,
    at: P,
}

/// The text of a position in a list.
pub fn encode<P: Serialize>(list: &str, at: &P) -> Option<String> {
    let json = serde_json::to_vec(&Cursor { list: list.to_owned(), at }).ok()?;
    Some(URL_SAFE_NO_PAD.encode(json))
}

/// The position that a cursor of this list stands for; an empty one is the beginning.
///
/// # Errors
/// As [`decode`].
pub fn position<P: DeserializeOwned>(list: &str, cursor: Option<&str>) -> Result<Option<P>> {
    cursor.filter(|text| !text.is_empty()).map(|text| decode(list, text)).transpose()
}

/// The position that a cursor of this list stands for.
///
/// # Errors
/// [`Error::Invalid`] for a text that this list did not make.
pub fn decode<P: DeserializeOwned>(list: &str, text: &str) -> Result<P> {
    let bad = || Error::invalid("/cursor", "This is not a `next_cursor` of this list.");
    if text.len() > LONGEST {
        return Err(bad());
    }
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    let cursor: Cursor<P> = serde_json::from_slice(&json).map_err(|_| bad())?;
    if cursor.list == list { Ok(cursor.at) } else { Err(bad()) }
}

/// How many items the page is to have.
///
/// # Errors
/// [`Error::Invalid`] for 0 and for more than a page can have.
pub fn limit(wanted: Option<u32>) -> Result<u32> {
    match wanted.unwrap_or(USUAL) {
        limit @ 1..=PAGE_MOST => Ok(limit),
        _ => Err(Error::invalid("/limit", format!("This must be a number from 1 to {PAGE_MOST}."))),
    }
}

/// A page of the store as a page of the wire.
pub fn answer<T, U>(list: &str, paged: Paged<T>, item: impl FnMut(T) -> U) -> wire::Page<U> {
    let Paged { items, next } = paged;
    let next_cursor = next.and_then(|position| encode(list, &position));
    wire::Page { items: items.into_iter().map(item).collect(), next_cursor }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_cursor_comes_back_as_the_position_that_it_was_made_from() {
        let position: Position = ("2026-11-21T12:00:00.123456Z".parse().unwrap(), Uuid::now_v7());
        let text = encode("runs", &position).unwrap();
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        assert_eq!(decode::<Position>("runs", &text).unwrap(), position);
    }

    #[test]
    fn a_cursor_of_another_list_or_a_made_up_one_is_refused() {
        let text = encode("runs", &("2026-11-21T12:00:00Z".to_owned(), Uuid::nil())).unwrap();
        assert!(decode::<Position>("audit", &text).is_err());
        assert!(decode::<Position>("runs", "nonsense").is_err());
        assert!(decode::<Position>("runs", &"A".repeat(LONGEST + 1)).is_err());
    }

    #[test]
    fn a_page_has_at_least_one_and_at_most_so_many_items() {
        assert_eq!(limit(None).unwrap(), USUAL);
        assert!(limit(Some(0)).is_err() && limit(Some(PAGE_MOST + 1)).is_err());
    }
}
