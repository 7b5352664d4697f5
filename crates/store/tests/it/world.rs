//! One organisation with something in every table, made through the store's own functions.

use chrono::{DateTime, Utc};
use domain::entity::{Entity, EntityStatus, Field, Level};
use domain::ids::{
    AccountId, CommitId, ConnectionId, CycleId, DecisionId, EntityId, OrgId, ProposalId, PullId, ReportId, RuleId,
    UserId,
};
use domain::lake::{PreparedSwap, TableName};
use domain::pacing::{Pacing, Spend};
use domain::report::{Column, Definition, Target};
use domain::{Currency, DayRange, Finality, Flight, Money, Permission, Platform, TimeZone};
use serde_json::json;
use store::commit::{CycleCommit, LandedPull, Stats};
use store::watermark::Watermark;
use store::{
    Store, Tx, account, agreement, allowance, api_key, approval, attempt, audit, commit, connection, consent, cycle,
    data_key, decision, entity, idempotency, intent, invitation, maintenance, onboarding, organisation, pointer,
    proposal, pull, report, rule, second_factor, session, sso,
};

use crate::harness::{Database, after, noon};

/// What an organisation's rows are called.
pub(crate) struct World {
    pub(crate) org: OrgId,
    pub(crate) user: UserId,
    pub(crate) connection: ConnectionId,
    pub(crate) accounts: Vec<AccountId>,
    pub(crate) campaign: EntityId,
    pub(crate) line: EntityId,
    pub(crate) report: ReportId,
    pub(crate) rule: RuleId,
    pub(crate) decision: DecisionId,
    pub(crate) store: Store,
}

pub(crate) fn eur(amount: &str) -> Money {
    Money::new(amount.parse().unwrap(), "EUR".parse().unwrap())
}

pub(crate) fn day(text: &str) -> chrono::NaiveDate {
    text.parse().unwrap()
}

pub(crate) fn days(first: &str, last: &str) -> DayRange {
    DayRange::new(day(first), day(last)).unwrap()
}

fn berlin() -> TimeZone {
    "Europe/Berlin".parse().unwrap()
}

pub(crate) fn sign_up(email: &str) -> organisation::SignUp {
    organisation::SignUp {
        email: email.to_owned(),
        name: "Ada".to_owned(),
        password_hash: "$argon2id$…".to_owned(),
        organisation_name: "Agency".to_owned(),
        reporting_currency: "EUR".parse().unwrap(),
        time_zone: berlin(),
    }
}

pub(crate) fn discovered(platform_id: &str, name: &str) -> account::Discovered {
    account::Discovered {
        platform_id: platform_id.to_owned(),
        name: name.to_owned(),
        parent_id: Some("4711".to_owned()),
        parent_name: None,
        currency: "EUR".parse::<Currency>().unwrap(),
        time_zone: berlin(),
        status: account::Status::Active,
    }
}

pub(crate) fn flight() -> Flight {
    Flight { days: days("2026-11-01", "2026-11-30"), zone: berlin(), budget: eur("3000.5") }
}

pub(crate) fn described(level: Level, platform_id: &str) -> Entity {
    Entity {
        platform_id: platform_id.to_owned(),
        parent_id: (level != Level::Campaign).then(|| "c1".to_owned()),
        campaign_id: "c1".to_owned(),
        level,
        name: format!("{level} {platform_id}"),
        status: EntityStatus::Active,
        flight: Some(flight()),
        daily_budget: (level == Level::Line).then(|| eur("100")),
    }
}

fn definition() -> Definition {
    Definition {
        id: ReportId::new(),
        platform: Platform::Dv360,
        name: "delivery".to_owned(),
        kind: "STANDARD".to_owned(),
        columns: vec![Column { field: "FILTER_DATE".to_owned(), header: "Date".to_owned(), target: Target::Day }],
        cadence_seconds: 900,
        lookback_days: 30,
        lookback_cadence_seconds: 86_400,
        final_after_days: 7,
    }
}

/// A commit of these swaps and pulls, without watermarks.
pub(crate) fn cycle_commit(cycle: CycleId, swaps: Vec<PreparedSwap>, pulls: &[PullId]) -> CycleCommit {
    let landed = pulls.iter().map(|pull| LandedPull { pull: *pull, unchanged: false, rows: 7 }).collect();
    let stats = Stats { bronze_rows: 7, silver_rows: 14, gold_rows: 3, seconds: 0.5, ..Stats::default() };
    let id = CommitId::new();
    CycleCommit { cycle, id, swaps, landed, watermarks: vec![], stats, at: after(1) }
}

