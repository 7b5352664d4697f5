//! Every error as the problem that people read.

use std::collections::BTreeMap;

use api::problem::{Error, Problem};
use domain::ErrorCode;
use strum::IntoEnumIterator as _;

#[test]
fn every_code_has_a_status_and_says_whether_it_passes() {
    let table: BTreeMap<_, _> = ErrorCode::iter()
        .map(|code| {
            let problem = Problem::of(code);
            assert_eq!(problem.kind, format!("/problems/{}", code.code()));
            (code.code(), (problem.status, problem.retryable))
        })
        .collect();
    insta::assert_json_snapshot!("problems", table);
}

#[test]
fn what_a_failure_came_from_is_never_shown() {
    let secret = "password=hidden; SELECT * FROM users";
    let failures = [
        Error::internal("do something")(std::io::Error::other(secret)),
        Error::Workflows { operation: "start a workflow", source: secret.into() },
        Error::Unsent { unharmed: "Nothing was approved and nothing was sent.", source: secret.into() },
        Error::Unanswered { source: secret.into() },
    ];
    for failure in failures {
        let shown = serde_json::to_string(&failure.problem()).unwrap();
        assert!(!shown.contains("hidden") && !shown.contains("SELECT"), "{shown}");
        assert!(!failure.to_string().contains("hidden"));
    }
}

#[test]
fn a_decision_that_did_not_reach_its_workflow_says_that_nothing_was_approved() {
    let failure = Error::Unsent { unharmed: "Nothing was approved and nothing was sent.", source: "refused".into() };
    let problem = failure.problem();
    assert_eq!((problem.status, problem.code.as_str()), (503, "internal.workflows_unavailable"));
    assert_eq!(problem.unharmed, "Nothing was approved and nothing was sent.");
}
