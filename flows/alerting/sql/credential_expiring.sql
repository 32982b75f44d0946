-- Registries whose credential ends soon, where the registry or the credential itself told when.
SELECT CAST(NULL AS integer) AS mirror_id,
       array_agg(DISTINCT mirror.name) AS mirrors,
       repository.registry AS subject,
       max(ability.learnt_at) AS since,
       CAST('{}' AS text[]) AS tags,
       CAST(NULL AS text) AS reason,
       CAST(NULL AS text) AS error,
       CAST(NULL AS text) AS flow_run_id,
       jsonb_build_object(
           'registry', repository.registry,
           'expires', to_char(min(told.expires_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
           'days', floor(extract(epoch FROM min(told.expires_at) - CAST(:now AS timestamptz)) / 86400)
       ) AS facts
FROM registry_ability ability
CROSS JOIN LATERAL (
    SELECT CAST(ability.abilities ->> 'credential_expires_at' AS timestamptz) AS expires_at
) told
JOIN repository ON repository.id = ability.repository_id
JOIN mirror ON repository.id IN (mirror.source_id, mirror.target_id)
WHERE mirror.name = ANY(:mirrors)
    AND told.expires_at < CAST(:now AS timestamptz) + CAST(:expires_within AS interval)
GROUP BY repository.registry
