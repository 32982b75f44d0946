-- What is not in sync now, since when, and what stands in its way?
SELECT mirror.name AS mirror,
       state.tag,
       state.source_digest,
       state.copied_digest,
       coalesce(state.pushed_at, state.detected_at) AS waiting_since,
       state.attempts,
       state.next_attempt_at,
       state.held,
       state.reason,
       state.message
FROM tag_state state
JOIN mirror ON mirror.id = state.mirror_id
WHERE state.copied_digest IS DISTINCT FROM state.source_digest
  AND state.gone_at IS NULL
ORDER BY waiting_since
LIMIT 200;
