-- The new reasons become the nearest old ones.
UPDATE sync_run SET reason = CASE reason WHEN 'refused' THEN 'auth' ELSE 'internal' END
WHERE reason IN ('refused', 'suspicious');
UPDATE tag_sync SET reason = CASE reason WHEN 'refused' THEN 'auth' ELSE 'internal' END
WHERE reason IN ('refused', 'suspicious');
UPDATE probe SET reason = CASE reason WHEN 'refused' THEN 'auth' ELSE 'internal' END
WHERE reason IN ('refused', 'suspicious');
UPDATE audit_run SET reason = CASE reason WHEN 'refused' THEN 'auth' ELSE 'internal' END
WHERE reason IN ('refused', 'suspicious');
ALTER TABLE sync_run
    DROP CONSTRAINT ck_sync_run_reason,
    ADD CONSTRAINT ck_sync_run_reason
    CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error',
                      'timeout', 'storage', 'lock', 'abandoned', 'internal'));
ALTER TABLE tag_sync
    DROP CONSTRAINT ck_tag_sync_reason,
    ADD CONSTRAINT ck_tag_sync_reason
    CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error',
                      'timeout', 'storage', 'lock', 'abandoned', 'internal'));
ALTER TABLE probe
    DROP CONSTRAINT ck_probe_reason,
    ADD CONSTRAINT ck_probe_reason
    CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error',
                      'timeout', 'storage', 'lock', 'abandoned', 'internal'));
ALTER TABLE audit_run
    DROP CONSTRAINT ck_audit_run_reason,
    ADD CONSTRAINT ck_audit_run_reason
    CHECK (reason IN ('auth', 'not_found', 'quota', 'throttled', 'refused_media_type', 'digest_mismatch', 'network', 'server_error',
                      'timeout', 'storage', 'lock', 'abandoned', 'internal'));
COMMENT ON COLUMN report_failures.reason IS 'One of the closed list: auth, not_found, quota, throttled, refused_media_type, digest_mismatch, network, server_error, timeout, storage, abandoned, internal.';
