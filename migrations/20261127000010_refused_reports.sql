-- Reports that pulls were answered with and that could not be used: they are not taken for an answer again.

ALTER TABLE pulls
    -- When the last of them was refused: what was finished before is not fresh enough any more.
    ADD COLUMN refused_at      timestamptz,
    ADD COLUMN refused_tickets jsonb NOT NULL DEFAULT '[]';
CREATE INDEX pulls_refused ON pulls (org_id, connection_id, report_id, first_day, last_day, planned_at DESC)
    WHERE state = 'failed' OR refused_at IS NOT NULL;
