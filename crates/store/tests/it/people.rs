//! People, sessions, consents, idempotent requests, onboardings and intents.

use domain::ids::{ConnectionId, OrgId, UserId};
use domain::{ErrorCode, Platform, Role as BuiltIn};
use futures::future::join_all;
use serde_json::json;
use store::idempotency::{self, Begun};
use store::onboarding::{self, State, Step, StepKey, StepState};
use store::{Error, audit, connection, consent, intent, member, organisation, role, session, user};
use strum::IntoEnumIterator as _;

use crate::harness::{Database, after, noon};
use crate::world::{World, sign_up};

#[tokio::test]
async fn an_e_mail_signs_up_once_however_it_is_written() {
    let database = Database::new().await;
    let tries = ["ada@example.org", "Ada@Example.org", "ADA@EXAMPLE.ORG"].map(|email| {
        let store = &database.store;
        async move {
            let mut tx = store.begin(OrgId::new()).await.unwrap();
            let made = organisation::sign_up(&mut tx, &sign_up(email), noon()).await?;
            tx.commit().await?;
            Ok::<_, Error>(made)
        }
    });
    let outcomes = join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::EmailTaken))).count(), 2);
    assert_eq!(database.count("SELECT count(*) FROM organisations").await, 1);

    let known = user::sign_in_lookup(&database.store, "aDa@example.org").await.unwrap().unwrap();
    assert_eq!((known.name.as_str(), known.password_hash.as_str()), ("Ada", "$argon2id$…"));
    assert!(!format!("{known:?}").contains("argon2"), "a hash is not for logs");
    assert_eq!(user::sign_in_lookup(&database.store, "eve@example.org").await.unwrap(), None);
    let mut tx = database.store.begin(known.org).await.unwrap();
    let org = organisation::fetch(&mut tx).await.unwrap();
    assert_eq!((org.name.as_str(), org.frozen), ("Agency", false));
    let trail = audit::list_about(&mut tx, known.org.uuid()).await.unwrap();
    assert_eq!(trail[0].action, "organisation.sign_up");
    assert!(matches!(
        organisation::fetch(&mut database.store.begin(OrgId::new()).await.unwrap()).await,
        Err(Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn a_sign_up_that_failed_can_t_be_committed() {
    let database = Database::new().await;
    World::new(&database.store, "a@example.org").await;
    let mut tx = database.store.begin(OrgId::new()).await.unwrap();
    organisation::sign_up(&mut tx, &sign_up("a@example.org"), noon()).await.unwrap_err();
    assert!(matches!(tx.commit().await, Err(Error::Abandoned)));
}

#[tokio::test]
async fn a_session_is_found_by_its_token_until_it_ends() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let mut tx = world.tx().await;
    let id = session::create(&mut tx, world.user, "secret", false, noon(), after(60)).await.unwrap();
    let short = session::create(&mut tx, world.user, "other", false, noon(), after(5)).await.unwrap();
    assert_ne!(id, short);
    assert!(matches!(
        session::create(&mut world.tx().await, UserId::new(), "x", false, noon(), after(5)).await,
        Err(Error::Missing { .. })
    ));
    tx.commit().await.unwrap();
    let found = session::lookup(&database.store, "secret", after(59)).await.unwrap().unwrap();
    assert_eq!((found.session, found.user, found.org), (id, world.user, world.org));
    assert_eq!((found.email.as_str(), found.name.as_str()), ("a@example.org", "Ada"));
    assert_eq!(session::lookup(&database.store, "secret", after(60)).await.unwrap(), None, "it has ended");
    assert_eq!(session::lookup(&database.store, "Secret", noon()).await.unwrap(), None);
    assert_eq!(
        database.count("SELECT count(*) FROM sessions WHERE position('secret'::bytea IN token_hash) > 0").await,
        0
    );

    let mut tx = world.tx().await;
    session::create(&mut tx, world.user, "third", false, after(10), after(60)).await.unwrap();
    let listed = session::list(&mut tx, world.user, after(10)).await.unwrap();
    assert_eq!(listed.iter().map(|session| session.created_at).collect::<Vec<_>>(), [after(10), noon()]);
    assert!(!session::delete(&mut tx, UserId::new(), id).await.unwrap(), "it is somebody else's");
    assert!(session::delete(&mut tx, world.user, id).await.unwrap());
    assert!(!session::delete(&mut tx, world.user, id).await.unwrap());
    assert!(!session::delete(&mut tx, world.user, short).await.unwrap(), "a new session clears away what has ended");
    tx.commit().await.unwrap();
    assert_eq!(session::lookup(&database.store, "secret", after(11)).await.unwrap(), None);
}

#[tokio::test]
async fn a_consent_is_answered_once_and_exchanged_once() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let mut tx = world.tx().await;
    let new = |state: &str| consent::New {
        purpose: consent::Purpose::Onboard,
        connection: world.connection,
        user: world.user,
        state: state.to_owned(),
        verifier: vec![7],
        redirect_uri: "http://localhost/back".into(),
        expires_at: after(10),
    };
    let id = consent::create(&mut tx, &new("state"), noon()).await.unwrap();
    let denied = consent::create(&mut tx, &new("denied"), noon()).await.unwrap();
    let late = consent::create(&mut tx, &new("late"), noon()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(consent::lookup(&database.store, "state").await.unwrap(), Some((world.org, id)));
    assert_eq!(consent::lookup(&database.store, "forged").await.unwrap(), None);

    let mut tx = world.tx().await;
    assert!(!consent::mark_exchanged(&mut tx, id, after(1)).await.unwrap(), "there is no code yet");
    assert!(consent::answer(&mut tx, id, Some(&[9]), after(1)).await.unwrap());
    assert!(!consent::answer(&mut tx, id, Some(&[8]), after(2)).await.unwrap(), "it was answered");
    assert!(!consent::answer(&mut tx, late, Some(&[8]), after(10)).await.unwrap(), "it is too late");
    assert!(consent::answer(&mut tx, denied, None, after(2)).await.unwrap());
    assert!(!consent::mark_exchanged(&mut tx, denied, after(3)).await.unwrap());
    let answered = consent::fetch(&mut tx, id).await.unwrap();
    assert_eq!((answered.code, answered.verifier, answered.exchanged_at), (Some(vec![9]), Some(vec![7]), None));
    tx.commit().await.unwrap();

    let exchanges = (0..4).map(|_| async {
        let mut tx = world.tx().await;
        let first = consent::mark_exchanged(&mut tx, id, after(3)).await.unwrap();
        tx.commit().await.unwrap();
        first
    });
    assert_eq!(join_all(exchanges).await.into_iter().filter(|first| *first).count(), 1);
    let used = consent::fetch(&mut world.tx().await, id).await.unwrap();
    assert_eq!((used.code, used.verifier, used.exchanged_at), (None, None, Some(after(3))));
}

#[tokio::test]
async fn a_connection_says_what_is_wrong_and_since_when() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let mut tx = world.tx().await;
    let id = world.connection;
    let of = |connection: connection::Connection| {
        let problem = connection.problem.map(|problem| (problem.code, problem.since));
        (connection.status, problem)
    };
    connection::mark_problem(&mut tx, id, ErrorCode::RateLimited, None, after(1)).await.unwrap();
    connection::mark_problem(&mut tx, id, ErrorCode::RateLimited, Some("429"), after(2)).await.unwrap();
    let limited = of(connection::fetch(&mut tx, id).await.unwrap());
    assert_eq!(limited, (connection::Status::Healthy, Some((ErrorCode::RateLimited, after(1)))));
    connection::mark_problem(&mut tx, id, ErrorCode::TokenDead, None, after(3)).await.unwrap();
    let dead = of(connection::fetch(&mut tx, id).await.unwrap());
    assert_eq!(dead, (connection::Status::NeedsReauth, Some((ErrorCode::TokenDead, after(3)))));
    assert!(connection::mark_healthy(&mut tx, id).await.unwrap());
    assert!(!connection::mark_healthy(&mut tx, id).await.unwrap());
    assert_eq!(of(connection::fetch(&mut tx, id).await.unwrap()), (connection::Status::Healthy, None));
    connection::refresh_lock(&mut tx, id).await.unwrap();
    connection::replace_credentials(&mut tx, id, &[5]).await.unwrap();
    assert_eq!(connection::credentials(&mut tx, id).await.unwrap(), Some(vec![5]));
    assert!(connection::remove(&mut tx, id).await.unwrap());
    assert_eq!(connection::credentials(&mut tx, id).await.unwrap(), None, "removed credentials are forgotten");
    assert!(matches!(connection::replace_credentials(&mut tx, id, &[5]).await, Err(Error::NotFound { .. })));
    assert!(connection::list(&mut tx).await.unwrap().is_empty());
    assert!(matches!(connection::fetch(&mut tx, ConnectionId::new()).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let beginners = (0..6).map(|_| async {
        let mut tx = world.tx().await;
        let begun = idempotency::begin(&mut tx, "key", b"request", noon()).await.unwrap();
        tx.commit().await.unwrap();
        begun
    });
    let begun = join_all(beginners).await;
    assert_eq!(begun.iter().filter(|begun| **begun == Begun::Fresh).count(), 1, "{begun:?}");
    assert_eq!(begun.iter().filter(|begun| **begun == Begun::InFlight).count(), 5, "{begun:?}");

    let mut tx = world.tx().await;
    let ask = async |tx: &mut store::Tx, hash: &[u8], minute| {
        idempotency::begin(tx, "key", hash, after(minute)).await.unwrap()
    };
    assert_eq!(ask(&mut tx, b"another", 5).await, Begun::Mismatch, "also after it was abandoned");
    assert_eq!(ask(&mut tx, b"request", 5).await, Begun::Fresh, "the first was killed");
    idempotency::finish(&mut tx, "key", 201, Some(&json!({"id": 1}))).await.unwrap();
    let replay = Begun::Replay { status: 201, body: Some(json!({"id": 1})) };
    assert_eq!(ask(&mut tx, b"request", 60).await, replay);
    assert_eq!(ask(&mut tx, b"another", 60).await, Begun::Mismatch);
    idempotency::forget(&mut tx, "key").await.unwrap();
    assert_eq!(ask(&mut tx, b"request", 60).await, replay, "an answer is not forgotten");
    assert!(matches!(idempotency::finish(&mut tx, "none", 200, None).await, Err(Error::NotFound { .. })));
    tx.commit().await.unwrap();
    assert_eq!(idempotency::forget_before(&database.store, after(1), 10).await.unwrap(), 0, "it is kept for a while");
    assert_eq!(idempotency::forget_before(&database.store, after(61), 10).await.unwrap(), 1);
    let mut tx = world.tx().await;
    assert_eq!(ask(&mut tx, b"another", 62).await, Begun::Fresh);
    idempotency::forget(&mut tx, "key").await.unwrap();
    assert_eq!(ask(&mut tx, b"request", 63).await, Begun::Fresh);
}

#[tokio::test]
async fn an_organisation_has_one_open_onboarding() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let starters = (0..5).map(|_| async {
        let mut tx = world.tx().await;
        let started = onboarding::start(&mut tx, world.user, noon()).await.unwrap();
        tx.commit().await.unwrap();
        started
    });
    let started = join_all(starters).await;
    let id = started[0].0.id;
    assert!(started.iter().all(|(onboarding, _)| onboarding.id == id));
    assert_eq!(started.iter().filter(|(_, new)| *new).count(), 1);
    let due = intent::due(&database.store, noon(), 10).await.unwrap();
    assert_eq!((due.len(), due[0].kind, due[0].subject), (1, intent::Kind::Onboard, id.uuid()));

    let mut tx = world.tx().await;
    assert!(onboarding::set_connection(&mut tx, id, Platform::Dv360, world.connection).await.unwrap());
    let step = Step { state: StepState::Running, done: Some(1), total: Some(3), ..Step::default() };
    onboarding::set_step(&mut tx, id, StepKey::FirstSlice, &step).await.unwrap();
    onboarding::set_problem(&mut tx, id, Some(ErrorCode::NoAccounts), Some("none")).await.unwrap();
    assert!(onboarding::advance(&mut tx, id, State::Ready, after(3)).await.unwrap());
    assert!(onboarding::advance(&mut tx, id, State::Ready, after(4)).await.unwrap());
    assert!(!onboarding::advance(&mut tx, id, State::Done, after(4)).await.unwrap(), "an end is for close");
    assert!(!onboarding::close(&mut tx, id, State::Ready, None, after(4)).await.unwrap(), "and this is no end");
    let ready = onboarding::latest(&mut tx).await.unwrap().unwrap();
    assert_eq!((ready.state, ready.dashboard_ready_at), (State::Ready, Some(after(3))));
    assert_eq!((ready.steps[&StepKey::FirstSlice].clone(), ready.error_code), (step, Some(ErrorCode::NoAccounts)));
    tx.commit().await.unwrap();
    assert_eq!(intent::organisations_with_schedule(&database.store, None, 10).await.unwrap(), [world.org]);
    let rest = intent::organisations_with_schedule(&database.store, Some(world.org), 10).await.unwrap();
    assert!(rest.is_empty());

    let mut tx = world.tx().await;
    assert!(onboarding::close(&mut tx, id, State::Cancelled, None, after(5)).await.unwrap());
    assert!(!onboarding::close(&mut tx, id, State::Failed, Some(ErrorCode::Unexpected), after(6)).await.unwrap());
    assert!(!onboarding::advance(&mut tx, id, State::Ready, after(6)).await.unwrap());
    let (again, new) = onboarding::start(&mut tx, world.user, after(7)).await.unwrap();
    assert!(new && again.id != id, "a closed one is not in the way");
    assert_eq!(onboarding::latest(&mut tx).await.unwrap().unwrap().id, again.id);
    assert_eq!(onboarding::fetch(&mut tx, id).await.unwrap().state, State::Cancelled);

    assert!(onboarding::advance(&mut tx, again.id, State::Ready, after(8)).await.unwrap());
    assert!(onboarding::close(&mut tx, again.id, State::Done, None, after(9)).await.unwrap());
    assert_eq!(onboarding::hold(&mut tx, again.id).await.unwrap(), State::Done);
    let (later, _) = onboarding::start(&mut tx, world.user, after(10)).await.unwrap();
    assert!(onboarding::close(&mut tx, later.id, State::Cancelled, None, after(11)).await.unwrap());
    let latest = onboarding::latest(&mut tx).await.unwrap().unwrap();
    assert_eq!(latest.id, again.id, "the one that made the dashboard is the one that counts");
}

#[tokio::test]
async fn an_intent_is_due_until_its_workflow_was_started() {
    let database = Database::new().await;
    let worlds =
        [World::new(&database.store, "a@example.org").await, World::new(&database.store, "b@example.org").await];
    for (world, minute) in worlds.iter().zip([5, 1]) {
        let mut tx = world.tx().await;
        let subject = world.org.uuid();
        let created = intent::create(&mut tx, intent::Kind::Ingest, subject, after(minute), noon()).await.unwrap();
        let again = intent::create(&mut tx, intent::Kind::Ingest, subject, after(9), noon()).await.unwrap();
        assert_eq!(created, again);
        tx.commit().await.unwrap();
    }
    assert!(intent::due(&database.store, noon(), 10).await.unwrap().is_empty());
    let due = intent::due(&database.store, after(5), 10).await.unwrap();
    assert_eq!(due.iter().map(|intent| intent.org).collect::<Vec<_>>(), [worlds[1].org, worlds[0].org]);
    assert_eq!(intent::due(&database.store, after(5), 1).await.unwrap(), due[..1]);
    let mut tx = worlds[1].tx().await;
    assert!(intent::mark_started(&mut tx, due[0].id, after(6)).await.unwrap());
    assert!(!intent::mark_started(&mut tx, due[0].id, after(7)).await.unwrap());
    assert!(!intent::mark_started(&mut tx, due[1].id, after(7)).await.unwrap(), "another organisation's");
    assert_eq!(intent::fetch(&mut tx, due[0].id).await.unwrap(), (due[0], Some(after(6))));
    tx.commit().await.unwrap();
    assert_eq!(intent::due(&database.store, after(9), 10).await.unwrap(), due[1..]);
}

#[tokio::test]
async fn an_organisation_begins_with_the_roles_of_the_domain() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let mut tx = world.tx().await;
    let roles = role::list(&mut tx).await.unwrap();
    for built_in in BuiltIn::iter() {
        let found = roles.iter().find(|role| role.name == built_in.to_string()).unwrap();
        assert_eq!((&found.permissions, found.title.as_str()), (&built_in.permissions(), built_in.title()));
        assert_eq!((found.built_in, found.members), (true, u32::from(built_in == BuiltIn::Admin)));
    }
    assert_eq!(roles.len(), BuiltIn::iter().count());
}

#[tokio::test]
async fn an_organisation_keeps_an_admin_and_the_admins_their_role() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let guest = World::new(&database.store, "b@example.org").await.user;
    let mut tx = world.tx().await;
    member::add(&mut tx, guest, "Bob", "viewer", world.user, noon()).await.unwrap();
    let all = BuiltIn::Admin.permissions();
    assert!(matches!(role::update(&mut tx, "admin", "Boss", &all, world.user, noon()).await, Err(Error::AdminRole)));
    assert!(matches!(role::delete(&mut tx, "viewer", world.user, noon()).await, Err(Error::RoleInUse)));
    let promoted = member::set_role(&mut tx, guest, "admin", world.user, noon()).await.unwrap();
    assert_eq!((promoted.role.as_str(), promoted.email.as_str()), ("admin", "b@example.org"));
    assert!(!format!("{promoted:?}").contains('@'), "an address is not for logs");
    member::set_active(&mut tx, world.user, false, guest, noon()).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.tx().await;
    let refused = member::set_role(&mut tx, guest, "viewer", guest, noon()).await;
    assert!(matches!(refused, Err(Error::LastAdmin)), "{refused:?}");
    assert!(matches!(tx.commit().await, Err(Error::Abandoned)));
}

#[tokio::test]
async fn who_was_deactivated_has_no_session_and_no_way_in() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let guest = World::new(&database.store, "b@example.org").await;
    let mut tx = world.tx().await;
    member::add(&mut tx, guest.user, "Bob", "trader", world.user, noon()).await.unwrap();
    session::create(&mut tx, guest.user, "secret", false, noon(), after(60)).await.unwrap();
    tx.commit().await.unwrap();
    let found = session::lookup(&database.store, "secret", noon()).await.unwrap().unwrap();
    assert_eq!((found.org, found.role.as_str()), (world.org, "trader"));
    assert_eq!(found.permissions, BuiltIn::Trader.permissions());
    assert_eq!(member::organisations_of(&database.store, guest.user).await.unwrap().len(), 2);

    let mut tx = world.tx().await;
    member::set_active(&mut tx, guest.user, false, world.user, noon()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(session::lookup(&database.store, "secret", noon()).await.unwrap(), None);
    let left = member::organisations_of(&database.store, guest.user).await.unwrap();
    assert_eq!(left.iter().map(|one| one.org).collect::<Vec<_>>(), [guest.org]);
}
