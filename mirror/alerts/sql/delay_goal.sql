-- Tags that are behind for longer than the goal allows; and those that arrived too late within the
-- last day without an alert, because no round of alerting ran in the meantime.
WITH late AS (
    SELECT DISTINCT ON (tag_sync.mirror_id, tag_sync.tag) tag_sync.*
    FROM tag_sync
    JOIN mirror ON mirror.id = tag_sync.mirror_id
    WHERE tag_sync.status = 'succeeded'
        AND tag_sync.ended_at > CAST(:now AS timestamptz) - interval '1 day'
        AND tag_sync.run_started_at > CAST(:now AS timestamptz) - interval '8 days'
        AND tag_sync.delay_seconds > extract(epoch FROM mirror.delay_goal)
    ORDER BY tag_sync.mirror_id, tag_sync.tag, tag_sync.ended_at DESC
)
SELECT mirror.id AS mirror_id,
       ARRAY[mirror.name] AS mirrors,
       state.tag AS subject,
       greatest(coalesce(state.pushed_at, state.detected_at), mirror.followed_since) AS since,
       ARRAY[state.tag] AS tags,
       coalesce(state.reason, exact.reason) AS reason,
       coalesce(state.message, exact.message) AS error,
       CAST(NULL AS text) AS flow_run_id,
       jsonb_strip_nulls(jsonb_build_object(
           'goal_minutes', round(extract(epoch FROM mirror.delay_goal) / 60),
           'delay_minutes', round(extract(epoch FROM CAST(:now AS timestamptz)
               - greatest(coalesce(state.pushed_at, state.detected_at), mirror.followed_since)) / 60),
           'waits_for', exact.tag
       )) AS facts
FROM mirror
CROSS JOIN LATERAL (
    SELECT * FROM tag_state
    WHERE tag_state.mirror_id = mirror.id
        AND (copied_digest IS DISTINCT FROM source_digest OR attempts > 0 OR held
            OR gone_at IS NOT NULL)  -- the index ix_tag_state_unsettled,
    OFFSET 0  -- which is used mirror by mirror only
) state
-- A floating tag waits for the exact release of its digest, and for what that fails by.
LEFT JOIN LATERAL (
    SELECT tag, reason, message FROM tag_state
    WHERE tag_state.mirror_id = mirror.id AND state.reason IS NULL
        AND (copied_digest IS DISTINCT FROM source_digest OR attempts > 0 OR held
            OR gone_at IS NOT NULL)  -- the index ix_tag_state_unsettled
        AND source_digest = state.source_digest AND attempts > 0 AND gone_at IS NULL
    LIMIT 1
) exact ON true
WHERE mirror.name = ANY(:mirrors)
    AND state.copied_digest IS DISTINCT FROM state.source_digest
    AND state.gone_at IS NULL
    AND NOT state.held
    AND greatest(coalesce(state.pushed_at, state.detected_at), mirror.followed_since)
        + mirror.delay_goal < :now
    AND NOT EXISTS (  -- its release has just arrived in a run that goes on: it comes next
        SELECT FROM sync_run run
        JOIN tag_sync release ON release.run_id = run.id
            AND release.run_started_at = run.started_at
        WHERE run.mirror_id = mirror.id AND run.status = 'running'
            AND release.source_digest = state.source_digest AND release.tag <> state.tag
            AND release.status = 'succeeded'
    )
UNION ALL
SELECT mirror.id,
       ARRAY[mirror.name],
       late.tag,
       late.available_at - make_interval(secs => late.delay_seconds),
       ARRAY[late.tag],
       NULL,
       NULL,
       run.flow_run_id,
       jsonb_build_object(
           'goal_minutes', round(extract(epoch FROM mirror.delay_goal) / 60),
           'delay_minutes', round(CAST(late.delay_seconds AS numeric) / 60)
       )
FROM late
JOIN mirror ON mirror.id = late.mirror_id
JOIN tag_state state ON state.mirror_id = mirror.id AND state.tag = late.tag
LEFT JOIN sync_run run ON run.id = late.run_id AND run.started_at = late.run_started_at
WHERE mirror.name = ANY(:mirrors)
    AND state.copied_digest IS NOT DISTINCT FROM state.source_digest
    AND NOT EXISTS (
        SELECT FROM alert
        WHERE alert.rule = 'delay_goal' AND alert.mirror_id = mirror.id
            AND alert.subject = late.tag
            AND coalesce(alert.closed_at, 'infinity') >= late.available_at
    )
    AND NOT EXISTS (  -- the tag waited for a cause that has an alert
        SELECT FROM alert
        WHERE alert.rule IN ('credential_refused', 'registry_unreachable', 'quota_low',
                'source_lost_tags', 'schedule_late', 'run_failed', 'tag_failed', 'no_success',
                'database_away')
            AND (alert.rule <> 'tag_failed' OR alert.subject IN (
                SELECT tag FROM tag_state WHERE mirror_id = mirror.id
                    AND copied_digest = state.copied_digest))  -- its release, or itself
            AND alert.details -> 'mirrors' ? mirror.name
            AND CAST(alert.details ->> 'since' AS timestamptz) <= late.available_at
            AND alert.opened_at > CAST(:now AS timestamptz) - interval '90 days'
            AND coalesce(alert.closed_at, 'infinity')
                >= late.available_at - make_interval(secs => late.delay_seconds)
    )
