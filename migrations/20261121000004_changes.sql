-- Rules, decisions, proposals and their write-backs; onboarding; workflows that are to be started.

CREATE TABLE rules (
    org_id     uuid NOT NULL REFERENCES organisations,
    id         uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('pacing')),
    name       text NOT NULL,
    enabled    boolean NOT NULL,
    version    integer NOT NULL CHECK (version > 0),
    settings   jsonb NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, kind, name)
);
CALL isolate('rules');

-- One evaluation of the rules: what it looked at and what it found. Never changed after it is finished.
CREATE TABLE decisions (
    org_id       uuid NOT NULL REFERENCES organisations,
    id           uuid NOT NULL,
    -- What asked for it: a cycle, or a person's request.
    cause        text NOT NULL CHECK (cause IN ('cycle', 'person')),
    cause_id     uuid NOT NULL,
    asked_by     uuid,
    started_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    as_of        timestamptz,
    -- The newest pull of each account and report that the numbers came from.
    pulls        uuid[] NOT NULL DEFAULT '{}',
    lines_judged integer NOT NULL DEFAULT 0,
    not_judged   jsonb NOT NULL DEFAULT '{}',
    error_code   text,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, cause, cause_id),
    FOREIGN KEY (org_id, asked_by) REFERENCES memberships
);
CALL isolate('decisions');

CREATE TABLE proposals (
    org_id        uuid NOT NULL,
    id            uuid NOT NULL,
    rule_id       uuid,
    rule_version  integer,
    decision_id   uuid,
    proposed_by   uuid,
    connection_id uuid NOT NULL,
    account_id    uuid NOT NULL,
    entity_id     uuid NOT NULL,
    field         text NOT NULL CHECK (field IN ('daily_budget')),
    before        numeric(28, 9) NOT NULL,
    after         numeric(28, 9) NOT NULL CHECK (after <> before),
    currency      text NOT NULL,
    limited       boolean NOT NULL,
    pacing        jsonb NOT NULL,
    settled       text NOT NULL,
    change_hash   text NOT NULL,
    state         text NOT NULL CHECK (state IN ('proposed', 'approved', 'applying', 'unknown', 'verified', 'rejected',
                                                 'expired', 'cancelled', 'drifted', 'failed')),
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    closed_at     timestamptz,
    live          numeric(28, 9),
    live_read_at  timestamptz,
    error_code    text,
    error_detail  text,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, rule_id) REFERENCES rules,
    FOREIGN KEY (org_id, decision_id) REFERENCES decisions,
    FOREIGN KEY (org_id, proposed_by) REFERENCES memberships,
    FOREIGN KEY (org_id, account_id) REFERENCES accounts,
    FOREIGN KEY (org_id, connection_id) REFERENCES connections,
    FOREIGN KEY (org_id, entity_id) REFERENCES entities
);
CALL isolate('proposals');
-- One open proposal per setting: a second evaluation does not ask twice.
CREATE UNIQUE INDEX proposals_one_open ON proposals (org_id, entity_id, field)
    WHERE state IN ('proposed', 'approved', 'applying', 'unknown');
CREATE INDEX proposals_created ON proposals (org_id, created_at DESC, id DESC);

-- What persons decided, bound to the hash of what they saw. One yes or no per proposal; a yes may still be withdrawn.
CREATE TABLE approvals (
    org_id      uuid NOT NULL,
    proposal_id uuid NOT NULL,
    user_id     uuid NOT NULL,
    verdict     text NOT NULL CHECK (verdict IN ('approve', 'reject', 'cancel')),
    change_hash text NOT NULL,
    reason      text,
    decided_at  timestamptz NOT NULL,
    PRIMARY KEY (org_id, proposal_id, verdict),
    FOREIGN KEY (org_id, proposal_id) REFERENCES proposals,
    FOREIGN KEY (org_id, user_id) REFERENCES memberships
);
CALL isolate('approvals');
CREATE UNIQUE INDEX approvals_one_answer ON approvals (org_id, proposal_id) WHERE verdict IN ('approve', 'reject');

