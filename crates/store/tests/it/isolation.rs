//! Row-level security: what one organisation has, no other one sees, changes or forges.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Connection as _, PgConnection, Row as _};
use store::{Error, Store};

use crate::harness::Database;
use crate::world::World;

/// Tables that belong to no organisation, and why.
const SHARED: &[(&str, &str)] = &[
    ("_sqlx_migrations", "the owner's own"),
    ("deployment_keys", "wrapped keys of the deployment, nobody's data"),
    ("users", "reached through functions only"),
    ("password_resets", "reached through functions only, like the passwords"),
    ("quotas", "counts of the deployment's projects and tokens, nobody's data"),
];

/// Functions that only triggers call.
const INTERNAL: &[&str] = &["audit_append", "audit_link"];

/// What tells the organisation of a row, by table; the policy says the same.
async fn isolated_tables(admin: &mut PgConnection) -> BTreeMap<String, &'static str> {
    let rows = sqlx::query(
        "SELECT c.relname, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'org_id') AS has_org
         FROM pg_class c WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f') AND c.relnamespace = 'public'::regnamespace",
    )
    .fetch_all(admin)
    .await
    .unwrap();
    let mut tables = BTreeMap::new();
    for row in rows {
        let (name, has_org): (String, bool) = (row.get(0), row.get(1));
        let column = match name.as_str() {
            "iceberg_tables" => "table_namespace",
            "iceberg_namespace_properties" => "namespace",
            _ if has_org => "org_id",
            other => {
                assert!(SHARED.iter().any(|(shared, _)| *shared == other), "{other} has no org_id and no excuse");
                continue;
            }
        };
        tables.insert(name, column);
    }
    assert!(tables.len() > 20, "{tables:?}");
    tables
}

/// The value of that column for an organisation.
fn mark(column: &str, world: &World) -> String {
    if column == "org_id" { world.org.uuid().to_string() } else { domain::lake::namespace(world.org) }
}

async fn act_as(conn: &mut PgConnection, org: Option<&World>) {
    let org = org.map_or_else(String::new, |world| world.org.uuid().to_string());
    sqlx::query("SELECT set_config('app.org', $1, false)").bind(org).execute(conn).await.unwrap();
}

async fn count(conn: &mut PgConnection, table: &str, column: &str, mark: Option<&str>) -> i64 {
    let filter = mark.map_or_else(String::new, |mark| format!("WHERE {column}::text = '{mark}'"));
    sqlx::query_scalar(&format!("SELECT count(*) FROM {table} {filter}")).fetch_one(conn).await.unwrap()
}

/// How many rows a statement touched, or `None` when it was not permitted at all.
async fn touched(conn: &mut PgConnection, statement: &str) -> Option<u64> {
    match sqlx::query(statement).execute(conn).await {
        Ok(done) => Some(done.rows_affected()),
        Err(error) => {
            let code = error.as_database_error().and_then(|error| error.code().map(String::from));
            assert_eq!(code.as_deref(), Some("42501"), "{statement}: {error}");
            None
        }
    }
}

async fn two_full_worlds() -> (Database, World, World) {
    let database = Database::new().await;
    let ours = World::new(&database.store, "a@example.org").await;
    let theirs = World::new(&database.store, "b@example.org").await;
    ours.fill().await;
    theirs.fill().await;
    (database, ours, theirs)
}

/// What is wrong with the isolation of the tables that belong to organisations.
async fn leaks(admin: &mut PgConnection) -> Vec<String> {
    let mut leaks = Vec::new();
    for (table, column) in isolated_tables(admin).await {
        let row = sqlx::query(
            "SELECT c.relrowsecurity AND c.relforcerowsecurity, c.relkind::text, array_agg(p.polname::text),
                    array_agg(p.polcmd::text), bool_and(p.polpermissive), bool_and(p.polroles = '{0}'),
                    min(pg_get_expr(p.polqual, c.oid)), min(pg_get_expr(p.polwithcheck, c.oid))
             FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid WHERE c.oid = $1::regclass GROUP BY c.oid",
        )
        .bind(&table)
        .fetch_one(&mut *admin)
        .await
        .unwrap();
        let function = if column == "org_id" { "app_org()" } else { "app_namespace()" };
        let (expected, is) =
            (format!("({column} = {function})"), |index| row.get::<Option<bool>, _>(index) == Some(true));
        let text = |index| row.get::<Option<String>, _>(index);
        let texts = |index| row.get::<Vec<Option<String>>, _>(index);
        let checks = [
            (is(0), "row-level security is not forced"),
            (text(1).as_deref() == Some("r"), "only a plain table can be isolated"),
            (
                texts(2) == [Some("own_org".to_owned())],
                "it has not just the one policy: a second one would only add rows",
            ),
            (texts(3) == [Some("*".to_owned())], "the policy is not for every command"),
            (is(4) && is(5), "the policy is not for every role"),
            (text(6).as_ref() == Some(&expected), "what is seen is not the organisation's own"),
            (text(7).as_ref() == Some(&expected), "what may be written is not the organisation's own"),
        ];
        leaks.extend(checks.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| format!("{table}: {what}")));
    }
    leaks
}

