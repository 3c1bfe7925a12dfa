/** The tables of the views, in the schema of the log. They can be dropped at any time: whatever is wrong with them, they are made anew. */
import { StoreUnusable } from '../../runtime/ports/event-store.js'
import { type Connections, type Row, run } from './connections.js'
import type { Client } from './driver.js'
import { sqlState } from './errors.js'
import { LOCK_SCHEMAS, quoted } from './schema.js'

/** Raise it when a table changes: tables of any other version are dropped. */
export const VIEWS_VERSION = 4

/** How long to wait for who makes the tables, or reads those that are to go. */
const PATIENCE = '5s'

const TABLES = [
  'view_state',
  'view_jobs',
  'view_tombstones',
  'view_archived',
  'view_texts',
  'view_kept',
  'view_kept_parts',
]

/**
 * `view_state` has one row: the version of these tables and the checkpoint, null before the first save. Who saves holds it.
 * What depends on a job is found by the index over `depends_on`: there are no edges to keep in step. An ended job stands in
 * one of two indexes: the few with a say of their own are found without walking the others. Every index that serves a page is
 * partial and in the order of the page, so that the planner has nothing better even where statistics are missing. Of a job that
 * is archived `view_archived` has what rules go by, and what it depended on.
 */
function tables(schema: string): string {
  const s = quoted(schema)
  return `
  CREATE TABLE ${s}.view_state (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL,
    log_id text, position text, stream text COLLATE "C", revision bigint, event_id text COLLATE "C", projection integer
  );
  CREATE TABLE ${s}.view_jobs (
    place text COLLATE "C" PRIMARY KEY, id text COLLATE "C" NOT NULL, type text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL, channel text COLLATE "C" NOT NULL, trigger text COLLATE "C" NOT NULL,
    phase text COLLATE "C" NOT NULL, end_place text COLLATE "C" NOT NULL, keep_until bigint,
    depends_on text[] COLLATE "C" NOT NULL, expunged boolean NOT NULL DEFAULT false, state text COLLATE "C" NOT NULL
  );
  CREATE INDEX view_jobs_live ON ${s}.view_jobs (place) WHERE phase IN ('waiting', 'leased');
  CREATE INDEX view_jobs_bad ON ${s}.view_jobs (place) WHERE phase IN ('failed', 'cancelled');
  CREATE INDEX view_jobs_of_trigger ON ${s}.view_jobs (trigger, place) WHERE trigger <> '';
  CREATE INDEX view_jobs_ended ON ${s}.view_jobs (end_place) WHERE end_place <> '' AND keep_until IS NULL;
  CREATE INDEX view_jobs_own_say ON ${s}.view_jobs (end_place) WHERE end_place <> '' AND keep_until IS NOT NULL;
  CREATE INDEX view_jobs_needed ON ${s}.view_jobs USING gin (depends_on) WHERE depends_on <> '{}';
  CREATE TABLE ${s}.view_tombstones (
    id text COLLATE "C" PRIMARY KEY, outcome text NOT NULL, place text COLLATE "C" NOT NULL, segment text
  );
  CREATE TABLE ${s}.view_archived (
    place text COLLATE "C" PRIMARY KEY, id text COLLATE "C" NOT NULL, type text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL, channel text COLLATE "C" NOT NULL, phase text COLLATE "C" NOT NULL,
    end_place text COLLATE "C" NOT NULL, segment text NOT NULL, depends_on text[] COLLATE "C" NOT NULL,
    expunged boolean NOT NULL
  );
  CREATE INDEX view_archived_ended ON ${s}.view_archived (end_place);
  CREATE INDEX view_archived_in ON ${s}.view_archived (segment, end_place);
  CREATE INDEX view_archived_needed ON ${s}.view_archived USING gin (depends_on) WHERE depends_on <> '{}';
  CREATE TABLE ${s}.view_texts (name text COLLATE "C" PRIMARY KEY, text text NOT NULL);
  CREATE TABLE ${s}.view_kept (position text COLLATE "C" PRIMARY KEY, about text NOT NULL);
  CREATE TABLE ${s}.view_kept_parts (
    position text COLLATE "C" NOT NULL, part integer NOT NULL, bytes bytea NOT NULL, PRIMARY KEY (position, part)
  );
  INSERT INTO ${s}.view_state (version) VALUES (${VIEWS_VERSION});
`
}

/**
 * Makes the tables where there are none, and makes those of another version anew.
 * Throws StoreUnusable for tables of these names that somebody else has made.
 */
export function prepareViews(connections: Connections, schema: string): Promise<void> {
  return connections.lend(async (client) => {
    if ((await versionOf(client, schema)) === VIEWS_VERSION) return
    await run(client, `BEGIN; SET LOCAL lock_timeout = '${PATIENCE}'`)
    try {
      await run(client, LOCK_SCHEMAS)
      // Somebody else may have been faster.
      const found = await versionOf(client, schema)
      if (found !== VIEWS_VERSION) await makeAnew(client, schema, found !== undefined)
      await run(client, 'COMMIT')
    } catch (error) {
      await run(client, 'ROLLBACK')
      throw sqlState(error) === '42P07' ? foreign(schema) : error
    }
  })
}

async function makeAnew(client: Client, schema: string, drop: boolean): Promise<void> {
  const all = TABLES.map((table) => `${quoted(schema)}.${table}`).join(', ')
  if (drop) await run(client, `DROP TABLE IF EXISTS ${all}`)
  await run(client, tables(schema))
}

/** Undefined where there are none. By a query, not by to_regclass: see the log's own. */
async function versionOf(client: Client, schema: string): Promise<number | undefined> {
  const sql = `
    SELECT count(*), count(*) FILTER (WHERE a.attname IN ('version', 'projection')) FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE n.nspname = $1 AND c.relname = 'view_state' AND a.attnum > 0`
  const [all, ours] = (await run(client, sql, [schema]))[0] as Row
  if (all === '0') return undefined
  if (ours !== '2') throw foreign(schema)
  const [row] = await run(client, `SELECT version FROM ${quoted(schema)}.view_state`)
  return Number(row?.[0] ?? 0)
}

function foreign(schema: string): StoreUnusable {
  return new StoreUnusable(
    `Expected no tables or the views of a jobledger log in schema ${schema}, found another program's: ${TABLES.join(', ')}.`,
  )
}
