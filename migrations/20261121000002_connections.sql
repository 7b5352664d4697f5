-- Connections, the consents that make them, their accounts and the entities read through them.

CREATE TABLE connections (
    org_id        uuid NOT NULL REFERENCES organisations,
    id            uuid NOT NULL,
    platform      text NOT NULL,
    -- The name of a deployment's endpoints (dv360.live), never a URL.
    environment   text NOT NULL,
    title         text NOT NULL,
    status        text NOT NULL CHECK (status IN ('new', 'healthy', 'needs_reauth', 'needs_permission', 'removed')),
    -- Sealed credentials (AES-256-GCM); NULL before the first consent is exchanged.
    credentials   bytea,
    scopes        text[] NOT NULL DEFAULT '{}',
    connected_by  uuid,
    connected_at  timestamptz,
    -- Why it does not work, and since when.
    error_code    text,
    error_detail  text,
    error_since   timestamptz,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, connected_by) REFERENCES memberships
);
CALL isolate('connections');

-- One consent flow. The state is stored hashed, verifier and code sealed.
CREATE TABLE consents (
    org_id        uuid NOT NULL,
    id            uuid NOT NULL,
    connection_id uuid NOT NULL,
    user_id       uuid NOT NULL,
    state_hash    bytea NOT NULL,
    -- Both are erased when the code is exchanged.
    verifier      bytea,
    code          bytea,
    redirect_uri  text NOT NULL,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    answered_at   timestamptz,
    exchanged_at  timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, connection_id) REFERENCES connections,
    FOREIGN KEY (org_id, user_id) REFERENCES memberships
);
CALL isolate('consents');
CREATE UNIQUE INDEX consents_state ON consents (state_hash);

CREATE TABLE accounts (
    org_id        uuid NOT NULL,
    id            uuid NOT NULL,
    connection_id uuid NOT NULL,
    platform_id   text NOT NULL,
    name          text NOT NULL,
    parent_id     text,
    parent_name   text,
    currency      text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    time_zone     text NOT NULL,
    status        text NOT NULL CHECK (status IN ('active', 'paused', 'gone')),
    selected      boolean NOT NULL DEFAULT false,
    error_code    text,
    error_since   timestamptz,
    entities_read_at timestamptz,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, connection_id, platform_id),
    FOREIGN KEY (org_id, connection_id) REFERENCES connections
);
CALL isolate('accounts');

CREATE TABLE entities (
    org_id        uuid NOT NULL,
    id            uuid NOT NULL,
    account_id    uuid NOT NULL,
    connection_id uuid NOT NULL,
    level         text NOT NULL CHECK (level IN ('campaign', 'order', 'line')),
    platform_id   text NOT NULL,
    parent_id     text,
    campaign_id   text NOT NULL,
    name          text NOT NULL,
    status        text NOT NULL CHECK (status IN ('active', 'paused', 'draft', 'archived')),
    first_day     date,
    last_day      date,
    budget        numeric(28, 9),
    daily_budget  numeric(28, 9),
    currency      text NOT NULL,
    read_at       timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, account_id, level, platform_id),
    FOREIGN KEY (org_id, account_id) REFERENCES accounts,
    FOREIGN KEY (org_id, connection_id) REFERENCES connections
);
CALL isolate('entities');
CREATE INDEX entities_campaign ON entities (org_id, account_id, campaign_id);

-- The callback of a consent comes without a session's organisation: find it by the state's hash.
CREATE FUNCTION consent_lookup(wanted_hash bytea)
    RETURNS TABLE (org_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT c.org_id, c.id FROM consents c WHERE c.state_hash = wanted_hash $$;
ALTER FUNCTION consent_lookup(bytea) OWNER TO clp_definer;
REVOKE ALL ON FUNCTION consent_lookup(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION consent_lookup(bytea) TO clp_app;
