//! The fault plan: which calls go wrong, how, and how often. Written through the admin API; the
//! product never sees it.

use serde::{Deserialize, Serialize};

/// The most faults kept at a time.
const MAX_FAULTS: usize = 1_000;

/// Which calls a fault concerns. What is left out matches everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The HTTP method.
    pub method: Option<String>,
    /// A part of the path with its query.
    pub path_contains: Option<String>,
    /// The e-mail address of the person whose token it carries, or whose query's report is downloaded; token requests
    /// have none.
    pub user: Option<String>,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Answers with an error status and body.
    Status {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` header.
        retry_after_seconds: Option<u64>,
        /// Whether the call takes effect before it.
        #[serde(default)]
        effect: bool,
    },
    /// Says nothing for some real seconds.
    Hang {
        /// How long.
        seconds: u64,
        /// What happens then.
        #[serde(default)]
        then: AfterHang,
        /// Whether the call takes effect before the silence.
        #[serde(default)]
        effect: bool,
    },
    /// Takes effect, then closes the connection without an answer.
    LostResponse,
    /// Closes the connection without effect.
    CloseBefore,
    /// Takes effect, and answers with half a JSON body.
    MalformedJson,
    /// The next report lacks a column.
    MissingColumn {
        /// Its header; the last metric if left out.
        column: Option<String>,
    },
    /// The next report calls a column something else.
    RenamedColumn {
        /// Its header; the last metric if left out.
        column: Option<String>,
        /// Its new header.
        to: String,
    },
    /// The next report has a column that nobody asked for, at its end.
    ExtraColumn {
        /// Its header.
        name: String,
    },
    /// One row of the next report is garbage.
    GarbledRow {
        /// Its number, from 0.
        #[serde(default)]
        row: u64,
    },
    /// One row of the next report lacks a key.
    NullKeyRow {
        /// Its number, from 0.
        #[serde(default)]
        row: u64,
        /// The header of the key; "Line Item ID", or else the first ID column, if left out.
        column: Option<String>,
    },
    /// The next download is cut off.
    Truncated {
        /// After how many rows.
        #[serde(default)]
        after_rows: u64,
    },
    /// The next download stands still in the middle for some real seconds, and is cut off then.
    Stalled {
        /// After how many rows.
        #[serde(default)]
        after_rows: u64,
        /// How long.
        seconds: u64,
    },
    /// The next report fails.
    ReportFailed,
    /// The next report is being made for ever.
    ReportNeverFinishes,
}

/// What follows a hang.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterHang {
    /// A 504 answer.
    #[default]
    #[serde(rename = "504")]
    DeadlineExceeded,
    /// The connection is closed.
    #[serde(rename = "close")]
    Close,
}

/// When in a call's life a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Around the call itself.
    Call,
    /// When a report is asked for; it stays with the report.
    Report,
    /// When a report is downloaded.
    Download,
}

impl Action {
    fn stage(&self) -> Stage {
        match self {
            Self::Status { .. } | Self::Hang { .. } | Self::LostResponse | Self::CloseBefore | Self::MalformedJson => {
                Stage::Call
            }
            Self::Truncated { .. } | Self::Stalled { .. } => Stage::Download,
            _ => Stage::Report,
        }
    }
}

/// A fault as it is planned.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which calls it concerns.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// How many calls it strikes.
    #[serde(default = "once")]
    pub times: u32,
    /// How many matching calls it lets pass first.
    #[serde(default)]
    pub skip: u32,
    /// What goes wrong.
    pub action: Action,
    /// How many calls it has struck.
    #[serde(default)]
    pub struck: u32,
}

fn once() -> u32 {
    1
}

/// All planned faults, in the order in which they were added.
#[derive(Debug, Default)]
pub struct Faults {
    planned: Vec<Fault>,
}

impl Faults {
    /// Adds a fault; false when the plan is full.
    pub fn add(&mut self, fault: Fault) -> bool {
        let room = self.planned.len() < MAX_FAULTS;
        if room {
            self.planned.push(fault);
        }
        room
    }

    /// All faults, spent ones included.
    #[must_use]
    pub fn list(&self) -> &[Fault] {
        &self.planned
    }

    /// Forgets all faults.
    pub fn clear(&mut self) {
        self.planned.clear();
    }

    /// The fault that strikes this call, if any; it is used up by asking.
    pub fn strike(&mut self, stage: Stage, method: &str, path: &str, user: Option<&str>) -> Option<Action> {
        for fault in &mut self.planned {
            let wanted = fault.action.stage() == stage
                && fault.struck < fault.times
                && fault.matches.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && fault.matches.path_contains.as_ref().is_none_or(|wanted| path.contains(wanted))
                && fault.matches.user.as_ref().is_none_or(|wanted| user == Some(wanted.as_str()));
            if !wanted {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.struck += 1;
            return Some(fault.action.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Faults {
        let mut faults = Faults::default();
        assert!(faults.add(serde_json::from_str(json).unwrap()));
        faults
    }

    #[test]
    fn a_fault_strikes_as_often_as_planned_after_what_it_skips() {
        let mut faults = plan(
            r#"{"match":{"method":"PATCH","path_contains":"/lineItems/"},"times":2,"skip":1,
                "action":{"kind":"status","status":503,"retry_after_seconds":4}}"#,
        );
        let mut strike = |method| faults.strike(Stage::Call, method, "/v4/advertisers/1/lineItems/2", None).is_some();
        assert_eq!([strike("PATCH"), strike("GET"), strike("PATCH")], [false, false, true]);
        assert_eq!([strike("PATCH"), strike("PATCH")], [true, false]);
    }

    #[test]
    fn report_faults_wait_for_a_report() {
        let mut faults = plan(r#"{"action":{"kind":"missing_column","column":"Clicks"}}"#);
        assert_eq!(faults.strike(Stage::Call, "POST", "/v2/queries/1:run", None), None);
        assert!(faults.strike(Stage::Report, "POST", "/v2/queries/1:run", None).is_some());
    }

    #[test]
    fn a_fault_can_be_one_person_s() {
        let mut faults = plan(r#"{"match":{"user":"ana@x.example"},"action":{"kind":"close_before"}}"#);
        let mut strike = |user| faults.strike(Stage::Call, "GET", "/v4/partners", user).is_some();
        assert_eq!([strike(None), strike(Some("bob@x.example")), strike(Some("ana@x.example"))], [false, false, true]);
    }

    #[test]
    fn an_unknown_action_is_refused() {
        assert!(serde_json::from_str::<Fault>(r#"{"action":{"kind":"explode"}}"#).is_err());
    }
}
