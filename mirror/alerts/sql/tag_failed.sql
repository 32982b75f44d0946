-- Tags that failed in the first try and in every retry. An open alert lasts until a try succeeds: a
-- source that moves meanwhile resets the count of attempts, which is not a recovery.
WITH candidate AS (
    SELECT state.mirror_id, state.tag
    FROM mirror
    CROSS JOIN LATERAL (
        SELECT mirror_id, tag, attempts FROM tag_state
        WHERE tag_state.mirror_id = mirror.id
            AND (copied_digest IS DISTINCT FROM source_digest OR attempts > 0 OR held
                OR gone_at IS NOT NULL)  -- the index ix_tag_state_unsettled,
        OFFSET 0  -- which is used mirror by mirror only
    ) state
    WHERE state.attempts > :retries
    UNION
    SELECT mirror_id, subject FROM alert WHERE rule = 'tag_failed' AND closed_at IS NULL
)
SELECT mirror.id AS mirror_id,
       ARRAY[mirror.name] AS mirrors,
       state.tag AS subject,
       coalesce(state.failed_since, CAST(open.details ->> 'since' AS timestamptz)) AS since,
       ARRAY[state.tag] AS tags,
       coalesce(state.reason, open.details ->> 'reason') AS reason,
       coalesce(state.message, open.details ->> 'error') AS error,
       run.flow_run_id,
       jsonb_build_object('retries', CAST(:retries AS integer)) AS facts
FROM candidate
JOIN tag_state state ON state.mirror_id = candidate.mirror_id AND state.tag = candidate.tag
JOIN mirror ON mirror.id = state.mirror_id
LEFT JOIN alert open ON open.rule = 'tag_failed' AND open.mirror_id = mirror.id
    AND open.subject = state.tag AND open.closed_at IS NULL
LEFT JOIN LATERAL (
    SELECT flow_run_id
    FROM tag_sync
    JOIN sync_run ON sync_run.id = tag_sync.run_id
        AND sync_run.started_at = tag_sync.run_started_at
    WHERE tag_sync.mirror_id = mirror.id AND tag_sync.tag = state.tag
        AND tag_sync.status = 'failed' AND tag_sync.ended_at >= state.failed_since
    ORDER BY tag_sync.ended_at DESC
    LIMIT 1
) run ON true
WHERE mirror.name = ANY(:mirrors)
    AND state.gone_at IS NULL
    AND (state.attempts > :retries
        OR open.id IS NOT NULL AND (state.failed_since IS NOT NULL
            OR state.copied_digest IS DISTINCT FROM state.source_digest))
