//! The states of a write-back: the zero-wrong-write contract as a table.
//!
//! A proposal names one absolute change. An approval is bound to the hash of exactly that change. Before a change is
//! sent, an intent is recorded; an answer that got lost is *unknown* and is read until settled. The same absolute value
//! is sent again only when the read proves it absent.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::entity::{EntityKey, Field};
use crate::money::Money;

/// One absolute change of one setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What is changed.
    pub entity: EntityKey,
    /// Which of its settings.
    pub field: Field,
    /// The value that the proposal assumes to be in force.
    pub before: Money,
    /// The value that is to be in force.
    pub after: Money,
}

impl Change {
    /// The hash that an approval is bound to: SHA-256 over the canonical text of the change and the expiry of the
    /// proposal, as hexadecimal digits. Any other change, account or expiry has another hash.
    #[must_use]
    pub fn hash(&self, expires_at: DateTime<Utc>) -> String {
        let Self { entity, field, before, after } = self;
        let EntityKey { connection, account, level, platform_id } = entity;
        let canonical = [
            "change-v1".to_owned(),
            connection.to_string(),
            account.to_string(),
            level.to_string(),
            platform_id.clone(),
            field.to_string(),
            before.to_string(),
            after.to_string(),
            expires_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        ];
        // JSON quotes each part, so that no part can pretend to be two.
        hex::encode(Sha256::digest(serde_json::json!(canonical).to_string()))
    }
}

/// How far a proposal and its write-back have come.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// Waits for an approver.
    Proposed,
    /// An approver said yes to exactly this change.
    Approved,
    /// Its intent is recorded and the change may have been sent.
    Applying,
    /// The change was sent and its answer got lost: the platform is read until it is known.
    Unknown,
    /// The change stands in the platform, read back there.
    Verified,
    /// An approver said no.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// A person withdrew it before it was sent.
    Cancelled,
    /// The platform's value is neither the one before nor the one after: a person decides.
    Drifted,
    /// The platform refused the change, or could not be reached often enough; nothing was changed.
    Failed,
}

/// What happens to a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum Event {
    /// An approver said yes.
    Approve,
    /// An approver said no.
    Reject,
    /// The time to decide ran out.
    Expire,
    /// A person withdrew it.
    Cancel,
    /// The intent is recorded; the change is about to be sent.
    Begin,
    /// The answer to the change got lost.
    LoseAnswer,
    /// The platform was read and has the value before: the same value may be sent again.
    ReadBefore,
    /// The platform was read and has the value after.
    ReadAfter,
    /// The platform was read and has another value.
    ReadOther,
    /// The platform refused.
    Refuse,
}

/// An event that can't happen in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a write-back that is {state} can't {event}")]
pub struct Forbidden {
    /// The state.
    pub state: State,
    /// The event.
    pub event: Event,
}

impl State {
    /// The state after an event.
    ///
    /// # Errors
    /// [`Forbidden`] when the event can't happen in this state.
    pub fn after(self, event: Event) -> Result<Self, Forbidden> {
        use Event as E;
        use State as S;
        match (self, event) {
            (S::Proposed, E::Approve) => Ok(S::Approved),
            (S::Proposed, E::Reject) => Ok(S::Rejected),
            (S::Proposed, E::Expire) => Ok(S::Expired),
            (S::Proposed | S::Approved, E::Cancel) => Ok(S::Cancelled),
            (S::Approved | S::Unknown, E::Begin) => Ok(S::Applying),
            (S::Applying, E::LoseAnswer) | (S::Applying | S::Unknown, E::ReadBefore) => Ok(S::Unknown),
            // A value that stands already when the change is about to be sent is verified without sending.
            (S::Approved | S::Applying | S::Unknown, E::ReadAfter) => Ok(S::Verified),
            (S::Approved | S::Applying | S::Unknown, E::ReadOther) => Ok(S::Drifted),
            (S::Approved | S::Applying | S::Unknown, E::Refuse) => Ok(S::Failed),
            (state, event) => Err(Forbidden { state, event }),
        }
    }

    /// Whether nothing further will happen.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Verified | Self::Rejected | Self::Expired | Self::Cancelled | Self::Drifted | Self::Failed)
    }

    /// Whether the change may have reached the platform.
    #[must_use]
    pub const fn may_have_been_sent(self) -> bool {
        matches!(self, Self::Applying | Self::Unknown | Self::Verified)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use strum::IntoEnumIterator as _;

    use super::*;
    use crate::entity::Level;
    use crate::ids::{AccountId, ConnectionId};

    fn change() -> Change {
        let currency = "EUR".parse().unwrap();
        Change {
            entity: EntityKey {
                connection: ConnectionId::new(),
                account: AccountId::new(),
                level: Level::Line,
                platform_id: "77001".into(),
            },
            field: Field::DailyBudget,
            before: Money::from_micros(100_000_000, currency),
            after: Money::from_micros(120_000_000, currency),
        }
    }

    #[test]
    fn an_approval_of_one_change_fits_no_other() {
        let (change, expires) = (change(), "2026-11-22T00:00:00Z".parse().unwrap());
        let mut other = change.clone();
        other.after = Money::from_micros(120_000_001, other.after.currency());
        let later = "2026-11-22T00:00:01Z".parse().unwrap();
        let hashes = BTreeSet::from([change.hash(expires), other.hash(expires), change.hash(later)]);
        assert_eq!(hashes.len(), 3);
        assert_eq!(change.hash(expires), change.clone().hash(expires));
    }

    #[test]
    fn the_same_amount_written_otherwise_has_the_same_hash() {
        let (change, expires) = (change(), "2026-11-22T00:00:00Z".parse().unwrap());
        let mut written = change.clone();
        written.after = Money::new("120.00".parse().unwrap(), written.after.currency());
        assert_eq!(change.hash(expires), written.hash(expires));
    }

    #[test]
    fn a_closed_write_back_stays_closed() {
        for state in State::iter().filter(|state| state.is_closed()) {
            for event in Event::iter() {
                assert_eq!(state.after(event), Err(Forbidden { state, event }));
            }
        }
    }

    #[test]
    fn nothing_is_sent_without_an_approval() {
        let mut reachable = BTreeSet::from(["proposed".to_owned()]);
        let mut front = vec![State::Proposed];
        while let Some(state) = front.pop() {
            for event in Event::iter().filter(|event| *event != Event::Approve) {
                if let Ok(next) = state.after(event)
                    && reachable.insert(next.to_string())
                {
                    front.push(next);
                }
            }
        }
        assert!(!reachable.contains("applying") && !reachable.contains("verified"));
    }

    #[test]
    fn what_may_have_been_sent_can_no_longer_be_withdrawn() {
        for state in State::iter().filter(|state| state.may_have_been_sent()) {
            assert!(state.after(Event::Cancel).is_err());
            assert!(state.after(Event::Expire).is_err());
        }
    }
}
