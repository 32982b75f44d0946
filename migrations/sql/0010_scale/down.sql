DROP INDEX ix_tag_state_newest;

CREATE OR REPLACE VIEW report_success_rate AS
SELECT
    mirror.name AS mirror,
    day,
    coalesce(run.succeeded + run.partial + run.failed + run.abandoned, 0) AS runs,
    coalesce(run.succeeded, 0) AS runs_succeeded,
    coalesce(run.partial, 0) AS runs_partial,
    coalesce(run.failed, 0) AS runs_failed,
    coalesce(run.abandoned, 0) AS runs_abandoned,
    run.succeeded::double precision
        / nullif(run.succeeded + run.partial + run.failed + run.abandoned, 0) AS run_success_rate,
    coalesce(tag.succeeded + tag.failed + tag.abandoned, 0) AS tags,
    coalesce(tag.succeeded, 0) AS tags_succeeded,
    coalesce(tag.failed, 0) AS tags_failed,
    coalesce(tag.abandoned, 0) AS tags_abandoned,
    coalesce(tag.retried, 0) AS tags_retried,
    tag.succeeded::double precision
        / nullif(tag.succeeded + tag.failed + tag.abandoned, 0) AS tag_success_rate
FROM runs_since('-infinity') run
FULL JOIN tags_since('-infinity') tag USING (mirror_id, day)
JOIN mirror ON mirror.id = mirror_id;


CREATE OR REPLACE VIEW report_versions_behind AS
SELECT
    mirror.name AS mirror,
    count(DISTINCT state.source_digest) FILTER (
        WHERE state.copied_digest IS DISTINCT FROM state.source_digest
          AND coalesce(state.pushed_at, state.detected_at) > coalesce(here.at, '-infinity')
    ) AS versions_behind,
    count(DISTINCT state.source_digest) FILTER (
        WHERE state.copied_digest IS DISTINCT FROM state.source_digest) AS versions_missing,
    (array_agg(state.tag ORDER BY coalesce(state.pushed_at, state.detected_at) DESC, state.tag))[1]
        AS newest_at_source,
    max(coalesce(state.pushed_at, state.detected_at)) AS newest_at_source_at,
    here.tag AS newest_here,
    here.at AS newest_here_at
FROM mirror
JOIN tag_state state ON state.mirror_id = mirror.id AND state.gone_at IS NULL
LEFT JOIN LATERAL (
    SELECT tag, coalesce(pushed_at, detected_at) AS at FROM tag_state
    WHERE mirror_id = mirror.id AND gone_at IS NULL AND copied_digest = source_digest
    ORDER BY coalesce(pushed_at, detected_at) DESC, tag LIMIT 1
) here ON true
GROUP BY mirror.name, here.tag, here.at;

DELETE FROM supported_program WHERE revision = '0010_scale';
