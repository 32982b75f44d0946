-- Mirrors whose target refused attestations of images that arrived within the last seven days.
SELECT mirror.id AS mirror_id,
       ARRAY[mirror.name] AS mirrors,
       '' AS subject,
       min(tag.ended_at) AS since,
       array_agg(DISTINCT tag.tag) AS tags,
       'refused_media_type' AS reason,
       CAST(NULL AS text) AS error,
       CAST(NULL AS text) AS flow_run_id,
       CAST('{}' AS jsonb) AS facts
FROM tag_sync tag
JOIN mirror ON mirror.id = tag.mirror_id
WHERE mirror.name = ANY(:mirrors)
    AND tag.status = 'succeeded'
    AND tag.ended_at > CAST(:now AS timestamptz) - interval '7 days'
    AND tag.run_started_at > CAST(:now AS timestamptz) - interval '14 days'
    AND tag.dropped @> CAST('[{"reason": "attestation_refused"}]' AS jsonb)
GROUP BY mirror.id
