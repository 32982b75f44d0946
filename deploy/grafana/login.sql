-- The login with which Grafana reads the history, made or renewed by psql with GRAFANA_PASSWORD.
\getenv password GRAFANA_PASSWORD
SET client_min_messages = warning;
SELECT :'password' = '' AS missing \gset
\if :missing
DO $$ BEGIN RAISE 'GRAFANA_PASSWORD is empty: set it in .env'; END $$;
\endif
SELECT 'CREATE ROLE grafana' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grafana') \gexec
ALTER ROLE grafana LOGIN PASSWORD :'password';
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '60s';
GRANT mirror_readonly TO grafana;
