//! Chance without state: every "random" number is a hash of the seed and of what it is for, so that
//! the order in which things are asked can never change the world.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Mixes a list of numbers into one well-spread number.
#[must_use]
pub fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0x243F_6A88_85A3_08D3, |state, part| finish(state ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// The finishing steps of `SplitMix64`.
fn finish(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Maps a hash into `low..=high`; `low` when the range is empty.
#[must_use]
pub fn within(hash: u64, low: i64, high: i64) -> i64 {
    let span = u64::try_from(high.saturating_sub(low)).unwrap_or(0).saturating_add(1);
    low.saturating_add(i64::try_from(hash % span).unwrap_or(0))
}

/// `amount × numerator / denominator`, rounded by chance so that small shares do not vanish.
#[must_use]
pub fn share(amount: i64, numerator: i64, denominator: i64, hash: u64) -> i64 {
    let denominator = i128::from(denominator.max(1));
    let dither = i128::from(hash) % denominator;
    let value = (i128::from(amount) * i128::from(numerator) + dither) / denominator;
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A stable number for a text; used where a report names things without ids.
#[must_use]
pub fn text_hash(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Signs a text with a key that is derived from the seed; hexadecimal.
#[must_use]
pub fn sign(seed: u64, purpose: &str, text: &str) -> String {
    // A hash as the key: HMAC takes a key of any length, but the type says that it might not.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&seed.to_be_bytes()) else { return String::new() };
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_question_has_the_same_answer() {
        assert_eq!(mix(&[7, 1, 2]), mix(&[7, 1, 2]));
        assert_ne!(mix(&[7, 1, 2]), mix(&[7, 2, 1]));
        assert_eq!(sign(7, "a", "b"), sign(7, "a", "b"));
        assert_ne!(sign(7, "a", "b"), sign(8, "a", "b"));
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        for n in 0..1_000 {
            assert!((5..=9).contains(&within(mix(&[n]), 5, 9)));
        }
        assert_eq!(within(3, 4, 4), 4);
        assert_eq!(share(1_000, 1, 2, 0), 500);
    }
}
