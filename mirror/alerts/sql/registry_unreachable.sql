-- Mirrors whose last runs, the first try and every retry, failed because a registry did not answer:
-- as a whole, or in every tag. An open alert lasts until no tag fails by it any more: the first run
-- that succeeds may leave tags for their next try.
WITH ended AS (
    SELECT run.*
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
    -- A server error of one tag may be the tag's own; one that ends the whole run is not.
    LEFT JOIN LATERAL (
        SELECT run_id FROM tag_sync
        WHERE run.reason = 'server_error'
            AND tag_sync.run_id = run.id AND tag_sync.run_started_at = run.started_at
            AND tag_sync.status = 'failed' AND tag_sync.message = run.message
        LIMIT 1
    ) tags ON true
    WHERE mirror.name = ANY(:mirrors) AND tags.run_id IS NULL
), down AS (
    SELECT mirror_id, min(started_at) AS since, count(*) AS runs,
           (array_agg(reason ORDER BY started_at DESC))[1] AS reason,
           (array_agg(message ORDER BY started_at DESC))[1] AS message,
           (array_agg(flow_run_id ORDER BY started_at DESC))[1] AS flow_run_id
    FROM ended
    GROUP BY mirror_id
    HAVING count(*) > :retries
        AND (array_agg(reason ORDER BY started_at DESC))[1]
            IN ('network', 'timeout', 'server_error')
), open AS (
    SELECT mirror.id AS mirror_id, min(alert.opened_at) AS opened_at
    FROM alert
    JOIN mirror ON mirror.name = ANY(:mirrors) AND alert.details -> 'mirrors' ? mirror.name
    WHERE alert.rule = 'registry_unreachable' AND alert.closed_at IS NULL
    GROUP BY mirror.id
), left_over AS (
    SELECT open.mirror_id, min(state.failed_since) AS since, min(state.reason) AS reason,
           max(state.message) AS message, array_agg(state.tag ORDER BY state.tag) AS names
    FROM open
    CROSS JOIN LATERAL (
        SELECT * FROM tag_state
        WHERE tag_state.mirror_id = open.mirror_id
            AND (copied_digest IS DISTINCT FROM source_digest OR attempts > 0 OR held
                OR gone_at IS NOT NULL)  -- the index ix_tag_state_unsettled,
        OFFSET 0  -- which is used mirror by mirror only
    ) state
    WHERE state.attempts > 0 AND state.gone_at IS NULL AND state.failed_since IS NOT NULL
        AND state.failed_since <= open.opened_at
        AND state.reason IN ('network', 'timeout', 'server_error')
    GROUP BY open.mirror_id
)
SELECT mirror.id AS mirror_id,
       ARRAY[mirror.name] AS mirrors,
       '' AS subject,
       least(down.since, left_over.since) AS since,
       coalesce(left_over.names, '{}') AS tags,
       coalesce(down.reason, left_over.reason) AS reason,
       coalesce(down.message, left_over.message) AS error,
       down.flow_run_id,
       jsonb_build_object('runs', coalesce(down.runs, 0)) AS facts
FROM mirror
LEFT JOIN down ON down.mirror_id = mirror.id
LEFT JOIN left_over ON left_over.mirror_id = mirror.id
WHERE down.mirror_id IS NOT NULL OR left_over.mirror_id IS NOT NULL
