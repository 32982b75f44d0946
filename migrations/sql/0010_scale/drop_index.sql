-- One that was left unfinished is built anew: CREATE INDEX CONCURRENTLY IF NOT EXISTS would take it
-- for finished.
DROP INDEX CONCURRENTLY IF EXISTS ix_tag_state_newest;
