/** The tables and functions of a log. Their meaning is part of the storage format: see the version. */

/** Raise it with a migration when a table or a function changes. */
export const SCHEMA_VERSION = 1

/** Type of what is left of a stream's last event once the stream was taken out of the log. */
export const REMOVED = '$removed'

/** What `expected` and `actual` say of a stream that was never written, and of one that is removed for ever. */
export const NONE = -1
export const GONE = -2

/** At most about one row of `instants` for so many ms. */
const INSTANT_STEP = 1000

/** 'Jldg', and behind it the table's oid: the lock under which one writer after another appends. */
export const LOCK_CLASS = 0x4a6c6467

/** How long to wait for other writers. */
const LOCK_TIMEOUT = '10s'

/** Types of the columns in which events are given to `write`, in its order. */
export const COLUMN_TYPES: readonly string[] = [
  'integer',
  'text',
  'bigint',
  'text',
  'bigint',
  'text',
  'text',
  'text',
  'bytea',
  'text',
  'bytea',
]

const COLUMN_NAMES = ['batch', 'stream', 'revision', 'type', 'at', 'id', 'data', 'metadata', 'seal', 'body', 'bytes']

/** An identifier of ours, quoted. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** The channel on which commits are told. */
export function channelOf(schema: string): string {
  return `jobledger:${schema}`
}

/** One at a time makes tables, whatever the schema: CREATE SCHEMA IF NOT EXISTS fails for the second of two. */
export const LOCK_SCHEMAS = "SELECT pg_advisory_xact_lock(hashtext('jobledger'), 0)"

/** Where a stream stands: an expression over a row of `headOf`. */
export const ACTUAL: string = `CASE WHEN h.revision IS NULL THEN ${NONE} WHEN h.type = '${REMOVED}' THEN ${GONE} ELSE h.revision END`

/** The last event of the stream `r.stream`. */
export function headOf(schema: string): string {
  return `LATERAL (
    SELECT v.revision, v.type FROM ${quoted(schema)}.events v WHERE v.stream = r.stream ORDER BY v.revision DESC LIMIT 1) h`
}

/**
 * A stream's rows bear its name in every one: no second table has to be kept in step, and nothing is ever updated but by
 * `erase` and `remove`. `seal` is the salt of the body beside it, or, without a body, the hash of the body that was erased.
 * A body is text (`body`) or bytes (`bytes`); both: text that PostgreSQL cannot hold as such, in `bytes`.
 * A row (at, position) of `instants` says: the greatest `at` of all events up to that position is this one.
 *
 * Appends are serialised: each takes the lock, and gives it back when its commit can be seen. So positions have no gaps that
 * are filled later, and a reader that has seen one has seen all before it. The other way, to read only what lies below
 * pg_snapshot_xmin, would let several commit at once, but then any long transaction of anybody on the server would hold up
 * every subscriber, and a runtime could not be handed its own commit at once. Few and large commits are the journal's work.
 *
 * The functions are VOLATILE, so that each of their statements sees what was committed when the lock was got. They turn off
 * the plans that a fresh table without statistics would seduce the planner to, and plan once for a connection: whatever the
 * values, there is one good plan.
 */
export function tables(schema: string): string {
  const s = quoted(schema)
  const parameters = COLUMN_NAMES.map((name, index) => `all_${name} ${COLUMN_TYPES[index]}[]`).join(', ')
  const given = COLUMN_NAMES.map((name) => `all_${name}`).join(', ')
  const plans =
    'SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off'
  return `
  CREATE TABLE ${s}.log (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version integer NOT NULL,
    log_id uuid NOT NULL DEFAULT gen_random_uuid()
  );
  CREATE TABLE ${s}.events (
    position bigint PRIMARY KEY,
    at bigint NOT NULL,
    revision integer NOT NULL,
    stream text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    data text COLLATE "C" NOT NULL,
    metadata text COLLATE "C",
    seal bytea,
    body text COLLATE "C",
    bytes bytea,
    UNIQUE (stream, revision)
  );
  CREATE TABLE ${s}.instants (at bigint PRIMARY KEY, position bigint NOT NULL);

  CREATE FUNCTION ${s}.take_turn(durability text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
  BEGIN
    IF durability = 'normal' THEN
      PERFORM set_config('synchronous_commit', 'off', true);
    ELSIF durability = 'full' AND current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
      PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    IF durability <> '' THEN PERFORM set_config('lock_timeout', '${LOCK_TIMEOUT}', true); END IF;
    PERFORM pg_advisory_xact_lock(${LOCK_CLASS}, '${s.replaceAll("'", "''")}.events'::regclass::oid::integer);
    RETURN coalesce((SELECT max(position) FROM ${s}.events), 0);
  END $$;

  CREATE FUNCTION ${s}.write(previous bigint, without integer[], ${parameters}) RETURNS bigint
  LANGUAGE plpgsql VOLATILE ${plans} AS $$
  DECLARE
    stored bigint;
    top record;
  BEGIN
    INSERT INTO ${s}.events (position, at, revision, stream, type, id, data, metadata, seal, body, bytes)
    SELECT previous + row_number() OVER (ORDER BY n), at, revision::integer, stream, type, id, data, metadata, seal, body, bytes
    FROM unnest(${given}) WITH ORDINALITY AS e(${COLUMN_NAMES.join(', ')}, n)
    WHERE without IS NULL OR batch <> ALL (without);
    GET DIAGNOSTICS stored = ROW_COUNT;
    IF stored = 0 THEN RETURN previous; END IF;
    SELECT e.at, e.position INTO top FROM ${s}.events e WHERE e.position > previous ORDER BY e.at DESC, e.position LIMIT 1;
    IF NOT EXISTS (SELECT FROM ${s}.instants i WHERE i.at > top.at - ${INSTANT_STEP}) THEN
      INSERT INTO ${s}.instants (at, position) VALUES (top.at, top.position);
    END IF;
    PERFORM pg_notify('${channelOf(schema).replaceAll("'", "''")}', (previous + stored)::text);
    RETURN previous + stored;
  END $$;

  CREATE FUNCTION ${s}.append(durability text, whole boolean, streams text[], expected bigint[], batches integer[], ${parameters})
  RETURNS json LANGUAGE plpgsql VOLATILE ${plans} AS $$
  DECLARE
    previous bigint := ${s}.take_turn(durability);
    last bigint := previous;
    wrong json;
    without integer[];
  BEGIN
    SELECT json_agg(json_build_array(r.n - 1, ${ACTUAL}) ORDER BY r.n), array_agg(r.batch) INTO wrong, without
    FROM unnest(streams, expected, batches) WITH ORDINALITY AS r(stream, expected, batch, n) LEFT JOIN ${headOf(schema)} ON true
    WHERE ${ACTUAL} <> r.expected;
    IF wrong IS NULL OR NOT whole THEN last := ${s}.write(previous, without, ${given}); END IF;
    RETURN json_build_object('previous', previous, 'last', last, 'wrong', wrong);
  END $$;
`
}
