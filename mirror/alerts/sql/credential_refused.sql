-- Mirrors whose last run, or some of whose tags, failed because a registry refused the credential.
SELECT mirror.id AS mirror_id,
       ARRAY[mirror.name] AS mirrors,
       '' AS subject,
       least(run.started_at, tags.since) AS since,
       coalesce(tags.names, '{}') AS tags,
       'auth' AS reason,
       coalesce(run.message, tags.message) AS error,
       run.flow_run_id,
       jsonb_build_object('runs', CASE WHEN run.started_at IS NULL THEN 0 ELSE 1 END) AS facts
FROM mirror
LEFT JOIN LATERAL (
    SELECT * FROM (
        SELECT started_at, reason, message, flow_run_id FROM sync_run
        WHERE sync_run.mirror_id = mirror.id AND NOT dry_run AND status <> 'running'
            AND reason IS DISTINCT FROM 'lock'
        ORDER BY started_at DESC
        LIMIT 1
    ) ended
    WHERE ended.reason = 'auth'
) run ON true
LEFT JOIN LATERAL (
    SELECT min(failed_since) AS since, array_agg(tag ORDER BY tag) AS names,
           max(message) AS message
    FROM tag_state
    WHERE tag_state.mirror_id = mirror.id
        AND (copied_digest IS DISTINCT FROM source_digest OR attempts > 0 OR held
            OR gone_at IS NOT NULL)  -- the index ix_tag_state_unsettled
        AND reason = 'auth' AND failed_since IS NOT NULL
        AND gone_at IS NULL
) tags ON true
WHERE mirror.name = ANY(:mirrors)
    AND (run.started_at IS NOT NULL OR tags.since IS NOT NULL)
