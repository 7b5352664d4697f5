//! What happened, written down as it happens, so that a sandbox with a state folder goes on where it
//! was stopped: with the same tokens, queries, reports, changes and deliveries. Everything else
//! follows from the seed and from when the world began. Faults and the record of calls are not kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bid_manager::params::check_query;
use crate::bid_manager::plan::{self, Plan};
use crate::bid_manager::reports::{Query, Report};
use crate::document::Document;
use crate::faults::Action;
use crate::google::accounts::Accounts;
use crate::state::State;
use crate::world::Kind;

/// The journal's name in the state folder.
const FILE_NAME: &str = "journal.ndjson";

/// One thing that happened.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The world began.
    Began {
        /// When, in virtual time.
        at: DateTime<Utc>,
        /// From what.
        origin: String,
    },
    /// An entity became what the document says.
    Entity {
        /// When, in virtual time.
        at: DateTime<Utc>,
        /// Its collection.
        collection: String,
        /// Its owner.
        advertiser_id: u64,
        /// Its id.
        id: u64,
        /// What it is now.
        document: Document,
    },
    /// A line item's day was restated.
    Restated {
        /// When, in virtual time.
        at: DateTime<Utc>,
        /// Which line item.
        line_item_id: u64,
        /// Which day.
        day: NaiveDate,
        /// By how much.
        factor_permille: i64,
        /// Unix seconds from which it shows.
        visible_from: i64,
    },
    /// All restatements were taken back.
    TakenBack {
        /// When, in virtual time.
        at: DateTime<Utc>,
        /// Unix seconds from which it shows.
        visible_from: i64,
    },
    /// A user lost or got back access.
    Access {
        /// Who.
        email: String,
        /// Whether it is lost.
        lost: bool,
    },
    /// An advertiser was removed or restored.
    Removed {
        /// Which.
        advertiser_id: u64,
        /// Whether it is gone.
        removed: bool,
    },
    /// Consents and tokens are these now.
    Accounts {
        /// All of them.
        accounts: Accounts,
    },
    /// A query was created.
    Created {
        /// By whom.
        owner: String,
        /// The query with its id.
        document: Value,
    },
    /// A query was deleted with its reports.
    Deleted {
        /// Which.
        query_id: u64,
    },
    /// A query was run.
    Ran {
        /// Which.
        query_id: u64,
        /// The report.
        report_id: u64,
        /// When it begins.
        starts_at: DateTime<Utc>,
        /// When it is ready.
        finishes_at: DateTime<Utc>,
        /// What it shows.
        as_of: DateTime<Utc>,
        /// The first and the last day.
        days: (NaiveDate, NaiveDate),
        /// What is wrong with it on purpose.
        fault: Option<Action>,
    },
}

/// The journal, if there is a folder for it.
#[derive(Debug, Default)]
pub struct Journal {
    file: Option<File>,
}

impl Journal {
    /// Opens the journal in a folder, and returns what it says so far.
    ///
    /// # Errors
    /// When the folder cannot be used or the journal cannot be understood.
    pub fn open(folder: Option<&Path>) -> io::Result<(Self, Vec<Event>)> {
        let Some(folder) = folder else { return Ok((Self::default(), Vec::new())) };
        fs::create_dir_all(folder)?;
        let path = folder.join(FILE_NAME);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        // A line that was not finished when the process died did not happen.
        let whole = text.rfind('\n').map_or("", |end| text.get(..=end).unwrap_or_default());
        let events = whole.lines().map(serde_json::from_str).collect::<Result<Vec<Event>, _>>()?;
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.set_len(whole.len() as u64)?;
        Ok((Self { file: Some(file) }, events))
    }

    /// Whether anything is kept at all; spares the making of events that nobody reads.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Writes down what happened. A full disk must not change what the platform answers, so a
    /// failure is logged only.
    pub fn note(&mut self, event: &Event) {
        let Some(file) = &mut self.file else { return };
        let written = serde_json::to_string(event).map_err(io::Error::from).and_then(|line| writeln!(file, "{line}"));
        if let Err(error) = written {
            tracing::error!(%error, "could not write the sandbox's journal");
        }
    }
}

/// Lets everything happen again, in order.
pub fn replay(state: &mut State, events: Vec<Event>) {
    for event in events {
        match event {
            Event::Began { .. } => {}
            Event::Entity { at, collection, advertiser_id, id, document } => {
                state.settle(at);
                if let Some(kind) = Kind::from_collection(&collection) {
                    state.world.entities.insert((kind, advertiser_id, id), document);
                }
            }
            Event::Restated { at, line_item_id, day, factor_permille, visible_from } => {
                state.settle(at);
                state.ledger.restate_day(line_item_id, day, factor_permille, visible_from);
            }
            Event::TakenBack { at, visible_from } => {
                state.settle(at);
                state.ledger.take_back(visible_from);
            }
            Event::Access { email, lost } => {
                if let Some(user) = state.world.users.get_mut(&email) {
                    user.lost_access = lost;
                }
            }
            Event::Removed { advertiser_id, removed } => {
                if let Some(advertiser) = state.world.advertisers.get_mut(&advertiser_id) {
                    advertiser.removed = removed;
                }
            }
            Event::Accounts { accounts } => state.accounts = accounts,
            Event::Created { owner, document } => create(state, owner, document),
            Event::Deleted { query_id } => state.queries.delete(query_id),
            Event::Ran { query_id, report_id, starts_at, finishes_at, as_of, days, fault } => {
                let timing = (starts_at, finishes_at, as_of);
                run(state, (query_id, report_id), timing, days, fault);
            }
        }
    }
}

fn create(state: &mut State, owner: String, document: Value) {
    let id = document.get("queryId").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let (Some(id), Ok(params)) = (id, check_query(&document)) else { return };
    state.queries.skip_to_query(id);
    state.queries.queries.insert(id, Query { id, owner, document, params });
}

fn run(
    state: &mut State,
    (query_id, report_id): (u64, u64),
    (starts_at, finishes_at, as_of): (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>),
    days: (NaiveDate, NaiveDate),
    fault: Option<Action>,
) {
    state.queries.skip_to_report(report_id);
    let Some(query) = state.queries.queries.get(&query_id).cloned() else { return };
    let Ok(advertisers) = plan::covered(&state.world, &query.params, &query.owner) else { return };
    let groups = plan::groups(&state.world, &query.params, &advertisers);
    let filter_lines = plan::filter_lines(&state.world, &query.params);
    let plan = Plan { params: query.params, days: days.0..=days.1, as_of, groups, filter_lines, fault };
    let params = query.document.get("params").cloned().unwrap_or_default();
    let report = Report { id: report_id, query_id, starts_at, finishes_at, plan: Arc::new(plan), params };
    state.queries.reports.insert((query_id, report_id), report);
}