#[tokio::test]
async fn every_table_of_organisations_forces_row_level_security() {
    let database = Database::new().await;
    assert_eq!(leaks(&mut database.connect("postgres").await).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_table_that_is_isolated_no_more_is_noticed() {
    let database = Database::new().await;
    let mut admin = database.connect("postgres").await;
    for (statement, found) in [
        ("ALTER TABLE proposals NO FORCE ROW LEVEL SECURITY", "proposals: row-level security is not forced"),
        ("ALTER TABLE sessions DISABLE ROW LEVEL SECURITY", "sessions: row-level security is not forced"),
        ("DROP POLICY own_org ON rules", "rules: it has not just the one policy"),
        ("CREATE POLICY more ON cycles USING (true)", "cycles: it has not just the one policy"),
        ("ALTER POLICY own_org ON accounts USING (true)", "accounts: what is seen is not the organisation's own"),
        ("ALTER POLICY own_org ON audit WITH CHECK (true)", "audit: what may be written is not the organisation's own"),
        ("ALTER POLICY own_org ON pulls TO clp_app", "pulls: the policy is not for every role"),
    ] {
        sqlx::query(statement).execute(&mut admin).await.unwrap();
        let leaks = leaks(&mut admin).await;
        assert!(leaks.iter().any(|leak| leak.starts_with(found)), "{statement}: {leaks:?}");
    }
}

#[tokio::test]
async fn keys_never_reach_into_another_organisation() {
    let database = Database::new().await;
    let mut admin = database.connect("postgres").await;
    let isolated: BTreeSet<String> = isolated_tables(&mut admin).await.into_keys().collect();
    let keys = sqlx::query(
        "SELECT k.conrelid::regclass::text, k.confrelid::regclass::text, k.contype::text,
                (SELECT array_agg(a.attname::text ORDER BY n) FROM unnest(k.conkey) WITH ORDINALITY AS u (num, n)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num)
         FROM pg_constraint k WHERE k.contype IN ('p', 'f') AND k.connamespace = 'public'::regnamespace",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    for key in keys {
        let (table, kind, columns): (String, String, Vec<String>) = (key.get(0), key.get(2), key.get(3));
        let target = if kind == "f" { key.get::<String, _>(1) } else { table.clone() };
        if table.starts_with("iceberg") || !isolated.contains(&table) || !isolated.contains(&target) {
            continue;
        }
        assert_eq!(columns[0], "org_id", "a key of {table} to {target} could reach another organisation's rows");
    }
}

#[tokio::test]
async fn an_organisation_sees_all_of_its_own_rows_and_none_of_another() {
    let (database, ours, theirs) = two_full_worlds().await;
    let mut admin = database.connect("postgres").await;
    let mut app = database.connect("clp_app").await;
    for (table, column) in isolated_tables(&mut admin).await {
        let (our_mark, their_mark) = (mark(column, &ours), mark(column, &theirs));
        let total = count(&mut admin, &table, column, Some(&our_mark)).await;
        assert!(total > 0, "the test has no row in {table}");
        assert!(count(&mut admin, &table, column, Some(&their_mark)).await > 0, "the test has no row in {table}");
        act_as(&mut app, Some(&ours)).await;
        assert_eq!(count(&mut app, &table, column, None).await, total, "{table}");
        assert_eq!(count(&mut app, &table, column, Some(&their_mark)).await, 0, "{table}");
        act_as(&mut app, None).await;
        assert_eq!(count(&mut app, &table, column, None).await, 0, "{table} without an organisation");
    }
    let mut fresh = database.connect("clp_app").await;
    assert_eq!(count(&mut fresh, "organisations", "org_id", None).await, 0, "where nothing was ever set");
}

#[tokio::test]
async fn an_organisation_changes_and_forges_nothing_of_another() {
    let (database, ours, theirs) = two_full_worlds().await;
    let mut admin = database.connect("postgres").await;
    let mut app = database.connect("clp_app").await;
    for (table, column) in isolated_tables(&mut admin).await {
        let (our_mark, their_mark) = (mark(column, &ours), mark(column, &theirs));
        let theirs_now = format!("SELECT to_jsonb(t) FROM {table} t WHERE {column}::text = '{their_mark}' LIMIT 1");
        let row: serde_json::Value = sqlx::query_scalar(&theirs_now).fetch_one(&mut admin).await.unwrap();
        for org in [Some(&ours), None] {
            act_as(&mut app, org).await;
            let filter = format!("WHERE {column}::text = '{their_mark}'");
            let update = touched(&mut app, &format!("UPDATE {table} SET {column} = {column} {filter}")).await;
            let delete = touched(&mut app, &format!("DELETE FROM {table} {filter}")).await;
            assert!(update.unwrap_or(0) == 0 && delete.unwrap_or(0) == 0, "{table}");
            let forge = format!("INSERT INTO {table} SELECT * FROM jsonb_populate_record(null::{table}, '{row}')");
            assert_eq!(touched(&mut app, &forge).await, None, "{table}: a row of another organisation was made");
        }
        act_as(&mut app, Some(&ours)).await;
        let give = format!("UPDATE {table} SET {column} = '{their_mark}' WHERE {column}::text = '{our_mark}'");
        assert_eq!(touched(&mut app, &give).await, None, "{table}: a row was given to another organisation");
        let after: serde_json::Value = sqlx::query_scalar(&theirs_now).fetch_one(&mut admin).await.unwrap();
        assert_eq!(after, row, "{table}");
    }
}

#[tokio::test]
async fn the_organisation_of_one_transaction_does_not_leak_into_the_next() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let pool = database.one_connection().await;
    let mut tx = pool.begin().await.unwrap();
    let org = world.org.uuid().to_string();
    sqlx::query("SELECT set_config('app.org', $1, true)").bind(org).execute(&mut *tx).await.unwrap();
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM organisations").fetch_one(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let leaked: i64 = sqlx::query_scalar("SELECT count(*) FROM organisations").fetch_one(&pool).await.unwrap();
    assert_eq!((seen, leaked), (1, 0));
}

#[tokio::test]
async fn the_audit_trail_can_only_grow() {
    let (database, ours, _) = two_full_worlds().await;
    let before = database.count("SELECT count(*) FROM audit").await;
    let mut app = database.connect("clp_app").await;
    act_as(&mut app, Some(&ours)).await;
    for statement in ["UPDATE audit SET title = 'x'", "DELETE FROM audit", "TRUNCATE audit"] {
        assert_eq!(touched(&mut app, statement).await, None, "{statement} as the application");
        for role in ["clp_owner", "postgres"] {
            let refused = sqlx::query(statement).execute(&mut database.connect(role).await).await.unwrap_err();
            assert!(refused.to_string().contains("append-only"), "{statement} as {role}: {refused}");
        }
    }
    assert_eq!(database.count("SELECT count(*) FROM audit").await, before);
    let definer: bool = sqlx::query_scalar(
        "SELECT has_table_privilege('clp_definer', 'audit', 'UPDATE') OR has_table_privilege('clp_definer', 'audit', 'DELETE')",
    )
    .fetch_one(&mut database.connect("postgres").await)
    .await
    .unwrap();
    assert!(!definer);
}

#[tokio::test]
async fn functions_that_look_across_organisations_return_what_is_designed() {
    let database = Database::new().await;
    let rows = sqlx::query(
        "SELECT p.proname::text, pg_get_userbyid(p.proowner)::text, array_to_string(p.proconfig, ';'),
                has_function_privilege('clp_app', p.oid, 'EXECUTE'),
                EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0) OR p.proacl IS NULL,
                pg_get_function_result(p.oid)
         FROM pg_proc p WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace ORDER BY p.proname",
    )
    .fetch_all(&mut database.connect("postgres").await)
    .await
    .unwrap();
    let mut results = Vec::new();
    for row in &rows {
        let name: String = row.get(0);
        assert_eq!(row.get::<String, _>(1), "clp_definer", "{name}");
        assert_eq!(row.get::<String, _>(2), "search_path=public, pg_temp", "{name}");
        let is_internal = INTERNAL.contains(&name.as_str());
        assert_eq!(row.get::<bool, _>(3), !is_internal, "{name}: whether the application may call it");
        assert!(!row.get::<bool, _>(4), "{name} is not for everybody");
        results.push(format!("{name}: {}", row.get::<String, _>(5)));
    }
    assert_eq!(
        results,
        [
            "api_key_find: TABLE(key_id uuid, user_id uuid, org_id uuid, email text, user_name text, role text, \
             permissions text[], last_used_at timestamp with time zone)",
            "audit_append: void",
            "audit_link: trigger",
            "consent_lookup: TABLE(org_id uuid, id uuid)",
            "cycles_running: TABLE(org_id uuid, id uuid, workflow_id text)",
            "idempotency_forget: bigint",
            "intents_due: TABLE(org_id uuid, id uuid, kind text, subject_id uuid)",
            "invitation_find: TABLE(org_id uuid, id uuid)",
            "member_emails: TABLE(user_id uuid, email text)",
            "organisations_of: TABLE(org_id uuid, name text, role text)",
            "organisations_with_audit: TABLE(org_id uuid)",
            "organisations_with_schedule: TABLE(org_id uuid)",
            "organisations_with_secrets: TABLE(org_id uuid)",
            "password_reset_begin: TABLE(user_id uuid, user_name text)",
            "password_reset_use: uuid",
            "platforms_complete_to: TABLE(platform text, complete_to timestamp with time zone)",
            "proposals_open: TABLE(org_id uuid, id uuid)",
            "second_factor_find: TABLE(org_id uuid, confirmed boolean)",
            "session_find: TABLE(session_id uuid, user_id uuid, org_id uuid, email text, user_name text, role text, \
             permissions text[])",
            "session_who: TABLE(session_id uuid, user_id uuid, org_id uuid, email text, user_name text, role text, \
             permissions text[], bound boolean)",
            "sign_in_lookup: TABLE(user_id uuid, user_name text, password_hash text, org_id uuid)",
            "sso_organisation: uuid",
            "sso_sign_in_find: TABLE(org_id uuid, id uuid)",
            "user_create: boolean",
            "user_find: TABLE(user_id uuid, user_name text)",
            "user_password: text",
            "user_set_password: void",
        ]
    );
}

