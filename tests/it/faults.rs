//! Bad input and faults, through the whole product: each ends in the right state, with a message that a campaign manager
//! understands, nothing lost, nothing doubled; and when the fault has passed, the product is well again.
//!
//! Two agencies share a stack: what goes wrong for one may not delay the other.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use domain::ErrorCode;
use harness::faults::{Watched, refused, says};
use harness::histories::texts;
use harness::journey::{Agency, PATIENCE, PLANNER};
use harness::stack::{Options, Stack};
use harness::wait::{until, until_is};
use reqwest::Method;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery staple";
const INTERN: &str = "intern@agency.example";
/// Sees one advertiser that nobody else sees: the other agency's user.
pub(crate) const OTHER: &str = "bulk@agency.example";
/// How long the worker under test waits for an answer: longer than a busy machine keeps the sandbox from answering.
const ANSWER_SECONDS: u64 = 5;
/// Longer than a worker waits for anything.
const FOR_EVER_SECONDS: u64 = 600;

/// Walks some scenarios on a stack of their own; a failure shows what the programs said.
pub(crate) async fn walk(scenarios: impl AsyncFnOnce(&Stack) -> Result<()>) {
    let options = Options::default();
    let sandbox = options.sandbox.iter().cloned().chain(["--bulk-lines".into(), "6".into()]).collect();
    let worker = vec![("CLP_DV360_ANSWER_SECONDS".to_owned(), ANSWER_SECONDS.to_string())];
    match Stack::start(Options { sandbox, worker, ..options }).await {
        Ok(stack) => {
            if let Err(error) = scenarios(&stack).await {
                panic!("{error:#}\n{}", stack.logs());
            }
        }
        Err(error) => panic!("{error:#}"),
    }
}

