ALTER TABLE registry_ability ADD COLUMN IF NOT EXISTS refusals jsonb DEFAULT '{}' NOT NULL;
COMMENT ON COLUMN registry_ability.refusals IS
    'By optional request that failed: reason, at, until (times in UTC).';
