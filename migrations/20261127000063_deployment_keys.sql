-- Keys of the deployment as a whole, wrapped by the master key: those that the payloads of workflows are encrypted with.
-- They belong to no organisation, and hold nobody's data.
CREATE TABLE deployment_keys (
    name       text NOT NULL,
    -- The newest one encrypts; older ones decrypt what is in histories.
    version    integer NOT NULL CHECK (version > 0),
    wrapped    bytea NOT NULL,
    master     text NOT NULL,
    created_at timestamptz NOT NULL,
    wrapped_at timestamptz NOT NULL,
    PRIMARY KEY (name, version)
);
