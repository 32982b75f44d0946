-- Mirrors whose last runs, the first try and every retry, failed as a whole. A run of which only
-- tags failed (its message is one of theirs) does not count: tag_failed covers those.
WITH ended AS (
    SELECT run.*, tags.run_id IS NULL AS whole
    FROM mirror
    LEFT JOIN LATERAL (
        SELECT started_at FROM sync_run
        WHERE sync_run.mirror_id = mirror.id AND NOT dry_run AND status IN ('succeeded', 'partial')
        ORDER BY started_at DESC
        LIMIT 1
    ) good ON true
    CROSS JOIN LATERAL (
        SELECT id, mirror_id, started_at, reason, message, flow_run_id FROM sync_run
        WHERE sync_run.mirror_id = mirror.id AND NOT dry_run
            AND status IN ('failed', 'abandoned') AND reason IS DISTINCT FROM 'lock'
            AND started_at > coalesce(good.started_at, '-infinity')
        ORDER BY started_at DESC
        LIMIT 100
    ) run
    -- A join that is made run by run: LIMIT keeps it from reading all of tag_sync.
    LEFT JOIN LATERAL (
        SELECT run_id FROM tag_sync
        WHERE tag_sync.run_id = run.id AND tag_sync.run_started_at = run.started_at
            AND tag_sync.status = 'failed' AND tag_sync.message = run.message
        LIMIT 1
    ) tags ON true
    WHERE mirror.name = ANY(:mirrors)
)
SELECT mirror.id AS mirror_id,
       ARRAY[mirror.name] AS mirrors,
       '' AS subject,
       min(ended.started_at) AS since,
       CAST('{}' AS text[]) AS tags,
       (array_agg(ended.reason ORDER BY ended.started_at DESC))[1] AS reason,
       (array_agg(ended.message ORDER BY ended.started_at DESC))[1] AS error,
       (array_agg(ended.flow_run_id ORDER BY ended.started_at DESC))[1] AS flow_run_id,
       jsonb_build_object('runs', count(*)) AS facts
FROM ended
JOIN mirror ON mirror.id = ended.mirror_id
WHERE ended.whole
    AND ended.started_at > coalesce(
        (SELECT max(other.started_at) FROM ended other
         WHERE other.mirror_id = ended.mirror_id AND NOT other.whole),
        '-infinity')
GROUP BY mirror.id
HAVING count(*) > :retries
