-- Mirrors whose last run did not believe its source: it lost more tags than delete_share allows.
SELECT mirror.id AS mirror_id,
       ARRAY[mirror.name] AS mirrors,
       '' AS subject,
       run.started_at AS since,
       CAST('{}' AS text[]) AS tags,
       'suspicious' AS reason,
       run.message AS error,
       run.flow_run_id,
       jsonb_build_object('runs', 1) AS facts
FROM mirror
CROSS JOIN LATERAL (
    SELECT * FROM (
        SELECT started_at, reason, message, flow_run_id FROM sync_run
        WHERE sync_run.mirror_id = mirror.id AND NOT dry_run AND status <> 'running'
            AND reason IS DISTINCT FROM 'lock'
        ORDER BY started_at DESC
        LIMIT 1
    ) ended
    WHERE ended.reason = 'suspicious'
) run
WHERE mirror.name = ANY(:mirrors)
