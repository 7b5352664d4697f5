//! Rules, decisions, proposals, approvals and attempts: nothing twice, nothing unapproved, everything on record.

use domain::ErrorCode;
use domain::ids::{CycleId, DecisionId, ProposalId, UserId};
use domain::pull::Kind;
use domain::rule::PacingRule;
use domain::write_back::{Event, State};
use futures::future::join_all;
use store::approval::{self, Verdict};
use store::attempt::{self, Outcome};
use store::audit::{self, Actor};
use store::proposal::{self, Detail, Filter, Live, Origin};
use store::{Error, Page, Tx, decision, entity, intent, organisation, rule};

use crate::harness::{Database, after, noon};
use crate::world::{World, eur};

async fn world() -> (Database, World) {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    (database, world)
}

async fn approved(world: &World, tx: &mut Tx) -> ProposalId {
    let id = world.proposed(tx).await;
    let yes = world.decision_on(tx, id, Verdict::Approve).await;
    assert_eq!(approval::record(tx, id, &yes, after(1)).await.unwrap(), State::Approved);
    id
}

/// What the audit trail says about a proposal: who and what, oldest first.
async fn trail(tx: &mut Tx, id: ProposalId) -> Vec<String> {
    audit::list_about(tx, id.uuid()).await.unwrap().into_iter().map(|line| line.action).collect()
}

#[tokio::test]
async fn a_proposal_comes_back_as_it_was_made_with_the_hash_of_exactly_its_change() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let id = world.proposed(&mut tx).await;
    tx.commit().await.unwrap();
    let mut tx = world.tx().await;
    let (read, new) = (proposal::fetch(&mut tx, id).await.unwrap(), world.proposal());
    assert_eq!(read.change().hash(read.expires_at), read.change_hash);
    assert_eq!((read.before, read.after, read.field), (new.before, new.after, new.field));
    assert_eq!((read.pacing, read.settled, read.limited), (new.pacing, new.settled, new.limited));
    assert_eq!((read.origin, read.origin_name.as_deref()), (new.origin, Some(rule::DEFAULT_NAME)));
    assert_eq!((read.state, read.created_at, read.expires_at), (State::Proposed, noon(), new.expires_at));
    assert_eq!((read.entity, read.entity_name.as_str()), (world.line, "line l1"));
    assert_eq!((read.campaign, read.campaign_name.as_deref()), (Some(world.campaign), Some("campaign c1")));
    assert_eq!((read.account, read.account_name.as_str()), (world.accounts[0], "One"));
    assert_eq!((read.flight, &read.answer), (Some(crate::world::flight()), &None));
    let line = entity::fetch(&mut tx, world.line).await.unwrap();
    assert_eq!(read.change().entity, line.key());

    let intents = intent::list_unstarted(&mut tx).await.unwrap();
    assert_eq!((intents.len(), intents[0].kind, intents[0].subject), (1, intent::Kind::WriteBack, id.uuid()));
    let line = &audit::list_about(&mut tx, id.uuid()).await.unwrap()[0];
    assert_eq!((line.actor, line.actor_name.as_deref()), (Actor::Rule(world.rule), Some(rule::DEFAULT_NAME)));
    assert_eq!((&line.action[..], &line.title[..]), ("proposal.create", "line l1"));
}

#[tokio::test]
async fn while_a_proposal_waits_it_shows_what_the_platform_said_last() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let id = world.proposed(&mut tx).await;
    let live = |amount, minute| Some(Live { value: eur(amount), read_at: after(minute) });
    assert_eq!(proposal::fetch(&mut tx, id).await.unwrap().live, live("100", 0));
    entity::update_daily_budget(&mut tx, world.line, eur("90"), after(5)).await.unwrap();
    assert_eq!(proposal::fetch(&mut tx, id).await.unwrap().live, live("90", 5), "somebody changed it in the platform");
    assert_eq!(proposal::page(&mut tx, Filter::Open, Page::first(10)).await.unwrap().items[0].live, live("90", 5));

    let drifted = Detail { live: live("80", 4), ..Detail::by(Actor::System, after(7)) };
    proposal::transition(&mut tx, id, Event::Expire, &drifted).await.unwrap();
    let closed = proposal::fetch(&mut tx, id).await.unwrap();
    assert_eq!(closed.live, live("80", 4), "a closed one shows what itself has read");
}

