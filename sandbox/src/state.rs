//! Everything that the handlers share.

use std::collections::BTreeSet;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Days, NaiveTime, Utc};

use crate::bid_manager::Queries;
use crate::clock::Clock;
use crate::document::Document;
use crate::faults::Faults;
use crate::google::accounts::Accounts;
use crate::google::quota::Quota;
use crate::journal::{Event, Journal, replay};
use crate::ledger::Ledger;
use crate::record::Record;
use crate::world::from_report::Imported;
use crate::world::report_file::BadFile;
use crate::world::{EntityKey, World, bulk, from_report, seeded};

/// How the sandbox was asked to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// What all chance derives from.
    pub seed: u64,
    /// Where the offset of virtual time is kept.
    pub clock_file: Option<PathBuf>,
    /// How many virtual seconds a report takes.
    pub report_delay_seconds: RangeInclusive<i64>,
    /// A report to serve instead of the invented agency.
    pub report: Option<PathBuf>,
    /// How many line items the bulk advertiser has; 0 for no such advertiser.
    pub bulk_lines: u64,
    /// How many real milliseconds a line item's patch takes.
    pub patch_millis: u64,
    /// Where what happens is kept beyond the end of the process.
    pub state_dir: Option<PathBuf>,
    /// The OAuth client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 7,
            clock_file: None,
            report_delay_seconds: 20..=60,
            report: None,
            bulk_lines: 0,
            patch_millis: 20,
            state_dir: None,
            client_id: "sandbox-client".to_owned(),
            client_secret: "sandbox-secret".to_owned(),
        }
    }
}

/// Why the sandbox could not begin.
#[derive(Debug)]
pub enum StartError {
    /// The report file cannot be served.
    Report(BadFile),
    /// The clock file cannot be written.
    Clock(io::Error),
    /// The state folder cannot be used.
    State(io::Error),
    /// The state folder belongs to another world; a sentence for the person who chose it.
    OtherWorld(String),
}

/// What changes while the sandbox runs.
#[derive(Debug)]
pub struct State {
    /// What exists.
    pub world: World,
    /// What was delivered.
    pub ledger: Ledger,
    /// Who consented to what.
    pub accounts: Accounts,
    /// What was used up.
    pub quota: Quota,
    /// Reports and their queries.
    pub queries: Queries,
    /// What is to go wrong.
    pub faults: Faults,
    /// What was called and written.
    pub record: Record,
    /// The line items that are being patched.
    pub in_flight: BTreeSet<u64>,
    /// What happened, for the next start.
    pub journal: Journal,
}

impl State {
    /// Brings delivery up to the present.
    pub fn settle(&mut self, now: DateTime<Utc>) {
        if now.timestamp().div_euclid(3_600) >= self.ledger.undecided_hour() {
            let terms = self.world.terms();
            self.ledger.advance(now, &terms);
        }
    }

    /// Puts another document in an entity's place.
    pub fn replace_entity(&mut self, key: EntityKey, document: Document, now: DateTime<Utc>) {
        let (kind, advertiser_id, id) = key;
        if self.journal.is_kept() {
            let (collection, document) = (kind.collection().to_owned(), document.clone());
            self.journal.note(&Event::Entity { at: now, collection, advertiser_id, id, document });
        }
        self.world.entities.insert(key, document);
    }

    /// Notes that consents or tokens changed.
    pub fn note_accounts(&mut self) {
        if self.journal.is_kept() {
            self.journal.note(&Event::Accounts { accounts: self.accounts.clone() });
        }
    }
}

/// The running sandbox.
#[derive(Debug)]
pub struct Sandbox {
    /// How it was asked to be.
    pub options: Options,
    /// Virtual time.
    pub clock: Clock,
    state: Mutex<State>,
}

impl Sandbox {
    /// Builds the world.
    ///
    /// # Errors
    /// When the report file is bad or the clock file cannot be written.
    pub fn new(options: Options) -> Result<Self, StartError> {
        let clock = Clock::new(options.clock_file.clone());
        let (mut journal, events) = Journal::open(options.state_dir.as_deref()).map_err(StartError::State)?;
        let origin = origin(&options);
        let begun_at = begun_at(&events, &origin)?;
        let now = begun_at.unwrap_or_else(|| clock.now());
        let (world, ledger) = match &options.report {
            Some(path) => {
                let Imported { world, ledger, starts_at } =
                    from_report::load(path, options.seed).map_err(StartError::Report)?;
                if begun_at.is_none() {
                    clock.set_now(starts_at).map_err(StartError::Clock)?;
                }
                (world, ledger)
            }
            None => seeded_world(&options, now),
        };
        if begun_at.is_none() {
            journal.note(&Event::Began { at: now, origin });
        }
        let mut state = State {
            world,
            ledger,
            accounts: Accounts::new(options.seed),
            quota: Quota::default(),
            queries: Queries::new(options.seed),
            faults: Faults::default(),
            record: Record::default(),
            in_flight: BTreeSet::new(),
            journal,
        };
        replay(&mut state, events);
        let sandbox = Self { options, clock, state: Mutex::new(state) };
        drop(sandbox.settled());
        Ok(sandbox)
    }

    /// The state. A panic in another thread does not make it unusable: every change is complete
    /// before the lock is let go.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state with delivery up to the present, and that present.
    pub fn settled(&self) -> (MutexGuard<'_, State>, DateTime<Utc>) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.settle(now);
        (state, now)
    }
}

/// What a world is made from; a state folder fits only the same.
fn origin(options: &Options) -> String {
    let report = options.report.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    format!("--seed {} --bulk-lines {} --report '{report}'", options.seed, options.bulk_lines)
}

fn begun_at(events: &[Event], wanted: &str) -> Result<Option<DateTime<Utc>>, StartError> {
    match events.first() {
        Some(Event::Began { at, origin }) if origin == wanted => Ok(Some(*at)),
        Some(Event::Began { origin, .. }) => Err(StartError::OtherWorld(format!(
            "The state folder holds a world made with {origin}, not with {wanted}: use the same options, or another \
             folder."
        ))),
        Some(_) => {
            Err(StartError::OtherWorld("The state folder's journal has no beginning: use another folder.".to_owned()))
        }
        None => Ok(None),
    }
}

fn seeded_world(options: &Options, now: DateTime<Utc>) -> (World, Ledger) {
    let anchor = now.date_naive();
    // A day more than the longest flight, for the zones that are ahead of UTC.
    let first = anchor.checked_sub_days(Days::new(seeded::HISTORY_DAYS + 1)).unwrap_or(anchor);
    let begun_at = first.and_time(NaiveTime::MIN).and_utc();
    let mut world = seeded::build(options.seed, anchor, begun_at);
    let mut ledger = Ledger::new(options.seed, begun_at);
    if options.bulk_lines > 0 {
        bulk::add(&mut world, &mut ledger, options.bulk_lines, begun_at);
    }
    (world, ledger)
}
