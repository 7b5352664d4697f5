//! The metadata of many commits: clustered by connection, bounded in number, and right in what it says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::ids::ConnectionId;
use iceberg::memory::{MEMORY_CATALOG_WAREHOUSE, MemoryCatalogBuilder};
use iceberg::spec::{
    DataFile, FormatVersion, Literal, ManifestEntryRef, ManifestStatus, PrimitiveLiteral, Transform,
    UnboundPartitionSpec,
};
use iceberg::table::Table;
use iceberg::transaction::{ApplyTransactionAction as _, Transaction};
use iceberg::{Catalog as _, CatalogBuilder as _, NamespaceIdent, TableIdent};
use lakehouse::Error;

use crate::harness::{TABLES, World, day, days, path, row};

/// The entries of every manifest of the current snapshot.
async fn manifests(table: &Table) -> Vec<Vec<ManifestEntryRef>> {
    let snapshot = table.metadata().current_snapshot().unwrap();
    let mut manifests = Vec::new();
    for manifest in table.manifest_list_reader(snapshot).load().await.unwrap().entries() {
        manifests.push(manifest.load_manifest(table.file_io()).await.unwrap().into_parts().0);
    }
    manifests
}

fn connection(file: &DataFile) -> String {
    match &file.partition()[0] {
        Some(Literal::Primitive(PrimitiveLiteral::String(connection))) => connection.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn manifests_stay_clustered_and_few_after_a_hundred_commits() {
    let mut world = World::new().await;
    let connections: Vec<_> = (0..4).map(|_| ConnectionId::new()).collect();
    for number in 0..100u64 {
        world.connection = connections[usize::try_from(number % 4).unwrap()];
        let first = number / 10;
        let rows =
            [row(day(first), "1", "10", "1", "0", "1"), row(day(first + 1), "1", "10", &number.to_string(), "0", "1")];
        world.land(&["1"], days(first, first + 1), &rows).await;
    }
    for name in TABLES {
        let table = world.table(name).await;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for entries in manifests(&table).await {
            let of: BTreeSet<_> = entries.iter().map(|entry| connection(entry.data_file())).collect();
            assert_eq!(of.len(), 1, "a manifest of {name} holds files of {} connections", of.len());
            *counts.entry(of.into_iter().next().unwrap()).or_default() += 1;
        }
        assert_eq!(counts.len(), 4);
        assert!(counts.values().all(|count| *count <= 10), "{name}: {counts:?}");
        assert!(table.metadata().metadata_log().len() <= 20);
    }
    assert_eq!(world.sql("bronze_delivery", "select count(*) from t").await, ["200"]);
    assert_eq!(world.gold().await.len(), 44);
    world.check().await;
    let kept = world.files().iter().filter(|file| file.to_string_lossy().ends_with("metadata.json")).count();
    assert!(kept <= 3 * 21, "{kept} metadata files are left");
}

#[tokio::test]
async fn deletions_are_told_by_their_own_snapshot_only_and_survivors_keep_their_numbers() {
    let world = World::new().await;
    let rows = [row(day(0), "1", "10", "1", "0", "1"), row(day(1), "1", "10", "1", "0", "1")];
    world.land(&["1"], days(0, 1), &rows).await;
    let first = world.table("silver_delivery").await.metadata().current_snapshot_id();
    for number in 0..3 {
        world.land(&["1"], days(0, 0), &[row(day(0), "1", "10", &number.to_string(), "0", "1")]).await;
        let table = world.table("silver_delivery").await;
        let current = table.metadata().current_snapshot_id();
        let entries: Vec<_> = manifests(&table).await.into_iter().flatten().collect();
        let deleted = entries.iter().filter(|entry| entry.status() == ManifestStatus::Deleted);
        assert_eq!(deleted.filter(|entry| entry.snapshot_id() == current).count(), 1);
        assert_eq!(entries.iter().filter(|entry| entry.is_alive()).count(), 2);
        let survivor = entries.iter().find(|entry| entry.status() == ManifestStatus::Existing).unwrap();
        assert_eq!((survivor.snapshot_id(), survivor.sequence_number()), (first, Some(1)));
        assert_eq!(survivor.file_sequence_number, Some(1));
        let added = entries.iter().find(|entry| entry.status() == ManifestStatus::Added).unwrap();
        assert_eq!(added.sequence_number(), Some(table.metadata().last_sequence_number()));
    }
}

#[tokio::test]
async fn a_rewritten_manifest_keeps_its_own_schema() {
    let world = World::new().await;
    let rows = [row(day(0), "1", "10", "1", "0", "1"), row(day(1), "1", "10", "1", "0", "1")];
    world.land(&["1"], days(0, 1), &rows).await;
    let before = world.table("silver_delivery").await.metadata().current_schema().clone();
    let extra = iceberg::spec::NestedField::optional(
        99,
        "extra",
        iceberg::spec::Type::Primitive(iceberg::spec::PrimitiveType::Long),
    );
    let fields = before.as_struct().fields().iter().cloned().chain([extra.into()]);
    let schema = iceberg::spec::Schema::builder().with_schema_id(5).with_fields(fields).build().unwrap();
    world.meddle("silver_delivery", |builder| builder.add_current_schema(schema)).await;
    world.land(&["1"], days(0, 0), &[row(day(0), "1", "10", "2", "0", "1")]).await;
    let table = world.table("silver_delivery").await;
    let snapshot = table.metadata().current_snapshot().unwrap();
    let mut schemas = BTreeSet::new();
    for manifest in table.manifest_list_reader(snapshot).load().await.unwrap().entries() {
        let loaded = manifest.load_manifest(table.file_io()).await.unwrap();
        schemas.insert((loaded.metadata().schema_id(), manifest.has_existing_files()));
    }
    assert_eq!(schemas, BTreeSet::from([(before.schema_id(), true), (table.metadata().current_schema_id(), false)]));
    assert_eq!(world.sql("silver_delivery", "select count(*), count(extra) from t").await, ["2 0"]);
    world.check().await;
}

#[tokio::test]
async fn format_version_3_is_refused() {
    let world = World::new().await;
    world.meddle("silver_delivery", |builder| builder.upgrade_format_version(FormatVersion::V3)).await;
    let landing = world.landing(world.scope(&["1"], days(0, 0)), &[]).await;
    let result = world.commit(&[landing]).await;
    assert!(matches!(result, Err(Error::Unsupported { .. })), "{result:?}");
}

#[tokio::test]
async fn files_of_an_older_partition_spec_are_refused() {
    let world = World::new().await;
    world.land(&["1"], days(0, 0), &[row(day(0), "1", "10", "1", "0", "1")]).await;
    let spec = UnboundPartitionSpec::builder()
        .with_spec_id(1)
        .add_partition_field(1, "connection_id", Transform::Identity)
        .unwrap()
        .add_partition_field(3, "day_month", Transform::Month)
        .unwrap()
        .build();
    world.meddle("gold_line_day", |builder| builder.add_default_partition_spec(spec)).await;
    let before = world.files();
    let landing = world.landing(world.scope(&["1"], days(0, 0)), &[]).await;
    let result = world.commit(&[landing]).await;
    assert!(matches!(result, Err(Error::Unsupported { .. })), "{result:?}");
    assert_eq!(world.files(), before);
}

/// Appends data files to a table as any other Iceberg client would.
async fn append_officially(world: &World, name: &str, files: Vec<DataFile>) {
    let folder = format!("file://{}", world.folder.path().display());
    let properties = HashMap::from([(MEMORY_CATALOG_WAREHOUSE.to_owned(), folder)]);
    let factory = std::sync::Arc::new(iceberg::io::LocalFsStorageFactory);
    let catalog =
        MemoryCatalogBuilder::default().with_storage_factory(factory).load("other", properties).await.unwrap();
    let namespace = NamespaceIdent::new("other".to_owned());
    catalog.create_namespace(&namespace, HashMap::new()).await.unwrap();
    let location = world.table(name).await.metadata_location().unwrap().to_owned();
    let table = catalog.register_table(&TableIdent::new(namespace, name.to_owned()), location).await.unwrap();
    let transaction = Transaction::new(&table);
    let append = transaction.fast_append().add_data_files(files).with_check_duplicate(false);
    let table = append.apply(transaction).unwrap().commit(&catalog).await.unwrap();
    world.point(name, table.metadata_location().unwrap().to_owned()).await;
}

#[tokio::test]
async fn a_manifest_of_several_connections_by_another_client_is_split_when_it_is_rewritten() {
    let mut world = World::new().await;
    let connections = [ConnectionId::new(), ConnectionId::new()];
    let mut files = Vec::new();
    for connection in connections {
        world.connection = connection;
        world.land(&["1"], days(0, 0), &[row(day(0), "1", "10", "7", "0", "1")]).await;
        let entries = manifests(&world.table("silver_delivery").await).await.into_iter().flatten();
        let entries = entries.filter(|entry| entry.is_alive() && !files.contains(entry.data_file()));
        files.extend(entries.map(|entry| entry.data_file().clone()).collect::<Vec<_>>());
        world.land(&["1"], days(0, 0), &[]).await;
    }
    assert_eq!(files.len(), 2);
    append_officially(&world, "silver_delivery", files).await;
    assert_eq!(world.silver().await.len(), 2);
    world.land(&["1"], days(0, 0), &[row(day(0), "1", "11", "8", "0", "1")]).await;
    assert_eq!(world.silver().await, ["2026-11-01 1 10 7 0 1.000000000", "2026-11-01 1 11 8 0 1.000000000"]);
    for entries in manifests(&world.table("silver_delivery").await).await {
        assert_eq!(entries.iter().map(|entry| connection(entry.data_file())).collect::<BTreeSet<_>>().len(), 1);
    }
    world.check().await;
}

#[tokio::test]
async fn time_travel_shows_what_was_believed() {
    let world = World::new().await;
    world.land(&["1"], days(0, 0), &[row(day(0), "1", "10", "1", "0", "1")]).await;
    let before = world.table("gold_line_day").await;
    world.land(&["1"], days(0, 0), &[row(day(0), "1", "10", "2", "0", "2")]).await;
    let query = "select impressions from t";
    assert_eq!(crate::harness::sql(before, query).await, ["1"]);
    assert_eq!(world.sql("gold_line_day", query).await, ["2"]);
}

#[tokio::test]
async fn every_organisation_has_a_folder_of_its_own() {
    let world = World::new().await;
    let location = world.table("silver_delivery").await.metadata().location().to_owned();
    let expected = world.folder.path().canonicalize().unwrap().join(world.org.to_string()).join("silver_delivery");
    assert_eq!(path(&location), expected);
}
