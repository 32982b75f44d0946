-- Mirrors whose last runs, first try and every retry, failed as a whole. A run that failed only in
-- its tags (the message is one of theirs) is not counted: tag_failed tells of those.
WITH ended AS (
    SELECT run.*,
           run.status = 'abandoned' OR run.status = 'failed' AND NOT EXISTS (
               SELECT FROM tag_sync tag
               WHERE tag.run_id = run.id AND tag.run_started_at = run.started_at
                   AND tag.status = 'failed' AND tag.message = run.message
           ) AS whole
    FROM mirror
    CROSS JOIN LATERAL (
        SELECT * FROM sync_run
        WHERE sync_run.mirror_id = mirror.id AND NOT dry_run
            AND status <> 'running' AND reason IS DISTINCT FROM 'lock'
        ORDER BY started_at DESC
        LIMIT 200
    ) run
    WHERE mirror.name = ANY(:mirrors)
), streak AS (
    SELECT * FROM ended
    WHERE started_at > coalesce(
        (SELECT max(other.started_at) FROM ended other
         WHERE other.mirror_id = ended.mirror_id AND NOT other.whole),
        '-infinity')
)
SELECT mirror.id AS mirror_id,
       ARRAY[mirror.name] AS mirrors,
       '' AS subject,
       min(streak.started_at) AS since,
       CAST('{}' AS text[]) AS tags,
       (array_agg(streak.reason ORDER BY streak.started_at DESC))[1] AS reason,
       (array_agg(streak.message ORDER BY streak.started_at DESC))[1] AS error,
       (array_agg(streak.flow_run_id ORDER BY streak.started_at DESC))[1] AS flow_run_id,
       jsonb_build_object('runs', count(*)) AS facts
FROM streak
JOIN mirror ON mirror.id = streak.mirror_id
GROUP BY mirror.id
HAVING count(*) > :retries