impl World {
    /// An organisation with a connection, two chosen accounts, a campaign with a line, a report, a rule and a decision.
    pub(crate) async fn new(store: &Store, email: &str) -> Self {
        let org = OrgId::new();
        let mut tx = store.begin(org).await.unwrap();
        let user = organisation::sign_up(&mut tx, &sign_up(email), noon()).await.unwrap();
        let new =
            connection::New { platform: Platform::Dv360, environment: "dv360.sandbox".into(), title: "DV".into() };
        let connection = connection::create(&mut tx, &new, noon()).await.unwrap();
        let authorisation = connection::Authorisation { credentials: vec![1, 2], scopes: vec!["a".into()], by: user };
        connection::authorise(&mut tx, connection, &authorisation, noon()).await.unwrap();
        let both = [discovered("a1", "One"), discovered("a2", "Two")];
        account::upsert_many(&mut tx, connection, &both).await.unwrap();
        let accounts: Vec<AccountId> =
            account::list(&mut tx, Some(connection)).await.unwrap().iter().map(|account| account.id).collect();
        account::select(&mut tx, connection, &accounts).await.unwrap();
        let entities = [described(Level::Campaign, "c1"), described(Level::Order, "o1"), described(Level::Line, "l1")];
        entity::upsert_many(&mut tx, accounts[0], &entities, noon()).await.unwrap();
        let campaign = entity::list(&mut tx, Level::Campaign, false, None, 10).await.unwrap()[0].id;
        let line = entity::list(&mut tx, Level::Line, false, None, 10).await.unwrap()[0].id;
        let report = report::ensure(&mut tx, &definition()).await.unwrap();
        let rule = rule::ensure_default(&mut tx, noon()).await.unwrap();
        let cause = decision::Cause::Person { decision: DecisionId::new(), by: user };
        let decision = decision::open(&mut tx, cause, noon()).await.unwrap().id;
        tx.commit().await.unwrap();
        let store = store.clone();
        Self { org, user, connection, accounts, campaign, line, report, rule, decision, store }
    }

    pub(crate) async fn tx(&self) -> Tx {
        self.store.begin(self.org).await.unwrap()
    }

    /// A second person in the organisation, who has no way of their own to join yet.
    pub(crate) async fn colleague(&self, database: &Database) -> UserId {
        let (id, mut admin) = (UserId::new(), database.connect("postgres").await);
        for statement in [
            "INSERT INTO users SELECT $1, $1 || '@example.org', 'Bob', 'x', created_at FROM organisations WHERE org_id = $2",
            "INSERT INTO memberships SELECT $2, $1, 'Bob', 'approver', created_at FROM organisations WHERE org_id = $2",
        ] {
            sqlx::query(statement).bind(id.uuid()).bind(self.org.uuid()).execute(&mut admin).await.unwrap();
        }
        id
    }

    pub(crate) fn plan(&self, kind: domain::pull::Kind, days: DayRange) -> pull::Plan {
        pull::Plan {
            connection: self.connection,
            report: self.report,
            kind,
            days,
            accounts: vec!["a1".into(), "a2".into()],
            not_before: None,
        }
    }

    /// A pull whose rows are staged.
    pub(crate) async fn fetched(&self, tx: &mut Tx, kind: domain::pull::Kind, requested_at: DateTime<Utc>) -> PullId {
        let plan = self.plan(kind, days("2026-11-20", "2026-11-21"));
        let id = pull::plan(tx, &plan, requested_at).await.unwrap().expect("none is on its way");
        let ticket = json!({"query": "q"});
        assert!(pull::mark_requested(tx, id, &ticket, requested_at, None, requested_at).await.unwrap());
        let staging =
            pull::Staging { staged: json!({"files": ["f"]}), rows: 7, bytes: 70, report_time: Some(requested_at) };
        assert!(pull::mark_fetched(tx, id, &staging, requested_at).await.unwrap());
        id
    }

    pub(crate) async fn cycle(&self, tx: &mut Tx, name: &str) -> CycleId {
        cycle::open(tx, name, cycle::Kind::Scheduled, noon()).await.unwrap().id
    }

    pub(crate) fn swap(&self, table: &str, expected: Option<&str>, new: &str) -> PreparedSwap {
        let table = TableName { org: self.org, name: table.to_owned() };
        PreparedSwap { table, expected: expected.map(str::to_owned), new: new.to_owned() }
    }

    pub(crate) fn watermark(&self, pull: PullId, requested_at: DateTime<Utc>) -> Watermark {
        Watermark {
            connection: self.connection,
            report: self.report,
            account: "a1".into(),
            day: day("2026-11-21"),
            as_of: requested_at,
            requested_at,
            finality: Finality::Intraday,
            pull,
            rows: 7,
            media_cost: "12.34".parse().unwrap(),
            content_hash: format!("hash of {pull}"),
        }
    }

