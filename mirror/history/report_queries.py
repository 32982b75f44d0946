"""The queries behind reports.py: each bounded by mirrors, days or a limit.

They read daily figures for whole days and raw rows for the rest (since.sql of the migrations), so
that they take as long on years of history as on a week.

:ids is cast to the type of mirror_id: psycopg sends small numbers as smallint[], and PostgreSQL
hashes the elements of an array only where both types are the same. It compares each row with up to
a thousand of them otherwise, which takes as long as all the rest.
"""

from __future__ import annotations

import sqlalchemy as sa

STATUS = sa.text("""
    SELECT mirror.id, fresh.mirror,
           source.registry || '/' || source.name AS source,
           target.registry || '/' || target.name AS target,
           mirror.every, mirror.delay_goal, tags, tags_in_sync, tags_behind, tags_failing,
           tags_held, tags_gone, oldest_lag_seconds, last_arrival_at, last_success_at
    FROM report_freshness fresh
    JOIN mirror ON mirror.name = fresh.mirror
    JOIN repository source ON source.id = source_id
    JOIN repository target ON target.id = target_id
    WHERE CAST(:mirror AS text) IS NULL OR fresh.mirror = :mirror
    ORDER BY fresh.mirror
""")
_RUN = """
    SELECT id::text, started_at, ended_at, status, trigger, complete, dry_run, tags_discovered,
           tags_changed, tags_copied, tags_failed, bytes_copied, requests_source, requests_target,
           seconds_total, reason, message, flow_run_id
    FROM sync_run WHERE sync_run.mirror_id = ids.mirror_id
"""
RUNS = sa.text(f"""
    SELECT ids.mirror_id, recent.*
    FROM unnest(CAST(:ids AS integer[])) AS ids (mirror_id)
    CROSS JOIN LATERAL ({_RUN} ORDER BY started_at DESC LIMIT :limit) recent
""")  # noqa: S608 - constants
# A run that only met another one at work, or that was to change nothing, is not a mirror's state.
LAST_RUN = sa.text(f"""
    SELECT ids.mirror_id, recent.*
    FROM unnest(CAST(:ids AS integer[])) AS ids (mirror_id)
    CROSS JOIN LATERAL (
        {_RUN} AND NOT dry_run AND reason IS DISTINCT FROM 'lock'
        ORDER BY started_at DESC LIMIT 1
    ) recent
""")  # noqa: S608 - constants
FAILING = sa.text("""
    SELECT ids.mirror_id, failing.*
    FROM unnest(CAST(:ids AS integer[])) AS ids (mirror_id)
    CROSS JOIN LATERAL (
        SELECT tag, attempts, failed_since, next_attempt_at, reason, message
        FROM tag_state
        WHERE tag_state.mirror_id = ids.mirror_id AND attempts > 0 AND gone_at IS NULL
        ORDER BY failed_since, tag LIMIT :limit
    ) failing
""")
LEFT_OUT = sa.text("""
    SELECT mirror_id, part ->> 'reason', count(DISTINCT tag)
    FROM tag_state CROSS JOIN jsonb_array_elements(dropped) AS part
    WHERE mirror_id = ANY(CAST(:ids AS integer[])) AND dropped IS NOT NULL AND gone_at IS NULL
    GROUP BY mirror_id, part ->> 'reason'
    ORDER BY mirror_id, part ->> 'reason'
""")
DAILY_RUNS = sa.text(
    "SELECT * FROM runs_since(:since) WHERE mirror_id = ANY(CAST(:ids AS integer[])) ORDER BY day"
)
DAILY_TAGS = sa.text(
    "SELECT * FROM tags_since(:since) WHERE mirror_id = ANY(CAST(:ids AS integer[])) ORDER BY day"
)
IDS = sa.text("SELECT id FROM mirror WHERE CAST(:mirror AS text) IS NULL OR name = :mirror")
NAMES = sa.text("SELECT id, name FROM mirror WHERE name = ANY(:names)")
# What a report adds up, of mirrors over a time, in the order of figures.Runs and Traffic.
RUN_TOTALS = sa.text("""
    SELECT mirror_id, sum(succeeded)::bigint AS succeeded, sum(partial)::bigint AS partial,
           sum(failed)::bigint AS failed, sum(abandoned)::bigint AS abandoned,
           sum(bytes_copied)::bigint AS bytes_copied,
           sum(requests_source)::bigint AS requests_source,
           sum(requests_target)::bigint AS requests_target,
           sum(blobs_copied)::bigint AS blobs_copied, sum(blobs_mounted)::bigint AS blobs_mounted,
           sum(blobs_reused)::bigint AS blobs_reused, sum(seconds) AS seconds
    FROM run_sums_since(:since) WHERE mirror_id = ANY(CAST(:ids AS integer[])) GROUP BY mirror_id
""")
# The same in the order of figures.Tags and DelayStats.
TAG_TOTALS = sa.text("""
    SELECT mirror_id, sum(succeeded)::bigint AS succeeded, sum(failed)::bigint AS failed,
           sum(abandoned)::bigint AS abandoned, sum(retried)::bigint AS retried,
           sum(delays)::bigint AS delays, sum(delays_in_goal)::bigint AS delays_in_goal,
           sum(delays_detected)::bigint AS delays_detected,
           sum(delays_followed)::bigint AS delays_followed, max(delay_max) AS delay_max
    FROM tag_sums_since(:since) WHERE mirror_id = ANY(CAST(:ids AS integer[])) GROUP BY mirror_id
""")
DELAYS = sa.text("""
    SELECT mirror_id, count(*) AS samples,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY delay_seconds) AS points
    FROM tag_sync
    WHERE ended_at >= :since AND run_started_at >= CAST(:since AS timestamptz) - interval '7 days'
      AND delay_seconds IS NOT NULL AND mirror_id = ANY(CAST(:ids AS integer[]))
    GROUP BY mirror_id
""")
# Percentiles of many: the buckets in which 50, 95 and 99 of 100 delays are reached.
BUCKETS = sa.text("""
    WITH counted AS (
        SELECT mirror_id, bucket, sum(tags)::float8 AS tags
        FROM delays_since(:since) WHERE mirror_id = ANY(CAST(:ids AS integer[]))
        GROUP BY mirror_id, bucket
    ), reached AS (
        SELECT mirror_id, bucket, sum(tags) OVER (PARTITION BY mirror_id) AS tags,
               sum(tags) OVER (PARTITION BY mirror_id ORDER BY bucket) AS up_to
        FROM counted
    )
    SELECT mirror_id, min(bucket) FILTER (WHERE up_to >= 0.5 * tags) AS p50,
           min(bucket) FILTER (WHERE up_to >= 0.95 * tags) AS p95,
           min(bucket) FILTER (WHERE up_to >= 0.99 * tags) AS p99
    FROM reached GROUP BY mirror_id
""")
FAILURES = sa.text("""
    WITH failure AS MATERIALIZED (
        SELECT * FROM failures_since(:since) WHERE mirror_id = ANY(CAST(:ids AS integer[]))
    ), counted AS (
        SELECT mirror_id, scope, tag, reason, sum(failures)::bigint AS failures,
               max(last_at) AS last_at,
               row_number() OVER (PARTITION BY mirror_id
                                  ORDER BY sum(failures) DESC, max(last_at) DESC, tag) AS place
        FROM failure GROUP BY mirror_id, scope, tag, reason
    )
    SELECT mirror_id, tag, reason, counted.failures, last_at, last_run::text, last_message
    FROM counted JOIN failure USING (mirror_id, scope, tag, reason, last_at)
    WHERE place <= :limit ORDER BY mirror_id, place
""")
PULLS = sa.text("""
    SELECT mirror_id, sum(target_pulls)::bigint, sum(target_failed)::bigint,
           sum(source_pulls)::bigint, sum(source_failed)::bigint, sum(pairs)::bigint,
           sum(target_bytes)::bigint, sum(target_seconds), sum(source_bytes)::bigint,
           sum(source_seconds)
    FROM probes_since(:since) WHERE mirror_id = ANY(CAST(:ids AS integer[])) GROUP BY mirror_id
""")
# As report_adoption, whose windows read every count that there is. Counts of the window, and the
# one before it for the pulls of its first day.
ADOPTION = sa.text("""
    WITH side AS (
        SELECT source_id AS id FROM mirror WHERE id = ANY(CAST(:ids AS integer[]))
        UNION
        SELECT target_id FROM mirror WHERE id = ANY(CAST(:ids AS integer[]))
    ), read AS (
        SELECT repository_id, day, pulls FROM pull_count
        WHERE day >= CAST(:since AS timestamptz)::date AND repository_id IN (SELECT id FROM side)
        UNION ALL
        SELECT side.id, earlier.day, earlier.pulls
        FROM side CROSS JOIN LATERAL (
            SELECT day, pulls FROM pull_count
            WHERE repository_id = side.id AND day < CAST(:since AS timestamptz)::date
            ORDER BY day DESC LIMIT 1
        ) earlier
    ), counted AS MATERIALIZED (
        SELECT repository_id, day, pulls - lag(pulls) OVER earlier AS pulls,
               day - lag(day) OVER earlier AS days
        FROM read WINDOW earlier AS (PARTITION BY repository_id ORDER BY day)
    )
    SELECT mirror.name, count(*), sum(target.pulls)::bigint, sum(source.pulls)::bigint
    FROM mirror
    JOIN counted source ON source.repository_id = source_id
    JOIN counted target ON target.repository_id = target_id AND target.day = source.day
    WHERE mirror.id = ANY(CAST(:ids AS integer[]))
      AND source.pulls >= 0 AND target.pulls >= 0 AND source.pulls + target.pulls > 0
      AND source.days = target.days
    GROUP BY mirror.name
""")
QUOTAS = sa.text("""
    SELECT registry, nullif(account, ''), sum(readings)::bigint, max(quota), min(least_remaining)
    FROM quotas_since(:since) GROUP BY registry, account ORDER BY registry, account
""")
