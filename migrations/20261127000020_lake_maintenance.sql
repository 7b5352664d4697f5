-- When an organisation's tables were last freed of old snapshots and of files that nothing reaches.

CREATE TABLE lake_maintenance (
    org_id  uuid PRIMARY KEY REFERENCES organisations,
    done_at timestamptz NOT NULL
);
CALL isolate('lake_maintenance');
