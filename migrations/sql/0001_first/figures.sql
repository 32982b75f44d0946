-- Figures by mirror and day, from the raw tables. The same functions fill the daily tables and
-- answer for the hours that those do not hold yet, so that both always agree.
--
-- A run or tag record belongs to the UTC day on which it ended. Partitions go by the start of the
-- run, and no run lasts a week: that bound leaves the other months alone. It is in a nested
-- SELECT so that it is evaluated once and not for every row.

CREATE FUNCTION closed_until() RETURNS timestamptz
LANGUAGE sql STABLE AS $$ SELECT until FROM closed $$;

COMMENT ON FUNCTION closed_until() IS
    'Up to when the daily tables hold everything; later figures come from the raw tables.';


CREATE FUNCTION day_after(moment timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN NOT isfinite(moment) THEN moment
        WHEN date_trunc('day', moment, 'UTC') = moment THEN moment
        ELSE date_trunc('day', moment, 'UTC') + interval '24 hours'
    END
$$;

CREATE FUNCTION month_of(moment timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT date_trunc('month', moment AT TIME ZONE 'UTC')::date
$$;

COMMENT ON FUNCTION month_of(timestamptz) IS 'The first day of the UTC month of a moment.';


COMMENT ON FUNCTION day_after(timestamptz) IS 'The first UTC midnight that is not before a moment.';


CREATE FUNCTION run_figures(since timestamptz, until timestamptz)
RETURNS TABLE (
    mirror_id integer, day date, succeeded bigint, partial bigint, failed bigint, abandoned bigint,
    bytes_copied bigint, requests_source bigint, requests_target bigint, blobs_copied bigint,
    blobs_mounted bigint, blobs_reused bigint, seconds double precision
)
LANGUAGE sql STABLE AS $$
    SELECT
        run.mirror_id,
        (run.ended_at AT TIME ZONE 'UTC')::date,
        count(*) FILTER (WHERE run.status = 'succeeded' AND NOT run.dry_run),
        count(*) FILTER (WHERE run.status = 'partial' AND NOT run.dry_run),
        count(*) FILTER (WHERE run.status = 'failed' AND NOT run.dry_run
                           AND run.reason IS DISTINCT FROM 'lock'),
        count(*) FILTER (WHERE run.status = 'abandoned' AND NOT run.dry_run),
        sum(run.bytes_copied)::bigint,
        sum(run.requests_source),
        sum(run.requests_target),
        sum(run.blobs_copied),
        sum(run.blobs_mounted),
        sum(run.blobs_reused),
        sum(run.seconds_total)
    FROM sync_run run
    WHERE run.ended_at >= since AND run.ended_at < until
      AND run.started_at >= (SELECT since - interval '7 days')
      AND run.started_at < (SELECT until)
    GROUP BY 1, 2
$$;


CREATE FUNCTION tag_figures(since timestamptz, until timestamptz)
RETURNS TABLE (
    mirror_id integer, day date, succeeded bigint, failed bigint, abandoned bigint, retried bigint,
    delays bigint, delays_in_goal bigint, delays_detected bigint, delays_followed bigint,
    delay_p50 double precision, delay_p95 double precision, delay_p99 double precision,
    delay_max double precision
)
LANGUAGE sql STABLE AS $$
    SELECT
        tag.mirror_id,
        (tag.ended_at AT TIME ZONE 'UTC')::date,
        count(*) FILTER (WHERE tag.status = 'succeeded'),
        count(*) FILTER (WHERE tag.status = 'failed'),
        count(*) FILTER (WHERE tag.status = 'abandoned'),
        count(*) FILTER (WHERE tag.status = 'succeeded' AND tag.attempts > 1),
        count(tag.delay_seconds),
        count(*) FILTER (WHERE tag.delay_seconds <= extract(epoch FROM mirror.delay_goal)),
        count(*) FILTER (WHERE tag.delay_from = 'detected'),
        count(*) FILTER (WHERE tag.delay_from = 'followed'),
        -- The same aggregate three times is computed once: one sort.
        (percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY tag.delay_seconds))[1],
        (percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY tag.delay_seconds))[2],
        (percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY tag.delay_seconds))[3],
        max(tag.delay_seconds)
    FROM tag_sync tag JOIN mirror ON mirror.id = tag.mirror_id
    WHERE tag.ended_at >= since AND tag.ended_at < until
      AND tag.run_started_at >= (SELECT since - interval '7 days')
      AND tag.run_started_at < (SELECT until)
      AND tag.status IN ('succeeded', 'failed', 'abandoned')
    GROUP BY 1, 2
