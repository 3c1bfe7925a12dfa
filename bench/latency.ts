/** From the call of `enqueue()` to the start of the handler, at a rate far below what the engine can do. */
import { openLog } from '../adapters/sqlite/open.js'
import type { Bench } from './bench.js'
import { queuedRows } from './enqueue.js'
import type { Figure } from './figure.js'
import { figure, quantile } from './figure.js'
import { insertOf, transaction } from './floor.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import { collectGarbage, noopJob, openBench, payloadOf, prepare } from './workload.js'

const CONCURRENCY = 20
const PER_SECOND = 500

type LatencyArgs = {
  readonly path: string
  readonly rounds: number
  /** Jobs per round. Engine and bare commits take turns in rounds, so that both meet the same disk. */
  readonly round: number
  readonly rowsFrom: string
  readonly floorPath: string
}
/** Milliseconds. */
type Tail = { readonly p50: number; readonly p99: number }
type Latencies = {
  readonly engine: Tail
  readonly bare: Tail
  /** How late the calls themselves were, against the clock that paces them. */
  readonly late: Tail
}

export const latency: Task<LatencyArgs, Latencies> = {
  name: 'latency',
  async work({ path, rounds, round, rowsFrom, floorPath }) {
    const called: number[] = []
    const engine: number[] = []
    const job = noopJob((index) => engine.push(performance.now() - (called[index] ?? Number.NaN)))
    const ledger = await openBench(path, job)
    await ledger.start({ concurrency: CONCURRENCY })
    const bareCommit = bareCommits(rowsFrom, floorPath)
    const bare: number[] = []
    const late: number[] = []
    // The first round warms up and is not counted.
    for (let turn = 0; turn <= rounds; turn += 1) {
      if (turn === 1) for (const values of [engine, bare, late]) values.length = 0
      collectGarbage()
      const results: Promise<unknown>[] = []
      await paced(round, (lateMs) => {
        late.push(lateMs)
        const index = called.push(performance.now()) - 1
        results.push(ledger.enqueue(job, payloadOf(index)).then((handle) => handle.result()))
      })
      await Promise.all(results)
      await paced(round, () => bare.push(bareCommit()))
    }
    await ledger.close()
    verify(engine.length === rounds * round, `${engine.length} of ${rounds * round} jobs ran`)
    return { engine: tailOf(engine), bare: tailOf(bare), late: tailOf(late) }
  },
}

/**
 * Open loop: calls come when the clock says so, however long those before them take. Timers have a grain of a millisecond;
 * looking at the clock once per turn of the event loop is finer and lets everything else have its turn in between.
 */
async function paced(count: number, call: (lateMs: number) => void): Promise<void> {
  const began = performance.now()
  for (let index = 0; index < count; ) {
    await new Promise((resolve) => setImmediate(resolve))
    const due = began + (index * 1_000) / PER_SECOND
    const now = performance.now()
    if (now < due) continue
    call(now - due)
    index += 1
  }
}

/** Commits one row at a time and says how long each took. */
function bareCommits(rowsFrom: string, path: string): () => number {
  const rows = queuedRows(rowsFrom).values()
  const { db } = openLog(path)
  const insert = insertOf(db)
  return () => {
    const row = rows.next().value
    if (row === undefined) throw new Error('the floor has run out of rows')
    const began = performance.now()
    transaction(db, insert, [row])
    return performance.now() - began
  }
}

function tailOf(values: readonly number[]): Tail {
  return { p50: quantile(values, 0.5), p99: quantile(values, 0.99) }
}

export async function latencyCase(bench: Bench): Promise<Figure[]> {
  const rounds = bench.size(10, 1)
  const round = bench.size(PER_SECOND, 50)
  const rowsFrom = bench.file('latency-rows')
  await bench.run(prepare, { path: rowsFrom, jobs: (rounds + 1) * round })
  const { engine, bare, late } = await bench.run(latency, {
    path: bench.file('latency'),
    rounds,
    round,
    rowsFrom,
    floorPath: bench.file('latency-floor'),
  })
  const common = { unit: 'ms', better: 'less' } as const
  const extra = { lateP50: late.p50, lateP99: late.p99 }
  return [
    figure({
      ...common,
      name: 'latency-p50',
      rate: engine.p50,
      floor: bare.p50,
      target: { rate: 0.8 },
      goal: { ratio: 1.5 },
      extra,
    }),
    figure({
      ...common,
      name: 'latency-p99',
      rate: engine.p99,
      floor: bare.p99,
      target: { rate: 5 },
      goal: { ratio: 1.5 },
    }),
  ]
}
