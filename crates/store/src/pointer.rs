//! The pointers of the lake's tables: which metadata file of each is the current one.
//!
//! They are rows in the form that every Iceberg SQL catalog reads, so that PyIceberg, Spark and Trino see the same tables.

use domain::ids::OrgId;
use domain::lake::{self, PreparedSwap, TableName};

use crate::error::{Error, Result};
use crate::store::Tx;

/// The name under which SQL catalogs find our tables.
pub const CATALOG: &str = "clp";

/// The most tables that an organisation has.
const LIST_MOST: i64 = 1_000;

/// Where a table's pointer stands; `None` for a table that does not exist.
///
/// # Errors
/// [`Error::ForeignTable`].
pub async fn current(tx: &mut Tx, table: &TableName) -> Result<Option<String>> {
    own(tx.org(), table)?;
    let row = sqlx::query!(
        "SELECT metadata_location FROM iceberg_tables
         WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3",
        CATALOG,
        lake::namespace(table.org),
        table.name
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.and_then(|row| row.metadata_location))
}

/// The organisation's tables with where their pointers stand, by name.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx) -> Result<Vec<(TableName, String)>> {
    let org = tx.org();
    let rows = sqlx::query!(
        r#"SELECT table_name, metadata_location AS "location!" FROM iceberg_tables
           WHERE catalog_name = $1 AND table_namespace = $2 AND metadata_location IS NOT NULL
           ORDER BY table_name LIMIT $3"#,
        CATALOG,
        lake::namespace(org),
        LIST_MOST
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (TableName { org, name: row.table_name }, row.location)).collect())
}

/// Makes new tables visible, all or none.
///
/// # Errors
/// [`Error::Conflict`] when one of them exists already, or its swap expects it to; then the transaction can only be undone.
pub async fn create(tx: &mut Tx, swaps: &[PreparedSwap]) -> Result<()> {
    if let Some(swap) = swaps.iter().find(|swap| swap.expected.is_some()) {
        return Err(Error::Conflict { table: swap.table.clone() });
    }
    swap_all(tx, swaps).await
}

/// Moves all pointers together, each only if it stands where its swap expects it.
///
/// # Errors
/// [`Error::Conflict`] names the first that does not, [`Error::ForeignTable`] one of another organisation; then the
/// transaction can only be undone.
pub async fn swap_all(tx: &mut Tx, swaps: &[PreparedSwap]) -> Result<()> {
    let moved = match lock_all(tx, swaps).await {
        Ok(locked) => write_all(tx, locked).await,
        Err(error) => Err(error),
    };
    if moved.is_err() {
        tx.give_up();
    }
    moved
}

/// Swaps whose pointers are locked and stand where they are expected, in the order of their tables' names.
#[derive(Debug)]
pub(crate) struct Locked<'a>(Vec<&'a PreparedSwap>);

/// Locks the pointers, always in the same order, and compares each with what its swap expects. Writes nothing.
pub(crate) async fn lock_all<'a>(tx: &mut Tx, swaps: &'a [PreparedSwap]) -> Result<Locked<'a>> {
    let mut ordered: Vec<&PreparedSwap> = swaps.iter().collect();
    ordered.sort_by(|left, right| left.table.cmp(&right.table));
    for swap in &ordered {
        let PreparedSwap { table, expected, new: _ } = swap;
        own(tx.org(), table)?;
        let row = sqlx::query!(
            "SELECT metadata_location FROM iceberg_tables
             WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3 FOR UPDATE",
            CATALOG,
            lake::namespace(table.org),
            table.name
        )
        .fetch_optional(tx.conn())
        .await?;
        if row.and_then(|row| row.metadata_location) != *expected {
            return Err(Error::Conflict { table: table.clone() });
        }
    }
    Ok(Locked(ordered))
}

/// Moves locked pointers. A table that is new may still have been made by another transaction meanwhile.
pub(crate) async fn write_all(tx: &mut Tx, swaps: Locked<'_>) -> Result<()> {
    let Locked(swaps) = swaps;
    if swaps.iter().any(|swap| swap.expected.is_none()) {
        namespace_ensure(tx).await?;
    }
    for swap in swaps {
        let PreparedSwap { table, expected, new } = swap;
        // An update that hits no row, and an insert of a row that is there, both come back with nothing written.
        let done = sqlx::query!(
            "INSERT INTO iceberg_tables AS t (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)
             VALUES ($1, $2, $3, $4, 'TABLE')
             ON CONFLICT (catalog_name, table_namespace, table_name) DO UPDATE
             SET metadata_location = excluded.metadata_location, previous_metadata_location = t.metadata_location
             WHERE t.metadata_location = $5",
            CATALOG,
            lake::namespace(table.org),
            table.name,
            new,
            expected.as_deref(),
        )
        .execute(tx.conn())
        .await?;
        if done.rows_affected() == 0 {
            return Err(Error::Conflict { table: table.clone() });
        }
    }
    Ok(())
}

/// Catalogs list a namespace only when it has a property.
async fn namespace_ensure(tx: &mut Tx) -> Result<()> {
    let namespace = lake::namespace(tx.org());
    sqlx::query!(
        "INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value)
         VALUES ($1, $2, 'exists', 'true') ON CONFLICT DO NOTHING",
        CATALOG,
        namespace,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn own(org: OrgId, table: &TableName) -> Result<()> {
    if table.org == org { Ok(()) } else { Err(Error::ForeignTable { table: table.clone() }) }
}
