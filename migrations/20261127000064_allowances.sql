-- What an organisation may have and ask for, where it differs from what the deployment allows everybody: NULL is as usual.
-- (`quotas` are those of the platforms.)
CREATE TABLE allowances (
    org_id        uuid PRIMARY KEY REFERENCES organisations,
    connections   integer CHECK (connections > 0),
    runs_per_hour integer CHECK (runs_per_hour > 0),
    changed_at    timestamptz NOT NULL
);
CALL isolate('allowances');

-- The runs that people asked for in the last hour.
CREATE INDEX intents_ingest ON intents (org_id, created_at) WHERE kind = 'ingest';