#[tokio::test]
async fn a_setting_has_one_open_proposal() {
    let (database, world) = world().await;
    let makers = (0..6).map(|_| async {
        let mut tx = world.tx().await;
        let made = proposal::create(&mut tx, &world.proposal(), noon()).await.unwrap();
        tx.commit().await.unwrap();
        made
    });
    let made: Vec<_> = join_all(makers).await.into_iter().flatten().collect();
    assert_eq!(made.len(), 1);
    assert_eq!(database.count("SELECT count(*) FROM intents").await, 1, "the others left no intent");
    assert_eq!(database.count("SELECT count(*) FROM audit WHERE subject = 'proposal'").await, 1, "and no audit line");

    let mut tx = world.tx().await;
    let open = proposal::open_by_entity(&mut tx, &[world.line, world.campaign]).await.unwrap();
    assert_eq!(open.into_iter().collect::<Vec<_>>(), [(world.line, made[0])]);
    let expire = Detail::by(Actor::System, after(9));
    assert_eq!(proposal::transition(&mut tx, made[0], Event::Expire, &expire).await.unwrap(), State::Expired);
    assert!(
        proposal::create(&mut tx, &world.proposal(), after(10)).await.unwrap().is_some(),
        "the field is free again"
    );
    assert_eq!(proposal::count_open(&mut tx).await.unwrap(), 1);
    for (filter, expected) in [(Filter::Open, 1), (Filter::Closed, 1), (Filter::All, 2)] {
        let page = proposal::page(&mut tx, filter, Page::first(10)).await.unwrap();
        assert_eq!(page.items.len(), expected, "{filter:?}");
    }
    let campaign = entity::fetch(&mut tx, world.campaign).await.unwrap();
    assert_eq!(proposal::list_of_campaign(&mut tx, &campaign).await.unwrap().len(), 2);
}

#[tokio::test]
async fn money_of_another_currency_or_with_too_many_digits_is_not_proposed() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let dollars = domain::Money::new("120".parse().unwrap(), "USD".parse().unwrap());
    let wrong = proposal::New { after: dollars, ..world.proposal() };
    assert!(matches!(proposal::create(&mut tx, &wrong, noon()).await, Err(Error::Money(_))));
    let fine = proposal::New { after: eur("120.0000000001"), ..world.proposal() };
    assert!(matches!(proposal::create(&mut tx, &fine, noon()).await, Err(Error::Unstorable { .. })));
}

#[tokio::test]
async fn an_approval_counts_once_for_exactly_what_was_seen() {
    let (database, world) = world().await;
    let colleague = world.colleague(&database).await;
    let mut tx = world.tx().await;
    let id = world.proposed(&mut tx).await;
    let yes = world.decision_on(&mut tx, id, Verdict::Approve).await;
    tx.commit().await.unwrap();

    let mut tx = world.tx().await;
    let other = approval::Decision { change_hash: "0".repeat(64), ..yes.clone() };
    assert!(matches!(approval::record(&mut tx, id, &other, after(1)).await, Err(Error::ApprovalStale)));
    let late = approval::record(&mut tx, id, &yes, after(24 * 60)).await;
    assert!(matches!(late, Err(Error::ProposalExpired)));
    drop(tx);

    let persons = [world.user, colleague, world.user, colleague];
    let verdicts = [Verdict::Approve, Verdict::Reject, Verdict::Approve, Verdict::Approve];
    let decisions = persons.into_iter().zip(verdicts).map(|(by, verdict)| {
        let (world, decision) = (&world, approval::Decision { by, verdict, ..yes.clone() });
        async move {
            let mut tx = world.tx().await;
            let state = approval::record(&mut tx, id, &decision, after(2)).await?;
            tx.commit().await?;
            Ok::<_, Error>((decision.by, decision.verdict, state))
        }
    });
    let outcomes = join_all(decisions).await;
    let recorded: Vec<_> = outcomes.iter().flatten().collect();
    assert!(!recorded.is_empty() && recorded.iter().all(|outcome| *outcome == recorded[0]), "{outcomes:?}");
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::AlreadyDecided))).count();
    assert_eq!(refused + recorded.len(), 4, "{outcomes:?}");
    assert_eq!(database.count("SELECT count(*) FROM approvals").await, 1);
    assert_eq!(trail(&mut world.tx().await, id).await.len(), 2, "one creation, one decision");

    // The worker was killed after the commit: the same decision comes again.
    let mut tx = world.tx().await;
    let (by, verdict, state) = recorded[0];
    let again = approval::Decision { by: *by, verdict: *verdict, ..yes.clone() };
    assert_eq!(approval::record(&mut tx, id, &again, after(3)).await.unwrap(), *state);
    let answer = proposal::fetch(&mut tx, id).await.unwrap().answer.unwrap();
    assert_eq!((answer.by, answer.verdict, answer.at), (*by, *verdict, after(2)));
}

