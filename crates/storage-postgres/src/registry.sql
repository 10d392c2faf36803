-- Version 3: records that gateways share. A record that was removed stays, without a body, so that it can be told to who
-- has it.

CREATE TABLE metagate.registry (
    sole     boolean PRIMARY KEY CHECK (sole),
    -- The number of the last change.
    revision bigint NOT NULL
);

INSERT INTO metagate.registry VALUES (true, 0);

CREATE TABLE metagate.record (
    kind     text COLLATE "C" NOT NULL,
    id       text COLLATE "C" NOT NULL,
    body     bytea,
    -- Of the change that it came with.
    revision bigint NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE INDEX record_by_revision ON metagate.record (revision);

-- The organizations that there are, each with the registry's revision; if there is none, that alone.
CREATE FUNCTION metagate.standings_3(ids text[]) RETURNS TABLE (
    o_number bigint, o_id text, o_name text, o_state smallint, o_created_at bigint, o_sequence bigint,
    o_last_event_at bigint, o_last_metadata_sequence bigint, o_last_metadata_at bigint, o_entries bigint,
    o_revision bigint
)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT o.number, o.id, o.name, o.state, o.created_at, o.sequence, o.last_event_at,
        o.last_metadata_sequence, o.last_metadata_at, o.entries, r.revision
        FROM metagate.registry AS r LEFT JOIN metagate.organization AS o ON o.id = ANY (ids);
END
$$;

-- What has changed after a change, each with the revision; if nothing has, that alone.
CREATE FUNCTION metagate.changes_3(since bigint) RETURNS TABLE (
    r_revision bigint, r_kind text, r_id text, r_body bytea
)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT r.revision, c.kind, c.id, c.body
        FROM metagate.registry AS r LEFT JOIN metagate.record AS c
        ON c.revision > since AND (c.body IS NOT NULL OR since > 0)
        ORDER BY c.kind, c.id;
END
$$;

-- Makes all changes as one, if the last one is the expected one. Whoever changes too waits here, and then finds another.
CREATE FUNCTION metagate.change_3(expected bigint, kinds text[], ids text[], bodies bytea[]) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE metagate.registry AS r SET revision = r.revision + 1 WHERE r.revision = expected;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO metagate.record AS c (kind, id, body, revision)
        SELECT given.kind, given.id, given.body, expected + 1
        FROM unnest(kinds, ids, bodies) AS given (kind, id, body)
        ON CONFLICT ON CONSTRAINT record_pkey DO UPDATE SET body = excluded.body, revision = excluded.revision;
    RETURN true;
END
$$;