$$;


CREATE FUNCTION delay_figures(since timestamptz, until timestamptz)
RETURNS TABLE (mirror_id integer, day date, bucket integer, tags bigint)
LANGUAGE sql STABLE AS $$
    SELECT
        tag.mirror_id,
        (tag.ended_at AT TIME ZONE 'UTC')::date,
        ceil(ln(greatest(tag.delay_seconds, 1)) / ln(1.05))::integer,
        count(*)
    FROM tag_sync tag
    WHERE tag.ended_at >= since AND tag.ended_at < until
      AND tag.run_started_at >= (SELECT since - interval '7 days')
      AND tag.run_started_at < (SELECT until)
      AND tag.delay_seconds IS NOT NULL
    GROUP BY 1, 2, 3
$$;

COMMENT ON FUNCTION delay_figures(timestamptz, timestamptz) IS
    'Tags by delay: bucket n holds delays up to 1.05^n seconds. Buckets of days can be added.';


CREATE FUNCTION failure_figures(since timestamptz, until timestamptz)
RETURNS TABLE (
    mirror_id integer, day date, scope text, tag text, reason text, failures bigint,
    last_at timestamptz, last_run uuid, last_message text
)
LANGUAGE sql STABLE AS $$
    SELECT
        failed.mirror_id,
        (failed.ended_at AT TIME ZONE 'UTC')::date,
        failed.scope,
        failed.tag,
        failed.reason,
        count(*),
        max(failed.ended_at),
        (array_agg(failed.run_id ORDER BY failed.ended_at DESC))[1],
        (array_agg(failed.message ORDER BY failed.ended_at DESC))[1]
    FROM (
        SELECT record.mirror_id, 'tag' AS scope, record.tag, record.ended_at, record.run_id,
               coalesce(record.reason, 'internal') AS reason, record.message
        FROM tag_sync record
        WHERE record.ended_at >= since AND record.ended_at < until
          AND record.run_started_at >= (SELECT since - interval '7 days')
      AND record.run_started_at < (SELECT until)
          AND record.status IN ('failed', 'abandoned')
        UNION ALL
        SELECT run.mirror_id, 'run', '', run.ended_at, run.id,
               coalesce(run.reason, 'internal'), run.message
        FROM sync_run run
        WHERE run.ended_at >= since AND run.ended_at < until
          AND run.started_at >= (SELECT since - interval '7 days')
      AND run.started_at < (SELECT until)
          AND run.status IN ('failed', 'abandoned') AND NOT run.dry_run
          AND run.reason IS DISTINCT FROM 'lock'
    ) failed
    GROUP BY 1, 2, 3, 4, 5
$$;


