-- Sums by month of what a report adds up, so that all time takes as long as a month.

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


-- As delays_since: `month` is a day where the sum is of a part of a month. Their rows add up to the
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
    WHERE day >= (day_after(since) AT TIME ZONE 'UTC')::date
      AND day < (month_of(day_after(since)) + interval '1 month')::date
    UNION ALL
    SELECT * FROM monthly_run
    WHERE month >= (month_of(day_after(since)) + interval '1 month')::date
    UNION ALL
    SELECT mirror_id, day, succeeded, partial, failed, abandoned, bytes_copied, requests_source,
           requests_target, blobs_copied, blobs_mounted, blobs_reused, seconds
    FROM daily_run
    WHERE day >= greatest(month_of(closed_until()),
                          (month_of(day_after(since)) + interval '1 month')::date)
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
    WHERE day >= (day_after(since) AT TIME ZONE 'UTC')::date
      AND day < (month_of(day_after(since)) + interval '1 month')::date
    UNION ALL
    SELECT * FROM monthly_tag
    WHERE month >= (month_of(day_after(since)) + interval '1 month')::date
    UNION ALL
    SELECT mirror_id, day, succeeded, failed, abandoned, retried, delays, delays_in_goal,
           delays_detected, delays_followed, delay_max
    FROM daily_tag
    WHERE day >= greatest(month_of(closed_until()),
                          (month_of(day_after(since)) + interval '1 month')::date)
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
    DELETE FROM monthly_delay WHERE month >= first_month;
    INSERT INTO monthly_delay
        SELECT mirror_id, date_trunc('month', day)::date, bucket, sum(tags)
        FROM daily_delay WHERE day >= first_month AND day < month_of(until)
        GROUP BY 1, 2, 3;
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

INSERT INTO supported_program VALUES ('0012_totals') ON CONFLICT DO NOTHING;
