-- Version 1. Times are microseconds since the Unix epoch. States: 1 active, 2 inactive, 3 removed.

CREATE TABLE metagate.organization (
    number                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id                     text COLLATE "C" NOT NULL UNIQUE,
    name                   text NOT NULL,
    state                  smallint NOT NULL,
    created_at             bigint NOT NULL,
    -- The number of the last event of any kind.
    sequence               bigint NOT NULL,
    last_event_at          bigint NOT NULL,
    last_metadata_sequence bigint NOT NULL,
    last_metadata_at       bigint NOT NULL,
    -- Counts its metadata, so that a page need not.
    entries                bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE metagate.metadata (
    organization bigint NOT NULL,
    key          text COLLATE "C" NOT NULL,
    value        bytea NOT NULL,
    sequence     bigint NOT NULL,
    created_at   bigint NOT NULL,
    changed_at   bigint NOT NULL,
    PRIMARY KEY (organization, key)
) WITH (fillfactor = 90);

CREATE FUNCTION metagate.now_1() RETURNS bigint
LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- Applies writes to organizations, in order. Of write n: `organizations[n]`, and its `counts[n]` changes, which stand one
-- after the other in `kinds` (1 set, 2 set if different, 3 remove, 4 remove if present), `keys` and `vals`.
--
-- Answers each with the number and time of its last event, or with `refused`: -1 if there is no such organization, else
-- the index of the change that removes what is absent. A refused write has no effect.
--
-- Locks organizations in the order given. Whoever sorts by id never waits for who waits for him.
CREATE FUNCTION metagate.apply_1(
    organizations text[], counts integer[], kinds smallint[], keys text[], vals bytea[]
) RETURNS TABLE (refused integer, sequence bigint, at bigint)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    _organization metagate.organization%ROWTYPE;
    _current text;
    _exists boolean := false;
    _changed boolean := false;
    _now bigint;
    _first integer := 1;
    _last integer;
    _refused integer;
    _happens boolean[];
BEGIN
    FOR n IN 1 .. cardinality(organizations) LOOP
        IF _current IS DISTINCT FROM organizations[n] THEN
            IF _changed THEN
                PERFORM metagate.keep_1(_organization);
            END IF;
            _current := organizations[n];
            _changed := false;
            SELECT * INTO _organization FROM metagate.organization AS o
                WHERE o.id = _current AND o.state <> 3 FOR UPDATE;
            _exists := FOUND;
            -- After the lock was waited for.
            _now := greatest(metagate.now_1(), _organization.last_event_at);
        END IF;
        _last := _first + counts[n] - 1;
        _refused := NULL;
        IF NOT _exists THEN
            _refused := -1;
        ELSE
            -- All are judged before any is applied.
            FOR i IN _first .. _last LOOP
                IF kinds[i] = 1 THEN
                    _happens[i] := true;
                ELSIF kinds[i] = 2 THEN
                    PERFORM 1 FROM metagate.metadata AS m
                        WHERE m.organization = _organization.number AND m.key = keys[i] AND m.value = vals[i];
                    _happens[i] := NOT FOUND;
                ELSE
                    PERFORM 1 FROM metagate.metadata AS m
                        WHERE m.organization = _organization.number AND m.key = keys[i];
                    _happens[i] := FOUND;
                    IF kinds[i] = 3 AND NOT FOUND THEN
                        _refused := i - _first;
                        EXIT;
                    END IF;
                END IF;
            END LOOP;
        END IF;
        IF _refused IS NULL THEN
            FOR i IN _first .. _last LOOP
                CONTINUE WHEN NOT _happens[i];
                _organization.sequence := _organization.sequence + 1;
                _organization.last_event_at := _now;
                _organization.last_metadata_sequence := _organization.sequence;
                _organization.last_metadata_at := _now;
                _changed := true;
                IF kinds[i] >= 3 THEN
                    DELETE FROM metagate.metadata AS m
                        WHERE m.organization = _organization.number AND m.key = keys[i];
                    IF FOUND THEN
                        _organization.entries := _organization.entries - 1;
                    END IF;
                ELSE
                    -- Who has the organization's lock is alone with its metadata.
                    UPDATE metagate.metadata AS m
                        SET value = vals[i], sequence = _organization.sequence, changed_at = _now
                        WHERE m.organization = _organization.number AND m.key = keys[i];
                    IF NOT FOUND THEN
                        INSERT INTO metagate.metadata (organization, key, value, sequence, created_at, changed_at)
                            VALUES (_organization.number, keys[i], vals[i], _organization.sequence, _now, _now);
                        _organization.entries := _organization.entries + 1;
                    END IF;
                END IF;
            END LOOP;
        END IF;
        _first := _last + 1;
        refused := _refused;
        sequence := _organization.last_metadata_sequence;
        at := _organization.last_metadata_at;
        RETURN NEXT;
    END LOOP;
    IF _changed THEN
        PERFORM metagate.keep_1(_organization);
    END IF;
END
$$;

-- Stores what a write has changed of an organization.
CREATE FUNCTION metagate.keep_1(changed metagate.organization) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE metagate.organization AS o
        SET state = changed.state, sequence = changed.sequence, last_event_at = changed.last_event_at,
            last_metadata_sequence = changed.last_metadata_sequence, last_metadata_at = changed.last_metadata_at,
            entries = changed.entries
        WHERE o.number = changed.number;
END
$$;

-- Creates an organization, or leaves it as it is; answers with it as it then is.
CREATE FUNCTION metagate.create_1(new_id text, new_name text) RETURNS SETOF metagate.organization
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    _now bigint := metagate.now_1();
BEGIN
    INSERT INTO metagate.organization (
        id, name, state, created_at, sequence, last_event_at, last_metadata_sequence, last_metadata_at, entries
    ) VALUES (new_id, new_name, 1, _now, 1, _now, 1, _now, 0) ON CONFLICT (id) DO NOTHING;
    RETURN QUERY SELECT o.* FROM metagate.organization AS o WHERE o.id = new_id;
END
$$;

-- Brings an organization to a state; answers with it as it then is, or with nothing if it is absent, or removed and the
-- state is another.
CREATE FUNCTION metagate.set_state_1(of_id text, new_state smallint) RETURNS SETOF metagate.organization
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    _organization metagate.organization%ROWTYPE;
BEGIN
    SELECT * INTO _organization FROM metagate.organization AS o WHERE o.id = of_id FOR UPDATE;
    IF NOT FOUND OR (_organization.state = 3 AND new_state <> 3) THEN
        RETURN;
    END IF;
    IF _organization.state <> new_state THEN
        _organization.state := new_state;
        _organization.sequence := _organization.sequence + 1;
        _organization.last_event_at := greatest(metagate.now_1(), _organization.last_event_at);
        IF new_state = 3 THEN
            DELETE FROM metagate.metadata AS m WHERE m.organization = _organization.number;
            _organization.entries := 0;
        END IF;
        PERFORM metagate.keep_1(_organization);
    END IF;
    RETURN NEXT _organization;
END
$$;

-- The entry of a key, of an organization that is there. A function keeps its plan; a statement without a name, which is
-- all that some poolers allow, is planned anew each time.
CREATE FUNCTION metagate.get_1(of_id text, of_key text) RETURNS SETOF metagate.metadata
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT m.* FROM metagate.organization AS o
        JOIN metagate.metadata AS m ON m.organization = o.number
        WHERE o.id = of_id AND o.state <> 3 AND m.key = of_key;
END
$$;

CREATE FUNCTION metagate.organizations_1(ids text[]) RETURNS SETOF metagate.organization
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT o.* FROM metagate.organization AS o WHERE o.id = ANY (ids);
END
$$;

-- A page, and before it a row that only counts all that match. `from_key` NULL: of all; else keys from there up
-- to `below`, which is NULL if nothing is above.
CREATE FUNCTION metagate.list_1(of_id text, from_key text, below text, page_limit bigint, page_offset bigint)
RETURNS TABLE (total bigint, key text, value bytea, sequence bigint, created_at bigint, changed_at bigint)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    _number bigint;
    _entries bigint;
BEGIN
    SELECT o.number, o.entries INTO _number, _entries FROM metagate.organization AS o
        WHERE o.id = of_id AND o.state <> 3;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF from_key IS NULL THEN
        total := _entries;
        RETURN NEXT;
        IF page_offset < _entries THEN
            RETURN QUERY SELECT NULL::bigint, m.key, m.value, m.sequence, m.created_at, m.changed_at
                FROM metagate.metadata AS m WHERE m.organization = _number
                ORDER BY m.key LIMIT page_limit OFFSET page_offset;
        END IF;
    ELSIF below IS NULL THEN
        SELECT count(*) INTO total FROM metagate.metadata AS m
            WHERE m.organization = _number AND m.key >= from_key;
        RETURN NEXT;
        RETURN QUERY SELECT NULL::bigint, m.key, m.value, m.sequence, m.created_at, m.changed_at
            FROM metagate.metadata AS m WHERE m.organization = _number AND m.key >= from_key
            ORDER BY m.key LIMIT page_limit OFFSET page_offset;
    ELSE
        SELECT count(*) INTO total FROM metagate.metadata AS m
            WHERE m.organization = _number AND m.key >= from_key AND m.key < below;
        RETURN NEXT;
        RETURN QUERY SELECT NULL::bigint, m.key, m.value, m.sequence, m.created_at, m.changed_at
            FROM metagate.metadata AS m WHERE m.organization = _number AND m.key >= from_key AND m.key < below
            ORDER BY m.key LIMIT page_limit OFFSET page_offset;
    END IF;
END
$$;
