//! Keys are exchanged under way: nothing is lost, nothing is overwritten, and what was cut short is gone on with.

use std::time::Duration;

use aes_gcm::aead::{Aead as _, AeadCore as _, KeyInit as _, OsRng, Payload};
use aes_gcm::{Aes256Gcm, Key};
use domain::ids::{ConnectionId, ConsentId, UserId};
use keys::{Error, Master, Vault, places, rotation};
use runtime::MasterKeys;
use secrecy::ExposeSecret as _;
use store::{Store, connection, consent, data_key};

use crate::harness::{World, key, local, noon};

/// An organisation with a secret in every place that there is.
struct Agency {
    world: World,
    connection: ConnectionId,
    consent: ConsentId,
}

impl Agency {
    async fn new(vault: &Vault) -> Self {
        let world = World::new().await;
        let mut tx = world.tx().await;
        let new = connection::New {
            platform: "dv360".parse().unwrap(),
            environment: "dv360.sandbox".into(),
            title: "DV360".into(),
        };
        let connection = connection::create(&mut tx, &new, noon()).await.unwrap();
        let user: UserId =
            world.texts("SELECT user_id::text FROM memberships").await[0].parse::<uuid::Uuid>().unwrap().into();
        let verifier = vault.seal(&mut tx, &places::verifier(connection), &"verifier".into()).await.unwrap();
        let new = consent::New {
            connection,
            purpose: consent::Purpose::Reconnect,
            user,
            state: "state".into(),
            verifier,
            redirect_uri: "http://localhost/callback".into(),
            expires_at: noon() + chrono::TimeDelta::minutes(10),
        };
        let consent = consent::create(&mut tx, &new, noon()).await.unwrap();
        let code = vault.seal(&mut tx, &places::code(consent), &"code".into()).await.unwrap();
        assert!(consent::answer(&mut tx, consent, Some(&code), noon()).await.unwrap());
        let offered = vault.seal(&mut tx, &places::offered(consent), &"offered".into()).await.unwrap();
        assert!(consent::offer(&mut tx, consent, &offered).await.unwrap());
        tx.commit().await.unwrap();
        let agency = Self { world, connection, consent };
        agency.renew(vault, "token").await;
        agency
    }

    fn store(&self) -> &Store {
        &self.world.store
    }

