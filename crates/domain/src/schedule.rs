//! When an organisation's schedule fires: every interval, at an offset of its own.

use sha2::{Digest as _, Sha256};

use crate::ids::OrgId;

/// Seconds into each interval at which an organisation's schedule fires: spreads the organisations evenly over the
/// interval, always at the same place for the same one.
#[must_use]
pub fn offset_seconds(org: OrgId, tick_seconds: u32) -> u64 {
    let digest = Sha256::digest(org.to_string());
    let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    number % u64::from(tick_seconds.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_keeps_its_place_within_the_interval() {
        let org = OrgId::new();
        assert_eq!(offset_seconds(org, 900), offset_seconds(org, 900));
        assert!((0..100).all(|_| offset_seconds(OrgId::new(), 900) < 900));
        assert_eq!(offset_seconds(org, 0), 0);
    }
}
