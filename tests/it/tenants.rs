//! Agencies on one deployment never meet: every operation of the API's document is asked with another agency's ids in every
//! role, by nobody, and at last by the agency itself, or else the refusals would prove nothing.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use domain::Role;
use harness::client::{Person, Problem};
use harness::journey::{Agency, PLANNER};
use harness::stack::{Options, Stack};
use reqwest::Method;
use serde_json::{Value, json};
use store::Store;
use strum::IntoEnumIterator as _;
use test_identity::{CLIENT, IdentityProvider, SECRET};
use totp_rs::{Builder, Secret};

const PASSWORD: &str = "correct horse battery staple";
const OUR_EMAIL: &str = "ana@ours.example";
const OUR_NAME: &str = "Agentur Unserer Kunden";

/// What anybody may call: it knows of no organisation.
const PUBLIC: [&str; 14] = [
    "answerConsent",
    "answerSso",
    "beginSso",
    "forgetPassword",
    "getLiveness",
    "getMetrics",
    "getReadiness",
    "getTerms",
    "getVersion",
    "lookAtInvitation",
    "acceptInvitation",
    "resetPassword",
    "signIn",
    "signUp",
];

/// What an agency that is being set up does, in this order.
const SETUP: [&str; 5] = ["startOnboarding", "startConsent", "getOnboarding", "chooseAccounts", "cancelOnboarding"];

/// What changes something for good, in the order in which an agency can do it, after all that only reads.
const CHANGES: [&str; 22] = [
    "startEvaluation",
    "startRun",
    "updateRule",
    "updateMember",
    "createRole",
    "updateRole",
    "deleteRole",
    "setFreeze",
    "approveProposal",
    "rejectProposal",
    "cancelProposal",
    "changeAccounts",
    "reconnectConnection",
    "revokeSession",
    "changePassword",
    "agreeToTerms",
    "createInvitation",
    "withdrawInvitation",
    "createApiKey",
    "revokeApiKey",
    "setSso",
    "removeSso",
];

/// What a person does with their second factor, in this order: each needs what the one before answered.
const SECOND_FACTOR: [&str; 3] = ["beginSecondFactor", "confirmSecondFactor", "removeSecondFactor"];

/// What ends the session that asks.
const ENDINGS: [&str; 2] = ["switchOrganisation", "signOut"];

/// An operation of the document.
#[derive(Debug, Clone)]
struct Operation {
    name: String,
    method: Method,
    path: String,
}

