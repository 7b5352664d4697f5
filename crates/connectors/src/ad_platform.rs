//! What the product asks of an advertising platform, in its own words.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::entity::{Entity, Field};
use domain::ids::ConnectionId;
use domain::report::{Chunk, Definition};
use domain::{Currency, DayRange, EntityStatus, Level, Money, TimeZone};
use futures::stream::BoxStream;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Credentials};
use crate::error::Result;
use crate::quota::Quota;

/// An advertising platform.
///
/// Every method makes each of its calls once (see the crate's documentation) and can be repeated after any failure:
/// reads change nothing, [`request_report`](Self::request_report) finds what an earlier attempt left, and
/// [`apply`](Self::apply) sends an absolute value.
#[async_trait]
pub trait AdPlatform: Send + Sync + fmt::Debug {
    /// Exchanges the code of a consent for credentials. A code works once.
    async fn exchange_code(
        &self,
        quota: &dyn Quota,
        code: &SecretString,
        verifier: &SecretString,
        redirect_uri: &str,
    ) -> Result<Credentials>;

    /// Refreshes the token and, when all scopes were granted, makes the smallest call of each API.
    async fn verify_access(&self, access: &Access) -> Result<Verified>;

    /// Every account that the user can see.
    async fn list_accounts(&self, access: &Access) -> Result<Vec<PlatformAccount>>;

    /// Every campaign, order and line of an account that is not archived.
    async fn list_entities(&self, access: &Access, account: &AccountRef) -> Result<Vec<Entity>>;

    /// Asks for a report, or finds the one that an earlier attempt asked for.
    ///
    /// `known` is the newest ticket of the same connection and definition, of this pull or of an earlier one: it saves
    /// the search for what can be used again. One that does not fit is ignored.
    async fn request_report(&self, access: &Access, spec: &ReportSpec<'_>, known: Option<&Ticket>) -> Result<Ticket>;

    /// Asks once how far a report is.
    async fn poll_report(&self, access: &Access, ticket: &Ticket) -> Result<ReportState>;

    /// Downloads a report as a stream: any number of row batches, then one trailer. An error ends the stream, and
    /// makes the rows before it void.
    async fn fetch_report(
        &self,
        access: &Access,
        download: &Download,
        definition: &Definition,
    ) -> Result<BoxStream<'static, Result<Chunk>>>;

    /// Reads a setting as it is in force now.
    async fn read_live(&self, access: &Access, setting: &Setting<'_>) -> Result<Live>;

    /// Sets a setting to an absolute value. [`Error::UnknownOutcome`](crate::Error::UnknownOutcome) says that the
    /// change may have been made; every other error says that it was not.
    async fn apply(&self, access: &Access, setting: &Setting<'_>, after: Money) -> Result<Applied>;

    /// Gives the authorisation back. A token that is dead already counts as given back.
    async fn revoke(&self, access: &Access) -> Result<()>;
}

/// What an authorisation is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The scopes that the user granted.
    pub granted: Vec<String>,
    /// The scopes that the product needs and the user did not grant; empty when all is well.
    pub missing: Vec<String>,
}

/// An account as the platform described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformAccount {
    /// The platform's id.
    pub platform_id: String,
    /// What people called it.
    pub name: String,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// The zone of all its days.
    pub zone: TimeZone,
    /// Whether it would spend.
    pub status: EntityStatus,
    /// What it belongs to: DV360's partner.
    pub parent: Option<Parent>,
}

/// What an account belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The platform's id.
    pub platform_id: String,
    /// What people called it.
    pub name: String,
}

/// Names an account, with what is needed to read its amounts and days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRef {
    /// The platform's id.
    pub platform_id: String,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// The zone of all its days.
    pub zone: TimeZone,
}

/// A report that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct ReportSpec<'a> {
    /// What is asked.
    pub definition: &'a Definition,
    /// For whom: two connections never share what is stored at the platform.
    pub connection: ConnectionId,
    /// The platform's ids of the accounts; at least one.
    pub accounts: &'a [String],
    /// The days.
    pub days: DayRange,
    /// A report of the same days that was finished before this moment is not fresh enough: when the pull was planned,
    /// or when the report that it was answered with turned out to be of no use.
    pub since: DateTime<Utc>,
    /// Reports of the same days that are of no use, whatever has become of them.
    pub refused: &'a [Ticket],
    /// Whether an earlier attempt at this pull may have reached the platform. When in doubt `true`: it costs a call.
    pub retried: bool,
}

/// Names a report that was asked for. It is kept in the pull's row, and handed in again with the next pull.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The stored question at the platform, used again by later pulls.
    pub query_id: String,
    /// The answer that is being made.
    pub report_id: String,
    /// What the stored question asks: a ticket with another fingerprint is not used again.
    pub fingerprint: String,
}

/// How far a report is.
#[derive(Debug)]
pub enum ReportState {
    /// The platform is still making it.
    Pending,
    /// It can be fetched.
    Ready {
        /// Where.
        download: Download,
    },
    /// The platform gave up on it, or has it no more.
    Failed {
        /// Why, as far as the platform says.
        reason: String,
    },
}

/// Where a report can be fetched, for a short while. Its address is itself a key, so it is never stored or shown:
/// polling again gives a fresh one.
#[derive(Debug, Clone)]
pub struct Download(pub(crate) SecretString);

/// Names one setting of one entity.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The account of the entity.
    pub account: &'a AccountRef,
    /// The entity's level.
    pub level: Level,
    /// The platform's id of the entity.
    pub platform_id: &'a str,
    /// The setting.
    pub field: Field,
}

/// A setting as the platform has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The value in force; `None` when the entity has no such limit any more.
    pub value: Option<Money>,
    /// Whether the entity would spend.
    pub status: EntityStatus,
    /// When the entity was last changed by anyone, as the platform says: its version.
    pub updated_at: Option<DateTime<Utc>>,
}

/// What the platform stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The value after the change, which the platform may have rounded; `None` when its answer does not say.
    pub value: Option<Money>,
    /// The entity's new version.
    pub updated_at: Option<DateTime<Utc>>,
}
