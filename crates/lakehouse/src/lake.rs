//! The lake itself: a warehouse folder with the tables of every organisation below a folder of its own.
//!
//! It holds no state but where the warehouse is. What the current version of a table is, only the pointers say.

use std::path::PathBuf;

use domain::ids::OrgId;
use domain::lake::{PreparedSwap, TableName, namespace};
use domain::report::Definition;
use iceberg::io::FileIO;
use iceberg::spec::{FormatVersion, TableMetadata};
use iceberg::table::Table;
use iceberg::{MetadataLocation, Runtime, TableIdent};

use crate::error::{During as _, Error, Result};
use crate::mapping::{Mapping, bronze_table};
use crate::pointers::Pointers;
use crate::storage;
use crate::tables::{GOLD, SILVER, Shape};

/// A warehouse of Iceberg tables.
#[derive(Debug, Clone)]
pub struct Lake {
    pub(crate) root: PathBuf,
    pub(crate) io: FileIO,
}

/// A table as its pointer stood when it was read.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) name: TableName,
    /// The metadata file: what a swap expects.
    pub(crate) location: String,
    pub(crate) table: Table,
}

impl Loaded {
    pub(crate) fn metadata(&self) -> &TableMetadata {
        self.table.metadata()
    }
}

impl Lake {
    /// Opens a warehouse: a local folder, as a path or a `file://` URL. It is made when it isn't there.
    ///
    /// # Errors
    /// [`Error::Warehouse`] when the folder can't be made, or is not a local one.
    pub fn open(warehouse: &str) -> Result<Self> {
        Ok(Self { root: storage::open_root(warehouse)?, io: FileIO::new_with_fs() })
    }

    /// Writes the first metadata of those of the organisation's tables that don't exist yet.
    ///
    /// The swaps expect no pointer. When one of them conflicts somebody else was faster: asking again returns fewer.
    ///
    /// # Errors
    /// [`Error::Definition`] for a report that can't be mapped; storage and pointer errors.
    pub async fn create_tables(
        &self,
        pointers: &dyn Pointers,
        org: OrgId,
        definitions: &[Definition],
    ) -> Result<Vec<PreparedSwap>> {
        let mut shapes = vec![(SILVER.to_owned(), Shape::silver()), (GOLD.to_owned(), Shape::gold())];
        for definition in definitions {
            shapes.push((bronze_table(definition), Shape::bronze(&Mapping::of(definition)?)));
        }
        let mut swaps: Vec<PreparedSwap> = Vec::new();
        for (name, shape) in shapes {
            let table = TableName { org, name };
            if swaps.iter().any(|swap| swap.table == table) || self.pointer(pointers, &table).await?.is_some() {
                continue;
            }
            let metadata = shape.create(self.folder(&table))?;
            let location = MetadataLocation::new_with_metadata(metadata.location(), &metadata).to_string();
            self.write_metadata(&metadata, &location).await?;
            swaps.push(PreparedSwap { table, expected: None, new: location });
        }
        storage::sync_folders(&self.root, swaps.iter().map(|swap| swap.new.as_str()))?;
        Ok(swaps)
    }

    /// The location below which all files of a table lie.
    pub(crate) fn folder(&self, table: &TableName) -> String {
        storage::location(&self.root, &[&namespace(table.org), &table.name])
    }

    pub(crate) async fn pointer(&self, pointers: &dyn Pointers, table: &TableName) -> Result<Option<String>> {
        let current = pointers.current(table).await;
        current.map_err(|source| Error::Pointer { table: table.clone(), source })
    }

    /// The table at its current pointer; `None` when it does not exist.
    pub(crate) async fn load(&self, pointers: &dyn Pointers, table: &TableName) -> Result<Option<Loaded>> {
        match self.pointer(pointers, table).await? {
            Some(location) => self.load_at(table, location).await.map(Some),
            None => Ok(None),
        }
    }

    /// As [`Lake::load`], for a table that must exist.
    pub(crate) async fn load_existing(&self, pointers: &dyn Pointers, org: OrgId, name: &str) -> Result<Loaded> {
        let table = TableName { org, name: name.to_owned() };
        self.load(pointers, &table).await?.ok_or(Error::NoTable { table })
    }

    async fn load_at(&self, table: &TableName, location: String) -> Result<Loaded> {
        let metadata = TableMetadata::read_from(&self.io, &location).await.during("read a table's metadata")?;
        // Rewriting manifests of a v3 table with this Iceberg version would lose its rows' lineage.
        if metadata.format_version() != FormatVersion::V2 {
            return Err(Error::Unsupported { table: table.name.clone(), why: "its format is not version 2" });
        }
        let identifier =
            TableIdent::from_strs([namespace(table.org), table.name.clone()]).during("name an Iceberg table")?;
        let built = Table::builder()
            .file_io(self.io.clone())
            .metadata(metadata)
            .metadata_location(&location)
            .identifier(identifier)
            .runtime(Runtime::try_current().during("find the async runtime")?)
            .build()
            .during("open a table")?;
        Ok(Loaded { name: table.clone(), location, table: built })
    }

    pub(crate) async fn write_metadata(&self, metadata: &TableMetadata, location: &str) -> Result<()> {
        let json = serde_json::to_vec(metadata).map_err(|error| Error::corrupt(error.to_string()))?;
        storage::write_synced(&self.io, location, json).await
    }
}
