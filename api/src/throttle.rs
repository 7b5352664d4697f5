//! Holds back guessing: so many sign-ins per e-mail in a window, in this process's memory.
//!
//! A limit per address of the network belongs to the proxy in front.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

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
    /// Counts a try; false when there were too many.
    pub fn admit(&self, email: &str) -> bool {
        self.admit_at(email, Instant::now())
    }

    /// Forgets the tries of an e-mail whose owner signed in.
    pub fn forgive(&self, email: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(email));
    }

    fn admit_at(&self, email: &str, now: Instant) -> bool {
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
        tries.count <= MOST_TRIES
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
    Sha256::digest(email.trim().to_lowercase()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_held_back_until_the_window_is_over() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        assert!((0..MOST_TRIES).all(|_| throttle.admit_at("ana@example.com", start)));
        assert!(!throttle.admit_at(" Ana@Example.com", start));
        assert!(throttle.admit_at("bob@example.com", start));
        assert!(throttle.admit_at("ana@example.com", start + WINDOW));
    }

    #[test]
    fn a_sign_in_forgives_what_came_before() {
        let throttle = Throttle::default();
        assert!((0..MOST_TRIES).all(|_| throttle.admit("ana@example.com")));
        throttle.forgive("ana@example.com");
        assert!(throttle.admit("ana@example.com"));
    }

    #[test]
    fn its_memory_is_bounded() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for number in 0..MOST_KNOWN + 10 {
            throttle.admit_at(&format!("{number}@example.com"), now);
        }
        assert_eq!(throttle.known.lock().unwrap().len(), MOST_KNOWN);
    }
}
