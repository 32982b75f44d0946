-- Registries with a credential, seen within the last two days, that expires soon.
SELECT CAST(NULL AS integer) AS mirror_id,
       array_agg(DISTINCT mirror.name) AS mirrors,
       repository.registry AS subject,
       min(credential.seen_at) AS since,
       CAST('{}' AS text[]) AS tags,
       CAST(NULL AS text) AS reason,
       'it comes from ' || string_agg(DISTINCT credential.origin, ', ') AS error,
       CAST(NULL AS text) AS flow_run_id,
       jsonb_build_object(
           'registry', repository.registry,
           'expires', to_char(min(credential.expires_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
           'days', floor(extract(epoch FROM min(credential.expires_at) - CAST(:now AS timestamptz)) / 86400)
       ) AS facts
FROM credential_end credential
JOIN repository ON repository.id = credential.repository_id
JOIN mirror ON repository.id IN (mirror.source_id, mirror.target_id)
WHERE mirror.name = ANY(:mirrors)
    AND credential.seen_at > CAST(:now AS timestamptz) - interval '2 days'
    AND credential.expires_at < CAST(:now AS timestamptz) + CAST(:expires_within AS interval)
GROUP BY repository.registry
