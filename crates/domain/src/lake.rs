//! What the lakehouse and the control plane tell each other about a commit; neither uses the other.
//!
//! The lakehouse writes files and a new metadata file, and says which pointer should move from where to where. The store
//! moves all pointers of a cycle together with the ledger row, in one transaction, or says that one had moved.

use serde::{Deserialize, Serialize};

use crate::ids::OrgId;

/// The namespace of an organisation's tables: one word, without characters that SQL or paths would need quoted.
#[must_use]
pub fn namespace(org: OrgId) -> String {
    org.to_string()
}

/// Names one table of one organisation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// The organisation that owns it.
    pub org: OrgId,
    /// Its name within the organisation's namespace: `silver_delivery`.
    pub name: String,
}

/// A table whose new version is written and waits for its pointer to move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedSwap {
    /// The table.
    pub table: TableName,
    /// Where its pointer must stand for the swap to be right; `None` for a table that does not exist yet.
    pub expected: Option<String>,
    /// Where its pointer will stand.
    pub new: String,
}
