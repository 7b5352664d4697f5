//! What is sealed opens where it was sealed and nowhere else, whatever processes do at the same time.

use aes_gcm::aead::{Aead as _, AeadCore as _, KeyInit as _, OsRng, Payload};
use aes_gcm::{Aes256Gcm, Key};
use domain::ids::OrgId;
use keys::{Error, Master, Vault};
use runtime::MasterKeys;
use secrecy::ExposeSecret as _;
use store::data_key;

use crate::harness::{World, local, organisation};

async fn sealed(world: &World, vault: &Vault, place: &str, secret: &str) -> Vec<u8> {
    let mut tx = world.tx().await;
    let sealed = vault.seal(&mut tx, place, &secret.into()).await.unwrap();
    tx.commit().await.unwrap();
    sealed
}

async fn opened(world: &World, org: OrgId, vault: &Vault, place: &str, sealed: &[u8]) -> Result<String, Error> {
    let mut tx = world.store.begin(org).await.unwrap();
    Ok(vault.open(&mut tx, place, sealed).await?.expose_secret().to_owned())
}

#[tokio::test]
async fn a_secret_opens_where_it_was_sealed_and_nowhere_else() {
    let world = World::new().await;
    let other = organisation(&world.store, "bob@agency.example").await;
    let vault = local(&[1]);
    let secret = sealed(&world, &vault, "connection/1", "refresh-token").await;
    // Another process with the same master key opens it too, and so does one that has it as an old key.
    for vault in [&vault, &local(&[1]), &local(&[2, 1])] {
        assert_eq!(opened(&world, world.org, vault, "connection/1", &secret).await.unwrap(), "refresh-token");
        let elsewhere = opened(&world, world.org, vault, "connection/2", &secret).await;
        assert!(matches!(elsewhere, Err(Error::Open)), "{elsewhere:?}");
    }
    let theirs = opened(&world, other, &vault, "connection/1", &secret).await;
    assert!(matches!(theirs, Err(Error::NoDataKey { version: 1 })), "{theirs:?}");
    let mut tx = world.store.begin(other).await.unwrap();
    vault.seal(&mut tx, "connection/1", &"x".into()).await.unwrap();
    tx.commit().await.unwrap();
    let theirs = opened(&world, other, &vault, "connection/1", &secret).await;
    assert!(matches!(theirs, Err(Error::Open)), "{theirs:?}");
    let stranger = opened(&world, world.org, &local(&[2]), "connection/1", &secret).await.unwrap_err();
    assert!(matches!(&stranger, Error::UnknownMaster { master } if master.starts_with("local:")), "{stranger:?}");
    assert!(stranger.is_transient(), "a moment later it may be given");
}

#[tokio::test]
async fn a_changed_secret_does_not_open_and_the_same_one_never_looks_the_same() {
    let (world, vault) = (World::new().await, local(&[1]));
    let secret = sealed(&world, &vault, "p", "secret").await;
    assert_ne!(secret, sealed(&world, &vault, "p", "secret").await);
    assert!(!secret.windows(6).any(|window| window == b"secret"));
    for index in 0..secret.len() {
        let mut changed = secret.clone();
        changed[index] ^= 1;
        assert!(opened(&world, world.org, &vault, "p", &changed).await.is_err(), "byte {index}");
    }
    for length in 0..secret.len() {
        assert!(opened(&world, world.org, &vault, "p", &secret[..length]).await.is_err(), "{length} bytes");
    }
}

#[tokio::test]
async fn a_data_key_of_another_organisation_or_version_can_t_be_put_in_the_place_of_one() {
    let (world, vault) = (World::new().await, local(&[1]));
    let other = organisation(&world.store, "bob@agency.example").await;
    let secret = sealed(&world, &vault, "p", "secret").await;
    let mut tx = world.store.begin(other).await.unwrap();
    vault.seal(&mut tx, "p", &"x".into()).await.unwrap();
    tx.commit().await.unwrap();
    let swap = format!(
        "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE org_id = '{}') WHERE org_id = '{}'",
        other.uuid(),
        world.org.uuid()
    );
    world.database.execute(&swap).await.unwrap();
    let fresh = opened(&world, world.org, &local(&[1]), "p", &secret).await;
    assert!(matches!(fresh, Err(Error::Unwrap { version: 1 })), "{fresh:?}");
    world.database.execute("UPDATE data_keys SET version = 2").await.unwrap();
    let mut later = secret.clone();
    later[4] = 2;
    let fresh = opened(&world, world.org, &local(&[1]), "p", &later).await;
    assert!(matches!(fresh, Err(Error::Unwrap { version: 2 })), "{fresh:?}");
}

