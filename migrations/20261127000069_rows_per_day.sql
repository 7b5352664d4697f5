-- How many rows of reports are read for an organisation in a day (UTC); NULL is as usual.
ALTER TABLE allowances ADD COLUMN rows_per_day bigint CHECK (rows_per_day > 0);

-- The rows that were read today.
CREATE INDEX pulls_fetched ON pulls (org_id, fetched_at) INCLUDE (rows) WHERE fetched_at IS NOT NULL;