#[tokio::test]
async fn nobody_approves_their_own_proposal_but_may_withdraw_it() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let own = proposal::New { origin: Origin::Person(world.user), ..world.proposal() };
    let id = proposal::create(&mut tx, &own, noon()).await.unwrap().unwrap();
    assert_eq!(proposal::fetch(&mut tx, id).await.unwrap().origin_name.as_deref(), Some("Ada"));
    let yes = world.decision_on(&mut tx, id, Verdict::Approve).await;
    assert!(matches!(approval::record(&mut tx, id, &yes, after(1)).await, Err(Error::OwnProposal)));
    let withdraw = approval::Decision { verdict: Verdict::Cancel, reason: Some("changed my mind".into()), ..yes };
    assert_eq!(approval::record(&mut tx, id, &withdraw, after(1)).await.unwrap(), State::Cancelled);
    let line = audit::list_about(&mut tx, id.uuid()).await.unwrap().pop().unwrap();
    assert_eq!((line.actor, line.action.as_str()), (Actor::Person(world.user), "proposal.cancel"));
    assert_eq!(line.after.unwrap()["reason"], "changed my mind");
}

#[tokio::test]
async fn a_yes_may_be_withdrawn_until_the_change_may_have_been_sent() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let id = approved(&world, &mut tx).await;
    let withdraw = world.decision_on(&mut tx, id, Verdict::Cancel).await;
    attempt::begin(&mut tx, id, 1, after(2)).await.unwrap();
    assert!(matches!(approval::record(&mut tx, id, &withdraw, after(3)).await, Err(Error::AlreadyDecided)));
    drop(tx);
    let mut tx = world.tx().await;
    let id = approved(&world, &mut tx).await;
    let withdraw = world.decision_on(&mut tx, id, Verdict::Cancel).await;
    assert_eq!(approval::record(&mut tx, id, &withdraw, after(3)).await.unwrap(), State::Cancelled);
    assert_eq!(proposal::fetch(&mut tx, id).await.unwrap().answer.unwrap().verdict, Verdict::Cancel);
}

#[tokio::test]
async fn what_nobody_decided_in_time_is_closed_and_out_of_the_way() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let id = world.proposed(&mut tx).await;
    let expires = world.proposal().expires_at;
    let before = expires - chrono::TimeDelta::seconds(1);
    assert_eq!(proposal::expire_overdue(&mut tx, before).await.unwrap(), 0, "there is time left");
    assert_eq!(proposal::create(&mut tx, &world.proposal(), before).await.unwrap(), None, "it still stands");
    assert_eq!(proposal::expire_overdue(&mut tx, expires).await.unwrap(), 1);
    assert_eq!(proposal::expire_overdue(&mut tx, expires).await.unwrap(), 0, "once is enough");
    let closed = proposal::fetch(&mut tx, id).await.unwrap();
    assert_eq!((closed.state, closed.closed_at), (State::Expired, Some(expires)));
    assert_eq!(closed.error_code, Some(ErrorCode::ProposalExpired));
    assert_eq!(trail(&mut tx, id).await, ["proposal.create", "proposal.expire"]);
    assert!(
        proposal::create(&mut tx, &world.proposal(), expires).await.unwrap().is_some(),
        "the setting is free again"
    );
    let yes = world.decision_on(&mut tx, id, Verdict::Approve).await;
    assert!(matches!(approval::record(&mut tx, id, &yes, expires).await, Err(Error::ProposalExpired)));
}

#[tokio::test]
async fn a_yes_outlives_the_time_to_decide() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let id = approved(&world, &mut tx).await;
    assert_eq!(proposal::expire_overdue(&mut tx, after(99 * 24 * 60)).await.unwrap(), 0);
    assert_eq!(proposal::fetch(&mut tx, id).await.unwrap().state, State::Approved);
}

