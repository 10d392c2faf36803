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

-- Applies writes, in order. Write n is to the organization `organizations[owners[n]]`, and has `counts[n]` changes.
-- These stand one after the other in `kinds` (1 set, 2 set if different, 3 remove, 4 remove if present), `entries` and
-- `vals`. Entry e is that of `keys[e]` in `organizations[key_owners[e]]`; no two are the same.
--
-- Answers each write with the number and time of its last event, or with `refused`: -1 if there is no such organization, else
-- the index of the change that removes what is absent. A refused write has no effect.
--
-- What is there is read at once, changed in arrays, and stored at once: an entry costs one row, however often it is written.
--
-- Locks organizations in the order given. Whoever sorts by id never waits for who waits for him.
CREATE FUNCTION metagate.apply_1(
    organizations text[], key_owners integer[], keys text[],
    owners integer[], counts integer[], kinds smallint[], entries integer[], vals bytea[]
) RETURNS TABLE (refused integer, sequence bigint, at bigint)
LANGUAGE plpgsql VOLATILE
-- Plans are kept: they must be right for tables that have grown since.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    -- Of each organization; NULL if there is none.
    _numbers bigint[];
    _sequences bigint[];
    _event_times bigint[];
    _metadata_times bigint[];
    _metadata_sequences bigint[];
    _totals bigint[];
    -- Of each entry: since when it is there, its stored value, its last event, and the change that gave it its value.
    _created bigint[];
    _stored bytea[];
    _events bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(keys)]);
    _sources integer[] := array_fill(NULL::integer, ARRAY[cardinality(keys)]);
    -- Of each change.
    _happens boolean[] := array_fill(true, ARRAY[cardinality(kinds)]);
    _now bigint;
    _owner integer;
    _entry integer;
    _first integer;
    _last integer := 0;
    _sequence bigint;
BEGIN
    SELECT array_agg(o.number), array_agg(o.sequence), array_agg(o.last_event_at),
            array_agg(o.last_metadata_sequence), array_agg(o.last_metadata_at), array_agg(o.entries)
        INTO _numbers, _sequences, _event_times, _metadata_sequences, _metadata_times, _totals
        FROM unnest(organizations) AS given (id) LEFT JOIN LATERAL (
            SELECT * FROM metagate.organization AS o WHERE o.id = given.id AND o.state <> 3 FOR UPDATE
        ) AS o ON true;
    -- After the locks were waited for. Who has them is alone with the metadata.
    _now := metagate.now_1();
    SELECT array_agg(m.created_at), array_agg(m.value) FILTER (WHERE 2 = ANY (kinds))
        INTO _created, _stored
        FROM unnest(key_owners, keys) AS e (owner, key)
        LEFT JOIN metagate.metadata AS m ON m.organization = _numbers[e.owner] AND m.key = e.key;
    FOR n IN 1 .. cardinality(owners) LOOP
        _owner := owners[n];
        _first := _last + 1;
        _last := _last + counts[n];
        refused := CASE WHEN _numbers[_owner] IS NULL THEN -1 END;
        -- All are judged before any is applied.
        FOR i IN _first .. _last LOOP
            CONTINUE WHEN kinds[i] = 1;
            EXIT WHEN refused IS NOT NULL;
            _entry := entries[i];
            IF kinds[i] = 2 THEN
                _happens[i] := _created[_entry] IS NULL
                    OR vals[i] <> coalesce(vals[_sources[_entry]], _stored[_entry]);
            ELSE
                _happens[i] := _created[_entry] IS NOT NULL;
                IF kinds[i] = 3 AND NOT _happens[i] THEN
                    refused := i - _first;
                END IF;
            END IF;
        END LOOP;
        IF refused IS NULL THEN
            _sequence := _sequences[_owner];
            FOR i IN _first .. _last LOOP
                CONTINUE WHEN NOT _happens[i];
                _entry := entries[i];
                _sequence := _sequence + 1;
                _events[_entry] := _sequence;
                _sources[_entry] := i;
                IF kinds[i] < 3 AND _created[_entry] IS NULL THEN
                    _created[_entry] := greatest(_now, _event_times[_owner]);
                    _totals[_owner] := _totals[_owner] + 1;
                ELSIF kinds[i] >= 3 AND _created[_entry] IS NOT NULL THEN
                    _created[_entry] := NULL;
                    _totals[_owner] := _totals[_owner] - 1;
                END IF;
            END LOOP;
            IF _sequence > _sequences[_owner] THEN
                _sequences[_owner] := _sequence;
                _metadata_sequences[_owner] := _sequence;
                _metadata_times[_owner] := greatest(_now, _event_times[_owner]);
            END IF;
        END IF;
        sequence := _metadata_sequences[_owner];
        at := _metadata_times[_owner];
        RETURN NEXT;
    END LOOP;
    INSERT INTO metagate.metadata (organization, key, value, sequence, created_at, changed_at)
        SELECT _numbers[e.owner], e.key, vals[e.source], e.sequence, e.created_at, _metadata_times[e.owner]
        FROM unnest(key_owners, keys, _events, _sources, _created) AS e (owner, key, sequence, source, created_at)
        WHERE e.sequence IS NOT NULL AND e.created_at IS NOT NULL
        ON CONFLICT (organization, key) DO UPDATE SET value = excluded.value, sequence = excluded.sequence,
            created_at = excluded.created_at, changed_at = excluded.changed_at;
    IF kinds && '{3,4}' THEN
        DELETE FROM metagate.metadata AS m
            USING unnest(key_owners, keys, _events, _created) AS e (owner, key, sequence, created_at)
            WHERE m.organization = _numbers[e.owner] AND m.key = e.key
                AND e.sequence IS NOT NULL AND e.created_at IS NULL;
    END IF;
    UPDATE metagate.organization AS o
        SET sequence = e.sequence, last_event_at = e.at, last_metadata_sequence = e.sequence,
            last_metadata_at = e.at, entries = e.total
        FROM unnest(_numbers, _sequences, _metadata_times, _totals) AS e (number, sequence, at, total)
        WHERE o.number = e.number AND o.sequence < e.sequence;
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
