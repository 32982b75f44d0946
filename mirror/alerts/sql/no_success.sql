-- The dead man's switch: mirrors without a good run for this many of their intervals. A partial run
-- is proof of life (tag_failed reports its tags), and so is a run that still copies tags.
SELECT mirror.id AS mirror_id,
       ARRAY[mirror.name] AS mirrors,
       '' AS subject,
       coalesce(good.ended_at, mirror.created_at) AS since,
       CAST('{}' AS text[]) AS tags,
       last.reason,
       last.message AS error,
       last.flow_run_id,
       jsonb_build_object(
           'intervals', floor(extract(epoch FROM CAST(:now AS timestamptz)
               - coalesce(good.ended_at, mirror.created_at)) / extract(epoch FROM mirror.every)),
           'every_minutes', round(extract(epoch FROM mirror.every) / 60)
       ) AS facts
FROM mirror
LEFT JOIN LATERAL (
    SELECT ended_at FROM sync_run
    WHERE sync_run.mirror_id = mirror.id AND status IN ('succeeded', 'partial') AND NOT dry_run
    ORDER BY started_at DESC
    LIMIT 1
) good ON true
LEFT JOIN LATERAL (
    SELECT reason, message, flow_run_id FROM sync_run
    WHERE sync_run.mirror_id = mirror.id AND NOT dry_run AND reason IS DISTINCT FROM 'lock'
        AND started_at > coalesce(good.ended_at, '-infinity')
    ORDER BY started_at DESC
    LIMIT 1
) last ON true
WHERE mirror.name = ANY(:mirrors)
    AND coalesce(good.ended_at, mirror.created_at) + :missed * mirror.every < :now
    AND NOT EXISTS (
        SELECT FROM sync_run run
        JOIN tag_sync tag ON tag.run_id = run.id AND tag.run_started_at = run.started_at
        WHERE run.mirror_id = mirror.id AND run.status = 'running'
            AND tag.status = 'succeeded'
            AND tag.ended_at > CAST(:now AS timestamptz) - mirror.every
    )
