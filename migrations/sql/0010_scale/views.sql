-- Views that stay fast at a thousand mirrors with a million tags.

-- A full join lets no condition on day or mirror through to the tables; a sum by them does.
CREATE OR REPLACE VIEW report_success_rate AS
SELECT
    mirror.name AS mirror,
    day,
    coalesce(run_succeeded + run_partial + run_failed + run_abandoned, 0) AS runs,
    coalesce(run_succeeded, 0) AS runs_succeeded,
    coalesce(run_partial, 0) AS runs_partial,
    coalesce(run_failed, 0) AS runs_failed,
    coalesce(run_abandoned, 0) AS runs_abandoned,
    run_succeeded::double precision
        / nullif(run_succeeded + run_partial + run_failed + run_abandoned, 0) AS run_success_rate,
    coalesce(tag_succeeded + tag_failed + tag_abandoned, 0) AS tags,
    coalesce(tag_succeeded, 0) AS tags_succeeded,
    coalesce(tag_failed, 0) AS tags_failed,
    coalesce(tag_abandoned, 0) AS tags_abandoned,
    coalesce(tag_retried, 0) AS tags_retried,
    tag_succeeded::double precision
        / nullif(tag_succeeded + tag_failed + tag_abandoned, 0) AS tag_success_rate
FROM (
    SELECT
        mirror_id,
        day,
        sum(run_succeeded)::bigint AS run_succeeded,
        sum(run_partial)::bigint AS run_partial,
        sum(run_failed)::bigint AS run_failed,
        sum(run_abandoned)::bigint AS run_abandoned,
        sum(tag_succeeded)::bigint AS tag_succeeded,
        sum(tag_failed)::bigint AS tag_failed,
        sum(tag_abandoned)::bigint AS tag_abandoned,
        sum(tag_retried)::bigint AS tag_retried
    FROM (
        SELECT mirror_id, day, succeeded AS run_succeeded, partial AS run_partial,
               failed AS run_failed, abandoned AS run_abandoned,
               NULL::bigint AS tag_succeeded, NULL::bigint AS tag_failed,
               NULL::bigint AS tag_abandoned, NULL::bigint AS tag_retried
        FROM runs_since('-infinity')
        UNION ALL
        SELECT mirror_id, day, NULL, NULL, NULL, NULL, succeeded, failed, abandoned, retried
        FROM tags_since('-infinity')
    ) either
    GROUP BY mirror_id, day
) both_kinds
JOIN mirror ON mirror.id = mirror_id;


CREATE OR REPLACE VIEW report_versions_behind AS
SELECT
    mirror.name AS mirror,
    missing.versions_behind,
    missing.versions_missing,
    newest.tag AS newest_at_source,
    newest.at AS newest_at_source_at,
    here.tag AS newest_here,
    here.at AS newest_here_at
FROM mirror
CROSS JOIN LATERAL (
    SELECT tag, coalesce(pushed_at, detected_at) AS at FROM tag_state
    WHERE mirror_id = mirror.id AND gone_at IS NULL
    ORDER BY coalesce(pushed_at, detected_at) DESC, tag LIMIT 1
) newest
LEFT JOIN LATERAL (
    SELECT tag, coalesce(pushed_at, detected_at) AS at FROM tag_state
    WHERE mirror_id = mirror.id AND gone_at IS NULL AND copied_digest = source_digest
    ORDER BY coalesce(pushed_at, detected_at) DESC, tag LIMIT 1
) here ON true
CROSS JOIN LATERAL (
    SELECT
        count(DISTINCT source_digest) FILTER (
            WHERE coalesce(pushed_at, detected_at) > coalesce(here.at, '-infinity')
        ) AS versions_behind,
        count(DISTINCT source_digest) AS versions_missing
    FROM tag_state
    WHERE mirror_id = mirror.id AND gone_at IS NULL AND copied_digest IS DISTINCT FROM source_digest
) missing;


INSERT INTO supported_program VALUES ('0010_scale') ON CONFLICT DO NOTHING;
