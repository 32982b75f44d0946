-- Sums by month of what a report adds up, so that all time takes as long as a month. Instead of
-- delays by month, those of all time up to the end of each.

-- Nobody closes a day meanwhile by the function as it was.
SELECT pg_advisory_xact_lock(hashtextextended('hagicode-mirror maintain', 0));

CREATE TABLE IF NOT EXISTS monthly_run (
    mirror_id integer NOT NULL,
    month date NOT NULL,
    succeeded bigint NOT NULL,
    partial bigint NOT NULL,
    failed bigint NOT NULL,
    abandoned bigint NOT NULL,
    bytes_copied bigint NOT NULL,
    requests_source bigint NOT NULL,
    requests_target bigint NOT NULL,
    blobs_copied bigint NOT NULL,
    blobs_mounted bigint NOT NULL,
    blobs_reused bigint NOT NULL,
    seconds double precision NOT NULL,
    CONSTRAINT pk_monthly_run PRIMARY KEY (mirror_id, month),
    CONSTRAINT fk_monthly_run_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);
CREATE INDEX IF NOT EXISTS ix_monthly_run_month ON monthly_run (month);
COMMENT ON COLUMN monthly_run.month IS 'Its first day.';

CREATE TABLE IF NOT EXISTS monthly_tag (
    mirror_id integer NOT NULL,
    month date NOT NULL,
    succeeded bigint NOT NULL,
    failed bigint NOT NULL,
    abandoned bigint NOT NULL,
    retried bigint NOT NULL,
    delays bigint NOT NULL,
    delays_in_goal bigint NOT NULL,
    delays_detected bigint NOT NULL,
    delays_followed bigint NOT NULL,
    delay_max double precision,
    CONSTRAINT pk_monthly_tag PRIMARY KEY (mirror_id, month),
    CONSTRAINT fk_monthly_tag_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);
CREATE INDEX IF NOT EXISTS ix_monthly_tag_month ON monthly_tag (month);
COMMENT ON COLUMN monthly_tag.month IS 'Its first day.';

CREATE TABLE IF NOT EXISTS cumulative_delay (
    mirror_id integer NOT NULL,
    month date NOT NULL,
    bucket integer NOT NULL,
    tags bigint NOT NULL,
    CONSTRAINT pk_cumulative_delay PRIMARY KEY (mirror_id, month, bucket),
    CONSTRAINT fk_cumulative_delay_mirror_id_mirror FOREIGN KEY (mirror_id) REFERENCES mirror (id)
);
CREATE INDEX IF NOT EXISTS ix_cumulative_delay_month ON cumulative_delay (month);
COMMENT ON COLUMN cumulative_delay.month IS 'Its first day; the last one may be open.';
COMMENT ON COLUMN cumulative_delay.tags IS 'Of all time up to the end of the month.';


CREATE OR REPLACE FUNCTION run_months(first date, until date) RETURNS SETOF monthly_run
LANGUAGE sql STABLE AS $$
    SELECT
        mirror_id,
        date_trunc('month', day)::date,
        sum(succeeded)::bigint,
        sum(partial)::bigint,
        sum(failed)::bigint,
        sum(abandoned)::bigint,
        sum(bytes_copied)::bigint,
        sum(requests_source)::bigint,
        sum(requests_target)::bigint,
        sum(blobs_copied)::bigint,
        sum(blobs_mounted)::bigint,
        sum(blobs_reused)::bigint,
        sum(seconds)
    FROM daily_run WHERE day >= first AND day < until
    GROUP BY 1, 2
$$;

CREATE OR REPLACE FUNCTION tag_months(first date, until date) RETURNS SETOF monthly_tag
LANGUAGE sql STABLE AS $$
    SELECT
        mirror_id,
        date_trunc('month', day)::date,
        sum(succeeded)::bigint,
        sum(failed)::bigint,
        sum(abandoned)::bigint,
        sum(retried)::bigint,
        sum(delays)::bigint,
        sum(delays_in_goal)::bigint,
        sum(delays_detected)::bigint,
        sum(delays_followed)::bigint,
        max(delay_max)
    FROM daily_tag WHERE day >= first AND day < until
    GROUP BY 1, 2
$$;


-- Month by month, each from the one before: however long the history is, a month costs the same.
CREATE OR REPLACE FUNCTION cumulate_delays(first date, until date) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    this date := first;
BEGIN
    DELETE FROM cumulative_delay WHERE month >= first;
    WHILE this < until LOOP
        INSERT INTO cumulative_delay
            SELECT mirror_id, this, bucket, sum(tags)::bigint
            FROM (
                SELECT mirror_id, bucket, tags FROM cumulative_delay
                WHERE month = (this - interval '1 month')::date
                UNION ALL
                SELECT mirror_id, bucket, tags FROM daily_delay
                WHERE day >= this AND day < (this + interval '1 month')::date
            ) part
            GROUP BY mirror_id, bucket
            ORDER BY mirror_id, bucket;
        this := (this + interval '1 month')::date;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION last_closed_month() RETURNS date LANGUAGE sql STABLE AS $$
    SELECT month_of(closed_until() - interval '1 microsecond')
$$;

COMMENT ON FUNCTION last_closed_month() IS 'The month of the last day that is closed.';