    async fn renew(&self, vault: &Vault, token: &str) {
        let mut tx = self.world.tx().await;
        let sealed = vault.seal(&mut tx, &places::credentials(self.connection), &token.into()).await.unwrap();
        connection::replace_credentials(&mut tx, self.connection, &sealed).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn token(&self, vault: &Vault) -> Result<String, Error> {
        let mut tx = self.world.tx().await;
        let sealed = connection::credentials(&mut tx, self.connection).await.unwrap().unwrap();
        let opened = vault.open(&mut tx, &places::credentials(self.connection), &sealed).await?;
        Ok(opened.expose_secret().to_owned())
    }

    /// Every secret, opened.
    async fn secrets(&self, vault: &Vault) -> Vec<String> {
        let mut tx = self.world.tx().await;
        let row = consent::fetch(&mut tx, self.consent).await.unwrap();
        let mut secrets = vec![self.token(vault).await.unwrap()];
        for (place, sealed) in [
            (places::verifier(self.connection), row.verifier),
            (places::code(self.consent), row.code),
            (places::offered(self.consent), row.credentials),
        ] {
            let opened = vault.open(&mut tx, &place, &sealed.unwrap()).await.unwrap();
            secrets.push(opened.expose_secret().to_owned());
        }
        secrets
    }

    async fn versions(&self) -> Vec<u32> {
        let keys = data_key::list(&mut self.world.tx().await).await.unwrap();
        keys.into_iter().map(|key| key.version).collect()
    }
}

const SECRETS: [&str; 4] = ["token", "verifier", "code", "offered"];

#[tokio::test]
async fn a_new_data_key_seals_every_secret_and_the_one_before_is_gone() {
    let vault = local(&[1]);
    let agency = Agency::new(&vault).await;
    let version = vault.add_key(agency.store(), agency.world.org).await.unwrap();
    assert_eq!((version, agency.versions().await), (2, vec![1, 2]));
    // Cut short here, everything opens, and what is sealed now is sealed with the new key.
    assert_eq!(agency.secrets(&local(&[1])).await, SECRETS);
    let done = vault.reseal(agency.store(), agency.world.org).await.unwrap();
    assert_eq!((done.secrets, done.removed.as_slice(), done.kept.len(), done.stuck.len()), (4, [1].as_slice(), 0, 0));
    assert_eq!(agency.versions().await, [2]);
    let state = rotation::state(agency.store(), agency.world.org).await.unwrap();
    assert_eq!((state.keys[0].1, state.first_form), (4, 0));
    for vault in [&vault, &local(&[1])] {
        assert_eq!(agency.secrets(vault).await, SECRETS);
    }
    let again = vault.reseal(agency.store(), agency.world.org).await.unwrap();
    assert_eq!((again.secrets, again.removed.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_renewed_all_the_time_is_never_overwritten() {
    let vault = local(&[1]);
    let agency = Agency::new(&vault).await;
    let worker = local(&[1]);
    let renewals = async {
        for number in 0..150 {
            agency.renew(&worker, &format!("token {number}")).await;
            assert_eq!(agency.token(&worker).await.unwrap(), format!("token {number}"));
        }
    };
    let rotations = async {
        for _ in 0..15 {
            vault.add_key(agency.store(), agency.world.org).await.unwrap();
            let done = vault.reseal(agency.store(), agency.world.org).await.unwrap();
            assert!(done.stuck.is_empty() && done.kept.is_empty(), "{done:?}");
        }
    };
    tokio::join!(renewals, rotations);
    assert_eq!(agency.token(&local(&[1])).await.unwrap(), "token 149");
    assert_eq!(agency.versions().await, [16]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_sealed_with_the_key_of_before_is_waited_for_and_sealed_anew() {
    let vault = local(&[1]);
    let agency = Agency::new(&vault).await;
    let mut slow = agency.world.tx().await;
    let place = places::credentials(agency.connection);
    let sealed = vault.seal(&mut slow, &place, &"late".into()).await.unwrap();
    vault.add_key(agency.store(), agency.world.org).await.unwrap();
    let (store, org) = (agency.store().clone(), agency.world.org);
    let rotation = tokio::spawn(async move { vault.reseal(&store, org).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!rotation.is_finished(), "the key was removed under who seals with it");
    connection::replace_credentials(&mut slow, agency.connection, &sealed).await.unwrap();
    slow.commit().await.unwrap();
    let done = rotation.await.unwrap();
    assert_eq!((done.removed.as_slice(), done.kept.len()), ([1].as_slice(), 0), "{done:?}");
    assert_eq!(agency.token(&local(&[1])).await.unwrap(), "late");
    assert_eq!(agency.versions().await, [2]);
}

#[tokio::test]
async fn a_secret_that_can_t_be_opened_is_named_and_its_key_is_kept() {
    let vault = local(&[1]);
    let agency = Agency::new(&vault).await;
    let damage = "UPDATE consents SET code = set_byte(code, length(code) - 1, get_byte(code, length(code) - 1) # 1)";
    agency.world.database.execute(damage).await.unwrap();
    vault.add_key(agency.store(), agency.world.org).await.unwrap();
    let done = vault.reseal(agency.store(), agency.world.org).await.unwrap();
    assert_eq!((done.secrets, done.removed.len(), done.kept.as_slice()), (3, 0, [1].as_slice()));
    assert!(matches!(done.stuck.as_slice(), [(store::sealed::Owner::Code(id), Error::Open)] if *id == agency.consent));
    assert_eq!(agency.token(&vault).await.unwrap(), "token");
}

#[tokio::test]
async fn another_master_key_wraps_everything_and_the_one_before_is_not_needed() {
    let agency = Agency::new(&local(&[1])).await;
    local(&[1]).add_key(agency.store(), agency.world.org).await.unwrap();
    // One secret is from before there were data keys.
    let cipher = Aes256Gcm::new(&Key::<Aes256Gcm>::from([1; 32]));
    let (nonce, place) = (Aes256Gcm::generate_nonce(&mut OsRng), places::credentials(agency.connection));
    let bound = format!("v1|{}|{place}", agency.world.org);
    let text = cipher.encrypt(&nonce, Payload { msg: b"token", aad: bound.as_bytes() }).unwrap();
    let first = [&[1], nonce.as_slice(), &text].concat();
    let mut tx = agency.world.tx().await;
    connection::replace_credentials(&mut tx, agency.connection, &first).await.unwrap();
    tx.commit().await.unwrap();

    let both = local(&[2, 1]);
    let settings = MasterKeys { current: Some(key(2)), ..MasterKeys::default() };
    let name = Master::new(&settings).unwrap().name().await.unwrap();
    assert_eq!(both.rewrap(agency.store(), agency.world.org, &name).await.unwrap(), 2);
    assert_eq!(both.rewrap(agency.store(), agency.world.org, &name).await.unwrap(), 0, "done is done");
    let uses = rotation::masters_in_use(agency.store()).await.unwrap();
    assert_eq!(uses.into_iter().collect::<Vec<_>>(), [(None, 1), (Some(name.clone()), 2)]);
    both.reseal(agency.store(), agency.world.org).await.unwrap();
    let uses = rotation::masters_in_use(agency.store()).await.unwrap();
    assert_eq!(uses.into_iter().collect::<Vec<_>>(), [(Some(name), 1)]);
    assert_eq!(agency.secrets(&local(&[2])).await, SECRETS);
    // A process that still runs with the key of before goes on with the data key that it remembers, and no new one does.
    let stranger = agency.token(&local(&[1])).await;
    assert!(matches!(stranger, Err(Error::UnknownMaster { .. })), "{stranger:?}");
}

#[tokio::test]
async fn secrets_of_before_there_were_data_keys_get_one() {
    let vault = local(&[1]);
    let agency = Agency::new(&vault).await;
    let wipe = "UPDATE consents SET verifier = NULL, code = NULL, credentials = NULL; DELETE FROM data_keys;
                UPDATE connections SET credentials = '\\x01'";
    agency.world.database.execute(wipe).await.unwrap();
    let done = local(&[1]).reseal(agency.store(), agency.world.org).await.unwrap();
    assert!(matches!(done.stuck.as_slice(), [(_, Error::OpenFirstForm)]), "{done:?}");
    assert_eq!(agency.versions().await, [1]);
}
