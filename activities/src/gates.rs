//! Which calls wait after a refusal for want of quota: those that it concerns, and no others.
//!
//! A gate is a name in the table of quotas that is closed until a moment. What we count ourselves is in
//! [`crate::ports`]; a gate is what the platform told us.

use connectors::{Call, Family, Scope};
use domain::ids::ConnectionId;

/// The gates of one connection in one environment.
#[derive(Debug, Clone)]
pub(crate) struct Gates {
    pub(crate) environment: String,
    pub(crate) connection: ConnectionId,
}

impl Gates {
    /// The gates that a call passes.
    pub(crate) fn passed(&self, call: &Call) -> Vec<String> {
        let mut gates = vec![self.project(call.family), self.user(call.family)];
        gates.extend(self.account(call));
        gates
    }

    /// The gates that a refusal of a call closes. Each family has its own, so that a refused read holds no change back.
    pub(crate) fn closed(&self, call: &Call, scope: Scope) -> Vec<String> {
        match scope {
            // Reads draw on the same calls as changes do, and a change comes first.
            Scope::Project if call.family == Family::Writes => {
                vec![self.project(Family::Writes), self.project(Family::Entities)]
            }
            Scope::Project => vec![self.project(call.family)],
            Scope::User => vec![self.user(call.family)],
            Scope::Account => vec![self.account(call).unwrap_or_else(|| self.user(call.family))],
        }
    }

    /// The gate of the account that a call is about.
    pub(crate) fn account(&self, call: &Call) -> Option<String> {
        let account = call.account.as_ref()?;
        Some(format!("{}/{}/account/{account}", self.environment, call.family.name()))
    }

    fn project(&self, family: Family) -> String {
        format!("{}/{}/project", self.environment, family.name())
    }

    fn user(&self, family: Family) -> String {
        format!("{}/{}/connection/{}", self.environment, family.name(), self.connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates() -> Gates {
        Gates { environment: "dv360.sandbox".into(), connection: ConnectionId::new() }
    }

    fn call(family: Family, account: Option<&str>) -> Call {
        Call { family, account: account.map(str::to_owned) }
    }

    fn is_held_back(closed: &[String], gates: &Gates, other: &Call) -> bool {
        gates.passed(other).iter().any(|gate| closed.contains(gate))
    }

    #[test]
    fn a_refusal_holds_back_whom_it_concerns_and_nobody_else() {
        let (mine, other) = (gates(), gates());
        let (read, list) = (call(Family::Entities, Some("1")), call(Family::Entities, None));
        let sibling = call(Family::Entities, Some("2"));
        let change = call(Family::Writes, Some("1"));
        let held = |scope, gates: &Gates, call: &Call| is_held_back(&mine.closed(&read, scope), gates, call);

        assert!(held(Scope::Account, &mine, &read) && held(Scope::Account, &other, &read), "an advertiser's own quota");
        assert!(!held(Scope::Account, &mine, &sibling) && !held(Scope::Account, &mine, &list));
        assert!(
            held(Scope::User, &mine, &read) && held(Scope::User, &mine, &sibling) && held(Scope::User, &mine, &list)
        );
        assert!(!held(Scope::User, &other, &read) && !held(Scope::User, &other, &list));
        assert!(held(Scope::Project, &mine, &list) && held(Scope::Project, &other, &read));
        for scope in [Scope::Account, Scope::User, Scope::Project] {
            assert!(!held(scope, &mine, &change) && !held(scope, &other, &change), "a change waits for no read");
            assert!(!held(scope, &mine, &call(Family::Reports, None)), "reports have a quota of their own");
        }
    }

    #[test]
    fn reads_make_way_when_a_change_finds_the_project_s_calls_used_up() {
        let (mine, other) = (gates(), gates());
        let change = call(Family::Writes, Some("1"));
        let closed = mine.closed(&change, Scope::Project);
        assert!(is_held_back(&closed, &other, &change) && is_held_back(&closed, &other, &call(Family::Entities, None)));
        let closed = mine.closed(&change, Scope::Account);
        assert!(!is_held_back(&closed, &mine, &call(Family::Entities, Some("1"))));
    }
}
