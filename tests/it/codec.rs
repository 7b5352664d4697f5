//! What the workflow engine keeps is encrypted, and an operator has it decrypted by the codec's endpoint.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::OrgId;
use harness::chaos::Engine;
use harness::histories::{self, Ending, closed, engine};
use harness::journey::{Agency, PATIENCE, PLANNER};
use harness::process::{Process, free_port};
use harness::servers::{UP, program};
use harness::stack::{Options, Stack};
use harness::wait::{until, until_is};
use prost::Message as _;
use reqwest::{Client as Http, Method, StatusCode};
use serde_json::{Value, json};
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, UntypedWorkflow, Url, WorkflowFetchHistoryOptions,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_common::protos::temporal::api::history::v1::History;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

const PASSWORD: &str = "correct horse battery staple";
/// A person says no with these words; they go to the workflow.
const PLANTED: &str = "planted reason 4711";
const TOKEN: &str = "planted-codec-token";
const ORIGIN: &str = "http://temporal.example";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_keeps_is_encrypted_and_the_endpoint_decrypts_it() {
    let stack = Stack::start(Options::default()).await.unwrap();
    if let Err(error) = hidden(&stack).await {
        panic!("{error:#}\n{}", stack.logs());
    }
}

async fn hidden(stack: &Stack) -> Result<()> {
    let agency = Agency::sign_up(stack.person()?, "ana@agency.example", PASSWORD, "Agency").await?;
    agency.onboard_as(PLANNER).await?;
    agency.onboarding_is(&["done"]).await?;
    agency.evaluate().await?;
    let rejected = reject(&agency).await?;
    // A key that came after most of the histories, for what follows.
    let (code, said) = stack.clp(&["keys", "rotate", "--payloads"]).await?;
    ensure!(code == Some(0), "{said}");

    let looks = Engine::connect(&stack.temporal.address()).await?;
    let workflows = looks.find("ExecutionStatus = 'Completed'").await?;
    ensure!(workflows.len() >= 4, "{workflows:?}");
    let raw_client = raw(stack).await?;
    let mut payloads = Vec::new();
    for id in &workflows {
        let history = raw_history(&raw_client, id).await?;
        nothing_shows(id, &history, agency.org)?;
        payloads.extend(inputs(&history));
    }
    ensure!(payloads.len() >= workflows.len(), "{} payloads", payloads.len());
    // The same histories say all of that to who has the keys.
    let clear = closed(&engine(stack).await?, &rejected).await?;
    ensure!(matches!(histories::ending(&clear), Ending::Completed(_)));
    let text = String::from_utf8_lossy(&clear.encode_to_vec()).into_owned();
    ensure!(text.contains(PLANTED) && text.contains(&agency.org.to_string()), "the codec lost something");
    endpoint_decrypts(stack, &payloads, agency.org).await
}

/// A change that a person does not want, with the reason; the workflow's id.
async fn reject(agency: &Agency) -> Result<String> {
    let proposal = agency.open_proposal().await?;
    let id = proposal["id"].as_str().context("the proposal's id")?;
    let body = json!({"change_hash": proposal["change_hash"], "reason": PLANTED});
    agency.person.send(Method::POST, &format!("/api/v1/proposals/{id}/reject"), body).await?;
    let path = format!("/api/v1/proposals/{id}");
    until_is("the proposal to be rejected", PATIENCE, || agency.person.get(&path), |seen| seen["state"] == "rejected")
        .await?;
    Ok(workflows::queues::write_back(agency.org, id.parse()?))
}

/// A client without the codec: what anybody sees who can ask the engine.
async fn raw(stack: &Stack) -> Result<Client> {
    let url = Url::parse(&format!("http://{}", stack.temporal.address()))?;
    let connection = Connection::connect(ConnectionOptions::new(url).identity("raw").build()).await?;
    Ok(Client::new(connection, ClientOptions::new("default").build())?)
}

async fn raw_history(client: &Client, id: &str) -> Result<History> {
    let handle = client.get_workflow_handle::<UntypedWorkflow>(id);
    Ok(History { events: handle.fetch_history(WorkflowFetchHistoryOptions::default()).into_events().await? })
}

/// Fails when an organisation's id stands in a payload, or a planted text anywhere.
fn nothing_shows(id: &str, history: &History, org: OrgId) -> Result<()> {
    let payloads = inputs(history);
    ensure!(!payloads.is_empty(), "{id} has no payloads");
    for payload in &payloads {
        ensure!(payload.metadata["encoding"] == b"binary/encrypted", "{id}: {:?}", payload.metadata);
        let text = String::from_utf8_lossy(&payload.data).into_owned();
        ensure!(!text.contains(&org.to_string()) && !text.contains(&org.uuid().to_string()), "{id} shows its agency");
    }
    let whole = String::from_utf8_lossy(&history.encode_to_vec()).into_owned();
    ensure!(!whole.contains(PLANTED) && !whole.contains("ana@agency.example"), "{id} shows a planted text");
    Ok(())
}

