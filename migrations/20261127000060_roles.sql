-- Roles as sets of named permissions, and members that can be deactivated.

CREATE TABLE roles (
    org_id      uuid NOT NULL REFERENCES organisations,
    name        text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,40}$'),
    title       text NOT NULL CHECK (length(title) BETWEEN 1 AND 100),
    -- Names of permissions; one that a release does not know allows nothing there.
    permissions text[] NOT NULL,
    -- One of those that every organisation begins with: it can be edited but not removed; admin can't be edited.
    built_in    boolean NOT NULL,
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (org_id, name)
);
CALL isolate('roles');

ALTER TABLE memberships DROP CONSTRAINT memberships_role_check;
-- A role that is not there allows nothing. The foreign key comes one release later: the release before this one makes
-- memberships without roles.
ALTER TABLE memberships ADD COLUMN deactivated_at timestamptz;

-- Organisations that are there already get what a new one begins with. The owner is bound by the policies too.
ALTER TABLE organisations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE roles NO FORCE ROW LEVEL SECURITY;
INSERT INTO roles (org_id, name, title, permissions, built_in, changed_at)
SELECT o.org_id, r.name, r.title, look.permissions || r.more, true, o.created_at
FROM organisations o,
     (VALUES (ARRAY['delivery.read', 'runs.read', 'connections.read', 'rules.read', 'proposals.read'])) AS look (permissions),
     (VALUES
        ('admin', 'Admin', ARRAY['runs.start', 'connections.manage', 'rules.manage', 'rules.evaluate', 'proposals.decide',
                                 'proposals.withdraw', 'changes.freeze', 'members.read', 'members.manage',
                                 'api_keys.manage', 'sign_in.manage', 'audit.read']),
        ('planner', 'Planner', ARRAY['runs.start', 'rules.evaluate', 'proposals.withdraw', 'members.read']),
        ('trader', 'Trader', ARRAY['runs.start', 'rules.evaluate', 'rules.manage', 'proposals.decide',
                                   'proposals.withdraw', 'members.read']),
        ('campaign_manager', 'Campaign manager', ARRAY['runs.start', 'rules.evaluate', 'connections.manage',
                                                       'members.read']),
        ('approver', 'Approver', ARRAY['proposals.decide', 'members.read']),
        ('viewer', 'Viewer', ARRAY[]::text[])) AS r (name, title, more);
ALTER TABLE organisations FORCE ROW LEVEL SECURITY;
ALTER TABLE roles FORCE ROW LEVEL SECURITY;

-- A session with what its person may do. Nobody who was deactivated has one.
CREATE FUNCTION session_find(wanted_hash bytea, at timestamptz)
    RETURNS TABLE (session_id uuid, user_id uuid, org_id uuid, email text, user_name text, role text, permissions text[])
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT s.id, s.user_id, s.org_id, u.email, u.name, m.role, coalesce(r.permissions, '{}')
        FROM sessions s
        JOIN users u ON u.id = s.user_id
        JOIN memberships m ON m.org_id = s.org_id AND m.user_id = s.user_id AND m.deactivated_at IS NULL
        LEFT JOIN roles r ON r.org_id = m.org_id AND r.name = m.role
        WHERE s.token_hash = wanted_hash AND s.expires_at > at
    $$;

-- The organisations that a person belongs to: names and roles, nothing else of them.
CREATE FUNCTION organisations_of(wanted_user uuid)
    RETURNS TABLE (org_id uuid, name text, role text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT m.org_id, o.name, m.role
        FROM memberships m JOIN organisations o ON o.org_id = m.org_id
        WHERE m.user_id = wanted_user AND m.deactivated_at IS NULL
        ORDER BY o.name, m.org_id
        LIMIT 200
    $$;

-- The e-mail addresses of the members of the transaction's own organisation.
CREATE FUNCTION member_emails()
    RETURNS TABLE (user_id uuid, email text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT u.id, u.email FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.org_id = app_org()
    $$;

-- Sign-in leads to an organisation that the person still belongs to.
CREATE OR REPLACE FUNCTION sign_in_lookup(wanted_email text)
    RETURNS TABLE (user_id uuid, user_name text, password_hash text, org_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT u.id, u.name, u.password_hash, m.org_id
        FROM users u JOIN memberships m ON m.user_id = u.id
        WHERE u.email = lower(wanted_email) AND m.deactivated_at IS NULL
        ORDER BY m.created_at
        LIMIT 1
    $$;

ALTER FUNCTION session_find(bytea, timestamptz) OWNER TO clp_definer;
ALTER FUNCTION organisations_of(uuid) OWNER TO clp_definer;
ALTER FUNCTION member_emails() OWNER TO clp_definer;
REVOKE ALL ON FUNCTION session_find(bytea, timestamptz), organisations_of(uuid), member_emails() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION session_find(bytea, timestamptz), organisations_of(uuid), member_emails() TO clp_app;
