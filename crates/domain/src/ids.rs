//! Typed, prefixed identifiers, all in one registry.
//!
//! An id is a UUIDv7 (so that rows sort by creation) written as `<prefix>_<32 hex digits>` everywhere a person or
//! another system sees it, and stored as a plain `uuid` in PostgreSQL.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text does not begin with the prefix of this kind of id.
    #[error("expected an id that begins with `{expected}_`")]
    WrongPrefix {
        /// The prefix that this kind of id has.
        expected: &'static str,
    },
    /// What follows the prefix is not a UUID.
    #[error("`{expected}_` must be followed by 32 hexadecimal digits")]
    NotAUuid {
        /// The prefix that this kind of id has.
        expected: &'static str,
    },
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
            pub struct $name(Uuid);

            impl $name {
                /// What the text form of this id begins with.
                pub const PREFIX: &'static str = $prefix;

                /// A new id, later than every id made before it.
                #[must_use]
                pub fn new() -> Self {
                    Self(Uuid::now_v7())
                }

                /// The id stored as this UUID.
                #[must_use]
                pub const fn from_uuid(uuid: Uuid) -> Self {
                    Self(uuid)
                }

                /// The UUID that PostgreSQL stores.
                #[must_use]
                pub const fn uuid(self) -> Uuid {
                    self.0
                }
            }

            impl Default for $name {
                fn default() -> Self {
                    Self::new()
                }
            }

            impl From<Uuid> for $name {
                fn from(uuid: Uuid) -> Self {
                    Self(uuid)
                }
            }

            impl From<$name> for Uuid {
                fn from(id: $name) -> Self {
                    id.0
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, "{}_{}", $prefix, self.0.simple())
                }
            }

            impl FromStr for $name {
                type Err = IdError;

                fn from_str(text: &str) -> Result<Self, IdError> {
                    let rest = text
                        .strip_prefix(concat!($prefix, "_"))
                        .ok_or(IdError::WrongPrefix { expected: $prefix })?;
                    // As it is written, and in no other way: two texts would name one thing.
                    let digits = rest.len() == 32 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                    let uuid = Uuid::try_parse(rest).ok().filter(|_| digits);
                    uuid.map(Self).ok_or(IdError::NotAUuid { expected: $prefix })
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
                }
            }
        )*

        #[cfg(test)]
        const PREFIXES: &[&str] = &[$($prefix),*];
    };
}

ids! {
    /// An organisation: one agency, the unit of isolation.
    OrgId = "org";
    /// A person who signs in.
    UserId = "usr";
    /// A signed-in browser.
    SessionId = "ses";
    /// A secret with which a program asks the API.
    ApiKeyId = "key";
    /// An invitation to an organisation.
    InvitationId = "inv";
    /// A sign-in under way at an organisation's identity provider.
    SsoSignInId = "sso";
    /// A forgotten password's link.
    PasswordResetId = "pwr";
    /// An organisation's authorised link to one platform.
    ConnectionId = "con";
    /// One consent flow under way: its state, verifier and, once the person said yes, its code.
    ConsentId = "cst";
    /// A platform's advertiser within a connection.
    AccountId = "acc";
    /// A campaign or line as last read from the platform.
    EntityId = "ent";
    /// A report definition.
    ReportId = "rep";
    /// One report fetched for a connection and a range of days.
    PullId = "pul";
    /// One run of the ingestion workflow.
    CycleId = "cyc";
    /// One atomic change of the lake's tables.
    CommitId = "cmt";
    /// A rule.
    RuleId = "rul";
    /// One evaluation of the rules, with the pulls that it was based on.
    DecisionId = "dec";
    /// A suggested change to a platform's entity.
    ProposalId = "pro";
    /// An approved proposal on its way to the platform.
    WriteBackId = "wbk";
    /// One attempt to send a change: the key of its effect.
    AttemptId = "att";
    /// The onboarding of one organisation.
    OnboardingId = "onb";
    /// A workflow that is to be started.
    IntentId = "int";
    /// One line of the audit trail.
    AuditId = "aud";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = OrgId::new();
        assert_eq!(id.to_string().parse::<OrgId>(), Ok(id));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<OrgId>(&json).unwrap(), id);
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let text = UserId::new().to_string();
        assert_eq!(text.parse::<OrgId>(), Err(IdError::WrongPrefix { expected: "org" }));
        assert_eq!("org_zz".parse::<OrgId>(), Err(IdError::NotAUuid { expected: "org" }));
    }

    #[test]
    fn no_two_kinds_share_a_prefix() {
        let unique: std::collections::BTreeSet<_> = PREFIXES.iter().collect();
        assert_eq!(unique.len(), PREFIXES.len());
    }
}
