-- Mirrors with too many failed pulls, made as a user makes them, within the last day.
SELECT mirror.id AS mirror_id,
       ARRAY[mirror.name] AS mirrors,
       '' AS subject,
       min(probe.probed_at) FILTER (WHERE NOT probe.well) AS since,
       CAST('{}' AS text[]) AS tags,
       mode() WITHIN GROUP (ORDER BY probe.reason) AS reason,
       (array_agg(probe.message ORDER BY probe.probed_at DESC)
           FILTER (WHERE NOT probe.well))[1] AS error,
       CAST(NULL AS text) AS flow_run_id,
       jsonb_build_object(
           'pulls', count(*),
           'failed', count(*) FILTER (WHERE NOT probe.well),
           'goal_percent', round(CAST(:pull_failures AS numeric) * 100, 2),
           'percent', round(count(*) FILTER (WHERE NOT probe.well) * 100.0 / count(*), 2)
       ) AS facts
FROM probe
JOIN mirror ON mirror.id = probe.mirror_id
WHERE mirror.name = ANY(:mirrors)
    AND probe.side = 'target'
    AND probe.probed_at > CAST(:now AS timestamptz) - interval '1 day'
GROUP BY mirror.id
HAVING count(*) >= :pull_samples
    AND count(*) FILTER (WHERE NOT probe.well) > count(*) * CAST(:pull_failures AS double precision)
