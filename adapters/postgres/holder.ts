/** Who keeps everybody else from appending, for the log: a transaction that was left open says so nowhere else. */
import { LOCK_CLASS, quoted } from './schema.js'

export interface Holder {
  readonly pid: number
  readonly application: string
  readonly state: string
  /** How long its transaction has been open. */
  readonly forMs: number
}

/** Undefined where nobody holds the lock any more. What belongs to another user shows little but its pid. */
export async function holderOf(
  schema: string,
  query: (text: string, values: string[]) => Promise<(readonly (string | null)[])[]>,
): Promise<Holder | undefined> {
  const sql = `
    SELECT a.pid, a.application_name, a.state, extract(epoch FROM clock_timestamp() - a.xact_start) * 1000
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = ${LOCK_CLASS} AND l.objid = $1::regclass
    AND d.datname = current_database() LIMIT 1`
  const [row] = await query(sql, [`${quoted(schema)}.events`])
  if (row === undefined) return undefined
  const [pid, application, state, forMs] = row
  return { pid: Number(pid), application: application ?? '', state: state ?? '', forMs: Math.round(Number(forMs)) }
}