/// Runs one scenario, tells how long it took, and names it in its failure.
#[expect(clippy::print_stdout, reason = "a line per scenario, for who watches a test of minutes")]
pub(crate) async fn scenario<T>(name: &str, steps: impl Future<Output = Result<T>>) -> Result<T> {
    let begun = Instant::now();
    let done = steps.await.with_context(|| name.to_owned())?;
    println!("faults: {name}: {:.1} s", begun.elapsed().as_secs_f64());
    Ok(done)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_wrong_and_lose_is_told_and_mended() {
    walk(people).await;
}

async fn people(stack: &Stack) -> Result<()> {
    scenario("wrong password, and too many of them", wrong_password(stack)).await?;
    let other = Watched::sign_up(stack, "bob@agency.example", OTHER).await?;
    let agency = Agency::sign_up(stack.person()?, "cleo@agency.example", PASSWORD, "Agency").await?;
    scenario("consent denied", consent_denied(&agency)).await?;
    scenario("consent without all scopes", consent_in_part(&agency)).await?;
    scenario("a user who sees no advertiser", sees_nothing(&agency)).await?;
    scenario("an outage while connecting", outage_while_connecting(stack)).await?;
    let agency = scenario("connected after all that", Watched::onboard(stack, agency, PLANNER)).await?;
    scenario("access lost and given back", access_lost(stack, &agency, &other)).await?;
    scenario("token revoked", token_revoked(stack, &agency, &other)).await
}

async fn wrong_password(stack: &Stack) -> Result<()> {
    let ana = Agency::sign_up(stack.person()?, "ana@agency.example", PASSWORD, "Agency").await?;
    let mut guesser = stack.person()?;
    for email in ["nobody@agency.example", "ana@agency.example"] {
        refused(guesser.sign_in(email, "correct horse battery stable").await, ErrorCode::WrongCredentials)?;
    }
    let throttled = until("the throttle", PATIENCE, || {
        let mut guesser = guesser.clone();
        async move {
            let answer = guesser.sign_in("ana@agency.example", "another wrong password").await;
            Ok(refused(answer, ErrorCode::TooManyRequests).ok())
        }
    });
    throttled.await?;
    // Who knows the password is held back as well, or a guess could be told from a wrong one; others are not.
    refused(guesser.sign_in("ana@agency.example", PASSWORD).await, ErrorCode::TooManyRequests)?;
    refused(guesser.sign_in("nobody@agency.example", PASSWORD).await, ErrorCode::WrongCredentials)?;
    ana.person.get("/api/v1/me").await.map(drop)
}

/// The wizard waits for a consent again, and says why.
async fn waits_for_consent(agency: &Agency, code: ErrorCode) -> Result<()> {
    let told = |seen: &Value| seen["state"] == "connecting" && !seen["problem"].is_null();
    let seen = until_is("the wizard to say why", PATIENCE, || agency.onboarding(), told).await?;
    says(&seen["problem"], code)
}

async fn consent_denied(agency: &Agency) -> Result<()> {
    let landed = agency.connect(PLANNER, "cancel").await?;
    ensure!(landed.ends_with("?problem=connection.consent_denied"), "led to {landed}");
    waits_for_consent(agency, ErrorCode::ConsentDenied).await
}

async fn consent_in_part(agency: &Agency) -> Result<()> {
    let page = agency.consent_page().await?;
    let landed = agency.person.consent_in_part(&page, PLANNER, "allow", |scope| !scope.contains("bidmanager")).await?;
    ensure!(!landed.contains("problem"), "led to {landed}");
    let told = |seen: &Value| seen["problem"]["code"] == ErrorCode::ScopesMissing.code();
    until_is("the missing scope", PATIENCE, || agency.onboarding(), told).await?;
    waits_for_consent(agency, ErrorCode::ScopesMissing).await
}

async fn sees_nothing(agency: &Agency) -> Result<()> {
    agency.connect(INTERN, "allow").await?;
    let told = |seen: &Value| seen["problem"]["code"] == ErrorCode::PermissionMissing.code();
    until_is("the missing right", PATIENCE, || agency.onboarding(), told).await?;
    waits_for_consent(agency, ErrorCode::PermissionMissing).await
}

/// The platform's trouble is told while it lasts, and the setup goes on by itself when it has passed.
async fn outage_while_connecting(stack: &Stack) -> Result<()> {
    let agency = Agency::sign_up(stack.person()?, "dora@agency.example", PASSWORD, "Agency").await?;
    let sandbox = stack.sandbox_admin();
    let down = json!({"kind": "status", "status": 503});
    sandbox.fault(json!({"match": {"path_contains": "/token"}, "times": 1000, "action": down})).await?;
    let landed = agency.connect(PLANNER, "allow").await?;
    ensure!(!landed.contains("problem"), "led to {landed}");
    let told = |seen: &Value| seen["state"] == "verifying" && !seen["problem"].is_null();
    let seen = until_is("the wizard to say what it waits for", PATIENCE, || agency.onboarding(), told).await?;
    says(&seen["problem"], ErrorCode::PlatformUnavailable)?;
    sandbox.clear_faults().await?;
    let seen = agency.onboarding_is(&["choosing_accounts"]).await?;
    ensure!(seen["problem"].is_null(), "the trouble has passed: {seen:#}");
    agency.person.send(Method::POST, "/api/v1/onboarding/cancel", json!({})).await?;
    agency.onboarding_is(&["cancelled"]).await.map(drop)
}

async fn access_lost(stack: &Stack, agency: &Watched, other: &Watched) -> Result<()> {
    let sandbox = stack.sandbox_admin();
    sandbox.post(&format!("/users/{PLANNER}/lose-access"), json!({})).await?;
    agency.tick().await?;
    let connection = agency.connection().await?;
    ensure!(connection["status"] == "needs_permission" && connection["who_acts"] == "you", "{connection:#}");
    says(&connection["problem"], ErrorCode::PermissionMissing)?;
    let accounts = connection["accounts"].as_array().context("accounts")?;
    ensure!(accounts.iter().all(|account| account["status"] != "gone"), "not the advertisers are gone: {accounts:#?}");
    agency.is_true().await?;
    other.is_well().await?;
    // "… then reconnect or try again": the next run tries.
    sandbox.post(&format!("/users/{PLANNER}/restore-access"), json!({})).await?;
    agency.is_well().await
}

async fn token_revoked(stack: &Stack, agency: &Watched, other: &Watched) -> Result<()> {
    stack.sandbox_admin().post(&format!("/users/{PLANNER}/revoke"), json!({})).await?;
    agency.tick().await?;
    let connection = agency.connection().await?;
    ensure!(connection["status"] == "needs_reauth" && connection["who_acts"] == "you", "{connection:#}");
    says(&connection["problem"], ErrorCode::TokenDead)?;
    // Until a person consents again there is nothing to follow up: only ticks, and people, start cycles.
    let since = stack.sandbox_admin().now().await?;
    for _ in 0..3 {
        agency.cycle().await?;
    }
    let follow_ups = format!("SELECT id::text FROM intents WHERE kind = 'follow_up' AND created_at >= '{since}'");
    let follow_ups = texts(stack, agency.agency.org, &follow_ups).await?;
    ensure!(follow_ups.is_empty(), "{} follow-ups of a dead token", follow_ups.len());
    agency.is_true().await?;
    other.is_well().await?;
    // Hours pass in which nothing can be read. Another user is not taken for the one that was lost.
    stack.sandbox_admin().advance(3 * 3600).await?;
    let refused = reconnect(agency, OTHER, "allow").await?;
    says(&refused["reconnection"]["problem"], ErrorCode::OtherAccount)?;
    ensure!(refused["status"] == "needs_reauth", "the connection was left as it was: {refused:#}");
    let denied = reconnect(agency, PLANNER, "cancel").await?;
    says(&denied["reconnection"]["problem"], ErrorCode::ConsentDenied)?;
    let done = reconnect(agency, PLANNER, "allow").await?;
    ensure!(done["reconnection"]["state"] == "done" && done["problem"].is_null(), "{done:#}");
    // What was missed is read without anybody's asking for it.
    agency.settle().await?;
    agency.is_well().await?;
    other.is_well().await
}

/// Reconnects as a person does; the connection, once it is known what came of it.
async fn reconnect(agency: &Watched, user: &str, decision: &str) -> Result<Value> {
    let connection = agency.connection().await?;
    let id = connection["id"].as_str().context("the connection's id")?;
    let path = format!("/api/v1/connections/{id}/reconnect");
    let consent = agency.person().send(Method::POST, &path, json!({})).await?;
    let page = consent["redirect_url"].as_str().context("redirect_url")?;
    let before = connection["reconnection"]["at"].clone();
    let landed = agency.person().consent(page, user, decision).await?;
    ensure!(landed.starts_with(&format!("/connections?reconnected={id}")), "led to {landed}");
    let told = |seen: &Value| {
        let attempt = &seen["reconnection"];
        !attempt.is_null() && attempt["at"] != before && attempt["state"] != "checking"
    };
    until_is("the reconnection to end", PATIENCE, || agency.connection(), told).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_while_reading_is_told_and_the_numbers_stay_right() {
    walk(reading).await;
}

async fn reading(stack: &Stack) -> Result<()> {
    let mut other = Watched::sign_up(stack, "bob@agency.example", OTHER).await?;
    let mut agency = Watched::sign_up(stack, "cleo@agency.example", PLANNER).await?;
    for (name, action, code) in spoiled_reports() {
        let fault = json!({"match": {"method": "POST", "path_contains": ":run", "user": PLANNER}, "action": action});
        scenario(name, spoiled(stack, &agency, &other, fault, code)).await?;
    }
    agency.agency.sign_in_again().await?;
    other.agency.sign_in_again().await?;
    for (name, fault, code) in lost_answers() {
        scenario(name, spoiled(stack, &agency, &other, fault, code)).await?;
    }
    agency.agency.sign_in_again().await?;
    other.agency.sign_in_again().await?;
    for wait in [Some(120), None] {
        let name = format!("a 429 storm of Bid Manager, Retry-After {wait:?}");
        scenario(&name, storm(stack, &agency, &other, "/v2/queries", wait)).await?;
        let name = format!("a 429 storm of Display & Video, Retry-After {wait:?}");
        scenario(&name, storm(stack, &agency, &other, "/v4/advertisers", wait)).await?;
    }
    agency.agency.sign_in_again().await?;
    other.agency.sign_in_again().await?;
    let one = one_advertiser(&agency).await?;
    let path = format!("/v4/advertisers/{one}/");
    let fault = |action| json!({"match": {"path_contains": path, "user": PLANNER}, "times": 1000, "action": action});
    let failing = fault(json!({"kind": "status", "status": 500}));
    let name = "one advertiser's campaigns answer 500";
    scenario(name, one_fails(stack, &agency, failing, ErrorCode::PlatformUnavailable)).await?;
    let silent = fault(json!({"kind": "hang", "seconds": FOR_EVER_SECONDS, "then": "close"}));
    let name = "one advertiser's campaigns never answer";
    scenario(name, one_fails(stack, &agency, silent, ErrorCode::PlatformTimeout)).await?;
    scenario("an advertiser removed and restored", removed(stack, &agency, &one)).await?;
    scenario("an advertiser removed between two looks", removed_unseen(stack, &agency, &one)).await
}

fn spoiled_reports() -> Vec<(&'static str, Value, ErrorCode)> {
    vec![
        ("a report lacks a column", json!({"kind": "missing_column"}), ErrorCode::ReportMissingColumn),
        ("a garbled row", json!({"kind": "garbled_row", "row": 3}), ErrorCode::ReportGarbledRow),
        ("a row without a key", json!({"kind": "null_key_row", "row": 2}), ErrorCode::ReportNullKey),
        ("the platform fails to make a report", json!({"kind": "report_failed"}), ErrorCode::ReportFailed),
    ]
}

fn lost_answers() -> Vec<(&'static str, Value, ErrorCode)> {
    // While one run waits for an answer, the next one may ask again: each is to meet the fault, until it is cleared.
    let each = |path: &str, action: Value| json!({"match": {"path_contains": path, "user": PLANNER}, "times": 100, "action": action});
    let hang = json!({"kind": "hang", "seconds": FOR_EVER_SECONDS, "then": "close"});
    let stall = json!({"kind": "stalled", "after_rows": 5, "seconds": FOR_EVER_SECONDS});
    let cut = json!({"kind": "truncated", "after_rows": 5});
    let down = json!({"kind": "status", "status": 500});
    let run = json!({"match": {"path_contains": ":run", "user": PLANNER}, "action": down});
    vec![
        ("a download breaks off", each("/storage/", cut), ErrorCode::ReportTruncated),
        ("a download stands still", each("/storage/", stall), ErrorCode::PlatformTimeout),
        ("Bid Manager hangs", each("/reports/", hang), ErrorCode::PlatformTimeout),
        ("Bid Manager answers 500", run, ErrorCode::PlatformUnavailable),
        ("half an answer", each("/reports/", json!({"kind": "malformed_json"})), ErrorCode::UnreadableAnswer),
    ]
}

/// A tick's report fails and says why; the numbers stay; the other agency's report lands; the next tick is well.
async fn spoiled(stack: &Stack, agency: &Watched, other: &Watched, fault: Value, code: ErrorCode) -> Result<()> {
    let sandbox = stack.sandbox_admin();
    sandbox.fault(fault).await?;
    let since = agency.tick().await?;
    let pulls = agency.pulls(since).await?;
    let failed =
        pulls.iter().find(|pull| pull["state"] == "failed").with_context(|| format!("none failed: {pulls:#?}"))?;
    says(&failed["problem"], code)?;
    agency.is_true().await?;
    other.cycle().await?;
    sandbox.clear_faults().await?;
    other.is_well().await?;
    agency.is_well().await
}

/// The platform asks a user to slow down: the connection says so, reading goes on by itself when the time has passed, and
/// the other agency's never stops.
async fn storm(stack: &Stack, agency: &Watched, other: &Watched, path: &str, retry_after: Option<u64>) -> Result<()> {
    let sandbox = stack.sandbox_admin();
    let action = json!({"kind": "status", "status": 429, "retry_after_seconds": retry_after});
    let matches = json!({"path_contains": path, "user": PLANNER});
    sandbox.fault(json!({"match": matches, "times": 100_000, "action": action})).await?;
    let before = struck(&sandbox).await?;
    let since = agency.tick().await?;
    let connection = agency.connection().await?;
    ensure!(connection["status"] == "rate_limited" && connection["who_acts"] == "platform", "{connection:#}");
    says(&connection["problem"], ErrorCode::RateLimited)?;
    // A run asks once about each advertiser, side by side, and once for reports; what is refused is not asked again.
    let advertisers = connection["accounts"].as_array().context("accounts")?.len();
    let calls = struck(&sandbox).await? - before;
    let runs = agency.runs(since).await?.len();
    ensure!(calls <= u64::try_from(runs * (advertisers + 1))?, "{calls} calls into a storm, in {runs} runs");
    agency.is_true().await?;
    other.is_well().await?;
    sandbox.clear_faults().await?;
    sandbox.advance(i64::try_from(retry_after.unwrap_or(20))? + 10).await?;
    agency.is_well().await
}

async fn struck(sandbox: &harness::sandbox_admin::SandboxAdmin) -> Result<u64> {
    let calls = sandbox.get("/calls").await?;
    let calls = calls["calls"].as_array().context("calls")?;
    Ok(u64::try_from(calls.iter().filter(|call| call["status"] == 429).count())?)
}

async fn one_advertiser(agency: &Watched) -> Result<String> {
    let connection = agency.connection().await?;
    Ok(connection["accounts"][0]["platform_id"].as_str().context("an advertiser")?.to_owned())
}

/// One advertiser's campaigns can't be read: the connection says so, everybody's numbers go on.
async fn one_fails(stack: &Stack, agency: &Watched, fault: Value, code: ErrorCode) -> Result<()> {
    let sandbox = stack.sandbox_admin();
    sandbox.fault(fault).await?;
    let since = agency.tick().await?;
    let pulls = agency.pulls(since).await?;
    ensure!(pulls.iter().any(|pull| pull["state"] == "landed"), "nothing landed: {pulls:#?}");
    let connection = agency.connection().await?;
    ensure!(connection["status"] == "platform_outage", "{connection:#}");
    says(&connection["problem"], code)?;
    agency.is_true().await?;
    sandbox.clear_faults().await?;
    agency.is_well().await
}

async fn removed(stack: &Stack, agency: &Watched, id: &str) -> Result<()> {
    let sandbox = stack.sandbox_admin();
    let before = agency.lake.gold().await?.0;
    sandbox.post(&format!("/advertisers/{id}/remove"), json!({})).await?;
    agency.is_well().await?;
    let account = agency.account(id).await?;
    ensure!(account["status"] == "gone", "{account:#}");
    says(&account["problem"], ErrorCode::AccountGone)?;
    let now = agency.lake.gold().await?.0;
    let kept = before.iter().filter(|((of, ..), _)| of == id).all(|(key, was)| now.get(key) == Some(was));
    ensure!(kept, "the history of {id} is not what it was");
    sandbox.post(&format!("/advertisers/{id}/restore"), json!({})).await?;
    comes_back(agency, id).await
}

/// Nobody knows yet that the advertiser is gone when the report of all is asked for.
async fn removed_unseen(stack: &Stack, agency: &Watched, id: &str) -> Result<()> {
    let sandbox = stack.sandbox_admin();
    // Its campaigns are read now and are fresh for a while; the next tick is due before that has passed.
    sandbox.advance(640).await?;
    agency.cycle().await?;
    sandbox.post(&format!("/advertisers/{id}/remove"), json!({})).await?;
    sandbox.advance(240).await?;
    agency.cycle().await?;
    let connection = agency.connection().await?;
    ensure!(connection["problem"].is_null(), "one advertiser stops the connection: {connection:#}");
    ensure!(agency.account(id).await?["status"] == "gone", "not known to be gone");
    agency.is_well().await?;
    sandbox.post(&format!("/advertisers/{id}/restore"), json!({})).await?;
    comes_back(agency, id).await
}

/// The advertiser is read again, with the days that were missed.
async fn comes_back(agency: &Watched, id: &str) -> Result<()> {
    agency.is_well().await?;
    let account = agency.account(id).await?;
    ensure!(account["status"] == "active" && account["problem"].is_null(), "{account:#}");
    agency.settle().await?;
    agency.is_true().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_while_writing_is_told_and_nothing_is_written_twice() {
    walk(writing).await;
}

/// A fault of a change, and the way that it is to end.
struct Broken {
    name: &'static str,
    /// Each an HTTP method with what goes wrong with that call on the line.
    faults: Vec<(&'static str, u32, Value)>,
    /// What is told on the way, where it lasts long enough to be seen.
    told: Option<ErrorCode>,
    state: &'static str,
    code: Option<ErrorCode>,
    writes: usize,
}

impl Broken {
    /// A change that was made although its answer got lost.
    fn settled(name: &'static str, faults: Vec<(&'static str, u32, Value)>) -> Self {
        Self { name, faults, told: Some(ErrorCode::OutcomeUnknown), state: "verified", code: None, writes: 1 }
    }

    /// A change that the platform answers with an error: nothing is written.
    fn refused(name: &'static str, method: &'static str, status: u16, code: ErrorCode) -> Self {
        let faults = vec![(method, 1, json!({"kind": "status", "status": status}))];
        Self { name, faults, told: None, state: "failed", code: Some(code), writes: 0 }
    }
}

fn broken_writes() -> Vec<Broken> {
    use ErrorCode as E;
    let status = |status: u16| json!({"kind": "status", "status": status});
    let done = json!({"kind": "status", "status": 500, "effect": true});
    let silent = json!({"kind": "hang", "seconds": FOR_EVER_SECONDS, "then": "close", "effect": true});
    let gone_after = vec![("PATCH", 1, done.clone()), ("GET", 1, status(404))];
    let unreadable = vec![("PATCH", 1, done.clone()), ("GET", 3, status(403))];
    vec![
        Broken::settled("500 after the change was made", vec![("PATCH", 1, done)]),
        Broken::settled("no answer after the change was made", vec![("PATCH", 1, silent)]),
        Broken::settled("500 before the change was made", vec![("PATCH", 1, status(500))]),
        Broken::refused("refused by the platform", "PATCH", 400, E::PlatformRejected),
        Broken::refused("the right to change is missing", "PATCH", 403, E::PermissionMissing),
        Broken::refused("the line is gone when it is sent", "PATCH", 404, E::LineGone),
        Broken::refused("the line is gone before", "GET", 404, E::LineGone),
        Broken {
            state: "drifted",
            code: Some(E::LineGone),
            told: None,
            ..Broken::settled("the line is gone after a lost answer", gone_after)
        },
        Broken {
            told: Some(E::AccountGone),
            ..Broken::settled("nobody may read after a lost answer, for a while", unreadable)
        },
    ]
}

async fn writing(stack: &Stack) -> Result<()> {
    let agency = Watched::sign_up(stack, "dan@agency.example", PLANNER).await?;
    let open = agency.person().get("/api/v1/proposals?state=open&limit=200").await?;
    let open: Vec<Value> = open["items"].as_array().context("proposals")?.clone();
    let cases = broken_writes();
    ensure!(open.len() > cases.len(), "{} proposals for {} faults", open.len(), cases.len() + 1);
    let (first, rest) = open.split_first().context("a proposal")?;
    // A storm holds every change back, so it comes alone; the others meet lines of their own, all at once.
    scenario("a 429 storm while writing", throttled_write(stack, &agency, first)).await?;
    let cases =
        cases.iter().zip(rest).map(|(case, proposal)| scenario(case.name, write(stack, &agency, case, proposal)));
    futures::future::try_join_all(cases).await?;
    agency.is_well().await
}

fn line_of(proposal: &Value) -> Result<&str> {
    proposal["line"]["platform_id"].as_str().context("a line")
}

async fn write(stack: &Stack, agency: &Watched, case: &Broken, proposal: &Value) -> Result<()> {
    let (sandbox, line) = (stack.sandbox_admin(), line_of(proposal)?);
    for (method, times, action) in &case.faults {
        // A line is read once before the change is sent: a fault of reading beside one of writing is meant for later.
        let skip = u32::from(*method == "GET" && case.faults.len() > 1);
        let matches = json!({"method": method, "path_contains": format!("/lineItems/{line}")});
        sandbox.fault(json!({"match": matches, "times": times, "skip": skip, "action": action})).await?;
    }
    agency.agency.approve(proposal).await?;
    let id = proposal["id"].as_str().context("id")?;
    if let Some(code) = case.told {
        told_on_the_way(agency, id, code).await?;
    }
    let done = agency.agency.proposal_is(id, &["verified", "failed", "drifted", "expired", "cancelled"]).await?;
    ensure!(done["state"] == case.state, "{done:#}");
    match case.code {
        Some(code) => says(&done["problem"], code)?,
        None => ensure!(done["problem"].is_null(), "{done:#}"),
    }
    ensure!(written(stack, line).await? == case.writes, "{} writes", written(stack, line).await?);
    Ok(())
}

async fn told_on_the_way(agency: &Watched, id: &str, code: ErrorCode) -> Result<()> {
    let path = format!("/api/v1/proposals/{id}");
    let told = |seen: &Value| seen["problem"]["code"] == code.code();
    let seen = until_is("the page to say why it takes long", PATIENCE, || agency.person().get(&path), told).await?;
    says(&seen["problem"], code)
}

async fn written(stack: &Stack, line: &str) -> Result<usize> {
    let writes = stack.sandbox_admin().get("/writes").await?;
    let writes = writes.as_array().or_else(|| writes["writes"].as_array()).cloned().unwrap_or_default();
    Ok(writes.iter().filter(|write| write.to_string().contains(line)).count())
}

async fn throttled_write(stack: &Stack, agency: &Watched, proposal: &Value) -> Result<()> {
    let (sandbox, line) = (stack.sandbox_admin(), line_of(proposal)?);
    let action = json!({"kind": "status", "status": 429, "retry_after_seconds": 3});
    let matches = json!({"method": "PATCH", "path_contains": format!("/lineItems/{line}")});
    sandbox.fault(json!({"match": matches, "times": 2, "action": action})).await?;
    agency.agency.approve(proposal).await?;
    let id = proposal["id"].as_str().context("id")?;
    told_on_the_way(agency, id, ErrorCode::RateLimited).await?;
    let done = agency.agency.proposal_is(id, &["verified", "failed", "drifted"]).await?;
    ensure!(done["state"] == "verified" && done["problem"].is_null(), "{done:#}");
    ensure!(written(stack, line).await? == 1, "written {} times", written(stack, line).await?);
    Ok(())
}
