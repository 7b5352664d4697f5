//! What lines spent, kept for as long as it is what the lake says.
//!
//! A table's pointer names one version of it for ever, so the pointer is part of the key: after the next commit nothing that
//! was kept is found any more. Whoever asks for what is just being read waits for it instead of reading it too.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ids::{ConnectionId, OrgId};
use domain::lake::TableName;
use domain::pacing::Spend;
use lakehouse::{BoxedError, LineSpan, LineSpend, Pointers, Spans};
use moka::future::Cache;
use store::{Tx, pointer};

use crate::app::App;
use crate::problem::Result;

/// A line, as the lake names it.
pub type LineKey = (ConnectionId, String);
/// What lines spent.
pub type Spends = Arc<BTreeMap<LineKey, Spend>>;

/// The most lines that are kept, of all answers together: some 50 MB.
const MOST_LINES: u64 = 200_000;
/// What nobody asked for in so long is forgotten.
const IDLE: Duration = Duration::from_mins(10);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    org: OrgId,
    pointer: String,
    wanted: Arc<Vec<LineSpan>>,
}

/// The answers that are kept.
pub struct SpendCache(Cache<Key, Spends>);

impl fmt::Debug for SpendCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpendCache").field("answers", &self.0.entry_count()).finish()
    }
}

impl Default for SpendCache {
    fn default() -> Self {
        let weight = |key: &Key, _: &Spends| u32::try_from(key.wanted.len()).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(MOST_LINES).weigher(weight).time_to_idle(IDLE).build())
    }
}

/// The one pointer that was asked for, wherever it stands by now.
struct At<'a>(&'a str);

#[async_trait]
impl Pointers for At<'_> {
    async fn current(&self, _: &TableName) -> Result<Option<String>, BoxedError> {
        Ok(Some(self.0.to_owned()))
    }
}

/// What these lines spent on these days, as gold stands in this transaction.
///
/// # Errors
/// When the store or the lake can't be read.
pub async fn read(app: &App, mut tx: Tx, wanted: Vec<LineSpan>) -> Result<Spends> {
    let org = tx.org();
    let Some(pointer) = pointer::current(&mut tx, &lakehouse::gold(org)).await? else {
        return Ok(Spends::default());
    };
    drop(tx);
    let key = Key { org, pointer, wanted: Arc::new(wanted) };
    let reading = Box::pin(afresh(app, key.clone()));
    match app.spends.0.try_get_with(key.clone(), reading).await {
        Ok(known) => Ok(known),
        // An error can't be shared: each finds its own.
        Err(_) => afresh(app, key).await,
    }
}

async fn afresh(app: &App, key: Key) -> Result<Spends> {
    let Key { org, pointer, wanted } = key;
    let spans = Spans::Lines(wanted.to_vec());
    let rows = app.lake.spend_by_line(&At(&pointer), org, &spans).await?;
    let spend = |row: LineSpend| {
        let LineSpend { connection, account: _, line, spend, days: _, withheld_days } = row;
        ((connection, line), Spend { stated: spend, withheld_days })
    };
    Ok(Arc::new(rows.into_iter().map(spend).collect()))
}
