//! What one commit is to land: the staged pulls, what each of them replaces, and the watermarks that follow from it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::ids::{OrgId, ReportId};
use domain::lake::TableName;
use domain::report::Definition;
use domain::{Finality, TimeZone};
use lakehouse::{BoxedError, Landing, Pointers, StagedPull, StagedSlice};
use store::account::Account;
use store::commit::LandedPull;
use store::connection::Connection;
use store::pull::{Fetched, Pull};
use store::watermark::Watermark;

use super::harvest::scope;
use super::replacement::{Claim, Held, Place, Replacement};
use crate::context::Depot;
use crate::failure::Error;

/// Pulls that one commit lands; what is left lands with the next cycle.
const MOST_PULLS: u32 = 200;

/// What is staged now, and what of it is newer than what the tables hold.
pub(super) struct Batch {
    /// The versions of the tables that it was weighed against.
    pub(super) pointers: Pinned,
    pub(super) landings: Vec<Landing>,
    pub(super) landed: Vec<LandedPull>,
    pub(super) watermarks: Vec<Watermark>,
}

/// A fetched pull with what was staged of it.
struct Staged<'a> {
    pull: &'a Pull,
    files: StagedPull,
    definition: &'a Definition,
    zones: BTreeMap<&'a str, TimeZone>,
}

impl Batch {
    /// Reads what is staged and what is held.
    ///
    /// # Errors
    /// [`lakehouse::Error::Staged`] names a pull that must be left out; as any statement.
    pub(super) async fn gather(depot: &Depot, org: OrgId) -> Result<Self, Error> {
        let mut tx = depot.store.begin(org).await?;
        // Read before the watermarks: a commit that comes in between has moved a pointer by the time ours is made, and ours
        // is prepared anew. Otherwise an older pull could come over a newer one.
        let pointers = Pinned(store::pointer::list(&mut tx).await?.into_iter().collect());
        let connections = store::connection::list(&mut tx).await?;
        let fetched = store::pull::list_fetched(&mut tx, MOST_PULLS).await?;
        let mut batch = Self { pointers, landings: Vec::new(), landed: Vec::new(), watermarks: Vec::new() };
        for connection in &connections {
            let of: Vec<&Fetched> = fetched.iter().filter(|one| one.pull.connection == connection.id).collect();
            if !of.is_empty() {
                batch.gather_connection(&mut tx, connection, &of).await?;
            }
        }
        tx.commit().await?;
        Ok(batch)
    }

    async fn gather_connection(
        &mut self,
        tx: &mut store::Tx,
        connection: &Connection,
        fetched: &[&Fetched],
    ) -> Result<(), Error> {
        let accounts = store::account::list(tx, Some(connection.id)).await?;
        let definitions = store::report::list(tx, connection.platform).await?;
        let definitions: BTreeMap<ReportId, Definition> =
            definitions.into_iter().map(|definition| (definition.id, definition)).collect();
        let staged =
            fetched.iter().map(|one| Staged::read(one, &definitions, &accounts)).collect::<Result<Vec<_>, Error>>()?;
        let held = held(tx, connection, &staged).await?;
        let replacement = Replacement::of(&held, staged.iter().flat_map(Staged::claims));
        for one in staged {
            self.watermarks.extend(one.watermarks(&replacement)?);
            let (id, rows, days) = (one.pull.id, one.files.rows, replacement.days_of(one.pull.id));
            self.landed.push(LandedPull { pull: id, unchanged: !replacement.differs(id), rows });
            if !days.is_empty() {
                let scope = scope(tx.org(), one.pull, one.definition, &accounts);
                self.landings.push(Landing { scope, staged: one.files, days });
            }
        }
        Ok(())
    }

    /// How many days of connections change.
    pub(super) fn changed_days(&self) -> u64 {
        let days: BTreeSet<_> = self
            .landings
            .iter()
            .flat_map(|landing| landing.days.keys().map(|day| (landing.scope.connection, *day)))
            .collect();
        u64::try_from(days.len()).unwrap_or(u64::MAX)
    }
}

/// What the tables hold of the places that are staged.
async fn held(
    tx: &mut store::Tx,
    connection: &Connection,
    staged: &[Staged<'_>],
) -> Result<BTreeMap<Place, Held>, Error> {
    let mut held = BTreeMap::new();
    for Staged { pull, .. } in staged {
        for mark in store::watermark::list(tx, connection.id, pull.report, &pull.accounts, pull.days).await? {
            let place = Place { report: mark.report, account: mark.account, day: mark.day };
            let (requested_at, content_hash) = (mark.requested_at, mark.content_hash);
            held.insert(place, Held { requested_at, pull: mark.pull, content_hash });
        }
    }
    Ok(held)
}

impl<'a> Staged<'a> {
    fn read(
        fetched: &'a Fetched,
        definitions: &'a BTreeMap<ReportId, Definition>,
        accounts: &'a [Account],
    ) -> Result<Self, Error> {
        let Fetched { pull, staged } = fetched;
        let files = serde_json::from_value(staged.clone()).map_err(|error| unusable(pull, error.to_string()))?;
        let definition = definitions.get(&pull.report).ok_or(Error::Missing { what: "report definition" })?;
        let zones = accounts.iter().map(|account| (account.platform_id.as_str(), account.time_zone)).collect();
        Ok(Self { pull, files, definition, zones })
    }

    fn requested_at(&self) -> DateTime<Utc> {
        self.pull.requested_at.unwrap_or(self.pull.planned_at)
    }

    fn place(&self, slice: &StagedSlice) -> Place {
        Place { report: self.pull.report, account: slice.account.clone(), day: slice.day }
    }

    fn claims(&self) -> impl Iterator<Item = (Place, Claim)> {
        self.files.slices.iter().map(|slice| {
            let (pull, requested_at) = (self.pull.id, self.requested_at());
            let claim = Claim { pull, requested_at, content_hash: slice.content_hash.clone(), rows: slice.rows };
            (self.place(slice), claim)
        })
    }

    /// The watermarks of the places for which this pull is the newest.
    fn watermarks(&self, replacement: &Replacement) -> Result<Vec<Watermark>, Error> {
        let as_of = self.files.report_time.unwrap_or(self.requested_at());
        let mut watermarks = Vec::new();
        for slice in &self.files.slices {
            let outcome = replacement.outcome(&self.place(slice)).filter(|outcome| outcome.newest == self.pull.id);
            let Some(outcome) = outcome else { continue };
            let zone = self.zones.get(slice.account.as_str());
            let zone = *zone.ok_or_else(|| unusable(self.pull, format!("account {} is not known", slice.account)))?;
            watermarks.push(Watermark {
                connection: self.pull.connection,
                report: self.pull.report,
                account: slice.account.clone(),
                day: slice.day,
                as_of,
                requested_at: self.requested_at(),
                finality: Finality::of(slice.day, zone, as_of, self.definition.final_after_days),
                pull: outcome.rows_of,
                rows: slice.rows,
                media_cost: slice.media_cost,
                content_hash: slice.content_hash.clone(),
            });
        }
        Ok(watermarks)
    }
}

fn unusable(pull: &Pull, what: String) -> Error {
    let source = Box::new(lakehouse::Error::Corrupt { what });
    lakehouse::Error::Staged { pull: pull.id, source }.into()
}

/// Where the tables' pointers stood at one moment.
#[derive(Debug)]
pub(super) struct Pinned(BTreeMap<TableName, String>);

#[async_trait]
impl Pointers for Pinned {
    async fn current(&self, table: &TableName) -> Result<Option<String>, BoxedError> {
        Ok(self.0.get(table).cloned())
    }
}
