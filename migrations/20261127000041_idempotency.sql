-- Answers are kept for a day: a key that comes later is a new request.
CREATE INDEX idempotency_created ON idempotency (created_at);

CREATE FUNCTION idempotency_forget(before timestamptz, most integer)
    RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        WITH gone AS (
            DELETE FROM idempotency
            WHERE (org_id, key) IN (SELECT i.org_id, i.key FROM idempotency i
                                    WHERE i.created_at < before ORDER BY i.created_at LIMIT most)
            RETURNING 1
        )
        SELECT count(*) FROM gone
    $$;

ALTER FUNCTION idempotency_forget(timestamptz, integer) OWNER TO clp_definer;
REVOKE ALL ON FUNCTION idempotency_forget(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION idempotency_forget(timestamptz, integer) TO clp_app;
