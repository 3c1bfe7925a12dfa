/** The job that most cases enqueue and run: 200 bytes of payload, nothing to do. */
import type { BatchElement, Clock, JobDefinition, Ledger } from '../index.js'
import { defineJob, openLedger } from '../index.js'
import type { Task } from './task.js'

const PAYLOAD_BYTES = 200
/** Jobs per `enqueueMany` and per transaction of a floor. */
export const GROUP = 1_000
/** Numbers of equal width make payloads of equal length. */
const BASE = 1_000_000_000
const FRAME = JSON.stringify({ n: BASE, text: '' }).length
const TEXT = 'x'.repeat(PAYLOAD_BYTES - FRAME)

export type Payload = { readonly n: number; readonly text: string }

export function payloadOf(index: number): Payload {
  return { n: BASE + index, text: TEXT }
}

/** `onRun` hears the index of each job as its handler starts. */
export function noopJob(onRun: (index: number) => void = () => {}): JobDefinition<Payload, void> {
  return defineJob({
    type: 'noop',
    async handle({ n }: Payload) {
      onRun(n - BASE)
    },
  })
}

/** `place`: a file of SQLite, or the URL of a server. Fsync is on: durability `full` is said here although it is the default. */
export function openBench(place: string, job: JobDefinition<Payload, void>, clock?: Clock): Promise<Ledger> {
  const own = clock === undefined ? {} : { clock }
  const url = place.includes('://') ? place : `sqlite:${place}`
  return openLedger({ url, durability: 'full', jobs: [job as JobDefinition], ...own })
}

export function batchOf(job: JobDefinition<Payload, void>, from: number, count: number): BatchElement[] {
  return Array.from({ length: count }, (_, index) => ({ job: job as JobDefinition, payload: payloadOf(from + index) }))
}

/** Enqueues in groups and closes: what comes next opens the ledger as it finds it. */
export const prepare: Task<{ path: string; jobs: number }, Record<never, never>> = {
  name: 'prepare',
  async work({ path, jobs }) {
    const job = noopJob()
    await using ledger = await openBench(path, job)
    for (let from = 0; from < jobs; from += GROUP) {
      await ledger.enqueueMany(batchOf(job, from, Math.min(GROUP, jobs - from)))
    }
    return {}
  },
}

/** Starts every clock with an empty heap, where the process lets us. */
export function collectGarbage(): void {
  globalThis.gc?.()
}
