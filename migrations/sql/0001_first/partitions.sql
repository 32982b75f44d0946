-- Monthly partitions of the tables that grow with time. A month is one in UTC.

CREATE FUNCTION partitioned_tables() RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY['sync_run', 'tag_sync', 'watch_run', 'probe', 'quota_reading']
$$;

COMMENT ON FUNCTION partitioned_tables() IS
    'Tables with a partition a month, referenced ones before those that refer to them.';


CREATE FUNCTION make_partitions(first timestamptz, last timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    month timestamp := date_trunc('month', first AT TIME ZONE 'UTC');
    parent text;
    part text;
    made integer := 0;
BEGIN
    -- Looking costs no lock: the common case, in which all are there, disturbs nobody.
    WHILE month <= last AT TIME ZONE 'UTC' LOOP
        FOREACH parent IN ARRAY partitioned_tables() LOOP
            part := parent || to_char(month, '_YYYY_MM');
            CONTINUE WHEN to_regclass(part) IS NOT NULL;
            PERFORM pg_advisory_xact_lock(hashtextextended('hagicode-mirror partitions', 0));
            CONTINUE WHEN to_regclass(part) IS NOT NULL;
            -- ATTACH waits for no reader and stops none, unlike CREATE TABLE ... PARTITION OF.
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
            EXECUTE format(
                'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                parent, part, month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
            );
            made := made + 1;
        END LOOP;
        month := month + interval '1 month';
    END LOOP;
    RETURN made;
END
$$;

COMMENT ON FUNCTION make_partitions(timestamptz, timestamptz) IS
    'Makes the monthly partitions that cover a time, and returns how many were missing.';


CREATE FUNCTION drop_partitions(before timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    parents text[] := partitioned_tables();
    part record;
    dropped integer := 0;
BEGIN
    -- Backwards: tag_sync refers to sync_run.
    FOR i IN REVERSE array_length(parents, 1) .. 1 LOOP
        FOR part IN
            SELECT child.relname AS name
            FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
            WHERE inhparent = parents[i]::regclass
              -- The planner may look at a name before it looks at the parent: CASE has an order.
              AND CASE WHEN child.relname ~ '_\d{4}_\d{2}$'
                  THEN to_date(right(child.relname, 7), 'YYYY_MM') + interval '1 month'
                  END <= before AT TIME ZONE 'UTC'
        LOOP
            EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parents[i], part.name);
            EXECUTE format('DROP TABLE %I', part.name);
            dropped := dropped + 1;
        END LOOP;
    END LOOP;
    RETURN dropped;
END
$$;

COMMENT ON FUNCTION drop_partitions(timestamptz) IS
    'Drops the partitions of months that ended by then, and returns how many. Roll up first.';


SELECT make_partitions(now(), now() + interval '3 months');
