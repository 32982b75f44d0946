-- Tags at the target that differ from what was copied: repaired by a sync within the last day and
-- not alerted yet, not repaired so far, or found by the mirror's last audit and not repaired since.
WITH changed AS (
    SELECT DISTINCT ON (tag.mirror_id, tag.tag) tag.mirror_id, mirror.name, tag.tag, tag.status,
           tag.started_at, tag.ended_at, tag.run_id, tag.run_started_at, tag.reason, tag.message
    FROM tag_sync tag
    JOIN mirror ON mirror.id = tag.mirror_id
    WHERE mirror.name = ANY(:mirrors)
        AND tag.kind IN ('drifted', 'missing')
        AND tag.status IN ('succeeded', 'failed')
        AND tag.ended_at > CAST(:now AS timestamptz) - interval '1 day'
        AND tag.run_started_at > CAST(:now AS timestamptz) - interval '8 days'
    ORDER BY tag.mirror_id, tag.tag, tag.ended_at DESC
), audited AS (
    SELECT mirror.id AS mirror_id, mirror.name, finding.tag, audit.started_at,
           string_agg(finding.message, '; ' ORDER BY finding.id) AS message
    FROM mirror
    CROSS JOIN LATERAL (
        SELECT id, started_at FROM audit_run
        WHERE audit_run.mirror_id = mirror.id AND reason IS NULL
        ORDER BY started_at DESC
        LIMIT 1
    ) audit
    JOIN audit_finding finding ON finding.audit_id = audit.id
    WHERE mirror.name = ANY(:mirrors)
        AND finding.repaired_at IS NULL
        AND finding.kind NOT IN ('behind', 'unsigned', 'extra_tag', 'unreadable')
    GROUP BY mirror.id, mirror.name, finding.tag, audit.started_at
), found AS (
    SELECT changed.mirror_id, changed.name, changed.tag, changed.started_at AS since,
           changed.reason, changed.message, run.flow_run_id
    FROM changed
    JOIN tag_state state ON state.mirror_id = changed.mirror_id AND state.tag = changed.tag
    LEFT JOIN sync_run run
        ON run.id = changed.run_id AND run.started_at = changed.run_started_at
    WHERE changed.status = 'failed' AND state.failed_since IS NOT NULL
        OR changed.status = 'succeeded' AND NOT EXISTS (
            SELECT FROM alert
            WHERE alert.rule = 'drift' AND alert.mirror_id = changed.mirror_id
                AND alert.subject = changed.tag
                AND coalesce(alert.closed_at, 'infinity') >= changed.ended_at
        )
    UNION ALL
    SELECT audited.mirror_id, audited.name, audited.tag, audited.started_at, NULL,
           audited.message, NULL
    FROM audited
)
SELECT mirror_id,
       ARRAY[name] AS mirrors,
       tag AS subject,
       min(since) AS since,
       ARRAY[tag] AS tags,
       max(reason) AS reason,
       max(message) AS error,
       max(flow_run_id) AS flow_run_id,
       CAST('{}' AS jsonb) AS facts
FROM found
GROUP BY mirror_id, name, tag
