-- What the detector compares with the workflow engine: ids only.

CREATE INDEX cycles_running ON cycles (started_at) WHERE state = 'running';
CREATE FUNCTION cycles_running(before timestamptz, most integer)
    RETURNS TABLE (org_id uuid, id uuid, workflow_id text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT c.org_id, c.id, c.workflow_id FROM cycles c
        WHERE c.state = 'running' AND c.started_at < before
        ORDER BY c.started_at LIMIT most
    $$;

CREATE INDEX proposals_open ON proposals (id) WHERE state IN ('proposed', 'approved', 'applying', 'unknown');
CREATE FUNCTION proposals_open(after_id uuid, most integer)
    RETURNS TABLE (org_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT p.org_id, p.id FROM proposals p
        WHERE p.state IN ('proposed', 'approved', 'applying', 'unknown') AND p.id > after_id
        ORDER BY p.id LIMIT most
    $$;

-- Per platform, up to when the connection that is furthest behind is complete, of those that nobody has to mend first.
CREATE FUNCTION platforms_complete_to()
    RETURNS TABLE (platform text, complete_to timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT c.platform, min(w.as_of)
        FROM connections c
        JOIN accounts a ON a.org_id = c.org_id AND a.connection_id = c.id AND a.selected AND a.status <> 'gone'
        LEFT JOIN LATERAL (
            SELECT w.as_of FROM watermarks w
            WHERE w.org_id = c.org_id AND w.connection_id = c.id AND w.account = a.platform_id
            ORDER BY w.as_of DESC LIMIT 1
        ) w ON true
        WHERE c.status = 'healthy'
        GROUP BY c.platform
    $$;

ALTER FUNCTION cycles_running(timestamptz, integer) OWNER TO clp_definer;
ALTER FUNCTION proposals_open(uuid, integer) OWNER TO clp_definer;
ALTER FUNCTION platforms_complete_to() OWNER TO clp_definer;
REVOKE ALL ON FUNCTION cycles_running(timestamptz, integer), proposals_open(uuid, integer), platforms_complete_to()
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cycles_running(timestamptz, integer), proposals_open(uuid, integer), platforms_complete_to()
    TO clp_app;