#[tokio::test]
async fn the_application_s_role_has_no_way_around() {
    let database = Database::new().await;
    let row = sqlx::query(
        "SELECT r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication,
                EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid),
                EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid),
                has_schema_privilege(r.oid, 'public', 'CREATE'),
                EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
                        AND (has_table_privilege(r.oid, c.oid, 'TRUNCATE') OR has_table_privilege(r.oid, c.oid, 'REFERENCES')
                          OR has_table_privilege(r.oid, c.oid, 'TRIGGER')))
         FROM pg_roles r WHERE r.rolname = 'clp_app'",
    )
    .fetch_one(&mut database.connect("postgres").await)
    .await
    .unwrap();
    let found: Vec<bool> = (0..5).map(|index| row.get(index)).collect();
    assert_eq!(found, [false; 5], "attributes, memberships, ownership, CREATE, TRUNCATE and the like");
    let mut app = database.connect("clp_app").await;
    assert_eq!(touched(&mut app, "SELECT email FROM users").await, None);
    assert_eq!(touched(&mut app, "SELECT version FROM _sqlx_migrations").await, None);
    app.close().await.unwrap();
}

#[tokio::test]
async fn the_store_refuses_a_role_that_looks_past_the_policies() {
    let database = Database::new().await;
    let refused = Store::connect(&database.url("postgres"), 1).await.unwrap_err();
    assert!(matches!(refused, Error::PrivilegedRole), "{refused}");
}

#[tokio::test]
async fn migrations_can_be_applied_again_and_at_once() {
    let database = Database::new().await;
    let url = database.url("clp_owner");
    let (first, second) = tokio::join!(store::migrate(&url), store::migrate(&url));
    first.and(second).unwrap();
    database.store.ping().await.unwrap();
}
