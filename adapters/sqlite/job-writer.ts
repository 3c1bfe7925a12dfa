import type { JobRow } from '../../runtime/ports/views.js'
import type { Database, Statement } from './driver.js'

/** A row as the table has it: dependencies as JSON text, or ''. */
export type KeptRow = Omit<JobRow, 'dependsOn'> & { readonly dependsOn: string }
type Named = Pick<KeptRow, 'id' | 'dependsOn'>

/** Passes over a kept row that names other dependencies: its edges have to go first. `expunged` stays as it is. */
const SET_JOB = `
  INSERT INTO jobs (place, id, type, queue, channel, trigger, phase, end_place, keep_until, depends_on, state)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (place) DO UPDATE SET type = excluded.type, queue = excluded.queue, channel = excluded.channel,
    trigger = excluded.trigger, phase = excluded.phase, end_place = excluded.end_place,
    keep_until = excluded.keep_until, state = excluded.state
    WHERE depends_on = excluded.depends_on`
const NAMED = 'SELECT id, depends_on AS dependsOn FROM jobs WHERE place = ?'
const RENAME = 'UPDATE jobs SET depends_on = ? WHERE place = ?'
const DROP_JOB = 'DELETE FROM jobs WHERE place = ? RETURNING id, depends_on AS dependsOn'
const SET_EDGE = 'INSERT OR IGNORE INTO edges (dependency, dependent) VALUES (?, ?)'
const DROP_EDGE = 'DELETE FROM edges WHERE dependency = ? AND dependent = ?'

/** Rows with their edges. Each call answers with how much it has written. */
export class JobWriter {
  readonly #setJob: Statement
  readonly #dropJob: Statement
  readonly #named: Statement
  readonly #rename: Statement
  readonly #setEdge: Statement
  readonly #dropEdge: Statement

  constructor(db: Database) {
    this.#setJob = db.prepare(SET_JOB)
    this.#dropJob = db.prepare(DROP_JOB)
    this.#named = db.prepare(NAMED)
    this.#rename = db.prepare(RENAME)
    this.#setEdge = db.prepare(SET_EDGE)
    this.#dropEdge = db.prepare(DROP_EDGE)
  }

  /** Budget 6 us for a row without dependencies: one statement. */
  put(row: JobRow): number {
    const { dependsOn } = row
    const ids = dependsOn.length > 0 ? JSON.stringify(dependsOn) : ''
    const unlinked = this.#set(row, ids) ? 0 : this.#replace(row, ids)
    for (const dependency of dependsOn) this.#setEdge.run(dependency, row.id)
    return 1 + unlinked + dependsOn.length
  }

  drop(place: string): number {
    const dropped = this.#dropJob.get(place) as Named | undefined
    return dropped === undefined ? 1 : 1 + this.#unlink(dropped)
  }

  /** Over a row that names other dependencies. */
  #replace(row: JobRow, dependsOn: string): number {
    const unlinked = this.#unlink(this.#named.get(row.place) as Named)
    this.#rename.run(dependsOn, row.place)
    this.#set(row, dependsOn)
    return unlinked
  }

  #unlink({ id, dependsOn }: Named): number {
    const dependencies = idsIn(dependsOn)
    for (const dependency of dependencies) this.#dropEdge.run(dependency, id)
    return dependencies.length
  }

  /** False: what is kept names other dependencies. */
  #set(row: JobRow, ids: string): boolean {
    const { id, place, type, queue, channel, trigger, phase, endPlace, keepUntil: until, state } = row
    const { changes } = this.#setJob.run(place, id, type, queue, channel, trigger, phase, endPlace, until, ids, state)
    return changes > 0
  }
}

const NO_IDS: readonly string[] = []

export function idsIn(dependsOn: string): readonly string[] {
  return dependsOn === '' ? NO_IDS : (JSON.parse(dependsOn) as string[])
}
