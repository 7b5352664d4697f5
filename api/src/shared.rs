//! A read that costs something, done once for all who wait for it.
//!
//! Who asks while such a read is under way does not get its answer: it may have begun before something that they already
//! know of was written. They wait for the next one, together with all others who do. So an answer is never older than its
//! question, nothing has to be forgotten when something changes, and of each key one read at most is under way.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{self, OnceCell};

/// Reads by key.
pub struct Shared<K, V>(Mutex<HashMap<K, Lane<V>>>);

/// Those who ask for one key.
struct Lane<V> {
    /// Whose turn it is to read.
    turn: Arc<sync::Mutex<()>>,
    /// The read that has not begun.
    next: Option<Arc<Batch<V>>>,
}

/// Those who share a read.
struct Batch<V> {
    answer: OnceCell<V>,
    failed: AtomicBool,
}

impl<V> Default for Batch<V> {
    fn default() -> Self {
        Self { answer: OnceCell::new(), failed: AtomicBool::new(false) }
    }
}

impl<K, V> Default for Shared<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K, V> fmt::Debug for Shared<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Shared<K, V> {
    /// The answer of `read`, or of somebody else's that began after this call.
    ///
    /// # Errors
    /// Those of `read`. An error is not shared: whoever else waited for this one reads by themselves, all at once.
    pub async fn get<E, R>(&self, key: K, read: impl Fn() -> R) -> Result<V, E>
    where
        R: Future<Output = Result<V, E>>,
    {
        let (turn, batch) = self.join(&key);
        let shared = batch.answer.get_or_try_init(async || {
            if batch.failed.load(Ordering::SeqCst) {
                return Err(None);
            }
            let _held = turn.lock().await;
            self.begin(&key, &batch);
            read().await.map_err(|error| {
                batch.failed.store(true, Ordering::SeqCst);
                Some(error)
            })
        });
        let shared = shared.await.cloned();
        drop(turn);
        self.leave(&key);
        match shared {
            Ok(answer) => Ok(answer),
            Err(Some(own)) => Err(own),
            Err(None) => read().await,
        }
    }

    fn join(&self, key: &K) -> (Arc<sync::Mutex<()>>, Arc<Batch<V>>) {
        let mut lanes = self.lanes();
        let lane = lanes.entry(key.clone()).or_insert_with(|| Lane { turn: Arc::default(), next: None });
        (lane.turn.clone(), lane.next.get_or_insert_default().clone())
    }

    /// From here on whoever asks waits for another read.
    fn begin(&self, key: &K, batch: &Arc<Batch<V>>) {
        if let Some(lane) = self.lanes().get_mut(key) {
            lane.next.take_if(|next| Arc::ptr_eq(next, batch));
        }
    }

    /// Forgets a key that nobody asks for.
    fn leave(&self, key: &K) {
        let mut lanes = self.lanes();
        if lanes.get(key).is_some_and(|lane| Arc::strong_count(&lane.turn) == 1) {
            lanes.remove(key);
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<K, Lane<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::time::sleep;

    use super::*;

    /// Something that is written and read; a read takes a while, and sees what was there when it began.
    #[derive(Default)]
    struct Row {
        value: AtomicU32,
        reads: AtomicU32,
        shared: Shared<&'static str, u32>,
    }

    impl Row {
        async fn get(&self, key: &'static str) -> u32 {
            let read = || async {
                let seen = self.value.load(Ordering::SeqCst);
                self.reads.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_millis(100)).await;
                Ok::<_, ()>(seen)
            };
            self.shared.get(key, read).await.unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_during_a_read_shares_the_next_one() {
        let row = Row::default();
        let late = async {
            sleep(Duration::from_millis(10)).await;
            row.value.store(1, Ordering::SeqCst);
            join_all((0..50).map(|_| row.get("one"))).await
        };
        let (first, late) = tokio::join!(row.get("one"), late);
        assert_eq!((first, late), (0, vec![1; 50]));
        assert_eq!(row.reads.load(Ordering::SeqCst), 2);
        assert!(row.shared.lanes().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn keys_do_not_wait_for_each_other() {
        let row = Row::default();
        let begun = tokio::time::Instant::now();
        tokio::join!(row.get("one"), row.get("two"));
        assert_eq!((row.reads.load(Ordering::SeqCst), begun.elapsed()), (2, Duration::from_millis(100)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_gives_up_leaves_the_read_to_the_others() {
        let row = Row::default();
        let impatient = tokio::time::timeout(Duration::from_millis(10), row.get("one"));
        let (gone, patient) = tokio::join!(impatient, row.get("one"));
        assert!(gone.is_err());
        assert_eq!(patient, 0);
        assert!(row.shared.lanes().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_for_who_read_and_the_others_do_not_queue_up_behind_it() {
        let (shared, tries) = (Shared::<(), u32>::default(), AtomicU32::new(0));
        let read = || async {
            let number = tries.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_millis(100)).await;
            if number == 0 { Err("no") } else { Ok(7) }
        };
        let begun = tokio::time::Instant::now();
        let answers = join_all((0..50).map(|_| shared.get((), &read))).await;
        assert_eq!(answers.iter().filter(|answer| **answer == Err("no")).count(), 1);
        assert_eq!(begun.elapsed(), Duration::from_millis(200));
        assert!(shared.lanes().is_empty());
    }
}
