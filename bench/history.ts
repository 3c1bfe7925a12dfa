/**
 * Long histories, written quickly: the rows of one job that the engine itself enqueued and ran, again and again with new
 * ids. Jobs come in waves, as they do in a ledger that has been in use: each wave is queued, leased and finished.
 */
import { systemClock } from '../adapters/node/clock.js'
import { PooledIds } from '../adapters/node/ids.js'
import type { Database, Statement, Value } from '../adapters/sqlite/driver.js'
import { openLog } from '../adapters/sqlite/open.js'
import { insertOf } from './floor.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import { GROUP, noopJob, openBench, payloadOf } from './workload.js'

/** Events of a job that went well: Queued, Leased, Finished. */
export const LIFE = 3
/** Waves per transaction. */
const WAVES = 50
const UUID = /([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/

type Row = Readonly<Record<string, Value>>
type HistoryArgs = { readonly path: string; readonly finished: number; readonly pending: number }

/** Fills a fresh file. Beside the jobs asked for it holds the one that they were copied from, finished. */
export const history: Task<HistoryArgs, { readonly seconds: number }> = {
  name: 'history',
  async work({ path, finished, pending }) {
    const life = await exampleLife(path)
    const began = performance.now()
    const writer = new HistoryWriter(path, life)
    for (let done = 0; done < finished; done += GROUP) writer.wave(Math.min(GROUP, finished - done), LIFE)
    for (let done = 0; done < pending; done += GROUP) writer.wave(Math.min(GROUP, pending - done), 1)
    writer.close()
    return { seconds: (performance.now() - began) / 1_000 }
  },
}

async function exampleLife(path: string): Promise<Row[]> {
  const job = noopJob()
  const ledger = await openBench(path, job)
  await ledger.start()
  const handle = await ledger.enqueue(job, payloadOf(0))
  await handle.result()
  await ledger.close()
  const { db } = openLog(path, { readonly: true })
  const sql =
    'SELECT * FROM jobledger_events WHERE stream = (SELECT position FROM jobledger_events WHERE name = ?) ORDER BY position'
  const life = db.prepare(sql).all(`job-${handle.id}`) as Row[]
  db.close()
  verify(life.length === LIFE, `a job that went well has ${life.length} events`)
  return life
}

class HistoryWriter {
  readonly #db: Database
  readonly #insert: Statement
  readonly #stencils: readonly Stencil[]
  readonly #uuids: number
  readonly #ids = new PooledIds(systemClock, (buffer) => void crypto.getRandomValues(buffer))
  #position: number
  #waves = 0

  constructor(path: string, life: readonly Row[]) {
    // How the file came to be is not measured.
    this.#db = openLog(path, { durability: 'normal' }).db
    this.#insert = insertOf(this.#db)
    this.#position = this.#db.prepare('SELECT max(position) FROM jobledger_events').pluck(true).get() as number
    const uuids = uuidsOf(life)
    this.#uuids = uuids.length
    this.#stencils = life.map((row) => stencilOf(row, uuids))
    this.#db.exec('BEGIN')
  }

  /** So many jobs, each with the first `events` events of the life. */
  wave(jobs: number, events: number): void {
    const first = this.#position + 1
    const uuids = Array.from({ length: jobs }, () => Array.from({ length: this.#uuids }, () => this.#ids.uuid()))
    for (const stencil of this.#stencils.slice(0, events)) {
      for (const [index, own] of uuids.entries()) {
        this.#position += 1
        this.#insert.run(stencil(this.#position, first + index, own))
      }
    }
    this.#waves += 1
    if (this.#waves % WAVES === 0) this.#db.exec('COMMIT; BEGIN')
  }

  /** As the store does, notes when all this was: else whoever asks what was at an instant would have to look through all of it. */
  close(): void {
    const latest = this.#db.prepare('SELECT max(at) FROM jobledger_events').pluck(true).get() as number
    this.#db
      .prepare('INSERT OR REPLACE INTO jobledger_instants (at, position) VALUES (?, ?)')
      .run(latest, this.#position)
    this.#db.exec('COMMIT')
    this.#db.close()
  }
}

/** A row with other numbers and other uuids. */
type Stencil = (position: number, stream: number, uuids: readonly string[]) => Value[]

function stencilOf(row: Row, uuids: readonly string[]): Stencil {
  const columns = Object.entries(row).map(([name, value]): ((...args: Parameters<Stencil>) => Value) => {
    if (name === 'position') return (position) => position
    if (name === 'stream') return (_position, stream) => stream
    if (typeof value !== 'string') return () => value
    const pieces = value.split(UUID).map((piece) => ({ piece, slot: uuids.indexOf(piece) }))
    if (pieces.every(({ slot }) => slot === -1)) return () => value
    return (_position, _stream, own) => pieces.map(({ piece, slot }) => own[slot] ?? piece).join('')
  })
  return (position, stream, own) => columns.map((column) => column(position, stream, own))
}

/** All uuids of a life but its worker's: one worker runs many jobs. */
function uuidsOf(life: readonly Row[]): string[] {
  const texts = life.flatMap((row) => Object.values(row)).filter((value) => typeof value === 'string')
  const workers = new Set(life.map(({ data }) => (JSON.parse(String(data)) as { workerId?: string }).workerId))
  const uuids = texts.flatMap((text) => text.split(UUID).filter((piece) => UUID.test(piece)))
  return [...new Set(uuids)].filter((uuid) => !workers.has(uuid))
}
