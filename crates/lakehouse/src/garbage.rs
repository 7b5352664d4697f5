//! History that is no longer wanted, and files that nothing reaches.
//!
//! Two steps, because a file may go only when no pointer leads to it any more: [`Lake::expire`] prepares versions without
//! the old snapshots, for the store to commit; [`Lake::collect_garbage`] then removes what the current versions don't
//! reach. The second also clears up after killed attempts. It keeps all young files, as a commit may be on its way to
//! them, and all files of pulls that still wait to be landed.

use std::collections::{BTreeSet, HashSet};
use std::time::SystemTime;

use chrono::{DateTime, Duration, Utc};
use domain::ids::{OrgId, PullId};
use domain::lake::{TableName, namespace};
use iceberg::spec::TableMetadata;
use serde::{Deserialize, Serialize};

use crate::error::{During as _, Result};
use crate::lake::{Lake, Loaded};
use crate::pointers::Pointers;
use crate::prepare::Prepared;
use crate::storage;

/// Which snapshots stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// This many of the newest stay, however old.
    pub keep_last: usize,
    /// All that were made within this time stay, by the machine's own clock: it is what dates snapshots.
    pub within: Duration,
}

/// What the collector must leave alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GarbageRules {
    /// Younger files stay. It must exceed the longest time between writing a file and committing it.
    pub min_age: Duration,
    /// The time. A clock that is ahead of the file system's is not believed.
    pub now: DateTime<Utc>,
    /// Pulls that are staged and not yet landed or failed: their files stay, however old.
    pub open_pulls: BTreeSet<PullId>,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// How many files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

impl Lake {
    /// Prepares versions of the organisation's tables without their old snapshots. Commit, discard and finish it as any
    /// other; its swaps are empty when there is nothing to do.
    ///
    /// # Errors
    /// Storage and pointer errors; then nothing of the attempt is left.
    pub async fn expire(&self, pointers: &dyn Pointers, org: OrgId, retention: Retention) -> Result<Prepared> {
        let mut prepared = Prepared::default();
        let result = self.expire_into(pointers, org, retention, &mut prepared).await;
        if result.is_err() {
            self.discard(&prepared).await;
        }
        result.map(|()| prepared)
    }

    async fn expire_into(
        &self,
        pointers: &dyn Pointers,
        org: OrgId,
        retention: Retention,
        prepared: &mut Prepared,
    ) -> Result<()> {
        let since = Utc::now() - retention.within;
        for table in self.table_names(org)? {
            let Some(loaded) = self.load(pointers, &table).await? else { continue };
            let old = old_snapshots(loaded.metadata(), retention.keep_last, since);
            if old.is_empty() {
                continue;
            }
            let builder = loaded.metadata().clone().into_builder(Some(loaded.location.clone())).remove_snapshots(&old);
            let built = builder.build().during("expire snapshots")?;
            prepared.expired.extend(built.expired_metadata_logs.into_iter().map(|log| log.metadata_file));
            let swap = self.write_next(&loaded, &built.metadata, &mut prepared.written).await?;
            prepared.swaps.push(swap);
        }
        storage::sync_folders(&self.root, prepared.written.iter().map(String::as_str))
    }

    /// Removes the organisation's files that no table reaches and that are old enough.
    ///
    /// # Errors
    /// Storage and pointer errors. A table whose files can't all be read keeps everything.
    pub async fn collect_garbage(
        &self,
        pointers: &dyn Pointers,
        org: OrgId,
        rules: &GarbageRules,
    ) -> Result<Collected> {
        let mut collected = Collected::default();
        let youngest = SystemTime::from(rules.now.min(Utc::now()) - rules.min_age);
        for table in self.table_names(org)? {
            // What is found is listed before it is asked what is reached: a commit in between only adds to the latter.
            let folder = self.root.join(namespace(org)).join(&table.name);
            let found = storage::files(&folder)?;
            let reached = match self.load(pointers, &table).await? {
                Some(loaded) => self.reached(&loaded).await?,
                None => HashSet::new(),
            };
            for file in found {
                let is_open = rules.open_pulls.iter().any(|pull| file.location.contains(&pull.to_string()));
                if is_open || file.modified > youngest || reached.contains(&file.location) {
                    continue;
                }
                self.io.delete(&file.location).await.during("remove a file that nothing reaches")?;
                collected.files += 1;
                collected.bytes += file.size_bytes;
            }
        }
        Ok(collected)
    }

    fn table_names(&self, org: OrgId) -> Result<Vec<TableName>> {
        let names = storage::folders(&self.root.join(namespace(org)))?;
        Ok(names.into_iter().map(|name| TableName { org, name }).collect())
    }

    /// Every file that the table leads to, in any snapshot that it still has.
    async fn reached(&self, loaded: &Loaded) -> Result<HashSet<String>> {
        let metadata = loaded.metadata();
        let mut reached: HashSet<String> =
            metadata.metadata_log().iter().map(|log| log.metadata_file.clone()).collect();
        reached.insert(loaded.location.clone());
        reached.extend(metadata.statistics_iter().map(|file| file.statistics_path.clone()));
        reached.extend(metadata.partition_statistics_iter().map(|file| file.statistics_path.clone()));
        for snapshot in metadata.snapshots() {
            reached.insert(snapshot.manifest_list().to_owned());
            let list = loaded.table.manifest_list_reader(snapshot).load().await.during("read a manifest list")?;
            for manifest in list.entries() {
                if !reached.insert(manifest.manifest_path.clone()) {
                    continue;
                }
                let loaded = manifest.load_manifest(&self.io).await.during("read a manifest")?;
                let live = loaded.entries().iter().filter(|entry| entry.is_alive());
                reached.extend(live.map(|entry| entry.file_path().to_owned()));
            }
        }
        Ok(reached)
    }
}

fn old_snapshots(metadata: &TableMetadata, keep_last: usize, since: DateTime<Utc>) -> Vec<i64> {
    let mut snapshots: Vec<_> = metadata.snapshots().collect();
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.sequence_number()));
    snapshots
        .into_iter()
        .skip(keep_last.max(1))
        .filter(|snapshot| snapshot.timestamp_ms() < since.timestamp_millis())
        .map(|snapshot| snapshot.snapshot_id())
        .collect()
}
