//! Asking for reports sparingly, finding what an earlier attempt left, and downloading.

use connectors::{Download, Error, Family, ReportSpec, ReportState, Ticket};
use domain::report::{Chunk, Definition};
use domain::{DayRange, ErrorCode};
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::fake::Reply;
use crate::support::{World, fault, now, world, world_for};

const RUN: &str = "POST /v2/queries/1001:run";
const LIST: &str = "GET /v2/queries/1001/reports";

fn definition() -> Definition {
    connectors::dv360::default_definition()
}

fn spec<'a>(definition: &'a Definition, accounts: &'a [String], retried: bool) -> ReportSpec<'a> {
    let days = DayRange::ending("2026-11-21".parse().unwrap(), 2);
    let connection = "con_0190a0000000700080000000000000aa".parse().unwrap();
    ReportSpec { definition, connection, accounts, days, since: now(), refused: &[], retried }
}

fn accounts() -> Vec<String> {
    vec!["456".into(), "123".into()]
}

fn report(id: &str, state: &str, finished: Option<&str>, first_day: u32) -> Value {
    let date = |day: u32| json!({"year": 2026, "month": 11, "day": day});
    json!({"key": {"queryId": "1001", "reportId": id}, "metadata": {
        "status": {"state": state, "format": "CSV", "finishTime": finished},
        "reportDataStartDate": date(first_day), "reportDataEndDate": date(21),
    }})
}

async fn request(world: &World, known: Option<&Ticket>, retried: bool) -> Result<Ticket, Error> {
    let (definition, accounts) = (definition(), accounts());
    world.platform.request_report(&world.access, &spec(&definition, &accounts, retried), known).await
}

async fn first_ticket(world: &World) -> Ticket {
    world
        .fake
        .ok("GET /v2/queries", json!({}))
        .ok("POST /v2/queries", json!({"queryId": "1001", "metadata": {"title": "whatever"}}))
        .ok(RUN, report("1", "QUEUED", None, 20));
    request(world, None, false).await.unwrap()
}

#[tokio::test]
async fn the_first_pull_makes_a_query_and_the_next_ones_run_it() {
    let world = world().await;
    let first = first_ticket(&world).await;
    assert_eq!(world.quota.of(Family::Reports), 3);
    world.fake.ok(RUN, report("2", "QUEUED", None, 20));
    let second = request(&world, Some(&first), false).await.unwrap();
    assert_eq!((second.query_id.as_str(), second.report_id.as_str()), ("1001", "2"));
    assert_eq!(world.quota.of(Family::Reports), 4);
    insta::assert_json_snapshot!("request_wire", world.fake.wire());
}

#[tokio::test]
async fn a_query_that_a_killed_attempt_left_is_found_by_its_title() {
    let world = world().await;
    let ticket = first_ticket(&world).await;
    let title = format!("CLP con_0190a0000000700080000000000000aa delivery {}", ticket.fingerprint);
    let queries = json!({"queries": [
        {"queryId": "7", "metadata": {"title": "somebody's own"}}, {"queryId": "8", "metadata": {}},
    ], "nextPageToken": "2"});
    world
        .fake
        .ok("GET /v2/queries", queries)
        .ok("GET /v2/queries", json!({"queries": [{"queryId": "1001", "metadata": {"title": title}}]}))
        .ok(LIST, json!({}))
        .ok(RUN, report("2", "QUEUED", None, 20));
    assert_eq!(request(&world, None, true).await.unwrap(), Ticket { report_id: "2".into(), ..ticket });
}

