-- The newest tag of a mirror without a look at the others.
CREATE INDEX CONCURRENTLY ix_tag_state_newest
    ON tag_state (mirror_id, coalesce(pushed_at, detected_at) DESC, tag) WHERE gone_at IS NULL;
