-- Registries that reported little quota left in a window that has not ended.
WITH last AS (
    SELECT DISTINCT ON (registry, account) *
    FROM quota_reading
    WHERE read_at > CAST(:now AS timestamptz) - interval '1 day'
    ORDER BY registry, account, read_at DESC
)
SELECT CAST(NULL AS integer) AS mirror_id,
       array_agg(DISTINCT mirror.name) AS mirrors,
       concat_ws(' ', last.registry, nullif(last.account, '')) AS subject,
       last.read_at AS since,
       CAST('{}' AS text[]) AS tags,
       CAST(NULL AS text) AS reason,
       CAST(NULL AS text) AS error,
       CAST(NULL AS text) AS flow_run_id,
       jsonb_build_object(
           'registry', last.registry,
           'account', coalesce(nullif(last.account, ''), 'anonymous'),
           'remaining', last.remaining,
           'quota', last.quota,
           'window_hours', round(last.window_seconds / 3600.0, 1)
       ) AS facts
FROM last
JOIN repository ON repository.registry = last.registry
JOIN mirror ON repository.id IN (mirror.source_id, mirror.target_id)
WHERE mirror.name = ANY(:mirrors)
    AND last.read_at + make_interval(secs => last.window_seconds) > :now
    AND last.remaining <= last.quota * CAST(:quota_low AS double precision)
GROUP BY last.registry, last.account, last.read_at, last.remaining, last.quota,
    last.window_seconds
