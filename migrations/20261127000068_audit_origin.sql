-- From where something was done: the address of the network that the request came from, and the API key, where a program
-- asked in a person's name.

ALTER TABLE audit
    ADD COLUMN origin_address text CHECK (length(origin_address) <= 45),
    ADD COLUMN origin_key uuid;

-- Lines of before, which have neither, keep the bytes that their hashes cover.
CREATE OR REPLACE FUNCTION audit_bytes(line audit) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
        SELECT convert_to(
            audit_field(line.org_id::text) || audit_field(line.id::text)
            || audit_field((extract(epoch FROM line.at) * 1000000)::bigint::text)
            || audit_field(line.actor_kind) || audit_field(line.actor_id::text) || audit_field(line.action)
            || audit_field(line.subject) || audit_field(line.subject_id::text) || audit_field(line.title)
            || audit_field(line.before::text) || audit_field(line.after::text)
            || CASE WHEN line.origin_address IS NULL AND line.origin_key IS NULL THEN ''
                    ELSE audit_field(line.origin_address) || audit_field(line.origin_key::text) END, 'UTF8')
    $$;