/// The payloads that workflows, their activities and updates were given and gave.
fn inputs(history: &History) -> Vec<Payload> {
    let events = history.events.iter().filter_map(|event| event.attributes.as_ref());
    let payloads = events.filter_map(|attributes| match attributes {
        Attributes::WorkflowExecutionStartedEventAttributes(it) => it.input.clone(),
        Attributes::WorkflowExecutionCompletedEventAttributes(it) => it.result.clone(),
        Attributes::ActivityTaskScheduledEventAttributes(it) => it.input.clone(),
        Attributes::ActivityTaskCompletedEventAttributes(it) => it.result.clone(),
        Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(it) => {
            it.accepted_request.clone()?.input.and_then(|input| input.args)
        }
        _ => None,
    });
    payloads.flat_map(|payloads| payloads.payloads).collect()
}

async fn endpoint_decrypts(stack: &Stack, payloads: &[Payload], org: OrgId) -> Result<()> {
    let port = free_port()?;
    let mut command = std::process::Command::new(program("clp")?);
    command.args(["codec", "serve", "--listen", &format!("127.0.0.1:{port}"), "--origin", ORIGIN]);
    for name in ["CLP_DATABASE_URL", "CLP_MASTER_KEY"] {
        command.env(name, stack.variable(name).context("a variable is missing")?);
    }
    let _process = Process::start("codec", command.env("CLP_CODEC_TOKEN", TOKEN), stack.folder())?;
    let (http, url) = (Http::new(), format!("http://127.0.0.1:{port}"));
    until("the codec's endpoint", UP, || async { Ok(http.post(format!("{url}/decode")).send().await.ok().map(drop)) })
        .await?;
    let wire = |payload: &Payload| {
        let metadata: serde_json::Map<String, Value> =
            payload.metadata.iter().map(|(name, value)| (name.clone(), STANDARD.encode(value).into())).collect();
        json!({"metadata": metadata, "data": STANDARD.encode(&payload.data)})
    };
    let body = json!({"payloads": payloads.iter().map(wire).collect::<Vec<_>>()});
    let ask = |path: &str, token: &str, body: &Value| {
        http.post(format!("{url}{path}")).bearer_auth(token).header("Origin", ORIGIN).json(body).send()
    };
    ensure!(ask("/decode", "another", &body).await?.status() == StatusCode::UNAUTHORIZED, "anybody is let in");
    let answer = ask("/decode", TOKEN, &body).await?.error_for_status()?;
    ensure!(answer.headers()["access-control-allow-origin"] == ORIGIN, "{:?}", answer.headers());
    let decoded: Value = answer.json().await?;
    let texts: Vec<String> = decoded["payloads"]
        .as_array()
        .into_iter()
        .flatten()
        // Protobuf's JSON leaves out what is empty, as the result of a step that gives none.
        .filter_map(|payload| STANDARD.decode(payload["data"].as_str().unwrap_or_default()).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect();
    ensure!(texts.len() == payloads.len(), "{} of {} came back", texts.len(), payloads.len());
    let says = |text: &str| texts.iter().any(|found| found.contains(text));
    ensure!(says(PLANTED) && says(&org.to_string()), "{texts:?}");
    // What is clear goes through, and what is encoded here decodes again.
    let again: Value = ask("/decode", TOKEN, &decoded).await?.error_for_status()?.json().await?;
    ensure!(again == decoded);
    let encoded: Value = ask("/encode", TOKEN, &decoded).await?.error_for_status()?.json().await?;
    let key = encoded["payloads"][0]["metadata"]["encryption-key-id"].as_str().context("no key is named")?;
    ensure!(STANDARD.decode(key)? == b"payloads/2", "{key}");
    let back: Value = ask("/decode", TOKEN, &encoded).await?.error_for_status()?.json().await?;
    ensure!(back == decoded);
    let preflight = http.request(Method::OPTIONS, format!("{url}/decode"));
    let preflight = preflight.header("Origin", ORIGIN).header("Access-Control-Request-Method", "POST").send().await?;
    ensure!(preflight.status().is_success() && preflight.headers().contains_key("access-control-allow-headers"));
    let stranger = http.request(Method::OPTIONS, format!("{url}/decode")).header("Origin", "http://evil.example");
    let stranger = stranger.send().await?;
    ensure!(!stranger.headers().contains_key("access-control-allow-origin"), "{:?}", stranger.headers());
    Ok(())
}
