//! Sealed secrets and the wrapped keys that seal them, as bytes that this crate can't open.

use std::time::Duration;

use sqlx::Row as _;
use store::sealed::{self, Owner};
use store::{connection, consent, data_key, second_factor, sso};

use crate::harness::{Database, after, noon};
use crate::world::World;

/// Columns of bytes that hold no sealed secret, and what they hold.
const OTHERS: &[(&str, &str)] = &[
    ("api_keys.token_hash", "a hash"),
    ("audit_heads.hash", "a hash"),
    ("audit_links.hash", "a hash"),
    ("consents.state_hash", "a hash"),
    ("data_keys.wrapped", "a wrapped key"),
    ("deployment_keys.wrapped", "a wrapped key"),
    ("idempotency.request_hash", "a hash"),
    ("invitations.token_hash", "a hash"),
    ("password_resets.token_hash", "a hash"),
    ("recovery_codes.code_hash", "a hash"),
    ("sessions.token_hash", "a hash"),
    ("sso_sign_ins.state_hash", "a hash"),
];

async fn consent_of(world: &World) -> domain::ids::ConsentId {
    let mut tx = world.tx().await;
    let new = consent::New {
        connection: world.connection,
        purpose: consent::Purpose::Onboard,
        user: world.user,
        state: "state".into(),
        verifier: b"\x02\0\0\0\x01verifier".to_vec(),
        redirect_uri: "http://localhost/callback".into(),
        expires_at: after(10),
    };
    let id = consent::create(&mut tx, &new, noon()).await.unwrap();
    assert!(consent::answer(&mut tx, id, Some(b"\x02\0\0\0\x01code"), noon()).await.unwrap());
    assert!(consent::offer(&mut tx, id, b"\x02\0\0\0\x01offered").await.unwrap());
    tx.commit().await.unwrap();
    id
}

#[tokio::test]
async fn every_column_of_sealed_secrets_is_known() {
    let database = Database::new().await;
    let rows = sqlx::query(
        "SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c
         WHERE c.table_schema = 'public' AND c.data_type = 'bytea' AND c.table_name <> '_sqlx_migrations' ORDER BY 1",
    )
    .fetch_all(&mut database.connect("postgres").await)
    .await
    .unwrap();
    let found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let unknown: Vec<&String> =
        found.iter().filter(|column| !OTHERS.iter().any(|(other, _)| other == *column)).collect();
    // What is here must be in store::sealed too, or a rotation of keys would lose it.
    let sealed = [
        "connections.credentials",
        "consents.code",
        "consents.credentials",
        "consents.verifier",
        "second_factors.secret",
        "sso_providers.client_secret",
    ];
    assert_eq!(unknown, sealed);
}

#[tokio::test]
async fn secrets_of_another_key_are_found_one_after_the_other_and_swapped_once() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let consent = consent_of(&world).await;
    let mut tx = world.tx().await;
    connection::replace_credentials(&mut tx, world.connection, b"\x01credentials").await.unwrap();
    second_factor::begin(&mut tx, world.user, b"\x02\0\0\0\x01authenticator", noon()).await.unwrap();
    let provider = sso::Provider {
        issuer: "https://id.agency.example".into(),
        client_id: "clp".into(),
        client_secret: b"\x02\0\0\0\x01client".to_vec(),
        default_role: None,
        required: false,
    };
    sso::set(&mut tx, &provider, world.user, noon()).await.unwrap();
    let newest = b"\x02\0\0\0\x02";
    let mut found = Vec::new();
    while let Some(one) = sealed::list_others(&mut tx, newest, found.last().copied(), 1).await.unwrap().pop() {
        found.push(one.owner);
    }
    let all = [
        Owner::Code(consent),
        Owner::Credentials(world.connection),
        Owner::Offered(consent),
        Owner::SecondFactor(world.user),
        Owner::SsoSecret(world.org),
        Owner::Verifier(consent, world.connection),
    ];
    assert_eq!(found, all);
    assert_eq!(sealed::count_with(&mut tx, b"\x02\0\0\0\x01").await.unwrap(), 5);
    assert_eq!(sealed::count_with(&mut tx, b"\x01").await.unwrap(), 1);
    for stored in sealed::list_others(&mut tx, newest, None, 9).await.unwrap() {
        assert!(sealed::swap(&mut tx, &stored, b"\x02\0\0\0\x02anew").await.unwrap(), "{stored:?}");
        assert!(!sealed::swap(&mut tx, &stored, b"\x02\0\0\0\x02late").await.unwrap(), "{stored:?}");
    }
    assert_eq!(sealed::list_others(&mut tx, newest, None, 9).await.unwrap(), []);
    assert_eq!(sealed::count_with(&mut tx, b"\x02\0\0\0\x02anew").await.unwrap(), 6);
}

#[tokio::test]
async fn a_key_s_number_is_given_once_and_a_wrapping_is_exchanged_once() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let mut tx = world.tx().await;
    assert_eq!(data_key::hold_newest(&mut tx).await.unwrap(), None);
    assert!(data_key::create(&mut tx, 1, b"first", "local:1", noon()).await.unwrap());
    assert!(!data_key::create(&mut tx, 1, b"second", "local:2", noon()).await.unwrap());
    let row = data_key::find(&mut tx, 1).await.unwrap().unwrap();
    assert_eq!((row.wrapped.as_slice(), row.master.as_str()), (b"first".as_slice(), "local:1"));
    assert!(data_key::rewrap(&mut tx, &row, b"again", "local:2", after(1)).await.unwrap());
    assert!(!data_key::rewrap(&mut tx, &row, b"late", "local:3", after(2)).await.unwrap());
    assert!(data_key::create(&mut tx, 2, b"next", "local:2", after(3)).await.unwrap());
    assert_eq!(data_key::hold_newest(&mut tx).await.unwrap().unwrap().version, 2);
    assert_eq!(data_key::lock_older(&mut tx).await.unwrap(), [1]);
    data_key::remove(&mut tx, 1).await.unwrap();
    assert_eq!(data_key::list(&mut tx).await.unwrap().len(), 1);
    tx.commit().await.unwrap();
    assert_eq!(data_key::organisations(&database.store).await.unwrap(), [world.org]);
}

#[tokio::test]
async fn a_key_is_not_removed_while_a_transaction_seals_with_it() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let mut tx = world.tx().await;
    data_key::create(&mut tx, 1, b"first", "local:1", noon()).await.unwrap();
    tx.commit().await.unwrap();
    let mut seals = world.tx().await;
    assert_eq!(data_key::hold_newest(&mut seals).await.unwrap().unwrap().version, 1);
    let mut rotates = world.tx().await;
    data_key::create(&mut rotates, 2, b"second", "local:1", noon()).await.unwrap();
    rotates.commit().await.unwrap();
    let mut removes = world.tx().await;
    let mut locked = Box::pin(data_key::lock_older(&mut removes));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut locked).await;
    assert!(early.is_err(), "the key was removed under a transaction that seals with it: {early:?}");
    connection::replace_credentials(&mut seals, world.connection, b"\x02\0\0\0\x01late").await.unwrap();
    seals.commit().await.unwrap();
    assert_eq!(locked.await.unwrap(), [1]);
    assert_eq!(sealed::count_with(&mut removes, b"\x02\0\0\0\x01").await.unwrap(), 1, "what it sealed is seen");
}
