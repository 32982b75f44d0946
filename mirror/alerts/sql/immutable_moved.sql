-- Tags that are immutable by policy and moved at the source: left as they were.
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
FROM mirror
CROSS JOIN LATERAL (
    SELECT * FROM tag_state
    WHERE tag_state.mirror_id = mirror.id
        AND (copied_digest IS DISTINCT FROM source_digest OR attempts > 0 OR held
            OR gone_at IS NOT NULL)  -- the index ix_tag_state_unsettled,
    OFFSET 0  -- which is used mirror by mirror only
) state
WHERE mirror.name = ANY(:mirrors) AND state.held AND state.gone_at IS NULL
