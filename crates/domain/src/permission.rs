//! Permissions: what a person or a key may do in an organisation, and the roles that every organisation begins with.
//!
//! A role is a set of named permissions and nothing else: what may be done is asked of the set, never of a role's name.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator as _;

/// One thing that may be done, as `noun.verb`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
)]
pub enum Permission {
    /// See campaigns, delivery, pacing and how fresh it is.
    #[serde(rename = "delivery.read")]
    #[strum(serialize = "delivery.read")]
    DeliveryRead,
    /// See runs, and what each read.
    #[serde(rename = "runs.read")]
    #[strum(serialize = "runs.read")]
    RunsRead,
    /// Ask for fresh numbers now.
    #[serde(rename = "runs.start")]
    #[strum(serialize = "runs.start")]
    RunsStart,
    /// See connections, their advertisers and their health.
    #[serde(rename = "connections.read")]
    #[strum(serialize = "connections.read")]
    ConnectionsRead,
    /// Connect a platform, choose its advertisers, reconnect, disconnect.
    #[serde(rename = "connections.manage")]
    #[strum(serialize = "connections.manage")]
    ConnectionsManage,
    /// See rules and what they found.
    #[serde(rename = "rules.read")]
    #[strum(serialize = "rules.read")]
    RulesRead,
    /// Change rules, which are guardrails too.
    #[serde(rename = "rules.manage")]
    #[strum(serialize = "rules.manage")]
    RulesManage,
    /// Ask for an evaluation of the rules.
    #[serde(rename = "rules.evaluate")]
    #[strum(serialize = "rules.evaluate")]
    RulesEvaluate,
    /// See proposals and how their changes went.
    #[serde(rename = "proposals.read")]
    #[strum(serialize = "proposals.read")]
    ProposalsRead,
    /// Say yes or no to a proposal: money moves.
    #[serde(rename = "proposals.decide")]
    #[strum(serialize = "proposals.decide")]
    ProposalsDecide,
    /// Withdraw a proposal that was not sent yet.
    #[serde(rename = "proposals.withdraw")]
    #[strum(serialize = "proposals.withdraw")]
    ProposalsWithdraw,
    /// Freeze all changes of the organisation, and lift the freeze.
    #[serde(rename = "changes.freeze")]
    #[strum(serialize = "changes.freeze")]
    ChangesFreeze,
    /// See who belongs to the organisation, and in which roles.
    #[serde(rename = "members.read")]
    #[strum(serialize = "members.read")]
    MembersRead,
    /// Invite people, change their roles, deactivate them, edit roles.
    #[serde(rename = "members.manage")]
    #[strum(serialize = "members.manage")]
    MembersManage,
    /// Make and revoke API keys.
    #[serde(rename = "api_keys.manage")]
    #[strum(serialize = "api_keys.manage")]
    ApiKeysManage,
    /// Change how the organisation's people sign in.
    #[serde(rename = "sign_in.manage")]
    #[strum(serialize = "sign_in.manage")]
    SignInManage,
    /// See, search and export the audit trail.
    #[serde(rename = "audit.read")]
    #[strum(serialize = "audit.read")]
    AuditRead,
}

impl Permission {
    /// Whether an API key may have it. What decides who may do what is for persons: a stolen key can't make another one.
    #[must_use]
    pub const fn is_for_keys(self) -> bool {
        !matches!(self, Self::MembersManage | Self::ApiKeysManage | Self::SignInManage)
    }
}

/// A role that every organisation begins with. Each may be edited there, but for [`Role::Admin`].
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// May do everything; every organisation has at least one.
    Admin,
    /// Plans budgets: sees all, evaluates, withdraws.
    Planner,
    /// Optimises: rules, evaluations, decisions.
    Trader,
    /// Runs campaigns day by day: sees all, refreshes, evaluates.
    CampaignManager,
    /// Says yes or no.
    Approver,
    /// Looks.
    Viewer,
}

impl Role {
    /// What the role allows in a new organisation.
    #[must_use]
    pub fn permissions(self) -> BTreeSet<Permission> {
        use Permission as P;
        let look = [P::DeliveryRead, P::RunsRead, P::ConnectionsRead, P::RulesRead, P::ProposalsRead];
        let more: &[P] = match self {
            Self::Admin => return Permission::iter().collect(),
            Self::Planner => &[P::RunsStart, P::RulesEvaluate, P::ProposalsWithdraw, P::MembersRead],
            Self::Trader => &[
                P::RunsStart,
                P::RulesEvaluate,
                P::RulesManage,
                P::ProposalsDecide,
                P::ProposalsWithdraw,
                P::MembersRead,
            ],
            Self::CampaignManager => &[P::RunsStart, P::RulesEvaluate, P::ConnectionsManage, P::MembersRead],
            Self::Approver => &[P::ProposalsDecide, P::MembersRead],
            Self::Viewer => &[],
        };
        look.into_iter().chain(more.iter().copied()).collect()
    }

    /// What people call the role.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Planner => "Planner",
            Self::Trader => "Trader",
            Self::CampaignManager => "Campaign manager",
            Self::Approver => "Approver",
            Self::Viewer => "Viewer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_called_the_same_everywhere() {
        for permission in Permission::iter() {
            assert_eq!(permission.to_string().parse(), Ok(permission));
            assert_eq!(serde_json::to_string(&permission).unwrap(), format!("\"{permission}\""));
        }
    }

    #[test]
    fn only_the_admin_can_give_permissions() {
        for role in Role::iter() {
            // Whoever has it can give themselves any other permission.
            let sovereign = role.permissions().contains(&Permission::MembersManage);
            assert_eq!(sovereign, role == Role::Admin, "{role}");
        }
    }

    #[test]
    fn who_may_only_look_can_change_nothing() {
        for permission in Role::Viewer.permissions() {
            assert_eq!(permission.to_string().split('.').next_back(), Some("read"));
        }
    }

    #[test]
    fn everybody_sees_what_they_work_on() {
        for role in Role::iter() {
            assert!(role.permissions().contains(&Permission::DeliveryRead), "{role}");
        }
    }
}
