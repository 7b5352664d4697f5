//! Payloads of workflows: what comes back, what passes through, and what other processes can read.

use std::sync::Arc;

use domain::clock::StoppedClock;
use keys::{Codec, Error, Master, rotation};
use runtime::MasterKeys;
use store::Store;
use temporalio_common::data_converters::{PayloadCodec as _, SerializationContextData};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_common::protos::temporal::api::failure::v1::Failure;

use crate::harness::{World, key, noon};

fn master(bytes: &[u8]) -> Arc<Master> {
    let (current, old) = bytes.split_first().unwrap();
    let old = old.iter().map(|byte| key(*byte)).collect();
    Arc::new(Master::new(&MasterKeys { current: Some(key(*current)), old, ..MasterKeys::default() }).unwrap())
}

async fn codec(store: &Store, bytes: &[u8]) -> Result<Codec, Error> {
    Codec::open(store.clone(), master(bytes), Arc::new(StoppedClock(noon()))).await
}

fn payload(text: &str) -> Payload {
    let metadata = [("encoding".to_owned(), b"json/plain".to_vec())].into();
    Payload { metadata, data: text.as_bytes().to_vec(), ..Payload::default() }
}

fn key_id(payload: &Payload) -> &str {
    std::str::from_utf8(&payload.metadata["encryption-key-id"]).unwrap()
}

#[tokio::test]
async fn what_is_encrypted_comes_back_and_what_is_not_passes_through() {
    let world = World::new().await;
    let codec = codec(&world.store, &[1]).await.unwrap();
    let clear = vec![payload("\"planted\""), payload("\"planted\""), Payload::default()];
    let encrypted = codec.encrypt(clear.clone()).await.unwrap();
    assert_ne!(encrypted[0].data, encrypted[1].data);
    for payload in &encrypted {
        assert_eq!(
            (payload.metadata["encoding"].as_slice(), key_id(payload)),
            (&b"binary/encrypted"[..], "payloads/1")
        );
        assert!(!String::from_utf8_lossy(&payload.data).contains("planted"));
    }
    assert_eq!(codec.decrypt(encrypted.clone()).await.unwrap(), clear);
    assert_eq!(codec.decrypt(clear.clone()).await.unwrap(), clear, "begun before payloads were encrypted");
    let context = SerializationContextData::None;
    let asked = codec.encode(&context, clear.clone()).await.unwrap();
    assert_eq!(codec.decode(&context, asked).await.unwrap(), clear, "as the engine's library asks");
    let mut changed = encrypted[0].clone();
    *changed.data.last_mut().unwrap() ^= 1;
    assert!(matches!(codec.decrypt(vec![changed]).await, Err(Error::Open)));
}

#[tokio::test]
async fn processes_that_start_at_once_share_a_key_and_learn_of_newer_ones() {
    let world = World::new().await;
    let opened = futures::future::join_all((0..6).map(|_| codec(&world.store, &[1]))).await;
    let codecs: Vec<Codec> = opened.into_iter().map(Result::unwrap).collect();
    assert_eq!(codecs[0].list().await.unwrap().len(), 1);
    let before = codecs[0].encrypt(vec![payload("before")]).await.unwrap();
    assert_eq!(codecs[1].rotate().await.unwrap(), 2);
    let after = codecs[1].encrypt(vec![payload("after")]).await.unwrap();
    assert_eq!(key_id(&after[0]), "payloads/2");
    // Another process meets the key, and goes on with it.
    assert_eq!(key_id(&codecs[2].encrypt(vec![payload("x")]).await.unwrap()[0]), "payloads/1");
    assert_eq!(codecs[2].decrypt(after).await.unwrap(), [payload("after")]);
    assert_eq!(key_id(&codecs[2].encrypt(vec![payload("x")]).await.unwrap()[0]), "payloads/2");
    assert_eq!(codecs[2].decrypt(before.clone()).await.unwrap(), [payload("before")]);
    assert_eq!(codecs[0].forget_before(9).await.unwrap(), 1, "the newest stays");
    let fresh = codec(&world.store, &[1]).await.unwrap();
    assert!(matches!(fresh.decrypt(before).await, Err(Error::NoDataKey { version: 1 })));
}

#[tokio::test]
async fn the_master_key_of_payloads_is_exchanged_with_the_others() {
    let world = World::new().await;
    let encrypted = codec(&world.store, &[1]).await.unwrap().encrypt(vec![payload("text")]).await.unwrap();
    assert!(matches!(codec(&world.store, &[2]).await, Err(Error::UnknownMaster { .. })));
    let both = codec(&world.store, &[2, 1]).await.unwrap();
    let name = master(&[2]).name().await.unwrap();
    let old = master(&[1]).name().await.unwrap();
    assert_eq!(rotation::masters_in_use(&world.store).await.unwrap(), [(Some(old), 1)].into());
    assert_eq!((both.rewrap(&name).await.unwrap(), both.rewrap(&name).await.unwrap()), (1, 0));
    assert_eq!(rotation::masters_in_use(&world.store).await.unwrap(), [(Some(name), 1)].into());
    let alone = codec(&world.store, &[2]).await.unwrap();
    assert_eq!(alone.decrypt(encrypted).await.unwrap(), [payload("text")]);
}

#[tokio::test]
async fn the_messages_of_a_failure_are_put_back_in_their_places() {
    let world = World::new().await;
    let codec = codec(&world.store, &[1]).await.unwrap();
    let attributes = r#"{"message":"write_back.frozen","stack_trace":""}"#;
    let encoded = codec.encrypt(vec![payload(attributes)]).await.unwrap().pop();
    let inner = Failure { message: "Encoded failure".into(), encoded_attributes: encoded, ..Failure::default() };
    let outer = Failure { message: "in clear".into(), cause: Some(Box::new(inner)), ..Failure::default() };
    let revealed = codec.reveal(outer).await;
    assert_eq!(
        (revealed.message.as_str(), revealed.cause.unwrap().message.as_str()),
        ("in clear", "write_back.frozen")
    );
}