-- What was counted up to the last closed day, without what was counted by the end of the first
-- month, and the days of that one: two months of rows at most, however long the time is. Bounds are
-- in nested SELECTs so that they are evaluated once and not for every row.
CREATE OR REPLACE FUNCTION delays_since(since timestamptz) RETURNS SETOF daily_delay
LANGUAGE sql STABLE AS $$
    SELECT * FROM delay_figures(since, least(day_after(since), closed_until()))
    UNION ALL
    SELECT * FROM daily_delay
    WHERE day >= (SELECT (day_after(since) AT TIME ZONE 'UTC')::date)
      AND day < (SELECT (month_of(day_after(since)) + interval '1 month')::date)
    UNION ALL
    SELECT * FROM cumulative_delay
    WHERE month = (SELECT last_closed_month())
      AND (SELECT last_closed_month() > month_of(day_after(since)))
    UNION ALL
    SELECT mirror_id, month, bucket, -tags FROM cumulative_delay
    WHERE month = (SELECT month_of(day_after(since)))
      AND (SELECT month_of(day_after(since)) < last_closed_month())
    UNION ALL
    SELECT * FROM delay_figures(greatest(since, closed_until()), 'infinity')
$$;

COMMENT ON FUNCTION delays_since(timestamptz) IS
    'Delays by size since a moment: the sum of tags by bucket. Rows are of days or of all time.';


-- `month` is a day where the sum is of a part of a month. Their rows add up to the
-- figures since any moment.
CREATE OR REPLACE FUNCTION run_sums_since(since timestamptz) RETURNS SETOF monthly_run
LANGUAGE sql STABLE AS $$
    SELECT mirror_id, day, succeeded, partial, failed, abandoned, bytes_copied, requests_source,
           requests_target, blobs_copied, blobs_mounted, blobs_reused, seconds
    FROM run_figures(since, least(day_after(since), closed_until()))
    UNION ALL
    SELECT mirror_id, day, succeeded, partial, failed, abandoned, bytes_copied, requests_source,
           requests_target, blobs_copied, blobs_mounted, blobs_reused, seconds
    FROM daily_run
    WHERE day >= (SELECT (day_after(since) AT TIME ZONE 'UTC')::date)
      AND day < (SELECT (month_of(day_after(since)) + interval '1 month')::date)
    UNION ALL
    SELECT * FROM monthly_run
    WHERE month >= (SELECT (month_of(day_after(since)) + interval '1 month')::date)
    UNION ALL
    SELECT mirror_id, day, succeeded, partial, failed, abandoned, bytes_copied, requests_source,
           requests_target, blobs_copied, blobs_mounted, blobs_reused, seconds
    FROM daily_run
    WHERE day >= (SELECT greatest(month_of(closed_until()),
                                  (month_of(day_after(since)) + interval '1 month')::date))
    UNION ALL
    SELECT mirror_id, day, succeeded, partial, failed, abandoned, bytes_copied, requests_source,
           requests_target, blobs_copied, blobs_mounted, blobs_reused, seconds
    FROM run_figures(greatest(since, closed_until()), 'infinity')
$$;

CREATE OR REPLACE FUNCTION tag_sums_since(since timestamptz) RETURNS SETOF monthly_tag
LANGUAGE sql STABLE AS $$
    SELECT mirror_id, day, succeeded, failed, abandoned, retried, delays, delays_in_goal,
           delays_detected, delays_followed, delay_max
    FROM tag_figures(since, least(day_after(since), closed_until()))
    UNION ALL
    SELECT mirror_id, day, succeeded, failed, abandoned, retried, delays, delays_in_goal,
           delays_detected, delays_followed, delay_max
    FROM daily_tag
    WHERE day >= (SELECT (day_after(since) AT TIME ZONE 'UTC')::date)
      AND day < (SELECT (month_of(day_after(since)) + interval '1 month')::date)
    UNION ALL
    SELECT * FROM monthly_tag
    WHERE month >= (SELECT (month_of(day_after(since)) + interval '1 month')::date)
    UNION ALL
    SELECT mirror_id, day, succeeded, failed, abandoned, retried, delays, delays_in_goal,
           delays_detected, delays_followed, delay_max
    FROM daily_tag
    WHERE day >= (SELECT greatest(month_of(closed_until()),
                                  (month_of(day_after(since)) + interval '1 month')::date))
    UNION ALL
    SELECT mirror_id, day, succeeded, failed, abandoned, retried, delays, delays_in_goal,
           delays_detected, delays_followed, delay_max
    FROM tag_figures(greatest(since, closed_until()), 'infinity')
$$;


CREATE OR REPLACE FUNCTION roll_up(first timestamptz, until timestamptz) RETURNS void
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
    PERFORM cumulate_delays(first_month, (until AT TIME ZONE 'UTC')::date);
    DELETE FROM monthly_run WHERE month >= first_month;
    INSERT INTO monthly_run SELECT * FROM run_months(first_month, month_of(until));
    DELETE FROM monthly_tag WHERE month >= first_month;
    INSERT INTO monthly_tag SELECT * FROM tag_months(first_month, month_of(until));
    UPDATE closed SET until = roll_up.until;
END
$$;


DELETE FROM monthly_run;
INSERT INTO monthly_run SELECT * FROM run_months('-infinity', month_of(closed_until()));
DELETE FROM monthly_tag;
INSERT INTO monthly_tag SELECT * FROM tag_months('-infinity', month_of(closed_until()));
SELECT cumulate_delays(date_trunc('month', min(day))::date,
                       (closed_until() AT TIME ZONE 'UTC')::date)
FROM daily_delay HAVING count(*) > 0;
DROP TABLE IF EXISTS monthly_delay;

INSERT INTO supported_program VALUES ('0012_totals') ON CONFLICT DO NOTHING;
