//! What can go wrong in the store.

use std::panic::Location;

use domain::lake::TableName;
use domain::{money, write_back};

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A reason why a value can't be read, of any kind.
pub(crate) type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database can't be reached or is shutting down.
    #[error("the database can't be reached (at {at})")]
    Unavailable {
        /// The statement's place in the source.
        at: &'static Location<'static>,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// Another transaction got in the way: the same transaction may succeed when it is run again.
    #[error("another transaction got in the way of the statement at {at}")]
    Contended {
        /// The statement's place in the source.
        at: &'static Location<'static>,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// A row that the statement names does not exist (or belongs to another organisation).
    #[error("the statement at {at} names a row that is not there")]
    Missing {
        /// The statement's place in the source.
        at: &'static Location<'static>,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// The database refused a statement: a mistake of ours.
    #[error("the database refused the statement at {at}")]
    Database {
        /// The statement's place in the source.
        at: &'static Location<'static>,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// COMMIT was sent and not answered: the transaction may have happened. Read before you repeat.
    #[error("COMMIT was not answered: the transaction may have happened")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// The transaction had failed half-way, so it was not committed.
    #[error("the transaction failed half-way and was not committed")]
    Abandoned,
    /// The application's role could look past row-level security; nothing is read or written with it.
    #[error("the application must not connect as a role that bypasses row-level security")]
    PrivilegedRole,
    /// The migrations could not be applied.
    #[error("the migrations could not be applied")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// There is no such row, or it belongs to another organisation.
    #[error("there is no such {noun}")]
    NotFound {
        /// What was looked for.
        noun: &'static str,
    },
    /// A stored value can't be read as what it should be.
    #[error("the stored {column} can't be read")]
    Unreadable {
        /// The column.
        column: &'static str,
        /// Why.
        #[source]
        source: BoxedError,
    },
    /// A value does not fit its column.
    #[error("the {column} can't be stored")]
    Unstorable {
        /// The column.
        column: &'static str,
        /// Why.
        #[source]
        source: BoxedError,
    },
    /// Amounts of different currencies met.
    #[error("amounts of different currencies met")]
    Money(#[from] money::Error),
    /// The e-mail belongs to somebody already.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// A table's pointer does not stand where it was expected: prepare the swap again from where it stands.
    #[error("the pointer of table {} has moved", .table.name)]
    Conflict {
        /// The table.
        table: TableName,
    },
    /// A table of another organisation was named.
    #[error("table {} belongs to another organisation", .table.name)]
    ForeignTable {
        /// The table.
        table: TableName,
    },
    /// Some of the pulls that were to land are not fetched (any more); nothing was committed.
    #[error("{missing} of the pulls that were to land are not in state fetched")]
    PullsNotFetched {
        /// How many.
        missing: u64,
    },
    /// The event can't happen in the state that the proposal is in.
    #[error(transparent)]
    Forbidden(#[from] write_back::Forbidden),
    /// Somebody decided first.
    #[error("the proposal was already decided")]
    AlreadyDecided,
    /// The decision is about another change than the one on record.
    #[error("the decision is about another change")]
    ApprovalStale,
    /// A person may not approve what they proposed.
    #[error("a person may not approve their own proposal")]
    OwnProposal,
    /// The time to decide has run out.
    #[error("the proposal has expired")]
    ProposalExpired,
    /// Changes are frozen for the organisation.
    #[error("changes are frozen for the organisation")]
    Frozen,
    /// A proposal was attempted as often as it may be.
    #[error("the change was attempted {most} times already")]
    TooManyAttempts {
        /// How often it may be.
        most: u32,
    },
    /// The role of the organisation's admins can't be changed.
    #[error("the role of the admins can't be changed")]
    AdminRole,
    /// A role that is built in, or that somebody has, can't be removed.
    #[error("the role is in use")]
    RoleInUse,
    /// Who is invited is a member already.
    #[error("the person belongs to the organisation already")]
    AlreadyMember,
    /// An organisation keeps at least one admin who may sign in.
    #[error("the organisation would have no admin")]
    LastAdmin,
    /// There are as many as there may be.
    #[error("there are as many {noun} as there may be")]
    TooMany {
        /// Of what.
        noun: &'static str,
    },
    /// The settings of a rule contradict themselves.
    #[error("the rule's settings contradict themselves")]
    InvalidRule(#[from] domain::rule::InvalidRule),
}

impl Error {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Contended { .. } | Self::OutcomeUnknown(_))
    }

    pub(crate) fn unreadable(column: &'static str, source: impl Into<BoxedError>) -> Self {
        Self::Unreadable { column, source: source.into() }
    }

    pub(crate) fn unstorable(column: &'static str, source: impl Into<BoxedError>) -> Self {
        Self::Unstorable { column, source: source.into() }
    }
}
