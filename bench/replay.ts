/** The whole log is read from disk and folded, as when the views are gone. */
import { systemClock } from '../adapters/node/clock.js'
import { openSqliteStore } from '../adapters/sqlite/event-store.js'
import { openLog } from '../adapters/sqlite/open.js'
import { silentLogger } from '../runtime/ports/logger.js'
import { Feed } from '../runtime/read/feed.js'
import type { Bench } from './bench.js'
import type { Figure } from './figure.js'
import { figure } from './figure.js'
import { history, LIFE } from './history.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import { collectGarbage } from './workload.js'

/** Rows per read of the floor. */
const PAGE = 1_000

type Replayed = { readonly events: number; readonly seconds: number }

/** The engine's own feed over the engine's own store; nothing is saved. */
export const replay: Task<{ path: string; jobs: number }, Replayed> = {
  name: 'replay',
  async work({ path, jobs }) {
    const store = await openSqliteStore(path)
    const feed = new Feed({ store, clock: systemClock, logger: silentLogger })
    const stop = new AbortController()
    let events = 0
    feed.events$.subscribe(() => {
      events += 1
    })
    const caughtUp = new Promise<void>((resolve) => feed.pages$.subscribe(() => resolve()))
    collectGarbage()
    const began = performance.now()
    const running = feed.run(stop.signal)
    await caughtUp
    const seconds = (performance.now() - began) / 1_000
    stop.abort()
    await running.catch(() => {})
    await store.close()
    verify(feed.skipped === 0, `${feed.skipped} events could not be folded`)
    verify(feed.board.size === 0, `${feed.board.size} jobs have not ended`)
    verify(events >= jobs * LIFE, `${events} of ${jobs * LIFE} events were folded`)
    return { events, seconds }
  },
}

/** Reads the narrow columns row by row and parses the facts: what any fold has to do before it begins. */
export const readOnly: Task<{ path: string }, Replayed> = {
  name: 'read-only',
  async work({ path }) {
    const { db } = openLog(path, { readonly: true })
    const page = db
      .prepare(
        `SELECT position, stream, revision, name, type, at, id, metadata, data FROM jobledger_events
         WHERE position > ? ORDER BY position LIMIT ${PAGE}`,
      )
      .raw(true)
    collectGarbage()
    const began = performance.now()
    let events = 0
    for (let after = 0; ; ) {
      const rows = page.all(after) as [number, ...unknown[]][]
      for (const row of rows) JSON.parse(row.at(-1) as string)
      events += rows.length
      after = rows.at(-1)?.[0] ?? after
      if (rows.length < PAGE) break
    }
    const seconds = (performance.now() - began) / 1_000
    db.close()
    return { events, seconds }
  },
}

export async function replayCase(bench: Bench): Promise<Figure[]> {
  const path = bench.file('replay')
  const jobs = bench.size(200_000, 1_000)
  await bench.run(history, { path, finished: jobs, pending: 0 })
  const raw = await bench.run(readOnly, { path })
  const { events, seconds } = await bench.run(replay, { path, jobs })
  return [
    figure({
      name: 'replay',
      rate: events / seconds,
      unit: 'events/s',
      floor: raw.events / raw.seconds,
      target: { rate: 300_000 },
      goal: { rate: 500_000 },
      extra: { events },
    }),
  ]
}