/// Something of an agency's own for every operation to ask about.
struct Ids {
    organisation: String,
    campaign: String,
    connection: String,
    accounts: Vec<String>,
    evaluation: String,
    proposals: Vec<Value>,
    rule: String,
    run: String,
    member: String,
    role: String,
    session: String,
    invitation: String,
    api_key: String,
    /// The secret of an invitation's link.
    link: String,
    /// The secret of a forgotten password's link.
    reset: String,
    /// The issuer of our identity provider.
    issuer: String,
    cursors: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn agencies_on_one_deployment_never_meet() {
    let stack = Stack::start(Options::default()).await.unwrap();
    if let Err(error) = sweep(&stack).await {
        panic!("{error:#}\n{}", stack.logs());
    }
}

#[expect(clippy::print_stdout, reason = "the count that proves that nothing was left out")]
async fn sweep(stack: &Stack) -> Result<()> {
    let operations = operations(&stack.person()?).await?;
    let ours = onboarded(stack, OUR_EMAIL, OUR_NAME).await?;
    let theirs = onboarded(stack, "eve@theirs.example", "Theirs").await?;
    let ids = collect(stack, &ours).await?;
    let secrets = secrets(&ids, &ours);

    let nobody = stack.person()?;
    let mut refused = 0;
    for operation in private(&operations) {
        let (status, answer) = ask(&nobody, operation, &ids).await?;
        ensure!(status == 401, "{} for nobody: {status} {answer}", operation.name);
        refused += 1;
    }
    let mut kept_out = 0;
    for role in Role::iter() {
        let guest = guest(stack, &theirs, role).await?;
        for operation in private(&operations).filter(|operation| operation.name != "signOut") {
            let (status, answer) = ask(&guest, operation, &ids).await?;
            let text = answer.to_string();
            let leak = secrets.iter().find(|secret| text.contains(secret.as_str()));
            ensure!(leak.is_none(), "{} as {role} of others shows {leak:?}: {answer}", operation.name);
            if names_something(operation) {
                ensure!((400..500).contains(&status), "{} as {role} of others: {status} {answer}", operation.name);
            }
            kept_out += 1;
        }
        for cursor in &ids.cursors {
            let answer = guest.get(cursor).await.map_or_else(|error| error.to_string(), |answer| answer.to_string());
            let leak = secrets.iter().find(|secret| answer.contains(secret.as_str()));
            ensure!(leak.is_none(), "{cursor} as {role} of others shows {leak:?}: {answer}");
        }
    }
    let admitted = own(stack, &operations, &ours, &ids).await?;
    println!(
        "{} operations in the document: {} for anybody; {refused} refused without a session, {kept_out} asked by {} roles \
         of another agency, {admitted} answered to the agency itself",
        operations.len(),
        PUBLIC.len(),
        Role::iter().count(),
    );
    ensure!(admitted == operations.len(), "{admitted} of {} operations were answered", operations.len());
    Ok(())
}

/// Every operation succeeds for whoever it is meant for; returns how many.
async fn own(stack: &Stack, operations: &[Operation], ours: &Agency, ids: &Ids) -> Result<usize> {
    let find = |name: &str| {
        let found = operations.iter().find(|operation| operation.name == name);
        found.with_context(|| format!("the document has no operation {name}"))
    };
    let named: BTreeSet<&str> =
        PUBLIC.iter().chain(&SETUP).chain(&CHANGES).chain(&SECOND_FACTOR).chain(&ENDINGS).copied().collect();
    let mut admitted = BTreeSet::new();
    for name in PUBLIC {
        let operation = find(name)?;
        let (status, answer) = ask(&stack.person()?, operation, ids).await?;
        ensure!((200..400).contains(&status), "{name} for anybody: {status} {answer}");
        admitted.insert(name.to_owned());
    }
    let new = Agency::sign_up(stack.person()?, "new@agency.example", PASSWORD, "New").await?;
    for name in SETUP {
        let operation = find(name)?;
        if name == "chooseAccounts" {
            let (status, answer) = ask(&new.person, operation, ids).await?;
            ensure!((400..500).contains(&status), "the choice of others' advertisers: {status} {answer}");
            new.choose_all().await?;
        } else {
            let (status, answer) = ask(&new.person, operation, ids).await?;
            ensure!((200..300).contains(&status), "{name} for the agency itself: {status} {answer}");
            if let Some(page) = answer["redirect_url"].as_str() {
                new.person.consent(page, PLANNER, "allow").await?;
                new.onboarding_is(&["choosing_accounts"]).await?;
            }
        }
        admitted.insert(name.to_owned());
    }
    let reads = operations.iter().filter(|operation| !named.contains(operation.name.as_str()));
    let changes = CHANGES.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
    for operation in reads.chain(changes) {
        let (status, answer) = ask(&ours.person, operation, ids).await?;
        ensure!((200..300).contains(&status), "{} for the agency itself: {status} {answer}", operation.name);
        admitted.insert(operation.name.clone());
    }
    for (name, (method, path, body)) in SECOND_FACTOR.into_iter().zip(second_factor(stack, &ours.person).await?) {
        let operation = find(name)?;
        ensure!((&operation.method, operation.path.as_str()) == (&method, path), "{name}: {method} {path}");
        ensure!(body.is_ok(), "{name} for the agency itself: {body:?}");
        admitted.insert(name.to_owned());
    }
    for name in ENDINGS {
        let mut browser = stack.person()?;
        browser.sign_in(OUR_EMAIL, PASSWORD).await?;
        let (status, answer) = ask(&browser, find(name)?, ids).await?;
        ensure!((200..300).contains(&status), "{name} for the agency itself: {status} {answer}");
        admitted.insert(name.to_owned());
    }
    Ok(admitted.len())
}

/// Sets a second factor up, turns it on and removes it; what was asked for, with its answer.
async fn second_factor(stack: &Stack, person: &Person) -> Result<[(Method, &'static str, Result<Value>); 3]> {
    const PATH: &str = "/api/v1/second-factor";
    const REMOVAL: &str = "/api/v1/second-factor/removal";
    let begun = person.send(Method::POST, PATH, json!({"password": PASSWORD})).await?;
    let secret = Secret::try_from_base32(begun["secret"].as_str().context("a secret")?)?;
    let now = u64::try_from(stack.sandbox_admin().now().await?.timestamp())?;
    let code = Builder::new().with_secret(secret).build()?.generate(now).to_string();
    let on = person.send(Method::PUT, PATH, json!({"code": code})).await?;
    let recovery = on["recovery_codes"][0].clone();
    let off = person.send(Method::POST, REMOVAL, json!({"password": PASSWORD, "code": recovery})).await;
    Ok([(Method::POST, PATH, Ok(begun)), (Method::PUT, PATH, Ok(on)), (Method::POST, REMOVAL, off)])
}

async fn operations(person: &Person) -> Result<Vec<Operation>> {
    let document = person.get("/api/v1/openapi.json").await?;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for (method, operation) in item.as_object().context("a path's methods")? {
            let name = operation["operationId"].as_str().context("operationId")?.to_owned();
            operations.push(Operation { name, method: method.to_uppercase().parse()?, path: path.clone() });
        }
    }
    Ok(operations)
}

fn private(operations: &[Operation]) -> impl Iterator<Item = &Operation> {
    operations.iter().filter(|operation| !PUBLIC.contains(&operation.name.as_str()))
}

/// Whether a request names something that belongs to an agency.
fn names_something(operation: &Operation) -> bool {
    operation.path.contains("{id}") || ["chooseAccounts", "switchOrganisation"].contains(&operation.name.as_str())
}

async fn onboarded(stack: &Stack, email: &str, name: &str) -> Result<Agency> {
    let agency = Agency::sign_up(stack.person()?, email, PASSWORD, name).await?;
    agency.onboard().await?;
    agency.onboarding_is(&["done"]).await?;
    agency.evaluate().await?;
    Ok(agency)
}

/// A person in a role of an agency.
async fn guest(stack: &Stack, agency: &Agency, role: Role) -> Result<Person> {
    let mut guest = stack.person()?;
    let me = guest.sign_up(&format!("{role}@guests.example"), PASSWORD, "Guests").await?;
    let user = me["user"]["id"].as_str().context("the person's id")?.parse()?;
    let admin = agency.person.get("/api/v1/me").await?["user"]["id"].as_str().context("the admin's id")?.parse()?;
    let store = Store::connect(&stack.database.app_url, 1).await?;
    let mut tx = store.begin(agency.org).await?;
    store::member::add(&mut tx, user, "Guest", &role.to_string(), admin, stack.sandbox_admin().now().await?).await?;
    tx.commit().await?;
    guest.switch(&agency.org.to_string()).await?;
    Ok(guest)
}

async fn collect(stack: &Stack, agency: &Agency) -> Result<Ids> {
    let person = &agency.person;
    let first = async |path: &str, field: &str| -> Result<String> {
        let answer = person.get(path).await?;
        let id = answer["items"][0][field].as_str().with_context(|| format!("{path} shows nothing: {answer}"))?;
        Ok(id.to_owned())
    };
    let connection = person.get("/api/v1/connections").await?["items"][0].clone();
    let accounts = connection["accounts"].as_array().context("accounts")?;
    let accounts = accounts.iter().filter_map(|account| Some(account["id"].as_str()?.to_owned())).collect();
    let evaluation = agency.evaluate().await?;
    let proposals = agency.waiting(stack.sandbox_admin().now().await?).await?;
    ensure!(proposals.len() >= 3, "only {} proposals wait", proposals.len());
    let role = json!({"title": "Only ours", "permissions": ["delivery.read"]});
    let role = person.send(Method::POST, "/api/v1/roles", role).await?;
    stack.person()?.sign_in(OUR_EMAIL, PASSWORD).await?;
    let sessions = person.get("/api/v1/sessions").await?;
    let sessions = sessions["items"].as_array().context("sessions")?;
    let other = sessions.iter().find(|session| session["current"] == false).context("another session")?;
    let invite = async |email: &str| {
        person.send(Method::POST, "/api/v1/invitations", json!({"email": email, "role": "viewer"})).await
    };
    let (invitation, other_invitation) = (invite("guest@ours.example").await?, invite("bo@ours.example").await?);
    let link = other_invitation["link"].as_str().and_then(|link| link.split('#').nth(1)).context("a link")?.to_owned();
    let key = json!({"name": "Ours alone", "permissions": ["delivery.read"], "expires_in_days": 1});
    let key = person.send(Method::POST, "/api/v1/api-keys", key).await?;
    let issuer = IdentityProvider::start().await.issuer;
    let sso = json!({"issuer": issuer, "client_id": CLIENT, "client_secret": SECRET, "default_role": null, "required": false});
    person.send(Method::PUT, "/api/v1/sso", sso).await?;
    let reset = "a secret that a mail would bring".to_owned();
    let (store, now) = (Store::connect(&stack.database.app_url, 1).await?, stack.sandbox_admin().now().await?);
    let forgetful = "forgetful@agency.example";
    stack.person()?.sign_up(forgetful, PASSWORD, "Forgetful").await?;
    let known = store::user::begin_reset(&store, forgetful, &reset, now, now + chrono::TimeDelta::hours(1)).await?;
    ensure!(known.is_some(), "no reset was begun");
    let mut cursors = Vec::new();
    for path in ["/api/v1/campaigns", "/api/v1/proposals", "/api/v1/audit", "/api/v1/runs"] {
        let page = person.get(&format!("{path}?limit=1")).await?;
        let cursor = page["next_cursor"].as_str().with_context(|| format!("{path} has one page only"))?;
        cursors.push(format!("{path}?limit=1&cursor={cursor}"));
    }
    let text = |value: &Value| value.as_str().map(str::to_owned).context("an id");
    Ok(Ids {
        organisation: agency.org.to_string(),
        campaign: first("/api/v1/campaigns", "id").await?,
        connection: text(&connection["id"])?,
        accounts,
        evaluation: text(&evaluation["id"])?,
        proposals,
        rule: first("/api/v1/rules", "id").await?,
        run: first("/api/v1/runs", "id").await?,
        member: first("/api/v1/members", "id").await?,
        role: text(&role["name"])?,
        session: text(&other["id"])?,
        invitation: text(&invitation["invitation"]["id"])?,
        api_key: text(&key["key"]["id"])?,
        link,
        reset,
        issuer,
        cursors,
    })
}

/// What nobody else may read.
fn secrets(ids: &Ids, agency: &Agency) -> Vec<String> {
    let mut secrets = vec![agency.org.to_string(), agency.org.uuid().to_string(), OUR_EMAIL.into(), OUR_NAME.into()];
    secrets.extend([&ids.campaign, &ids.connection, &ids.rule, &ids.run, &ids.member, &ids.session].map(Clone::clone));
    secrets.extend(ids.accounts.iter().cloned());
    secrets.extend(ids.proposals.iter().filter_map(|proposal| Some(proposal["id"].as_str()?.to_owned())));
    secrets.extend([ids.invitation.clone(), ids.api_key.clone(), ids.link.clone()]);
    secrets.extend(["Only ours", "Ours alone", "guest@ours.example"].map(str::to_owned));
    secrets
}

/// The status and the body of what an operation answers about these ids. A key is never the asker's own, so that an answer
/// to somebody else's request would be found.
async fn ask(person: &Person, operation: &Operation, ids: &Ids) -> Result<(u16, Value)> {
    let (id, body) = request(&operation.name, ids);
    let path = operation.path.replace("{id}", id).replace("{code}", "request.not_found");
    let answer = if operation.method == Method::GET {
        person.get(&path).await
    } else {
        person.send_with_key(operation.method.clone(), &path, body, &format!("key-{}", operation.name)).await
    };
    match answer {
        Ok(answer) => Ok((200, answer)),
        Err(error) => {
            let mut problem: Problem = error.downcast()?;
            // The address that was asked for is the asker's own words.
            if let Some(fields) = problem.body.as_object_mut() {
                fields.remove("instance");
            }
            Ok((problem.status, problem.body))
        }
    }
}

fn request<'a>(operation: &str, ids: &'a Ids) -> (&'a str, Value) {
    let proposal = |index: usize| ids.proposals[index]["id"].as_str().unwrap_or_default();
    let hash = |index: usize| ids.proposals[index]["change_hash"].clone();
    match operation {
        "getCampaign" | "getCampaignSeries" => (&ids.campaign, Value::Null),
        "getConnection" => (&ids.connection, Value::Null),
        "changeAccounts" | "chooseAccounts" => (&ids.connection, json!({"account_ids": ids.accounts})),
        "reconnectConnection" => (&ids.connection, json!({})),
        "getEvaluation" => (&ids.evaluation, Value::Null),
        "updateMember" => (&ids.member, json!({"active": true})),
        "setFreeze" => ("", json!({"frozen": false, "reason": "A test"})),
        "getProposal" => (proposal(0), Value::Null),
        "approveProposal" => (proposal(0), json!({"change_hash": hash(0)})),
        "rejectProposal" => (proposal(1), json!({"change_hash": hash(1), "reason": "A test"})),
        "cancelProposal" => (proposal(2), json!({"reason": "A test"})),
        "createRole" => ("", json!({"title": "Another one", "permissions": []})),
        "updateRole" => (&ids.role, json!({"title": "Only ours", "permissions": []})),
        "deleteRole" => (&ids.role, Value::Null),
        "updateRule" => (&ids.rule, json!({"enabled": true})),
        "getRun" => (&ids.run, Value::Null),
        "revokeSession" => (&ids.session, Value::Null),
        "switchOrganisation" | "beginSso" => ("", json!({"organisation": ids.organisation})),
        "setSso" => (
            "",
            json!({
                "issuer": ids.issuer, "client_id": CLIENT, "client_secret": SECRET, "default_role": null, "required": false,
            }),
        ),
        "beginSecondFactor" => ("", json!({"password": PASSWORD})),
        "confirmSecondFactor" => ("", json!({"code": "000000"})),
        "removeSecondFactor" => ("", json!({"password": PASSWORD, "code": "000000"})),
        "changePassword" => ("", json!({"current": PASSWORD, "new": PASSWORD})),
        "agreeToTerms" => ("", json!({"terms_version": "1", "privacy_version": "1"})),
        "createInvitation" => ("", json!({"email": "somebody@else.example", "role": "viewer"})),
        "withdrawInvitation" => (&ids.invitation, Value::Null),
        "createApiKey" => ("", json!({"name": "A key", "permissions": ["runs.read"], "expires_in_days": 1})),
        "revokeApiKey" => (&ids.api_key, Value::Null),
        "forgetPassword" => ("", json!({"email": "nobody@ours.example"})),
        "resetPassword" => ("", json!({"token": ids.reset, "password": PASSWORD})),
        "lookAtInvitation" => ("", json!({"token": ids.link})),
        "acceptInvitation" => (
            "",
            json!({
                "token": ids.link,
                "new": {"name": "Bo", "password": PASSWORD, "terms_version": "1", "privacy_version": "1"},
            }),
        ),
        "startConsent" => ("", json!({"platform": "dv360"})),
        "signIn" => ("", json!({"email": OUR_EMAIL, "password": PASSWORD})),
        "signUp" => (
            "",
            json!({
                "email": "another@agency.example", "password": PASSWORD, "name": "Ana", "organisation_name": "Another",
                "reporting_currency": "EUR", "time_zone": "Europe/Berlin", "terms_version": "1", "privacy_version": "1",
            }),
        ),
        _ => ("", json!({})),
    }
}