-- Each attempt to send a change: written before it is sent, closed when its outcome is known.
CREATE TABLE attempts (
    org_id      uuid NOT NULL,
    id          uuid NOT NULL,
    proposal_id uuid NOT NULL,
    number      integer NOT NULL CHECK (number BETWEEN 1 AND 5),
    begun_at    timestamptz NOT NULL,
    -- Set just before the call: an attempt that has it is never sent again.
    sent_at     timestamptz,
    outcome     text CHECK (outcome IN ('applied', 'absent', 'other', 'refused')),
    settled_at  timestamptz,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, proposal_id, number),
    FOREIGN KEY (org_id, proposal_id) REFERENCES proposals
);
CALL isolate('attempts');
-- No second attempt while the first is in doubt.
CREATE UNIQUE INDEX attempts_one_open ON attempts (org_id, proposal_id) WHERE outcome IS NULL;

CREATE TABLE onboardings (
    org_id             uuid NOT NULL REFERENCES organisations,
    id                 uuid NOT NULL,
    user_id            uuid NOT NULL,
    platform           text,
    connection_id      uuid,
    state              text NOT NULL CHECK (state IN ('connecting', 'verifying', 'choosing_accounts', 'provisioning',
                                                      'first_slice', 'ready', 'done', 'failed', 'cancelled')),
    steps              jsonb NOT NULL DEFAULT '{}',
    started_at         timestamptz NOT NULL,
    dashboard_ready_at timestamptz,
    closed_at          timestamptz,
    error_code         text,
    error_detail       text,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, connection_id) REFERENCES connections,
    FOREIGN KEY (org_id, user_id) REFERENCES memberships
);
CALL isolate('onboardings');
-- One onboarding at a time.
CREATE UNIQUE INDEX onboardings_one_open ON onboardings (org_id) WHERE state NOT IN ('done', 'failed', 'cancelled');

-- Workflows that are to be started: committed with what they belong to, started afterwards, by whoever comes first.
CREATE TABLE intents (
    org_id      uuid NOT NULL REFERENCES organisations,
    id          uuid NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('onboard', 'first_ingest', 'ingest', 'follow_up', 'evaluate', 'write_back')),
    -- The row that the workflow works on; with the kind it names the workflow.
    subject_id  uuid NOT NULL,
    created_at  timestamptz NOT NULL,
    not_before  timestamptz NOT NULL,
    started_at  timestamptz,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, kind, subject_id)
);
CALL isolate('intents');
CREATE INDEX intents_due ON intents (not_before) WHERE started_at IS NULL;

-- What the sweeper starts: ids only.
CREATE FUNCTION intents_due(at timestamptz, most integer)
    RETURNS TABLE (org_id uuid, id uuid, kind text, subject_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT i.org_id, i.id, i.kind, i.subject_id FROM intents i
        WHERE i.started_at IS NULL AND i.not_before <= at
        ORDER BY i.not_before LIMIT most
    $$;

-- The organisations that are to have a schedule: those whose onboarding made a dashboard.
CREATE FUNCTION organisations_with_schedule(after_id uuid, most integer)
    RETURNS TABLE (org_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
    AS $$
        SELECT DISTINCT o.org_id FROM onboardings o
        WHERE o.state IN ('first_slice', 'ready', 'done') AND o.org_id > after_id
        ORDER BY o.org_id LIMIT most
    $$;

ALTER FUNCTION intents_due(timestamptz, integer) OWNER TO clp_definer;
ALTER FUNCTION organisations_with_schedule(uuid, integer) OWNER TO clp_definer;
REVOKE ALL ON FUNCTION intents_due(timestamptz, integer), organisations_with_schedule(uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION intents_due(timestamptz, integer), organisations_with_schedule(uuid, integer) TO clp_app;
