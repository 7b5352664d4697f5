-- A data key for each organisation seals its secrets; the master key, which is not here, wraps the data keys.

CREATE TABLE data_keys (
    org_id     uuid NOT NULL REFERENCES organisations,
    -- The newest one seals. A number is never given twice: only older ones are removed.
    version    integer NOT NULL CHECK (version > 0),
    wrapped    bytea NOT NULL,
    -- The master key that wrapped it: a few digits of its hash, or its name and version in Vault.
    master     text NOT NULL,
    created_at timestamptz NOT NULL,
    wrapped_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, version)
);
CALL isolate('data_keys');

-- The organisations whose keys an operator rotates: those that have a key, or a secret from before there were any.
CREATE FUNCTION organisations_with_secrets() RETURNS TABLE (org_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT k.org_id FROM data_keys k
        UNION SELECT c.org_id FROM connections c WHERE c.credentials IS NOT NULL
        UNION SELECT s.org_id FROM consents s
            WHERE s.verifier IS NOT NULL OR s.code IS NOT NULL OR s.credentials IS NOT NULL
        ORDER BY 1
    $$;
ALTER FUNCTION organisations_with_secrets() OWNER TO clp_definer;
REVOKE ALL ON FUNCTION organisations_with_secrets() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION organisations_with_secrets() TO clp_app;
