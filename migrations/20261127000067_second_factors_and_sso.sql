-- A second factor for signing in, and signing in through an organisation's own identity provider.

-- The secret of a person's authenticator, sealed with the key of the organisation in which they set it up. It is asked for
-- wherever they sign in.
CREATE TABLE second_factors (
    org_id       uuid NOT NULL,
    user_id      uuid NOT NULL,
    secret       bytea NOT NULL,
    created_at   timestamptz NOT NULL,
    -- NULL until a code was right: until then it is not asked for.
    confirmed_at timestamptz,
    -- The 30 seconds of the last code that was taken: no code works twice.
    last_step    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, user_id),
    FOREIGN KEY (org_id, user_id) REFERENCES memberships
);
CREATE UNIQUE INDEX second_factors_user ON second_factors (user_id);
CALL isolate('second_factors');

CREATE TABLE recovery_codes (
    org_id    uuid NOT NULL,
    user_id   uuid NOT NULL,
    code_hash bytea NOT NULL CHECK (length(code_hash) = 32),
    used_at   timestamptz,
    PRIMARY KEY (org_id, user_id, code_hash),
    FOREIGN KEY (org_id, user_id) REFERENCES second_factors ON DELETE CASCADE
);
CALL isolate('recovery_codes');

-- An organisation's own identity provider (OpenID Connect).
CREATE TABLE sso_providers (
    org_id        uuid PRIMARY KEY REFERENCES organisations,
    issuer        text NOT NULL,
    client_id     text NOT NULL,
    client_secret bytea NOT NULL,
    -- The role of people whom the provider knows and who were not invited; NULL lets in members only.
    default_role  text,
    -- Whether everybody but admins has to sign in through it.
    required      boolean NOT NULL,
    changed_at    timestamptz NOT NULL
);
CALL isolate('sso_providers');

-- A sign-in under way at a provider. What proves it (nonce, verifier) is made of the secret in the browser's cookie.
CREATE TABLE sso_sign_ins (
    org_id     uuid NOT NULL REFERENCES sso_providers ON DELETE CASCADE,
    id         uuid NOT NULL,
    state_hash bytea NOT NULL CHECK (length(state_hash) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    PRIMARY KEY (org_id, id)
);
CREATE UNIQUE INDEX sso_sign_ins_state ON sso_sign_ins (state_hash);
CALL isolate('sso_sign_ins');

-- Whom a provider means by its subject.
CREATE TABLE sso_identities (
    org_id    uuid NOT NULL,
    issuer    text NOT NULL,
    subject   text NOT NULL,
    user_id   uuid NOT NULL,
    linked_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, issuer, subject),
    FOREIGN KEY (org_id, user_id) REFERENCES memberships
);
CALL isolate('sso_identities');

-- A session that an organisation's provider vouched for is for that organisation alone: a provider that says too much harms
-- nobody else.
ALTER TABLE sessions ADD COLUMN bound boolean NOT NULL DEFAULT false;

CREATE FUNCTION session_who(wanted_hash bytea, at timestamptz)
    RETURNS TABLE (session_id uuid, user_id uuid, org_id uuid, email text, user_name text, role text, permissions text[],
                   bound boolean)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT s.id, s.user_id, s.org_id, u.email, u.name, m.role, coalesce(r.permissions, '{}'), s.bound
        FROM sessions s
        JOIN users u ON u.id = s.user_id
        JOIN memberships m ON m.org_id = s.org_id AND m.user_id = s.user_id AND m.deactivated_at IS NULL
        LEFT JOIN roles r ON r.org_id = m.org_id AND r.name = m.role
        WHERE s.token_hash = wanted_hash AND s.expires_at > at
    $$;

-- The release before the one before this asked it.
DROP FUNCTION session_lookup(bytea, timestamptz);

-- Where a person's second factor is kept, and whether it is asked for.
CREATE FUNCTION second_factor_find(wanted_user uuid) RETURNS TABLE (org_id uuid, confirmed boolean)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT f.org_id, f.confirmed_at IS NOT NULL FROM second_factors f WHERE f.user_id = wanted_user $$;

-- The organisation that somebody with this e-mail joined first, of those that have an identity provider.
CREATE FUNCTION sso_organisation(wanted_email text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT m.org_id
        FROM users u
        JOIN memberships m ON m.user_id = u.id AND m.deactivated_at IS NULL
        JOIN sso_providers p ON p.org_id = m.org_id
        WHERE u.email = lower(wanted_email)
        ORDER BY m.created_at
        LIMIT 1
    $$;

-- A sign-in that is still under way, before its organisation is known.
CREATE FUNCTION sso_sign_in_find(wanted_hash bytea, at timestamptz) RETURNS TABLE (org_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT s.org_id, s.id FROM sso_sign_ins s
        WHERE s.state_hash = wanted_hash AND s.used_at IS NULL AND s.expires_at > at
    $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['session_who(bytea, timestamptz)', 'second_factor_find(uuid)', 'sso_organisation(text)',
        'sso_sign_in_find(bytea, timestamptz)'] LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO clp_definer', name);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO clp_app', name);
    END LOOP;
END
$$;
