//! Files of the warehouse: where they are, how they become durable, and which there are.
//!
//! Tables are read and written through Iceberg's `FileIO`. What that lacks for a local folder is here: the order of
//! syncs that makes a commit survive a power cut, and listing. Object stores need neither the one nor this listing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use iceberg::io::FileIO;

use crate::error::{During as _, Error, Result};

/// What a location of a local file begins with.
const SCHEME: &str = "file://";

/// A file found in the warehouse.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its location, as tables name it.
    pub(crate) location: String,
    /// Its size.
    pub(crate) size_bytes: u64,
    /// When it was written.
    pub(crate) modified: SystemTime,
}

/// The folder that a warehouse setting (a path or a `file://` URL) names; it is made when it isn't there.
pub(crate) fn open_root(warehouse: &str) -> Result<PathBuf> {
    let error = |source| Error::Warehouse { location: warehouse.to_owned(), source };
    let path = warehouse.strip_prefix(SCHEME).unwrap_or(warehouse);
    if path.contains("://") {
        return Err(error(io::Error::new(io::ErrorKind::Unsupported, "only local folders are supported")));
    }
    fs::create_dir_all(path).map_err(error)?;
    fs::canonicalize(path).map_err(error)
}

/// The location of a path below the root.
pub(crate) fn location(root: &Path, parts: &[&str]) -> String {
    let mut path = root.to_path_buf();
    path.extend(parts);
    format!("{SCHEME}{}", path.display())
}

fn path_of(location: &str) -> &Path {
    Path::new(location.strip_prefix(SCHEME).unwrap_or(location))
}

/// Writes a small file so that its content is on the disk when this returns.
///
/// `OutputFile::write` of Iceberg's local storage does not sync (its streaming writer does when closed): a metadata file
/// written with it could be empty after a power cut, with the pointer already moved to it.
pub(crate) async fn write_synced(io: &FileIO, location: &str, content: Vec<u8>) -> Result<()> {
    let output = io.new_output(location).during("open a metadata file")?;
    let mut writer = output.writer().await.during("open a metadata file")?;
    writer.write(Bytes::from(content)).await.during("write a metadata file")?;
    writer.close().await.during("sync a metadata file")
}

/// Makes the names of new files durable: syncs their folders, up to the root.
pub(crate) fn sync_folders<'a>(root: &Path, locations: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut folders = BTreeSet::new();
    for location in locations {
        let above = path_of(location).ancestors().skip(1).take_while(|folder| folder.starts_with(root));
        folders.extend(above.map(Path::to_path_buf));
    }
    for folder in folders {
        let synced = File::open(&folder).and_then(|opened| opened.sync_all());
        synced.map_err(|source| file_error("sync the folder", &folder, source))?;
    }
    Ok(())
}

/// Removes files as far as possible: what stays is garbage, which is collected later, so a failure is only noted.
pub(crate) async fn remove_all(io: &FileIO, locations: impl IntoIterator<Item = &String>) {
    for location in locations {
        if let Err(error) = io.delete(location).await {
            tracing::warn!(file.location = %location, %error, "left {location} behind: it could not be removed");
        }
    }
}

/// The names of the folders in a folder; none if it doesn't exist.
pub(crate) fn folders(parent: &Path) -> Result<Vec<String>> {
    let entries = read_folder(parent)?;
    let names = entries.iter().filter(|entry| entry.path().is_dir());
    Ok(names.filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in read_folder(&folder)? {
            let path = entry.path();
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => open.push(path),
                Ok(metadata) => found.push(Found {
                    location: format!("{SCHEME}{}", path.display()),
                    size_bytes: metadata.len(),
                    modified: metadata.modified().map_err(|source| file_error("date", &path, source))?,
                }),
                // Another collector, or a commit that tidied up after itself, was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(file_error("look at", &path, source)),
            }
        }
    }
    Ok(found)
}

fn read_folder(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => {
            entries.collect::<io::Result<_>>().map_err(|source| file_error("list the folder", folder, source))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(file_error("list the folder", folder, source)),
    }
}

fn file_error(operation: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File { operation, path: path.display().to_string(), source }
}
