-- The role of those who only read: BI tools, and `mirror sql`. It has no password until somebody
-- gives it one. Where this user may not create roles, an administrator does, and the next
-- migration or this file grants it what it needs.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mirror_readonly') THEN
        CREATE ROLE mirror_readonly LOGIN;
        ALTER ROLE mirror_readonly SET default_transaction_read_only = on;
        ALTER ROLE mirror_readonly SET statement_timeout = '60s';
        ALTER ROLE mirror_readonly SET timezone = 'UTC';
        ALTER ROLE mirror_readonly SET jit = off;
        GRANT mirror_readonly TO CURRENT_USER;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the role mirror_readonly could not be created: ask an administrator for it';
    WHEN duplicate_object OR unique_violation THEN
        NULL;  -- a migration of another database was faster
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
END
$$;
