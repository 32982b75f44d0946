-- Tags that are immutable by policy and that the source moved all the same: left as they were.
SELECT mirror.id AS mirror_id,
       ARRAY[mirror.name] AS mirrors,
       state.tag AS subject,
       state.detected_at AS since,
       ARRAY[state.tag] AS tags,
       CAST(NULL AS text) AS reason,
       state.source_digest || ' at the source, ' || coalesce(state.copied_digest, 'nothing')
           || ' was copied' AS error,
       CAST(NULL AS text) AS flow_run_id,
       CAST('{}' AS jsonb) AS facts
FROM tag_state state
JOIN mirror ON mirror.id = state.mirror_id
WHERE mirror.name = ANY(:mirrors)
    AND (state.copied_digest IS DISTINCT FROM state.source_digest OR state.attempts > 0
        OR state.held OR state.gone_at IS NOT NULL)  -- the index ix_tag_state_unsettled
    AND state.held AND state.gone_at IS NULL
