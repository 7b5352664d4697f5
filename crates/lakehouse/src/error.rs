//! What can go wrong in the lake, in terms of what was being done.
//!
//! It decides which [`ErrorCode`] a person reads, and which pull is to blame. It doesn't decide about retries: that is
//! one function in `activities`.

use std::fmt;
use std::io;

use chrono::NaiveDate;
use domain::ErrorCode;
use domain::ids::{CommitId, PullId};
use domain::lake::TableName;
use tokio::task::JoinError;

/// The longest piece of a cell that an error quotes.
const QUOTE_CHARS: usize = 80;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error of another crate that a trait of ours lets in.
pub type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Why a report is not taken: what was wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The stable name of what was wrong.
    pub code: ErrorCode,
    /// The row, counted from 1, where one row is to blame.
    pub row: Option<u64>,
    /// The header of the column, where one is to blame.
    pub column: Option<String>,
    /// What was wrong, with at most 80 characters of the cell.
    pub detail: String,
}

impl Rejection {
    /// A rejection of a whole report.
    pub(crate) fn of_report(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, row: None, column: None, detail: detail.into() }
    }

    /// A rejection because of one cell.
    pub(crate) fn of_cell(code: ErrorCode, row: u64, column: &str, what: &str, cell: &str) -> Self {
        let quote: String = cell.chars().take(QUOTE_CHARS).collect();
        Self { code, row: Some(row), column: Some(column.to_owned()), detail: format!("{what}: `{quote}`") }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(row) = self.row {
            write!(f, "row {row}, ")?;
        }
        if let Some(column) = &self.column {
            write!(f, "column `{column}`, ")?;
        }
        f.write_str(&self.detail)
    }
}

