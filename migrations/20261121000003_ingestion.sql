-- Report definitions, pulls, cycles, the ledger of commits, watermarks, quotas, and the pointers of the lake's tables.

CREATE TABLE report_definitions (
    org_id                   uuid NOT NULL REFERENCES organisations,
    id                       uuid NOT NULL,
    platform                 text NOT NULL,
    name                     text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,40}$'),
    kind                     text NOT NULL,
    columns                  jsonb NOT NULL,
    cadence_seconds          integer NOT NULL CHECK (cadence_seconds > 0),
    lookback_days            integer NOT NULL CHECK (lookback_days BETWEEN 1 AND 400),
    lookback_cadence_seconds integer NOT NULL CHECK (lookback_cadence_seconds > 0),
    final_after_days         integer NOT NULL CHECK (final_after_days >= 0),
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, platform, name)
);
CALL isolate('report_definitions');

-- One run of the ingestion workflow, named by its workflow id: a second run under that id is the same cycle.
CREATE TABLE cycles (
    org_id       uuid NOT NULL REFERENCES organisations,
    id           uuid NOT NULL,
    workflow_id  text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('scheduled', 'follow_up', 'manual', 'onboarding')),
    started_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    state        text NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    -- What each step did, in numbers: metering and the run's page read them.
    steps        jsonb NOT NULL DEFAULT '{}',
    error_code   text,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, workflow_id)
);
CALL isolate('cycles');
CREATE INDEX cycles_started ON cycles (org_id, started_at DESC, id DESC);

CREATE TABLE pulls (
    org_id        uuid NOT NULL,
    id            uuid NOT NULL,
    connection_id uuid NOT NULL,
    report_id     uuid NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('first_slice', 'tick', 'lookback', 'backfill', 'manual')),
    first_day     date NOT NULL,
    last_day      date NOT NULL CHECK (last_day >= first_day),
    -- The platform's ids of the accounts that it covers.
    accounts      text[] NOT NULL CHECK (cardinality(accounts) > 0),
    state         text NOT NULL CHECK (state IN ('planned', 'requested', 'fetched', 'landed', 'failed')),
    planned_at    timestamptz NOT NULL,
    -- The platform's names for the report, once it was asked for.
    ticket        jsonb,
    requested_at  timestamptz,
    polls         integer NOT NULL DEFAULT 0,
    next_poll_at  timestamptz,
    -- Not to be touched before this moment (a quota, an outage).
    not_before    timestamptz,
    attempts      integer NOT NULL DEFAULT 0,
    fetched_at    timestamptz,
    report_time   timestamptz,
    -- The lake's files that hold its rows and no table names yet.
    staged        jsonb,
    rows          bigint,
    bytes         bigint,
    unchanged     boolean,
    -- The cycle that requested it or, once it is closed, the one that closed it.
    cycle_id      uuid,
    closed_at     timestamptz,
    error_code    text,
    error_detail  text,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, connection_id) REFERENCES connections,
    FOREIGN KEY (org_id, report_id) REFERENCES report_definitions,
    FOREIGN KEY (org_id, cycle_id) REFERENCES cycles
);
CALL isolate('pulls');
CREATE INDEX pulls_open ON pulls (org_id, connection_id) WHERE state IN ('planned', 'requested', 'fetched');
-- The same days are not on their way twice for the same reason.
CREATE UNIQUE INDEX pulls_one_open ON pulls (org_id, connection_id, report_id, kind, first_day, last_day)
    WHERE state IN ('planned', 'requested', 'fetched');
CREATE INDEX pulls_planned ON pulls (org_id, planned_at DESC, id DESC);
CREATE INDEX pulls_past ON pulls (org_id, connection_id, report_id, kind, planned_at DESC);
CREATE INDEX pulls_requested ON pulls (org_id, connection_id, report_id, requested_at DESC NULLS LAST, id DESC)
    WHERE ticket IS NOT NULL;
CREATE INDEX pulls_cycle ON pulls (org_id, cycle_id);

-- The ledger: one row per atomic commit of a cycle. It is written in the transaction that moves the pointers.
CREATE TABLE commits (
    org_id       uuid NOT NULL,
    cycle_id     uuid NOT NULL,
    id           uuid NOT NULL,
    committed_at timestamptz NOT NULL,
    swaps        jsonb NOT NULL,
    pulls_landed bigint NOT NULL,
    days_changed bigint NOT NULL,
    bronze_rows  bigint NOT NULL,
    silver_rows  bigint NOT NULL,
    gold_rows    bigint NOT NULL,
    bytes        bigint NOT NULL,
    calls        bigint NOT NULL,
    seconds      double precision NOT NULL,
    PRIMARY KEY (org_id, cycle_id),
    FOREIGN KEY (org_id, cycle_id) REFERENCES cycles
);
CALL isolate('commits');

-- Up to when each account's day is complete, by which pull, and how settled it is.
CREATE TABLE watermarks (
    org_id        uuid NOT NULL,
    connection_id uuid NOT NULL,
    report_id     uuid NOT NULL,
    account       text NOT NULL,
    day           date NOT NULL,
    as_of         timestamptz NOT NULL,
    requested_at  timestamptz NOT NULL,
    finality      text NOT NULL CHECK (finality IN ('intraday', 'provisional', 'final')),
    pull_id       uuid NOT NULL,
    rows          bigint NOT NULL,
    media_cost    numeric(38, 9) NOT NULL,
    content_hash  text NOT NULL,
    PRIMARY KEY (org_id, connection_id, report_id, account, day),
    FOREIGN KEY (org_id, connection_id) REFERENCES connections,
    FOREIGN KEY (org_id, report_id) REFERENCES report_definitions,
    FOREIGN KEY (org_id, pull_id) REFERENCES pulls
);
CALL isolate('watermarks');
CREATE INDEX watermarks_newest ON watermarks (org_id, connection_id, account, as_of DESC, day DESC);

-- How much of a platform's quota is used. A quota belongs to a project or token of the deployment, not to an organisation.
CREATE TABLE quotas (
    name         text PRIMARY KEY,
    window_start timestamptz NOT NULL,
    used         bigint NOT NULL CHECK (used >= 0),
    blocked_until timestamptz
);

-- Pointers of the lake's tables, in the form that every Iceberg SQL catalog reads.
CREATE TABLE iceberg_tables (
    catalog_name               text NOT NULL,
    table_namespace            text NOT NULL,
    table_name                 text NOT NULL,
    metadata_location          text,
    previous_metadata_location text,
    iceberg_type               text,
    PRIMARY KEY (catalog_name, table_namespace, table_name)
);
CREATE TABLE iceberg_namespace_properties (
    catalog_name   text NOT NULL,
    namespace      text NOT NULL,
    property_key   text NOT NULL,
    property_value text,
    PRIMARY KEY (catalog_name, namespace, property_key)
);

-- A namespace is an organisation's id in its text form.
CREATE FUNCTION app_namespace() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT 'org_' || replace(app_org()::text, '-', '') $$;
ALTER TABLE iceberg_tables ENABLE ROW LEVEL SECURITY;
ALTER TABLE iceberg_tables FORCE ROW LEVEL SECURITY;
CREATE POLICY own_org ON iceberg_tables
    USING (table_namespace = app_namespace()) WITH CHECK (table_namespace = app_namespace());
ALTER TABLE iceberg_namespace_properties ENABLE ROW LEVEL SECURITY;
ALTER TABLE iceberg_namespace_properties FORCE ROW LEVEL SECURITY;
CREATE POLICY own_org ON iceberg_namespace_properties
    USING (namespace = app_namespace()) WITH CHECK (namespace = app_namespace());
