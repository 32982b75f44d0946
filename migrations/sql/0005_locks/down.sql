DROP FUNCTION holds(uuid);
DROP TABLE target_lock;