/// What can go wrong in the lake.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The warehouse folder can't be made or used.
    #[error("can't open the warehouse {location}")]
    Warehouse {
        /// Where it should be.
        location: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The control plane did not say where a table's pointer stands.
    #[error("can't read the pointer of table {}", table.name)]
    Pointer {
        /// The table.
        table: TableName,
        /// Why not.
        #[source]
        source: BoxedError,
    },
    /// The table was never created.
    #[error("there is no table {}", table.name)]
    NoTable {
        /// The table.
        table: TableName,
    },
    /// A report definition has no meaning in the unified model.
    #[error("the report definition `{name}` can't be mapped: {why}")]
    Definition {
        /// Its name.
        name: String,
        /// What it lacks.
        why: String,
    },
    /// A caller's request contradicts itself.
    #[error("can't prepare the commit: {why}")]
    Landing {
        /// What contradicts what.
        why: String,
    },
    /// An Iceberg operation failed.
    #[error("can't {operation}")]
    Iceberg {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<iceberg::Error>,
    },
    /// An Arrow operation failed.
    #[error("can't {operation}")]
    Arrow {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// Writing a Parquet file failed.
    #[error("can't {operation}")]
    Parquet {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A query failed.
    #[error("can't {operation}")]
    Query {
        /// What was being asked.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<datafusion::error::DataFusionError>,
    },
    /// A file of the warehouse can't be used.
    #[error("can't {operation} {path}")]
    File {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A table is in a state that this crate refuses to write to.
    #[error("table {table} can't be written: {why}")]
    Unsupported {
        /// The table.
        table: String,
        /// Why not.
        why: &'static str,
    },
    /// A value that was written by us does not read back.
    #[error("the lake holds a value that can't be: {what}")]
    Corrupt {
        /// Which one.
        what: String,
    },
    /// A report is not taken.
    #[error("the report of pull {pull} is refused: {rejection}")]
    Rejected {
        /// The pull.
        pull: PullId,
        /// Why.
        rejection: Rejection,
    },
    /// Rows or money were lost or gained between two layers.
    #[error("{layer} does not balance on {day}: {expected} expected, {found} found")]
    Unbalanced {
        /// The layer that was being written.
        layer: &'static str,
        /// The day.
        day: NaiveDate,
        /// What went in.
        expected: String,
        /// What came out.
        found: String,
    },
    /// The commit is in the table's history already.
    #[error("commit {commit} is in the history of {table} already")]
    AlreadyCommitted {
        /// The commit.
        commit: CommitId,
        /// The table.
        table: String,
    },
    /// The table's columns changed after the pull was staged; the pull must be staged again.
    #[error("pull {pull} was staged before column `{column}` changed")]
    StaleStaging {
        /// The pull.
        pull: PullId,
        /// The column.
        column: String,
    },
    /// What was staged of a pull is missing, damaged or not what staging said: the pull must be fetched again.
    #[error("what was staged of pull {pull} can't be used")]
    Staged {
        /// The pull.
        pull: PullId,
        /// Why not.
        #[source]
        source: Box<Error>,
    },
    /// The program ended while something was under way.
    #[error("can't {operation}: the program is ending")]
    Stopped {
        /// What was being done.
        operation: &'static str,
    },
    /// A sum has more digits than the table holds.
    #[error("the sum of {measure} is too large")]
    Overflow {
        /// The measure.
        measure: String,
    },
}

impl Error {
    /// The stable name of what went wrong.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Rejected { rejection, .. } => rejection.code,
            Self::Warehouse { .. } | Self::Pointer { .. } | Self::Iceberg { .. } | Self::File { .. } => {
                ErrorCode::StorageUnavailable
            }
            Self::NoTable { .. }
            | Self::Definition { .. }
            | Self::Landing { .. }
            | Self::Arrow { .. }
            | Self::Parquet { .. }
            | Self::Query { .. }
            | Self::Unsupported { .. }
            | Self::Corrupt { .. }
            | Self::Unbalanced { .. }
            | Self::AlreadyCommitted { .. }
            | Self::StaleStaging { .. }
            | Self::Staged { .. }
            | Self::Stopped { .. }
            | Self::Overflow { .. } => ErrorCode::Unexpected,
        }
    }

    /// The pull that is to blame: without it, the same commit can be prepared again.
    #[must_use]
    pub const fn pull(&self) -> Option<PullId> {
        match self {
            Self::Rejected { pull, .. } | Self::StaleStaging { pull, .. } | Self::Staged { pull, .. } => Some(*pull),
            _ => None,
        }
    }

    /// The same error, with the pull that is to blame. Whatever stands in the way of reading one pull's files must not
    /// stop the others: even a storage that fails now and then costs no more than fetching a report again.
    pub(crate) fn of_pull(self, pull: PullId) -> Self {
        if self.pull().is_some() {
            return self;
        }
        Self::Staged { pull, source: Box::new(self) }
    }

    pub(crate) fn landing(why: impl Into<String>) -> Self {
        Self::Landing { why: why.into() }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

/// Why a pull could not be staged.
#[derive(Debug, thiserror::Error)]
pub enum StageError<E> {
    /// The rows stopped coming; the error is the sender's own.
    #[error("the rows of the report broke off")]
    Source(#[source] E),
    /// The report was refused, or the lake failed.
    #[error(transparent)]
    Lake(#[from] Error),
}

impl<E> StageError<E> {
    /// The stable name of what went wrong; `None` when the sender's own error says it.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Source(_) => None,
            Self::Lake(error) => Some(error.code()),
        }
    }
}

/// Names the operation that an outer error interrupted.
pub(crate) trait During<T> {
    /// Turns the other crate's error into ours.
    fn during(self, operation: &'static str) -> Result<T>;
}

impl<T> During<T> for Result<T, iceberg::Error> {
    fn during(self, operation: &'static str) -> Result<T> {
        self.map_err(|source| Error::Iceberg { operation, source: Box::new(source) })
    }
}

impl<T> During<T> for Result<T, arrow::error::ArrowError> {
    fn during(self, operation: &'static str) -> Result<T> {
        self.map_err(|source| Error::Arrow { operation, source })
    }
}

impl<T> During<T> for Result<T, parquet::errors::ParquetError> {
    fn during(self, operation: &'static str) -> Result<T> {
        self.map_err(|source| Error::Parquet { operation, source })
    }
}

impl<T> During<T> for Result<T, datafusion::error::DataFusionError> {
    fn during(self, operation: &'static str) -> Result<T> {
        self.map_err(|source| Error::Query { operation, source: Box::new(source) })
    }
}

/// What a task of its own came to. Its panic goes on here.
pub(crate) fn joined<T>(outcome: Result<Result<T>, JoinError>, operation: &'static str) -> Result<T> {
    match outcome.map_err(JoinError::try_into_panic) {
        Ok(result) => result,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_cancelled)) => Err(Error::Stopped { operation }),
    }
}
