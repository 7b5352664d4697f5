//! Vault's transit engine: a server of its wire protocol as documented, and what each of its refusals means.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keys::{Error, Master, TransitError, Vault};
use runtime::MasterKeys;
use runtime::master_keys::{Provider, Transit, VaultToken};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use store::data_key;

use crate::harness::{World, key, vault};

const TOKEN: &str = "hvs.planted";

/// One engine with one key; each version of it is a byte that is mixed in.
#[derive(Debug, Default)]
struct Engine {
    versions: u8,
    /// The answer to everything, if it is to be one of these.
    refusal: Option<(StatusCode, Value)>,
    asked: Vec<(String, HeaderMap, Value)>,
}

type Shared = Arc<Mutex<Engine>>;

async fn start() -> (SocketAddr, Shared) {
    let engine = Shared::default();
    engine.lock().unwrap().versions = 1;
    let router = Router::new().route("/v1/transit/{what}/{key}", post(answer)).with_state(Arc::clone(&engine));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, engine)
}

/// As <https://developer.hashicorp.com/vault/api-docs/secret/transit> says.
async fn answer(
    State(engine): State<Shared>,
    Path((what, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let mut engine = engine.lock().unwrap();
    engine.asked.push((format!("{what}/{name}"), headers.clone(), body.clone()));
    if let Some((status, refusal)) = &engine.refusal {
        return (*status, Json(refusal.clone()));
    }
    let refuse = |status, text: &str| (status, Json(json!({"errors": [text]})));
    if headers.get("X-Vault-Token").is_none_or(|token| token != TOKEN) {
        return refuse(StatusCode::FORBIDDEN, "permission denied");
    }
    if name != "clp" {
        return refuse(StatusCode::BAD_REQUEST, "encryption key not found");
    }
    let bound = body["associated_data"].as_str().unwrap_or_default();
    let data = if what == "encrypt" {
        let inner = format!("{bound}|{}", body["plaintext"].as_str().unwrap());
        let mixed: Vec<u8> = inner.bytes().map(|byte| byte ^ engine.versions).collect();
        let ciphertext = format!("vault:v{}:{}", engine.versions, STANDARD.encode(mixed));
        json!({"ciphertext": ciphertext, "key_version": engine.versions})
    } else {
        let ciphertext = body["ciphertext"].as_str().unwrap();
        let parts: Vec<&str> = ciphertext.splitn(3, ':').collect();
        let version: u8 = parts[1].trim_start_matches('v').parse().unwrap();
        let mixed = STANDARD.decode(parts[2]).unwrap();
        let inner = String::from_utf8(mixed.iter().map(|byte| byte ^ version).collect()).unwrap_or_default();
        let Some(plaintext) = inner.strip_prefix(&format!("{bound}|")) else {
            return refuse(StatusCode::BAD_REQUEST, "cipher: message authentication failed");
        };
        json!({"plaintext": plaintext})
    };
    let whole = json!({
        "request_id": "2f2a4c0e", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data,
        "wrap_info": null, "warnings": null, "auth": null,
    });
    (StatusCode::OK, Json(whole))
}

fn transit(address: &str) -> Transit {
    Transit {
        address: address.to_owned(),
        mount: "transit".into(),
        key: "clp".into(),
        namespace: Some("agencies".into()),
        token: VaultToken::Text(TOKEN.into()),
    }
}

fn process(transit: Transit) -> MasterKeys {
    MasterKeys { transit: Some(transit), ..MasterKeys::default() }
}

async fn seal(world: &World, vault: &Vault) -> Result<Vec<u8>, Error> {
    let mut tx = world.tx().await;
    let sealed = vault.seal(&mut tx, "p", &"secret".into()).await?;
    tx.commit().await.unwrap();
    Ok(sealed)
}

async fn open(world: &World, vault: &Vault, sealed: &[u8]) -> Result<String, Error> {
    Ok(vault.open(&mut world.tx().await, "p", sealed).await?.expose_secret().to_owned())
}

#[tokio::test]
async fn vault_wraps_each_data_key_once_and_never_sees_a_secret() {
    let (world, (address, engine)) = (World::new().await, start().await);
    let settings = process(transit(&format!("http://{address}/")));
    let first = vault(&settings);
    let sealed = seal(&world, &first).await.unwrap();
    for _ in 0..3 {
        assert_eq!(open(&world, &first, &sealed).await.unwrap(), "secret");
    }
    assert_eq!(open(&world, &vault(&settings), &sealed).await.unwrap(), "secret");
    let row = data_key::find(&mut world.tx().await, 1).await.unwrap().unwrap();
    assert_eq!(row.master, "vault:transit/clp:v1");
    assert!(row.wrapped.starts_with(b"vault:v1:"));
    let engine = engine.lock().unwrap();
    let asked: Vec<&str> = engine.asked.iter().map(|(what, _, _)| what.as_str()).collect();
    // Made once; unwrapped once by each process.
    assert_eq!(asked, ["encrypt/clp", "decrypt/clp", "decrypt/clp"]);
    let (_, headers, body) = &engine.asked[0];
    assert_eq!(headers["X-Vault-Namespace"], "agencies");
    let bound = STANDARD.encode(format!("data key|{}|1", world.org));
    assert_eq!(body["associated_data"], bound.as_str());
    assert_eq!(STANDARD.decode(body["plaintext"].as_str().unwrap()).unwrap().len(), 32);
    assert!(!format!("{:?}", engine.asked).contains(&STANDARD.encode("secret")));
}

#[tokio::test]
async fn a_deployment_moves_to_vault_and_back() {
    let (world, (address, _)) = (World::new().await, start().await);
    let local = MasterKeys { current: Some(key(1)), ..MasterKeys::default() };
    let sealed = seal(&world, &vault(&local)).await.unwrap();
    let both = MasterKeys { transit: Some(transit(&format!("http://{address}"))), ..local.clone() };
    assert_eq!(open(&world, &vault(&both), &sealed).await.unwrap(), "secret");
    assert_eq!(Master::new(&both).unwrap().name().await.unwrap(), "vault:transit/clp:v1");
    let back = MasterKeys { provider: Some(Provider::Local), ..both };
    assert!(Master::new(&back).unwrap().name().await.unwrap().starts_with("local:"));
    let alone = vault(&process(transit(&format!("http://{address}"))));
    assert!(matches!(open(&world, &alone, &sealed).await, Err(Error::UnknownMaster { .. })));
}

#[tokio::test]
async fn the_name_of_the_key_tells_its_newest_version() {
    let (address, engine) = start().await;
    let master = Master::new(&process(transit(&format!("http://{address}")))).unwrap();
    assert_eq!(master.name().await.unwrap(), "vault:transit/clp:v1");
    engine.lock().unwrap().versions = 2;
    assert_eq!(master.name().await.unwrap(), "vault:transit/clp:v2");
}

#[tokio::test]
async fn a_wrapped_key_of_another_organisation_is_refused_by_vault_itself() {
    let (world, (address, _)) = (World::new().await, start().await);
    let settings = process(transit(&format!("http://{address}")));
    let sealed = seal(&world, &vault(&settings)).await.unwrap();
    world.database.execute("UPDATE data_keys SET version = 2").await.unwrap();
    let mut later = sealed;
    later[4] = 2;
    let refused = open(&world, &vault(&settings), &later).await.unwrap_err();
    assert!(matches!(&refused, Error::Transit(TransitError::Refused { said, .. }) if said.contains("authentication")));
    assert!(!refused.is_transient());
}

#[tokio::test]
async fn every_refusal_says_what_to_do_and_nothing_of_the_token() {
    let (world, (address, engine)) = (World::new().await, start().await);
    let settings = process(transit(&format!("http://{address}")));
    let errors = |text: &str| json!({"errors": [text]});
    let cases = [
        (StatusCode::SERVICE_UNAVAILABLE, errors("Vault is sealed"), "unseal it", true),
        (StatusCode::FORBIDDEN, errors("permission denied"), "renew CLP_VAULT_TOKEN", true),
        (StatusCode::BAD_REQUEST, errors("encryption key not found"), "CLP_VAULT_TRANSIT_KEY", false),
        (StatusCode::NOT_FOUND, errors("no handler for route"), "CLP_VAULT_TRANSIT_KEY", false),
        (StatusCode::BAD_GATEWAY, json!("a proxy's page"), "unseal it", true),
        (StatusCode::OK, json!({"hello": "world"}), "what CLP_VAULT_ADDR leads to", true),
        (StatusCode::OK, json!({"data": {"ciphertext": "odd"}}), "what CLP_VAULT_ADDR leads to", true),
    ];
    for (status, body, advice, passes) in cases {
        engine.lock().unwrap().refusal = Some((status, body));
        let refused = seal(&world, &vault(&settings)).await.unwrap_err();
        let Error::Transit(said) = &refused else { panic!("{refused:?}") };
        assert!(said.to_string().contains(advice), "{status}: {said}");
        assert_eq!(refused.is_transient(), passes, "{status}: {said}");
        assert!(!format!("{refused:?}").contains(TOKEN), "{refused:?}");
    }
    engine.lock().unwrap().refusal = None;
    seal(&world, &vault(&settings)).await.unwrap();
    let gone = vault(&process(transit("http://127.0.0.1:1")));
    let refused = seal(&world, &gone).await.unwrap_err();
    assert!(matches!(refused, Error::Transit(TransitError::Unreachable(_))), "{refused:?}");
    assert!(refused.is_transient());
    let nowhere = Master::new(&process(transit("not an address"))).unwrap_err();
    assert!(matches!(nowhere, Error::Transit(TransitError::Address)), "{nowhere:?}");
}