#[tokio::test]
async fn a_report_whose_answer_was_lost_is_found_and_an_old_one_is_not_taken_for_it() {
    let finished = |at: &'static str| Some(at);
    let cases = [
        (report("9", "RUNNING", None, 20), Some("9")),
        (report("9", "DONE", finished("2026-11-21T12:00:30Z"), 20), Some("9")),
        (report("9", "DONE", finished("2026-11-21T11:45:00Z"), 20), None),
        (report("9", "DONE", None, 20), None),
        (report("9", "FAILED", None, 20), None),
        (report("9", "RUNNING", None, 1), None),
    ];
    for (left, found) in cases {
        let world = world().await;
        let known = first_ticket(&world).await;
        world.fake.ok(LIST, json!({"reports": [left]})).ok(RUN, report("10", "QUEUED", None, 20));
        let ticket = request(&world, Some(&known), true).await.unwrap();
        assert_eq!(ticket.report_id, found.unwrap_or("10"));
        assert_eq!(world.quota.of(Family::Reports), 3 + if found.is_some() { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_report_that_was_refused_is_not_taken_for_the_answer_again() {
    let (definition, accounts) = (definition(), accounts());
    for left in [report("9", "DONE", Some("2026-11-21T12:00:30Z"), 20), report("9", "RUNNING", None, 20)] {
        let world = world().await;
        let known = first_ticket(&world).await;
        let refused = [Ticket { report_id: "9".into(), ..known.clone() }];
        let wanted = ReportSpec { refused: &refused, ..spec(&definition, &accounts, true) };
        world.fake.ok(LIST, json!({"reports": [left]})).ok(RUN, report("10", "QUEUED", None, 20));
        let ticket = world.platform.request_report(&world.access, &wanted, Some(&known)).await.unwrap();
        assert_eq!(ticket.report_id, "10");
        // The one that was asked for instead is found when its answer was lost.
        let both = json!({"reports": [report("10", "RUNNING", None, 20), report("9", "RUNNING", None, 20)]});
        world.fake.ok(LIST, both);
        let ticket = world.platform.request_report(&world.access, &wanted, Some(&known)).await.unwrap();
        assert_eq!(ticket.report_id, "10");
    }
}

#[tokio::test]
async fn a_query_that_somebody_deleted_is_made_again() {
    let world = world().await;
    let known = first_ticket(&world).await;
    world
        .fake
        .on(RUN, fault(404, "NOT_FOUND", "no such query"))
        .ok("GET /v2/queries", json!({}))
        .ok("POST /v2/queries", json!({"queryId": "2002", "metadata": {}}))
        .ok("POST /v2/queries/2002:run", report("5", "QUEUED", None, 20));
    assert_eq!(request(&world, Some(&known), false).await.unwrap().query_id, "2002");
}

#[tokio::test]
async fn other_accounts_or_metrics_are_another_query() {
    let world = world().await;
    let known = first_ticket(&world).await;
    let mut definition = definition();
    let accounts = vec!["123".to_owned(), "456".to_owned(), "123".to_owned()];
    world.fake.ok(RUN, report("2", "QUEUED", None, 20));
    let same = world.platform.request_report(&world.access, &spec(&definition, &accounts, false), Some(&known)).await;
    assert_eq!(same.unwrap().fingerprint, known.fingerprint);

    definition.columns.pop();
    world
        .fake
        .ok("GET /v2/queries", json!({}))
        .ok("POST /v2/queries", json!({"queryId": "3003", "metadata": {}}))
        .ok("POST /v2/queries/3003:run", report("2", "QUEUED", None, 20));
    let other = world.platform.request_report(&world.access, &spec(&definition, &accounts, false), Some(&known)).await;
    assert_ne!(other.unwrap().fingerprint, known.fingerprint);
}

#[tokio::test]
async fn a_report_about_everything_the_user_sees_is_never_asked_for() {
    let world = world().await;
    let definition = definition();
    let error = world.platform.request_report(&world.access, &spec(&definition, &[], false), None).await.unwrap_err();
    assert_eq!((error.code(), world.fake.all_calls().len()), (ErrorCode::PlatformRejected, 0));
}

#[tokio::test]
async fn a_report_is_pending_then_ready_or_failed() {
    let world = world().await;
    let ticket = first_ticket(&world).await;
    let poll = "GET /v2/queries/1001/reports/1";
    let mut done = report("1", "DONE", Some("2026-11-21T12:01:00Z"), 20);
    world.fake.ok(poll, done.clone());
    done["metadata"]["googleCloudStoragePath"] = format!("{}/signed?key=secret", world.fake.base).into();
    world
        .fake
        .ok(poll, report("1", "RUNNING", None, 20))
        .ok(poll, done)
        .ok(poll, report("1", "FAILED", None, 20))
        .on(poll, fault(404, "NOT_FOUND", "gone"));
    let unreadable = world.platform.poll_report(&world.access, &ticket).await.unwrap_err();
    assert_eq!(unreadable.code(), ErrorCode::UnreadableAnswer);
    let mut states = Vec::new();
    for _ in 0..4 {
        states.push(format!("{:?}", world.platform.poll_report(&world.access, &ticket).await.unwrap()));
    }
    insta::assert_json_snapshot!("states", states);
    insta::assert_json_snapshot!("poll_wire", world.fake.calls().last().unwrap().wire());
}

async fn download(world: &World) -> Download {
    let ticket = first_ticket(world).await;
    let mut done = report("1", "DONE", Some("2026-11-21T12:01:00Z"), 20);
    done["metadata"]["googleCloudStoragePath"] = format!("{}/signed?key=signature", world.fake.base).into();
    world.fake.ok("GET /v2/queries/1001/reports/1", done);
    match world.platform.poll_report(&world.access, &ticket).await.unwrap() {
        ReportState::Ready { download } => download,
        other => panic!("{other:?}"),
    }
}

async fn fetch(world: &World, reply: Reply) -> Result<Vec<Chunk>, Error> {
    let download = download(world).await;
    world.fake.on("GET /signed", reply);
    let mut stream = world.platform.fetch_report(&world.access, &download, &definition()).await?;
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.next().await {
        chunks.push(chunk?);
    }
    Ok(chunks)
}

fn csv() -> String {
    let headers: Vec<String> = definition().columns.into_iter().map(|column| column.header).collect();
    let row = "2026/11/20,123,EUR,55001,66001,77001,Desktop,1000,5,2.345678,1.00,0,7,3,500,900";
    let totals = ",,,,,,,1000,5,2.345678,1.00,0,7,3,500,900";
    format!(
        "{}\n{row}\n{totals}\n\nReport Time:,2026/11/21 12:00 GMT\nDate Range:,2026/11/20 to 2026/11/21\n",
        headers.join(",")
    )
}

#[tokio::test]
async fn a_report_is_downloaded_without_a_token_and_without_quota() {
    let world = world().await;
    let chunks = fetch(&world, Reply::Text(200, vec![], csv())).await.unwrap();
    let [Chunk::Rows(rows), Chunk::End(trailer)] = chunks.as_slice() else { panic!("{chunks:?}") };
    assert_eq!((rows.len(), rows.cell(0, 9)), (1, "2.345678"));
    assert_eq!(trailer.report_time.unwrap().to_rfc3339(), "2026-11-21T12:00:00+00:00");
    assert_eq!(trailer.totals[2], ("Media Cost (Advertiser Currency)".to_owned(), "2.345678".to_owned()));
    let seen = world.fake.calls().pop().unwrap();
    assert_eq!((seen.path.as_str(), seen.authorization), ("/signed", None));
    assert_eq!(world.quota.of(Family::Reports), 4);
}

#[tokio::test]
async fn a_download_that_fails_has_its_code_and_does_not_show_its_address() {
    let cases = [
        (Reply::CutOff(csv()), ErrorCode::ReportTruncated),
        (Reply::StandStill(csv()), ErrorCode::PlatformTimeout),
        (Reply::Hang, ErrorCode::PlatformTimeout),
        (Reply::Close, ErrorCode::ReportTruncated),
        (Reply::Text(403, vec![], "<Error>ExpiredToken</Error>".into()), ErrorCode::PlatformUnavailable),
        (Reply::Text(500, vec![], String::new()), ErrorCode::PlatformUnavailable),
        (Reply::Text(429, vec![("retry-after", "5".into())], String::new()), ErrorCode::RateLimited),
        (Reply::Text(200, vec![], csv().split("\n\n").next().unwrap().into()), ErrorCode::ReportTruncated),
    ];
    for (reply, code) in cases {
        let world = world_for(&reply).await;
        let error = fetch(&world, reply.clone()).await.unwrap_err();
        assert_eq!(error.code(), code, "{reply:?}: {error:?}");
        assert!(!format!("{error:?}").contains("signature"), "{error:?}");
    }
}