#[tokio::test]
async fn of_processes_that_race_for_the_first_key_one_makes_it_and_all_use_it() {
    let world = World::new().await;
    let vaults: Vec<Vault> = (0..8).map(|_| local(&[1])).collect();
    let tasks = vaults.iter().enumerate().map(|(number, vault)| {
        let (world, place) = (&world, format!("p{number}"));
        async move { sealed(world, vault, &place, "secret").await }
    });
    let secrets = futures::future::join_all(tasks).await;
    assert_eq!(data_key::list(&mut world.tx().await).await.unwrap().len(), 1);
    for (number, secret) in secrets.iter().enumerate() {
        for vault in &vaults {
            let opened = opened(&world, world.org, vault, &format!("p{number}"), secret).await;
            assert_eq!(opened.unwrap(), "secret");
        }
    }
}

#[tokio::test]
async fn a_first_key_that_was_rolled_back_is_not_remembered() {
    let (world, vault) = (World::new().await, local(&[1]));
    let mut tx = world.tx().await;
    vault.seal(&mut tx, "p", &"secret".into()).await.unwrap();
    tx.rollback().await.unwrap();
    let secret = sealed(&world, &local(&[1]), "p", "secret").await;
    assert_eq!(opened(&world, world.org, &vault, "p", &secret).await.unwrap(), "secret");
    assert_eq!(
        opened(&world, world.org, &local(&[1]), "p", &sealed(&world, &vault, "p", "x").await).await.unwrap(),
        "x"
    );
}

#[tokio::test]
async fn a_process_that_remembers_a_key_from_before_a_restore_finds_the_one_of_after() {
    let (world, vault) = (World::new().await, local(&[1]));
    sealed(&world, &vault, "p", "secret").await;
    world.database.execute("DELETE FROM data_keys").await.unwrap();
    let secret = sealed(&world, &local(&[1]), "p", "after").await;
    assert_eq!(opened(&world, world.org, &vault, "p", &secret).await.unwrap(), "after");
}

#[tokio::test]
async fn a_secret_that_the_master_key_itself_sealed_opens_with_the_key_that_did() {
    let world = World::new().await;
    let cipher = Aes256Gcm::new(&Key::<Aes256Gcm>::from([1; 32]));
    let (nonce, bound) = (Aes256Gcm::generate_nonce(&mut OsRng), format!("v1|{}|p", world.org));
    let text = cipher.encrypt(&nonce, Payload { msg: b"secret", aad: bound.as_bytes() }).unwrap();
    let first = [&[1], nonce.as_slice(), &text].concat();
    for vault in [local(&[1]), local(&[2, 1])] {
        assert_eq!(opened(&world, world.org, &vault, "p", &first).await.unwrap(), "secret");
    }
    for (vault, place) in [(local(&[2]), "p"), (local(&[1]), "q")] {
        let refused = opened(&world, world.org, &vault, place, &first).await;
        assert!(matches!(refused, Err(Error::OpenFirstForm)), "{refused:?}");
    }
}

#[tokio::test]
async fn nothing_of_a_key_is_printed_or_stored_in_clear() {
    let (world, vault) = (World::new().await, local(&[7]));
    sealed(&world, &vault, "p", "secret").await;
    let printed = format!("{vault:?}");
    assert!(printed.contains("local:") && !printed.contains("7, 7"), "{printed}");
    assert!(!printed.contains(secrecy::ExposeSecret::expose_secret(&crate::harness::key(7))), "{printed}");
    let rows = world.texts("SELECT k::text FROM data_keys k").await;
    assert!(rows.len() == 1 && rows[0].contains("local:") && !rows[0].contains("07070707"), "{rows:?}");
}

#[test]
fn keys_that_are_none_are_refused() {
    let of = |text: &str| MasterKeys { current: Some(text.to_owned().into()), ..MasterKeys::default() };
    assert!(matches!(Master::new(&of("c2hvcnQ=")), Err(Error::MasterKey)));
    assert!(matches!(Master::new(&of("no base64!")), Err(Error::MasterKey)));
    assert!(matches!(Master::new(&MasterKeys::default()), Err(Error::NoMaster)));
}
