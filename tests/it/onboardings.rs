//! Onboardings and reconnections take each of their paths, and leave nothing behind where they end early.

use anyhow::{Context as _, Result, ensure};
use domain::ids::ConsentId;
use harness::histories::{self, Ending, activities, alter, closed, ending, texts};
use harness::journey::{Agency, PATIENCE, PLANNER};
use harness::stack::{Options, Stack};
use harness::wait::until;
use reqwest::Method;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use temporalio_client::{Client, RpcOptions};
use uuid::Uuid;
use workflows::queues;

use crate::histories::{PASSWORD, cancel, took};

#[tokio::test(flavor = "multi_thread")]
async fn an_onboarding_succeeds_fails_and_is_cancelled_without_leaving_orphans() {
    let stack = Stack::start(Options::default()).await.unwrap();
    if let Err(error) = onboardings(&stack).await {
        panic!("{error:#}\n{}", stack.logs());
    }
}

async fn onboardings(stack: &Stack) -> Result<()> {
    let client = histories::engine(stack).await?;
    let happy = Agency::sign_up(stack.person()?, "ana@happy.example", PASSWORD, "Happy").await?;
    happy.onboard().await?;
    took("OnboardOrganization", "happy", &closed(&client, &onboarding_id(&happy).await?).await?)?;

    let cancelled = Agency::sign_up(stack.person()?, "ben@fickle.example", PASSWORD, "Fickle").await?;
    cancelled.connect(PLANNER, "allow").await?;
    cancelled.onboarding_is(&["choosing_accounts"]).await?;
    cancelled.person.send(Method::POST, "/api/v1/onboarding/cancel", json!({})).await?;
    took("OnboardOrganization", "cancelled", &closed(&client, &onboarding_id(&cancelled).await?).await?)?;
    leaves_no_orphan(stack, &client, &cancelled, "cancelled").await?;

    let failed = Agency::sign_up(stack.person()?, "cleo@odd.example", PASSWORD, "Odd").await?;
    failed.connect(PLANNER, "allow").await?;
    failed.onboarding_is(&["choosing_accounts"]).await?;
    // Its last step is refused for good, when everything is made: authorisation, pulls, schedule.
    let org = failed.org.uuid();
    let refuse = format!("CHECK (kind <> 'first_ingest' OR org_id <> '{org}') NOT VALID");
    alter(stack, &format!("ALTER TABLE intents ADD CONSTRAINT refused {refuse}")).await?;
    failed.choose_all().await?;
    took("OnboardOrganization", "failed", &closed(&client, &onboarding_id(&failed).await?).await?)?;
    leaves_no_orphan(stack, &client, &failed, "failed").await?;
    ensure!(
        failed.onboarding().await?["problem"]["code"] == "internal.unexpected",
        "a mistake of ours has its own code"
    );

    cancelled_within(stack, &client, "dora@slow.example", "pulls", "onboarding.provision.v1").await?;
    cancelled_within(stack, &client, "emil@slow.example", "intents", "onboarding.schedule.v1").await?;
    reconnections(stack, &client, &happy).await
}

/// A person cancels while a step is at work on a table that somebody else holds: whichever of the two ends first, nothing
/// is left.
async fn cancelled_within(stack: &Stack, client: &Client, email: &str, table: &str, step: &str) -> Result<()> {
    let agency = Agency::sign_up(stack.person()?, email, PASSWORD, "Slow").await?;
    agency.connect(PLANNER, "allow").await?;
    agency.onboarding_is(&["choosing_accounts"]).await?;
    let id = onboarding_id(&agency).await?;
    let mut owner = PgConnection::connect(&stack.database.owner_url).await?;
    let mut lock = owner.begin().await?;
    sqlx::query(&format!("LOCK TABLE {table} IN EXCLUSIVE MODE")).execute(&mut *lock).await?;
    agency.choose_all().await?;
    until("the step to be at work", PATIENCE, || async {
        let history = histories::fetch(client, &id).await?;
        Ok((activities(&history).last() == Some(&step)).then_some(()))
    })
    .await?;
    agency.person.send(Method::POST, "/api/v1/onboarding/cancel", json!({})).await?;
    lock.rollback().await?;
    let ended = ending(&closed(client, &id).await?);
    ensure!(ended == Ending::Cancelled, "cancelled within {step}, it ended as {ended:?}");
    until(&format!("nothing to be left of a cancel within {step}"), PATIENCE, || async {
        leaves_no_orphan(stack, client, &agency, "cancelled").await.map(Some)
    })
    .await
}

