-- The roles stay: other databases of the server may use them.
DROP FUNCTION drop_old_partitions(timestamptz);
ALTER FUNCTION make_partitions(timestamptz, timestamptz) SECURITY INVOKER RESET search_path;
GRANT EXECUTE ON FUNCTION make_partitions(timestamptz, timestamptz) TO PUBLIC;
