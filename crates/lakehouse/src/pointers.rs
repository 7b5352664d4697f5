//! Where the tables' pointers stand, as far as the lake needs to know.
//!
//! Only reading: pointers are moved by the store, in the transaction that also writes the ledger.

use async_trait::async_trait;
use domain::lake::TableName;

use crate::error::BoxedError;

/// Says which metadata file of a table is the current one.
#[async_trait]
pub trait Pointers: Send + Sync {
    /// The location of the table's current metadata file; `None` for a table that does not exist.
    ///
    /// # Errors
    /// Whatever keeps the implementation from knowing.
    async fn current(&self, table: &TableName) -> Result<Option<String>, BoxedError>;
}
