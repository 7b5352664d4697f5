//! Quotas: never more than there is, whoever asks at once.

use chrono::Duration;
use futures::future::join_all;
use store::quota::{self, Grant, Window};

use crate::harness::{Database, after, noon};

fn window(name: &str, length: Duration, limit: u64) -> Window {
    Window { name: name.to_owned(), anchor: noon(), length, limit }
}

#[tokio::test]
async fn twenty_takers_at_once_never_take_more_than_there_is() {
    let database = Database::new().await;
    let window = window("minute", Duration::minutes(1), 13);
    for round in 0..5 {
        let takers = (0..20).map(|_| quota::take(&database.store, std::slice::from_ref(&window), 1, after(round)));
        let grants: Vec<Grant> = join_all(takers).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(grants.iter().filter(|grant| **grant == Grant::Granted).count(), 13, "{grants:?}");
        let refused = Grant::Refused { until: after(round + 1) };
        assert_eq!(grants.iter().filter(|grant| **grant == refused).count(), 7, "{grants:?}");
        assert_eq!(quota::used(&database.store, &window, after(round)).await.unwrap(), 13);
    }
}

#[tokio::test]
async fn two_windows_are_taken_together_or_not_at_all() {
    let database = Database::new().await;
    let both = [window("b.minute", Duration::minutes(1), 4), window("a.day", Duration::days(1), 10)];
    let swapped = [both[1].clone(), both[0].clone()];
    let takers = (0..20).map(|taker| {
        let windows = if taker % 2 == 0 { &both } else { &swapped };
        quota::take(&database.store, windows, 1, noon())
    });
    let granted = join_all(takers).await.into_iter().filter(|grant| matches!(grant, Ok(Grant::Granted))).count();
    assert_eq!(granted, 4);
    assert_eq!(quota::used(&database.store, &both[1], noon()).await.unwrap(), 4, "what a minute refused the day keeps");
    let costly = quota::take(&database.store, &both, 7, after(1)).await.unwrap();
    assert_eq!(costly, Grant::Refused { until: after(24 * 60) }, "more than the day has left");
    for minute in 1..=2 {
        assert_eq!(quota::take(&database.store, &both, 3, after(minute)).await.unwrap(), Grant::Granted);
    }
    let spent = quota::take(&database.store, &both, 1, after(3)).await.unwrap();
    assert_eq!(spent, Grant::Refused { until: after(24 * 60) });
    assert_eq!(quota::take(&database.store, &both, 1, after(24 * 60)).await.unwrap(), Grant::Granted);
}

#[tokio::test]
async fn a_quota_that_the_platform_refused_stays_closed_until_it_said() {
    let database = Database::new().await;
    let window = [window("minute", Duration::minutes(1), 5)];
    quota::block(&database.store, "minute", after(3)).await.unwrap();
    quota::block(&database.store, "minute", after(2)).await.unwrap();
    let refused = quota::take(&database.store, &window, 1, after(2)).await.unwrap();
    assert_eq!(refused, Grant::Refused { until: after(3) }, "a later word does not shorten it");
    assert_eq!(quota::take(&database.store, &window, 1, after(3)).await.unwrap(), Grant::Granted);
    let never = quota::take(&database.store, &window, 6, after(9)).await.unwrap();
    assert_eq!(never, Grant::Refused { until: after(10) }, "more than a window ever has");
}

#[tokio::test]
async fn of_several_quotas_the_one_that_opens_last_is_told() {
    let database = Database::new().await;
    let names = ["project".to_owned(), "user".to_owned()];
    assert_eq!(quota::closed(&database.store, &names, noon()).await.unwrap(), None);
    for (name, minute) in [("user", 3), ("project", 2), ("another user", 9)] {
        quota::block(&database.store, name, after(minute)).await.unwrap();
    }
    assert_eq!(quota::closed(&database.store, &names, noon()).await.unwrap(), Some(("user".to_owned(), after(3))));
    assert_eq!(quota::closed(&database.store, &names[..1], noon()).await.unwrap(), Some(("project".into(), after(2))));
    assert_eq!(quota::closed(&database.store, &names, after(3)).await.unwrap(), None);
}
