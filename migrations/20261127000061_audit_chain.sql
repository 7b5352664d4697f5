-- The audit trail as a chain for each organisation: a line's hash covers the line and the hash before it. Who edits, removes,
-- reorders or inserts a line breaks it, even as the owner of the tables; `clp audit verify` finds where.

CREATE TABLE audit_links (
    org_id   uuid NOT NULL REFERENCES organisations,
    seq      bigint NOT NULL CHECK (seq > 0),
    audit_id uuid NOT NULL,
    hash     bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (org_id, seq)
);
CREATE UNIQUE INDEX audit_links_line ON audit_links (org_id, audit_id);
CALL isolate('audit_links');

-- The end of each chain. Its row lock makes one chain of transactions that commit at the same time.
CREATE TABLE audit_heads (
    org_id uuid PRIMARY KEY REFERENCES organisations,
    seq    bigint NOT NULL,
    hash   bytea NOT NULL
);
CALL isolate('audit_heads');

-- The application reads the chain; only the trigger below makes it longer.
REVOKE INSERT, UPDATE, DELETE ON audit_links, audit_heads FROM clp_app;
REVOKE UPDATE, DELETE ON audit_links FROM clp_definer;
CREATE TRIGGER audit_links_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_links
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One field: its length in bytes, a colon and its text; a hyphen for NULL. No two lists of fields are written alike.
CREATE FUNCTION audit_field(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT coalesce(octet_length(value)::text || ':' || value, '-') $$;

-- What a line's hash covers; store::audit_chain writes the same bytes. Moments are microseconds since 1970.
CREATE FUNCTION audit_bytes(line audit) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
        SELECT convert_to(
            audit_field(line.org_id::text) || audit_field(line.id::text)
            || audit_field((extract(epoch FROM line.at) * 1000000)::bigint::text)
            || audit_field(line.actor_kind) || audit_field(line.actor_id::text) || audit_field(line.action)
            || audit_field(line.subject) || audit_field(line.subject_id::text) || audit_field(line.title)
            || audit_field(line.before::text) || audit_field(line.after::text), 'UTF8')
    $$;

-- Puts a line at the end of its organisation's chain.
CREATE FUNCTION audit_append(line audit) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
DECLARE
    head audit_heads;
BEGIN
    INSERT INTO audit_heads VALUES (line.org_id, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
    SELECT * INTO head FROM audit_heads h WHERE h.org_id = line.org_id FOR UPDATE;
    head.seq := head.seq + 1;
    head.hash := sha256(head.hash || int8send(head.seq) || audit_bytes(line));
    UPDATE audit_heads SET seq = head.seq, hash = head.hash WHERE org_id = head.org_id;
    INSERT INTO audit_links VALUES (head.org_id, head.seq, line.id, head.hash);
END
$$;

-- At the end of the transaction, when it holds every other lock that it needs: it waits for the head last, so that no two
-- transactions wait for each other.
CREATE FUNCTION audit_link() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ BEGIN PERFORM audit_append(NEW); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER audit_is_a_chain AFTER INSERT ON audit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_link();

-- The organisations whose trails an operator can verify.
CREATE FUNCTION organisations_with_audit() RETURNS TABLE (org_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$ SELECT h.org_id FROM audit_heads h ORDER BY h.org_id $$;

ALTER FUNCTION audit_append(audit) OWNER TO clp_definer;
ALTER FUNCTION audit_link() OWNER TO clp_definer;
ALTER FUNCTION organisations_with_audit() OWNER TO clp_definer;
REVOKE ALL ON FUNCTION audit_append(audit), audit_link(), organisations_with_audit() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION organisations_with_audit() TO clp_app;

-- Lines that are there already, in the order in which they were written. The owner is bound by the policies too.
ALTER TABLE audit NO FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
    line audit;
BEGIN
    FOR line IN SELECT * FROM audit ORDER BY org_id, at, id LOOP
        PERFORM audit_append(line);
    END LOOP;
END
$$;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;
