-- Organisations, people and their sessions; the audit trail; the helper that every policy uses.

GRANT USAGE, CREATE ON SCHEMA public TO clp_definer;
GRANT USAGE ON SCHEMA public TO clp_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO clp_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO clp_definer;

-- The organisation of this transaction; NULL, and so nothing at all, where none was set.
CREATE FUNCTION app_org() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('app.org', true), '')::uuid $$;

-- Enables and forces row-level security on a table with org_id. Called in the migration that creates the table.
CREATE PROCEDURE isolate(target regclass)
    LANGUAGE plpgsql
    AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY own_org ON %s USING (org_id = app_org()) WITH CHECK (org_id = app_org())', target);
END
$$;

CREATE TABLE organisations (
    org_id             uuid PRIMARY KEY,
    name               text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    reporting_currency text NOT NULL CHECK (reporting_currency ~ '^[A-Z]{3}$'),
    time_zone          text NOT NULL,
    frozen             boolean NOT NULL DEFAULT false,
    created_at         timestamptz NOT NULL
);
CALL isolate('organisations');

-- People belong to no organisation by themselves; e-mail addresses are unique across all of them.
CREATE TABLE users (
    id            uuid PRIMARY KEY,
    email         text NOT NULL CHECK (email = lower(email)),
    name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    password_hash text NOT NULL,
    created_at    timestamptz NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (email);
-- Reached through SECURITY DEFINER functions only.
REVOKE ALL ON users FROM clp_app;

CREATE TABLE memberships (
    org_id     uuid NOT NULL REFERENCES organisations,
    user_id    uuid NOT NULL REFERENCES users,
    user_name  text NOT NULL,
    role       text NOT NULL CHECK (role IN ('admin', 'approver', 'viewer')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CALL isolate('memberships');
CREATE INDEX memberships_user ON memberships (user_id);

CREATE TABLE sessions (
    org_id     uuid NOT NULL,
    id         uuid NOT NULL,
    token_hash bytea NOT NULL,
    user_id    uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, user_id) REFERENCES memberships
);
CREATE UNIQUE INDEX sessions_token ON sessions (token_hash);
CALL isolate('sessions');

-- Append-only: the app may add and read, nobody may change or remove.
CREATE TABLE audit (
    org_id      uuid NOT NULL REFERENCES organisations,
    id          uuid NOT NULL,
    at          timestamptz NOT NULL,
    actor_kind  text NOT NULL CHECK (actor_kind IN ('person', 'rule', 'system')),
    actor_id    uuid,
    action      text NOT NULL,
    subject     text NOT NULL,
    subject_id  uuid NOT NULL,
    title       text NOT NULL,
    before      jsonb,
    after       jsonb,
    PRIMARY KEY (org_id, id)
);
CALL isolate('audit');
CREATE INDEX audit_at ON audit (org_id, at DESC, id DESC);
CREATE INDEX audit_subject ON audit (org_id, subject_id, at);
REVOKE UPDATE, DELETE ON audit FROM clp_app, clp_definer;

CREATE FUNCTION refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Answers to requests that carried an Idempotency-Key, so that a repeated one gets the same answer.
CREATE TABLE idempotency (
    org_id       uuid NOT NULL REFERENCES organisations,
    key          text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
    request_hash bytea NOT NULL,
    created_at   timestamptz NOT NULL,
    status       smallint,
    body         jsonb,
    PRIMARY KEY (org_id, key)
);
CALL isolate('idempotency');

-- Sign-in looks a person up before any organisation is known.
CREATE FUNCTION sign_in_lookup(wanted_email text)
    RETURNS TABLE (user_id uuid, user_name text, password_hash text, org_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT u.id, u.name, u.password_hash, m.org_id
        FROM users u JOIN memberships m ON m.user_id = u.id
        WHERE u.email = lower(wanted_email)
        ORDER BY m.created_at
        LIMIT 1
    $$;

CREATE FUNCTION session_lookup(wanted_hash bytea, at timestamptz)
    RETURNS TABLE (session_id uuid, user_id uuid, org_id uuid, email text, user_name text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT s.id, s.user_id, s.org_id, u.email, u.name
        FROM sessions s JOIN users u ON u.id = s.user_id
        WHERE s.token_hash = wanted_hash AND s.expires_at > at
    $$;

-- Makes a person; false when the e-mail is taken.
CREATE FUNCTION user_create(new_id uuid, new_email text, new_name text, new_hash text, at timestamptz)
    RETURNS boolean
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        WITH made AS (
            INSERT INTO users (id, email, name, password_hash, created_at)
            VALUES (new_id, lower(new_email), new_name, new_hash, at)
            ON CONFLICT (email) DO NOTHING
            RETURNING 1
        )
        SELECT EXISTS (SELECT FROM made)
    $$;

ALTER FUNCTION sign_in_lookup(text) OWNER TO clp_definer;
ALTER FUNCTION session_lookup(bytea, timestamptz) OWNER TO clp_definer;
ALTER FUNCTION user_create(uuid, text, text, text, timestamptz) OWNER TO clp_definer;
REVOKE ALL ON FUNCTION sign_in_lookup(text), session_lookup(bytea, timestamptz),
    user_create(uuid, text, text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sign_in_lookup(text), session_lookup(bytea, timestamptz),
    user_create(uuid, text, text, text, timestamptz) TO clp_app;