async fn reconnections(stack: &Stack, client: &Client, agency: &Agency) -> Result<()> {
    let connection = connection_of(agency).await?;
    let reconnect = async |user| reconnect(stack, agency, &connection, user).await;
    let id = reconnect(PLANNER).await?;
    took("ReconnectConnection", "happy", &closed(client, &id).await?)?;
    let id = reconnect("intern@agency.example").await?;
    took("ReconnectConnection", "refused", &closed(client, &id).await?)?;

    let mut owner = PgConnection::connect(&stack.database.owner_url).await?;
    let mut lock = owner.begin().await?;
    sqlx::query("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await?;
    let id = reconnect(PLANNER).await?;
    until("the new authorisation to be adopted", PATIENCE, || async {
        Ok((activities(&histories::fetch(client, &id).await?).len() == 2).then_some(()))
    })
    .await?;
    cancel(client, &id).await?;
    let history = closed(client, &id).await?;
    lock.rollback().await?;
    took("ReconnectConnection", "cancelled", &history)?;

    // What reads the missed days can't be asked for: nothing of it happens.
    let refuse = format!("CHECK (kind <> 'ingest' OR org_id <> '{}') NOT VALID", agency.org.uuid());
    alter(stack, &format!("ALTER TABLE intents ADD CONSTRAINT refused_ingest {refuse}")).await?;
    let id = reconnect(PLANNER).await?;
    took("ReconnectConnection", "failed", &closed(client, &id).await?)?;
    let secrets = "SELECT id::text FROM consents WHERE credentials IS NOT NULL OR code IS NOT NULL";
    ensure!(texts(stack, agency.org, secrets).await?.is_empty(), "a consent that is over keeps its secrets");
    let seen = agency.person.get("/api/v1/connections").await?;
    ensure!(seen["items"][0]["problem"].is_null(), "the authorisation in force was harmed: {seen:#}");
    Ok(())
}

async fn connection_of(agency: &Agency) -> Result<String> {
    let seen = agency.person.get("/api/v1/connections").await?;
    Ok(seen["items"][0]["id"].as_str().context("a connection")?.to_owned())
}

/// Reconnects as a person does; the id of the workflow that exchanges the code.
async fn reconnect(stack: &Stack, agency: &Agency, connection: &str, user: &str) -> Result<String> {
    let path = format!("/api/v1/connections/{connection}/reconnect");
    let consent = agency.person.send(Method::POST, &path, json!({})).await?;
    let page = consent["redirect_url"].as_str().context("redirect_url")?;
    agency.person.consent(page, user, "allow").await?;
    let newest = "SELECT id::text FROM consents WHERE purpose = 'reconnect' ORDER BY id DESC LIMIT 1";
    let newest = texts(stack, agency.org, newest).await?;
    let consent: Uuid = newest.first().context("a consent")?.parse()?;
    Ok(queues::reconnection(agency.org, ConsentId::from_uuid(consent)))
}

async fn onboarding_id(agency: &Agency) -> Result<String> {
    let id = agency.onboarding().await?["id"].as_str().context("the onboarding's id")?.parse()?;
    Ok(queues::onboarding(agency.org, id))
}

async fn leaves_no_orphan(stack: &Stack, client: &Client, agency: &Agency, state: &str) -> Result<()> {
    let onboarding = agency.onboarding().await?;
    ensure!(onboarding["state"] == state, "{onboarding:#}");
    let made = texts(stack, agency.org, "SELECT id::text FROM connections").await?;
    ensure!(!made.is_empty(), "{state} had made nothing");
    let schedule = client.get_schedule_handle(queues::schedule(agency.org)).describe(RpcOptions::default()).await;
    ensure!(schedule.is_err(), "a schedule is left of {state}");
    for left in [
        "SELECT id::text FROM connections WHERE status <> 'removed' OR credentials IS NOT NULL",
        "SELECT id::text FROM pulls WHERE state IN ('planned', 'requested', 'fetched')",
        "SELECT id::text FROM intents WHERE started_at IS NULL",
    ] {
        let rows = texts(stack, agency.org, left).await?;
        ensure!(rows.is_empty(), "{state} left rows behind: {left}: {rows:?}");
    }
    Ok(())
}
