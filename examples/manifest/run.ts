/** Compares a tree with the ledger: what nobody asks for any more is cancelled, what is missing is enqueued. */
import type { JobDefinition, JobHandle, JobStatusName, JobSummary, Ledger } from '../../index.js'
import { JobNotEnded, JobUnknown } from '../../index.js'
import type { Totals, WritePayload } from './jobs.js'
import { manifest } from './jobs.js'
import type { Planned, PlannedJob } from './plan.js'
import { Planner, shortHash } from './plan.js'
import type { Folder } from './scan.js'

/** Jobs that go into one commit. */
const BATCH = 500
const LIVE: readonly JobStatusName[] = ['held', 'blocked', 'scheduled', 'ready', 'running']
const SPENT: readonly JobStatusName[] = ['failed', 'cancelled']

/** One queue per folder: a ledger may serve several, and each run minds its own. */
export const queueOf = (folder: string): string => `folder:${shortHash(folder)}`

export interface RunOptions {
  readonly folder: string
  readonly out: string
  readonly write: JobDefinition<WritePayload, Totals>
  readonly signal: AbortSignal
  /** Jobs that came into the ledger. */
  onEnqueued(count: number): void
}

export interface Run {
  readonly write: JobHandle<Totals>
  /** The `manifest` job of the whole tree. */
  readonly top: string
}

/** Enqueues what the ledger lacks to know the tree as it is now. Resolves when the last job is in. */
export async function enqueueTree(ledger: Ledger, tree: Folder, options: RunOptions): Promise<Run> {
  const { folder, signal, onEnqueued } = options
  const queue = queueOf(folder)
  const spent = new Set((await collect(ledger, queue, SPENT)).map(({ id }) => id))
  const planner = new Planner({ folder, queue, spent })
  const top = planner.folder(tree)
  const write = planner.write(top, options.write, options.out)
  await cancelOutdated(ledger, queue, planner.ids)
  for await (const batch of batches(missing(ledger, top), BATCH)) {
    signal.throwIfAborted()
    const jobs = await ledger.enqueueMany(batch.map(({ job, payload, options }) => ({ job, payload, options })))
    onEnqueued(jobs.filter(({ outcome }) => outcome === 'created').length)
  }
  return { write: await enqueueWrite(ledger, write, onEnqueued), top: top.options.id }
}

/** What an earlier run left undone and nobody asks for any more: the file has changed or vanished. */
async function cancelOutdated(ledger: Ledger, queue: string, wanted: ReadonlySet<string>): Promise<void> {
  const outdated = (await collect(ledger, queue, LIVE)).filter(({ id }) => !wanted.has(id))
  const reason = 'its file or folder has changed or vanished'
  await Promise.all(outdated.map(({ id }) => ledger.cancel(id, { ifEnded: 'ignore', reason })))
}

async function collect(ledger: Ledger, queue: string, state: readonly JobStatusName[]): Promise<JobSummary[]> {
  const found: JobSummary[] = []
  let cursor: string | undefined
  do {
    const page = await ledger.list({ queue, state, limit: 1_000, ...(cursor !== undefined && { cursor }) })
    found.push(...page.jobs)
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}

/** Dependencies first. A folder whose job has succeeded needs nothing, nor does anything below it. */
async function* missing(ledger: Ledger, planned: Planned): AsyncGenerator<Planned> {
  if (planned.job.type === manifest.type && (await hasSucceeded(ledger, planned.options.id))) return
  for (const need of planned.needs) yield* missing(ledger, need)
  yield planned
}

async function hasSucceeded(ledger: Ledger, id: string): Promise<boolean> {
  try {
    return (await ledger.status(id)).state === 'succeeded'
  } catch (error) {
    if (error instanceof JobUnknown) return false
    throw error
  }
}

async function* batches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = []
  for await (const item of items) {
    batch.push(item)
    if (batch.length < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Of a tree that has not changed it is there already; it then goes round again, for the file may be gone. */
async function enqueueWrite(
  ledger: Ledger,
  { job, payload, options }: PlannedJob<WritePayload, Totals>,
  onEnqueued: RunOptions['onEnqueued'],
): Promise<JobHandle<Totals>> {
  const write = await ledger.enqueue(job, payload, options)
  const isNew = write.outcome === 'created' || (await goRoundAgain(ledger, write.id))
  onEnqueued(isNew ? 1 : 0)
  return write
}

/** False: it has not ended yet, so there is no need. */
async function goRoundAgain(ledger: Ledger, id: string): Promise<boolean> {
  try {
    await ledger.retry(id)
    return true
  } catch (error) {
    if (error instanceof JobNotEnded) return false
    throw error
  }
}
