-- Least privilege. The owner (who runs this) migrates; mirror_writer writes rows; mirror_readonly
-- reads; mirror_sql is the login of `mirror sql` where the configured user may do more. None has a
-- password until somebody gives it one: `mirror migrate` does, from MIRROR_WRITER_PASSWORD and
-- MIRROR_READER_PASSWORD. Where this user may not create roles, an administrator does; this file may
-- be run again.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['mirror_readonly', 'mirror_writer', 'mirror_sql'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                EXECUTE format('CREATE ROLE %I LOGIN', name);
            END IF;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'the role % could not be created: ask an administrator for it', name;
            WHEN duplicate_object OR unique_violation THEN
                NULL;  -- a migration of another database was faster
        END;
    END LOOP;
END
$$;

DO $$
BEGIN
    ALTER ROLE mirror_sql SET default_transaction_read_only = on;
    ALTER ROLE mirror_sql SET statement_timeout = '60s';
    GRANT mirror_readonly TO mirror_sql, mirror_writer;
EXCEPTION
    -- Created by somebody else, who has done the same, or not at all.
    WHEN insufficient_privilege OR undefined_object THEN
        RAISE NOTICE '%', SQLERRM;
END
$$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'mirror_readonly') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO mirror_readonly', current_schema());
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO mirror_readonly',
                       current_schema());
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES'
                       ' TO mirror_readonly', current_schema());
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'mirror_writer') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO mirror_writer', current_schema());
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I'
                       ' TO mirror_writer', current_schema());
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I'
                       ' GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO mirror_writer',
                       current_schema());
        REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM mirror_writer;
        IF current_setting('server_version_num')::integer >= 170000 THEN
            EXECUTE format('GRANT MAINTAIN ON ALL TABLES IN SCHEMA %I TO mirror_writer',
                           current_schema());
            EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT MAINTAIN ON TABLES'
                           ' TO mirror_writer', current_schema());
        END IF;
    END IF;
END
$$;

-- Partitions belong to the owner, also those that the writer asks for.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION make_partitions(timestamptz, timestamptz) SECURITY DEFINER'
                   ' SET search_path = %I, pg_temp', current_schema());
END
$$;

CREATE OR REPLACE FUNCTION drop_old_partitions(before timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF before > now() - interval '12 months' AND NOT pg_has_role(session_user, current_user, 'USAGE')
    THEN
        RAISE EXCEPTION 'months of the last year are dropped by their owner alone'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN drop_partitions(before);
END
$$;

COMMENT ON FUNCTION drop_old_partitions(timestamptz) IS
    'drop_partitions for those who do not own the tables, who may not drop the last year.';

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION drop_old_partitions(timestamptz)'
                   ' SET search_path = %I, pg_temp', current_schema());
    REVOKE EXECUTE ON FUNCTION make_partitions(timestamptz, timestamptz) FROM PUBLIC;
    REVOKE EXECUTE ON FUNCTION drop_old_partitions(timestamptz) FROM PUBLIC;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'mirror_writer') THEN
        GRANT EXECUTE ON FUNCTION make_partitions(timestamptz, timestamptz) TO mirror_writer;
        GRANT EXECUTE ON FUNCTION drop_old_partitions(timestamptz) TO mirror_writer;
    END IF;
END
$$;
