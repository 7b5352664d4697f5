//! Holds back guessing: so many sign-ins per e-mail in a window, in this process's memory.
//!
//! Who tries many e-mails from one address is held back by `limit`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::ErrorCode;
use sha2::{Digest as _, Sha256};

use crate::extract::normal_email;
use crate::limit;
use crate::problem::{Error, Result};

/// How many tries a window allows.
const MOST_TRIES: u32 = 10;
/// How long a window is.
const WINDOW: Duration = Duration::from_mins(5);
/// How many e-mails are remembered at most; when there are more, windows that are over are forgotten, then the oldest.
const MOST_KNOWN: usize = 10_000;

type Key = [u8; 32];

#[derive(Debug, Clone, Copy)]
struct Tries {
    since: Instant,
    count: u32,
}

/// Counts tries per e-mail.
#[derive(Debug, Default)]
pub struct Throttle {
    known: Mutex<HashMap<Key, Tries>>,
}

impl Throttle {
    /// Counts a try.
    ///
    /// # Errors
    /// [`Error::Limited`] when there were too many.
    pub fn admit(&self, email: &str) -> Result<()> {
        self.admit_at(email, Instant::now())
    }

    /// Forgets the tries of an e-mail whose owner signed in.
    pub fn forgive(&self, email: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(email));
    }

    fn admit_at(&self, email: &str, now: Instant) -> Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(email);
        if known.len() >= MOST_KNOWN && !known.contains_key(&key) {
            make_room(&mut known, now);
        }
        let tries = known.entry(key).or_insert(Tries { since: now, count: 0 });
        if now.duration_since(tries.since) >= WINDOW {
            *tries = Tries { since: now, count: 0 };
        }
        tries.count = tries.count.saturating_add(1);
        if tries.count <= MOST_TRIES {
            return Ok(());
        }
        let wait = (tries.since + WINDOW).duration_since(now);
        let (minutes, seconds) = (WINDOW.as_secs() / 60, limit::whole_seconds(wait));
        let detail = format!(
            "The limit is {MOST_TRIES} tries to sign in with one e-mail in {minutes} minutes. The next try counts in \
             {seconds} seconds."
        );
        Err(Error::Limited { code: ErrorCode::TooManyRequests, detail, wait })
    }
}

fn make_room(known: &mut HashMap<Key, Tries>, now: Instant) {
    known.retain(|_, tries| now.duration_since(tries.since) < WINDOW);
    if known.len() >= MOST_KNOWN {
        let oldest = known.iter().min_by_key(|(_, tries)| tries.since).map(|(key, _)| *key);
        oldest.and_then(|key| known.remove(&key));
    }
}

fn key(email: &str) -> Key {
    Sha256::digest(normal_email(email)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_held_back_until_the_window_is_over() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        assert!((0..MOST_TRIES).all(|_| throttle.admit_at("ana@example.com", start).is_ok()));
        let refused = throttle.admit_at(" Ana@Example.com", start + WINDOW / 2);
        assert!(matches!(refused, Err(Error::Limited { wait, .. }) if wait == WINDOW / 2), "{refused:?}");
        assert!(throttle.admit_at("bob@example.com", start).is_ok());
        assert!(throttle.admit_at("ana@example.com", start + WINDOW).is_ok());
    }

    #[test]
    fn a_sign_in_forgives_what_came_before() {
        let throttle = Throttle::default();
        assert!((0..MOST_TRIES).all(|_| throttle.admit("ana@example.com").is_ok()));
        throttle.forgive("ana@example.com");
        assert!(throttle.admit("ana@example.com").is_ok());
    }

    #[test]
    fn its_memory_is_bounded() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for number in 0..MOST_KNOWN + 10 {
            throttle.admit_at(&format!("{number}@example.com"), now).unwrap();
        }
        assert_eq!(throttle.known.lock().unwrap().len(), MOST_KNOWN);
    }
}