#[tokio::test]
async fn yes_no_and_intent_have_no_back_door() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let id = world.proposed(&mut tx).await;
    for event in [Event::Approve, Event::Reject, Event::Begin, Event::ReadAfter, Event::LoseAnswer] {
        let refused = proposal::transition(&mut tx, id, event, &Detail::by(Actor::System, after(1))).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{event}: {refused:?}");
    }
    assert!(matches!(attempt::begin(&mut tx, id, 1, after(1)).await, Err(Error::Forbidden(_))), "it is not approved");
    assert_eq!(trail(&mut tx, id).await, ["proposal.create"]);
    let nobody =
        proposal::transition(&mut tx, ProposalId::new(), Event::Expire, &Detail::by(Actor::System, noon())).await;
    assert!(matches!(nobody, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_lost_answer_is_settled_and_sent_again_under_the_same_approval() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let id = approved(&world, &mut tx).await;
    let by = |minute| Detail::by(Actor::System, after(minute));
    let live =
        |amount: &str, minute| Detail { live: Some(Live { value: eur(amount), read_at: after(minute) }), ..by(minute) };
    let first = attempt::begin(&mut tx, id, 1, after(2)).await.unwrap();
    assert!(attempt::mark_sent(&mut tx, first.id, after(2)).await.unwrap());
    assert!(!attempt::mark_sent(&mut tx, first.id, after(3)).await.unwrap(), "it may have been sent");
    assert!(attempt::unmark_sent(&mut tx, first.id).await.unwrap(), "it surely was not");
    assert!(attempt::mark_sent(&mut tx, first.id, after(3)).await.unwrap());
    let lost = Detail { problem: Some((ErrorCode::OutcomeUnknown, Some("timeout".into()))), ..by(3) };
    assert_eq!(proposal::transition(&mut tx, id, Event::LoseAnswer, &lost).await.unwrap(), State::Unknown);
    let unknown = proposal::fetch(&mut tx, id).await.unwrap();
    assert_eq!(
        (unknown.error_code, unknown.error_detail.as_deref()),
        (Some(ErrorCode::OutcomeUnknown), Some("timeout"))
    );
    let doubtful = attempt::begin(&mut tx, id, 2, after(4)).await.unwrap();
    assert_eq!((doubtful.id, doubtful.number), (first.id, 1), "no second attempt while the first is in doubt");
    assert!(attempt::settle(&mut tx, first.id, Outcome::Absent, after(5)).await.unwrap());
    assert!(!attempt::settle(&mut tx, first.id, Outcome::Applied, after(6)).await.unwrap());
    assert!(!attempt::unmark_sent(&mut tx, first.id).await.unwrap(), "what is settled stays");
    assert_eq!(proposal::transition(&mut tx, id, Event::ReadBefore, &live("100", 5)).await.unwrap(), State::Unknown);
    let second = attempt::begin(&mut tx, id, 2, after(7)).await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(attempt::begin(&mut tx, id, 2, after(8)).await.unwrap(), second, "a killed activity comes again");
    attempt::settle(&mut tx, second.id, Outcome::Applied, after(9)).await.unwrap();
    assert_eq!(proposal::transition(&mut tx, id, Event::ReadAfter, &live("120.5", 9)).await.unwrap(), State::Verified);
    let done = proposal::fetch(&mut tx, id).await.unwrap();
    assert_eq!((done.error_code, done.closed_at), (None, Some(after(9))));
    assert_eq!(done.live, Some(Live { value: eur("120.5"), read_at: after(9) }));
    let actions: Vec<String> = trail(&mut tx, id).await.iter().map(|action| action.replace("proposal.", "")).collect();
    let expected = ["create", "approve", "begin", "lose_answer", "read_before", "begin", "read_after"];
    assert_eq!(actions, expected);
    assert_eq!(attempt::list(&mut tx, id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_change_is_attempted_a_bounded_number_of_times() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let id = approved(&world, &mut tx).await;
    for number in 1..=attempt::ATTEMPTS_MOST {
        let minute = i64::from(number) * 10;
        let begun = attempt::begin(&mut tx, id, number, after(minute)).await.unwrap();
        attempt::settle(&mut tx, begun.id, Outcome::Absent, after(minute + 1)).await.unwrap();
        let detail = Detail::by(Actor::System, after(minute + 1));
        proposal::transition(&mut tx, id, Event::ReadBefore, &detail).await.unwrap();
    }
    let again = attempt::begin(&mut tx, id, attempt::ATTEMPTS_MOST + 1, after(99)).await;
    assert!(matches!(again, Err(Error::TooManyAttempts { most: 5 })), "{again:?}");
}

#[tokio::test]
async fn two_activities_that_begin_at_once_get_the_same_attempt() {
    let (database, world) = world().await;
    let mut tx = world.tx().await;
    let id = approved(&world, &mut tx).await;
    tx.commit().await.unwrap();
    let beginners = (0..5).map(|_| async {
        let mut tx = world.tx().await;
        let begun = attempt::begin(&mut tx, id, 1, after(2)).await.unwrap();
        let first = attempt::mark_sent(&mut tx, begun.id, after(2)).await.unwrap();
        tx.commit().await.unwrap();
        (begun.id, first)
    });
    let begun = join_all(beginners).await;
    assert!(begun.iter().all(|(attempt, _)| *attempt == begun[0].0), "{begun:?}");
    assert_eq!(begun.iter().filter(|(_, first)| *first).count(), 1, "one of them may send");
    assert_eq!(database.count("SELECT count(*) FROM attempts").await, 1);
}

#[tokio::test]
async fn nothing_is_begun_while_changes_are_frozen() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let id = approved(&world, &mut tx).await;
    assert!(organisation::set_frozen(&mut tx, true, world.user, None, after(1)).await.unwrap());
    assert!(!organisation::set_frozen(&mut tx, true, world.user, None, after(1)).await.unwrap());
    assert!(matches!(attempt::begin(&mut tx, id, 1, after(2)).await, Err(Error::Frozen)));
    assert_eq!(proposal::fetch(&mut tx, id).await.unwrap().state, State::Approved);
    organisation::set_frozen(&mut tx, false, world.user, None, after(3)).await.unwrap();
    attempt::begin(&mut tx, id, 1, after(4)).await.unwrap();
}

#[tokio::test]
async fn a_cause_has_one_decision_which_never_changes_once_it_is_finished() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let cause = decision::Cause::Cycle(CycleId::new());
    let opened = decision::open(&mut tx, cause, noon()).await.unwrap();
    assert_eq!(decision::open(&mut tx, cause, after(5)).await.unwrap(), opened);
    let pull = world.fetched(&mut tx, Kind::Tick, noon()).await;
    let findings = decision::Findings {
        as_of: Some(noon()),
        pulls: vec![pull],
        lines_judged: 3,
        not_judged: [("outside_flight".to_owned(), 2)].into(),
    };
    assert!(decision::finish(&mut tx, opened.id, &findings, after(1)).await.unwrap());
    assert!(!decision::finish(&mut tx, opened.id, &decision::Findings::default(), after(2)).await.unwrap());
    assert!(!decision::fail(&mut tx, opened.id, ErrorCode::Unexpected, after(2)).await.unwrap());
    let done = decision::fetch(&mut tx, opened.id).await.unwrap();
    assert_eq!((done.findings, done.finished_at, done.proposals_made), (findings, Some(after(1)), 0));

    let (decision, by) = (DecisionId::new(), world.user);
    let asked = decision::Cause::Person { decision, by };
    assert_eq!(decision::open(&mut tx, asked, noon()).await.unwrap().id, decision);
    assert!(decision::fail(&mut tx, decision, ErrorCode::Unexpected, after(1)).await.unwrap());
    let failed = decision::fetch(&mut tx, decision).await.unwrap();
    assert_eq!((failed.cause, failed.error_code), (asked, Some(ErrorCode::Unexpected)));
    let stranger = decision::Cause::Person { decision: DecisionId::new(), by: UserId::new() };
    assert!(matches!(decision::open(&mut tx, stranger, noon()).await, Err(Error::Missing { .. })));
}

#[tokio::test]
async fn a_changed_rule_is_a_new_version_on_record() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    assert_eq!(rule::ensure_default(&mut tx, after(1)).await.unwrap(), world.rule);
    let settings = PacingRule { max_step: "0.25".parse().unwrap(), ..PacingRule::default() };
    let update = rule::Update { enabled: None, settings: Some(settings.clone()) };
    let changed = rule::update(&mut tx, world.rule, &update, world.user, after(2)).await.unwrap();
    assert_eq!((changed.version, changed.enabled, &changed.settings), (2, true, &settings));
    let same = rule::update(&mut tx, world.rule, &update, world.user, after(3)).await.unwrap();
    assert_eq!(same, changed, "a change that changes nothing is none");
    let wrong = PacingRule { max_step: "2".parse().unwrap(), ..PacingRule::default() };
    let wrong = rule::Update { enabled: Some(false), settings: Some(wrong) };
    assert!(matches!(
        rule::update(&mut tx, world.rule, &wrong, world.user, after(4)).await,
        Err(Error::InvalidRule(_))
    ));
    assert_eq!(rule::list(&mut tx).await.unwrap(), [changed]);
    let lines = audit::list_about(&mut tx, world.rule.uuid()).await.unwrap();
    assert_eq!((lines.len(), lines[0].actor_name.as_deref()), (1, Some("Ada")));
    assert_eq!(lines[0].after.as_ref().unwrap()["settings"]["max_step"], "0.25");
}
