//! Limits that two replicas share through a real Redis, and keep by themselves when it is gone.

use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::client::{Person, Problem};
use harness::servers::Redis;
use harness::stack::{Options, Stack};
use harness::wait::until;

const PASSWORD: &str = "a long enough secret";
const MOST: usize = 60;

/// How many of these requests are answered before one is refused.
async fn answered(person: &Person, tries: usize) -> Result<usize> {
    for number in 0..tries {
        match person.get("/api/v1/me").await {
            Ok(_) => {}
            Err(error) => {
                let problem = error.downcast::<Problem>()?;
                assert_eq!((problem.status, problem.code.as_str()), (429, "request.too_many"));
                return Ok(number);
            }
        }
    }
    Ok(tries)
}

async fn metric(url: &str, line: &str) -> Result<bool> {
    let text = reqwest::get(format!("{url}/metrics")).await?.text().await?;
    Ok(text.lines().any(|found| found == line))
}

#[tokio::test]
async fn replicas_share_a_limit_and_each_keeps_it_by_itself_while_redis_is_gone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut redis = Redis::start(folder.path()).await?;
    let limits = [("CLP_REDIS_URL", redis.url()), ("CLP_USER_REQUESTS_PER_MINUTE", MOST.to_string())];
    let limits: Vec<_> = limits.map(|(name, value)| (name.to_owned(), value)).into();
    let stack = Stack::start(Options { api: limits.clone(), ..Options::default() }).await?;
    let (_second, second_url) = stack.second_api(&limits).await?;

    let mut here = stack.person()?;
    here.sign_up("ana@limits.example", PASSWORD, "Limits").await?;
    let mut there = Person::new(&second_url)?;
    there.sign_in("ana@limits.example", PASSWORD).await?;
    // What one answers is missing at the other; a second or two may have given one or two back.
    assert_eq!(answered(&here, MOST / 2).await?, MOST / 2);
    let rest = answered(&there, MOST).await?;
    assert!((MOST / 2..MOST / 2 + 10).contains(&rest), "{rest} more were answered by the second replica");
    assert!(answered(&here, 1).await? <= 1);

    // Without Redis nobody is locked out, and nobody gets more than one replica's limit from it.
    redis.process.kill()?;
    let alone = answered(&here, 3 * MOST).await?;
    assert!((MOST..MOST + 30).contains(&alone), "{alone} were answered without Redis");
    assert!(metric(&stack.url, "clp_limits_redis_up 0").await?);
    let log = std::fs::read_to_string(&stack.api.log)?;
    assert_eq!(log.matches("Redis does not answer").count(), 1, "it is said once");

    redis.restart().await.context("Redis")?;
    until("the limit is shared again", Duration::from_secs(20), || async {
        here.get("/api/v1/me").await.ok();
        Ok(metric(&stack.url, "clp_limits_redis_up 1").await?.then_some(()))
    })
    .await
}