CREATE FUNCTION probe_figures(since timestamptz, until timestamptz)
RETURNS TABLE (
    mirror_id integer, day date, place text, source_pulls bigint, source_failed bigint,
    target_pulls bigint, target_failed bigint, pairs bigint, source_bytes bigint,
    source_seconds double precision, target_bytes bigint, target_seconds double precision,
    gain_p50 double precision
)
LANGUAGE sql STABLE AS $$
    SELECT
        pull.mirror_id,
        (pull.probed_at AT TIME ZONE 'UTC')::date,
        pull.place,
        count(*) FILTER (WHERE pull.side = 'source'),
        count(*) FILTER (WHERE pull.side = 'source' AND NOT pull.well),
        count(*) FILTER (WHERE pull.side = 'target'),
        count(*) FILTER (WHERE pull.side = 'target' AND NOT pull.well),
        count(source.bytes),
        coalesce(sum(source.bytes), 0)::bigint,
        coalesce(sum(source.seconds), 0),
        coalesce(sum(pull.bytes) FILTER (WHERE source.bytes IS NOT NULL), 0)::bigint,
        coalesce(sum(pull.seconds) FILTER (WHERE source.bytes IS NOT NULL), 0),
        percentile_cont(0.5) WITHIN GROUP (
            ORDER BY (pull.bytes / pull.seconds) / (source.bytes / source.seconds) - 1)
    FROM probe pull
    -- Only pulls of one round, of one digest, both well and with something to measure compare.
    LEFT JOIN probe source ON pull.side = 'target' AND source.side = 'source'
        AND source.mirror_id = pull.mirror_id AND source.probed_at = pull.probed_at
        AND source.tag = pull.tag AND source.place = pull.place AND source.digest = pull.digest
        AND source.well AND pull.well AND source.bytes > 0 AND pull.bytes > 0
        AND source.seconds > 0 AND pull.seconds > 0
        AND source.probed_at >= since AND source.probed_at < until
    WHERE pull.probed_at >= since AND pull.probed_at < until
    GROUP BY 1, 2, 3
$$;


CREATE FUNCTION quota_figures(since timestamptz, until timestamptz)
RETURNS TABLE (
    registry text, account text, day date, readings bigint, quota integer, least_remaining integer
)
LANGUAGE sql STABLE AS $$
    SELECT reading.registry, reading.account, (reading.read_at AT TIME ZONE 'UTC')::date,
           count(*), max(reading.quota), min(reading.remaining)
    FROM quota_reading reading
    WHERE reading.read_at >= since AND reading.read_at < until
    GROUP BY 1, 2, 3
$$;


CREATE FUNCTION watch_figures(since timestamptz, until timestamptz)
RETURNS TABLE (
    day date, looks bigint, looks_failed bigint, moved bigint, requests bigint,
    seconds double precision
)
LANGUAGE sql STABLE AS $$
    SELECT (look.started_at AT TIME ZONE 'UTC')::date, count(*),
           count(*) FILTER (WHERE cardinality(look.failed) > 0),
           sum(cardinality(look.moved)), sum(look.requests),
           sum(extract(epoch FROM look.ended_at - look.started_at))::double precision
    FROM watch_run look
    WHERE look.started_at >= since AND look.started_at < until
    GROUP BY 1
$$;


CREATE FUNCTION roll_up(first timestamptz, until timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    first_day date := (first AT TIME ZONE 'UTC')::date;
    first_month date := month_of(first);
BEGIN
    DELETE FROM daily_run WHERE day >= first_day;
    INSERT INTO daily_run SELECT * FROM run_figures(first, until);
    DELETE FROM daily_tag WHERE day >= first_day;
    INSERT INTO daily_tag SELECT * FROM tag_figures(first, until);
    DELETE FROM daily_delay WHERE day >= first_day;
    -- By day, as they are read.
    INSERT INTO daily_delay SELECT * FROM delay_figures(first, until) ORDER BY day, mirror_id;
    DELETE FROM daily_failure WHERE day >= first_day;
    INSERT INTO daily_failure SELECT * FROM failure_figures(first, until) ORDER BY day, mirror_id;
    DELETE FROM daily_probe WHERE day >= first_day;
    INSERT INTO daily_probe SELECT * FROM probe_figures(first, until);
    DELETE FROM daily_quota WHERE day >= first_day;
    INSERT INTO daily_quota SELECT * FROM quota_figures(first, until);
    DELETE FROM daily_watch WHERE day >= first_day;
    INSERT INTO daily_watch SELECT * FROM watch_figures(first, until);
    DELETE FROM monthly_delay WHERE month >= first_month;
    INSERT INTO monthly_delay
        SELECT mirror_id, date_trunc('month', day)::date, bucket, sum(tags)
        FROM daily_delay WHERE day >= first_month AND day < month_of(until)
        GROUP BY 1, 2, 3;
    UPDATE closed SET until = roll_up.until;
END
$$;

COMMENT ON FUNCTION roll_up(timestamptz, timestamptz) IS
    'Writes the daily tables from a UTC midnight to another, in one transaction, anew if need be; and months that are whole by then.';
