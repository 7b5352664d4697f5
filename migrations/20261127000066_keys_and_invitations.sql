-- API keys, invitations, forgotten passwords, and the terms that people agreed to.

-- A key acts for the person who made it, in one organisation, and may do no more than both the key and the person's role
-- allow. The secret itself is never stored.
CREATE TABLE api_keys (
    org_id       uuid NOT NULL,
    id           uuid NOT NULL,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    -- How the secret begins, so that people can tell their keys apart.
    beginning    text NOT NULL CHECK (length(beginning) BETWEEN 4 AND 12),
    token_hash   bytea NOT NULL CHECK (length(token_hash) = 32),
    permissions  text[] NOT NULL,
    made_by      uuid NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL CHECK (expires_at > created_at),
    last_used_at timestamptz,
    revoked_at   timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, made_by) REFERENCES memberships
);
CREATE UNIQUE INDEX api_keys_token ON api_keys (token_hash);
CALL isolate('api_keys');

CREATE TABLE invitations (
    org_id       uuid NOT NULL,
    id           uuid NOT NULL,
    email        text NOT NULL CHECK (email = lower(email)),
    role         text NOT NULL,
    token_hash   bytea NOT NULL CHECK (length(token_hash) = 32),
    invited_by   uuid NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    -- When a mail server took the mail; NULL where none did.
    mailed_at    timestamptz,
    accepted_at  timestamptz,
    withdrawn_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, invited_by) REFERENCES memberships,
    CHECK (accepted_at IS NULL OR withdrawn_at IS NULL)
);
CREATE UNIQUE INDEX invitations_token ON invitations (token_hash);
CREATE UNIQUE INDEX invitations_open ON invitations (org_id, email) WHERE accepted_at IS NULL AND withdrawn_at IS NULL;
CALL isolate('invitations');

-- People's own, like their passwords: reached through the functions below only.
CREATE TABLE password_resets (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users,
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX password_resets_user ON password_resets (user_id);
REVOKE ALL ON password_resets FROM clp_app;

-- Which version of which document a person agreed to, and when. Never changed, never removed.
CREATE TABLE agreements (
    org_id    uuid NOT NULL,
    user_id   uuid NOT NULL,
    document  text NOT NULL CHECK (document IN ('terms', 'privacy')),
    version   text NOT NULL CHECK (length(version) BETWEEN 1 AND 40),
    agreed_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, user_id, document, version),
    FOREIGN KEY (org_id, user_id) REFERENCES memberships
);
CALL isolate('agreements');
REVOKE UPDATE, DELETE ON agreements FROM clp_app, clp_definer;

-- The key of a secret, before its organisation is known: one that still holds, of a member who still is one.
CREATE FUNCTION api_key_find(wanted_hash bytea, at timestamptz)
    RETURNS TABLE (key_id uuid, user_id uuid, org_id uuid, email text, user_name text, role text, permissions text[],
                   last_used_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT k.id, k.made_by, k.org_id, u.email, u.name, m.role,
               ARRAY(SELECT unnest(k.permissions) INTERSECT SELECT unnest(coalesce(r.permissions, '{}'))), k.last_used_at
        FROM api_keys k
        JOIN users u ON u.id = k.made_by
        JOIN memberships m ON m.org_id = k.org_id AND m.user_id = k.made_by AND m.deactivated_at IS NULL
        LEFT JOIN roles r ON r.org_id = m.org_id AND r.name = m.role
        WHERE k.token_hash = wanted_hash AND k.expires_at > at AND k.revoked_at IS NULL
    $$;

-- The open invitation of a link, before its organisation is known.
CREATE FUNCTION invitation_find(wanted_hash bytea, at timestamptz) RETURNS TABLE (org_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT i.org_id, i.id FROM invitations i
        WHERE i.token_hash = wanted_hash AND i.expires_at > at AND i.accepted_at IS NULL AND i.withdrawn_at IS NULL
    $$;

-- Who has this e-mail, whether or not they belong to an organisation (any more).
CREATE FUNCTION user_find(wanted_email text) RETURNS TABLE (user_id uuid, user_name text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT u.id, u.name FROM users u WHERE u.email = lower(wanted_email) $$;

-- The hash of a person's own password, to be checked before it is changed.
CREATE FUNCTION user_password(wanted_user uuid) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT u.password_hash FROM users u WHERE u.id = wanted_user $$;

-- A new password: every session of the person ends in every organisation, but for the one named; a forgotten password's
-- links are of no use any more; each organisation's trail says that it happened.
CREATE FUNCTION user_set_password(wanted_user uuid, new_hash text, kept_session uuid, at timestamptz) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        UPDATE users SET password_hash = new_hash WHERE id = wanted_user;
        DELETE FROM sessions WHERE user_id = wanted_user AND id IS DISTINCT FROM kept_session;
        UPDATE password_resets SET used_at = at WHERE user_id = wanted_user AND used_at IS NULL;
        INSERT INTO audit (org_id, id, at, actor_kind, actor_id, action, subject, subject_id, title)
        SELECT m.org_id, gen_random_uuid(), at, 'person', wanted_user, 'user.set_password', 'user', wanted_user, m.user_name
        FROM memberships m WHERE m.user_id = wanted_user;
    $$;

-- Begins a reset for an e-mail that somebody has; links of before are of no use any more. Nobody learns which it was.
CREATE FUNCTION password_reset_begin(wanted_email text, new_id uuid, new_hash bytea, at timestamptz, until timestamptz)
    RETURNS TABLE (user_id uuid, user_name text)
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        UPDATE password_resets r SET used_at = at
        FROM users u WHERE u.email = lower(wanted_email) AND r.user_id = u.id AND r.used_at IS NULL;
        INSERT INTO password_resets (id, user_id, token_hash, created_at, expires_at)
        SELECT new_id, u.id, new_hash, at, until FROM users u WHERE u.email = lower(wanted_email);
        SELECT u.id, u.name FROM users u WHERE u.email = lower(wanted_email);
    $$;

-- Uses a reset's link once; who it was for.
CREATE FUNCTION password_reset_use(wanted_hash bytea, at timestamptz) RETURNS uuid
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        UPDATE password_resets SET used_at = at
        WHERE token_hash = wanted_hash AND used_at IS NULL AND expires_at > at
        RETURNING user_id
    $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['api_key_find(bytea, timestamptz)', 'invitation_find(bytea, timestamptz)', 'user_find(text)',
        'user_password(uuid)', 'user_set_password(uuid, text, uuid, timestamptz)',
        'password_reset_begin(text, uuid, bytea, timestamptz, timestamptz)', 'password_reset_use(bytea, timestamptz)'] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO clp_definer', name);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO clp_app', name);
    END LOOP;
END
$$;
