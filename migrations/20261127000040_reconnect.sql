-- A consent can also renew the authorisation of a connection that is in use. What came of it is kept with it, for the
-- connection's page.
ALTER TABLE consents
    ADD COLUMN purpose      text NOT NULL DEFAULT 'onboard' CHECK (purpose IN ('onboard', 'reconnect')),
    -- Sealed, from the exchange of the code until the connection takes them over or they are refused.
    ADD COLUMN credentials  bytea,
    ADD COLUMN closed_at    timestamptz,
    ADD COLUMN error_code   text,
    ADD COLUMN error_detail text;
CREATE INDEX consents_answered ON consents (org_id, connection_id, answered_at DESC) WHERE purpose = 'reconnect';

ALTER TABLE intents DROP CONSTRAINT intents_kind_check;
ALTER TABLE intents ADD CONSTRAINT intents_kind_check
    CHECK (kind IN ('onboard', 'first_ingest', 'ingest', 'follow_up', 'evaluate', 'write_back', 'reconnect')) NOT VALID;
ALTER TABLE intents VALIDATE CONSTRAINT intents_kind_check;
