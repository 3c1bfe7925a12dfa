import type { JobRow, Tombstone } from '../../runtime/ports/views.js'
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
const DROP_ARCHIVED = 'DELETE FROM archived WHERE place = ? RETURNING id, depends_on AS dependsOn'
const SET_ARCHIVED = `
  INSERT INTO archived (place, id, type, queue, channel, phase, end_place, segment, depends_on, expunged)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const SET_TOMBSTONE = 'INSERT OR REPLACE INTO tombstones (id, outcome, place, segment) VALUES (?, ?, ?, ?)'
const SET_EDGE = 'INSERT OR IGNORE INTO edges (dependency, dependent) VALUES (?, ?)'
const DROP_EDGE = 'DELETE FROM edges WHERE dependency = ? AND dependent = ?'

/** Rows with their edges. Each call answers with how much it has written. */
export class JobWriter {
  readonly #setJob: Statement
  readonly #dropJob: Statement
  readonly #dropArchived: Statement
  readonly #setArchived: Statement
  readonly #setTombstone: Statement
  readonly #named: Statement
  readonly #rename: Statement
  readonly #setEdge: Statement
  readonly #dropEdge: Statement

  constructor(db: Database) {
    this.#setJob = db.prepare(SET_JOB)
    this.#dropJob = db.prepare(DROP_JOB)
    this.#dropArchived = db.prepare(DROP_ARCHIVED)
    this.#setArchived = db.prepare(SET_ARCHIVED)
    this.#setTombstone = db.prepare(SET_TOMBSTONE)
    this.#named = db.prepare(NAMED)
    this.#rename = db.prepare(RENAME)
    this.#setEdge = db.prepare(SET_EDGE)
    this.#dropEdge = db.prepare(DROP_EDGE)
  }

  /** Budget 6 us for a row without dependencies: one statement. */
  put(row: JobRow): number {
    const { dependsOn } = row
    const ids = textOf(dependsOn)
    const unlinked = this.#set(row, ids) ? 0 : this.#replace(row, ids)
    return 1 + unlinked + this.#link(row.id, dependsOn)
  }

  /** In the place of its row. */
  bury(id: string, { outcome, place, segment, archived }: Tombstone): number {
    this.#setTombstone.run(id, outcome, place, segment ?? null)
    const dropped = (this.#dropJob.get(place) ?? this.#dropArchived.get(place)) as Named | undefined
    const written = 2 + (dropped === undefined ? 0 : this.#unlink(dropped))
    if (segment === undefined || archived === undefined) return written
    const { type, queue, channel, endPlace, dependsOn, expunged } = archived
    const more = [segment, textOf(dependsOn), expunged ? 1 : 0] as const
    this.#setArchived.run(place, id, type, queue, channel, outcome, endPlace, ...more)
    return written + 1 + this.#link(id, dependsOn)
  }

  #link(id: string, dependsOn: readonly string[]): number {
    for (const dependency of dependsOn) this.#setEdge.run(dependency, id)
    return dependsOn.length
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

const textOf = (dependsOn: readonly string[]): string => (dependsOn.length > 0 ? JSON.stringify(dependsOn) : '')

const NO_IDS: readonly string[] = []

export function idsIn(dependsOn: string): readonly string[] {
  return dependsOn === '' ? NO_IDS : (JSON.parse(dependsOn) as string[])
}