    pub(crate) fn proposal(&self) -> proposal::New {
        let as_of = flight().zone.end_of(day("2026-11-20"));
        proposal::New {
            origin: proposal::Origin::Rule { rule: self.rule, version: 1, decision: self.decision },
            entity: self.line,
            field: Field::DailyBudget,
            before: eur("100"),
            after: eur("120.5"),
            limited: false,
            pacing: Pacing::of(&flight(), Spend::whole(eur("1000.25")), as_of).unwrap(),
            settled: Finality::Provisional,
            expires_at: after(24 * 60),
        }
    }

    pub(crate) async fn proposed(&self, tx: &mut Tx) -> ProposalId {
        proposal::create(tx, &self.proposal(), noon()).await.unwrap().expect("no other proposal is open")
    }

    pub(crate) async fn decision_on(
        &self,
        tx: &mut Tx,
        id: ProposalId,
        verdict: approval::Verdict,
    ) -> approval::Decision {
        let change_hash = proposal::fetch(tx, id).await.unwrap().change_hash;
        approval::Decision { by: self.user, verdict, change_hash, reason: None }
    }

    /// Fills the tables that a new world leaves empty.
    pub(crate) async fn fill(&self) {
        let mut tx = self.tx().await;
        session::create(&mut tx, self.user, &format!("token of {}", self.org), false, noon(), after(60)).await.unwrap();
        let consent = consent::New {
            connection: self.connection,
            purpose: consent::Purpose::Onboard,
            user: self.user,
            state: format!("state of {}", self.org),
            verifier: vec![3],
            redirect_uri: "http://localhost/callback".into(),
            expires_at: after(10),
        };
        consent::create(&mut tx, &consent, noon()).await.unwrap();
        let cycle = self.cycle(&mut tx, "ingest-1").await;
        let pull = self.fetched(&mut tx, domain::pull::Kind::Tick, noon()).await;
        let mut whole = cycle_commit(cycle, vec![self.swap("silver", None, "v1")], &[pull]);
        whole.watermarks = vec![self.watermark(pull, noon())];
        commit::commit_cycle(&mut tx, &whole).await.unwrap();
        let proposal = self.proposed(&mut tx).await;
        let yes = self.decision_on(&mut tx, proposal, approval::Verdict::Approve).await;
        approval::record(&mut tx, proposal, &yes, after(1)).await.unwrap();
        attempt::begin(&mut tx, proposal, 1, after(2)).await.unwrap();
        onboarding::start(&mut tx, self.user, noon()).await.unwrap();
        intent::create(&mut tx, intent::Kind::Ingest, self.org.uuid(), noon(), noon()).await.unwrap();
        allowance::set(&mut tx, allowance::Allowance::default(), noon()).await.unwrap();
        maintenance::record(&mut tx, noon()).await.unwrap();
        assert!(data_key::create(&mut tx, 1, b"wrapped", "local:1", noon()).await.unwrap());
        idempotency::begin(&mut tx, "key", b"hash", noon()).await.unwrap();
        agreement::record(&mut tx, self.user, agreement::Document::Terms, "1", noon()).await.unwrap();
        let (permissions, secret) = ([Permission::DeliveryRead].into(), format!("clp_key of {}", self.org));
        let key = api_key::New {
            name: "A key",
            beginning: "clp_key",
            token: &secret,
            permissions: &permissions,
            by: self.user,
            expires_at: after(60),
        };
        api_key::create(&mut tx, &key, noon()).await.unwrap();
        let (email, link) = ("guest@agency.example", format!("link of {}", self.org));
        let invitation = invitation::New { email, role: "viewer", token: &link, by: self.user, expires_at: after(60) };
        invitation::create(&mut tx, &invitation, noon()).await.unwrap();
        second_factor::begin(&mut tx, self.user, b"sealed", noon()).await.unwrap();
        second_factor::confirm(&mut tx, self.user, &["code".to_owned()], noon()).await.unwrap();
        let provider = sso::Provider {
            issuer: "https://id.agency.example".into(),
            client_id: "clp".into(),
            client_secret: vec![4],
            default_role: None,
            required: false,
        };
        sso::set(&mut tx, &provider, self.user, noon()).await.unwrap();
        sso::begin(&mut tx, &format!("sign-in of {}", self.org), noon(), after(10)).await.unwrap();
        sso::link(&mut tx, &provider.issuer, "subject", self.user, noon()).await.unwrap();
        let entry = audit::Entry {
            actor: audit::Actor::System,
            action: "test.fill".into(),
            subject: "organisation",
            subject_id: self.org.uuid(),
            title: "all".into(),
            before: None,
            after: None,
        };
        audit::record(&mut tx, &entry, noon()).await.unwrap();
        assert_eq!(pointer::list(&mut tx).await.unwrap().len(), 1);
        tx.commit().await.unwrap();
    }
}
