/**
 * What handlers wrote down themselves, beside the log: a run of which no event tells would be seen here. A handler that was
 * frozen with its process may still be at work when the next run of its job begins: then, and only then, it has lost its lease.
 */
import type { RecordedEvent } from '../../../domain/event.js'
import type { JobEvent } from '../../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../../domain/job/events.js'

interface Written {
  readonly workerId: string
  readonly beganAt: number
  readonly endedAt: number | undefined
}

interface Run {
  readonly workerId: string
  readonly at: number
  outcome?: 'succeeded' | 'lease-lost' | 'other' | undefined
}

/** By job and run. */
type Runs<Each> = Map<string, Map<number, Each>>

/** `diaries`: the whole text of each. Everything in them that does not fit the log, and the other way round. */
export function diaryFaults(diaries: readonly string[], events: Iterable<RecordedEvent>): string[] {
  const { runs, queued } = logOf(events)
  const { written, enqueued, faults } = read(diaries)
  for (const id of enqueued) if (!queued.has(id)) faults.push(`job ${id}: was enqueued, and is not in the log`)
  for (const [id, own] of written)
    for (const [run, each] of own) faults.push(...judge(id, run, each, own, runs.get(id)))
  for (const [id, own] of runs)
    for (const [run, { outcome }] of own) {
      const isMissing = outcome === 'succeeded' && written.get(id)?.get(run)?.endedAt === undefined
      if (isMissing) faults.push(`job ${id}: run ${run} has succeeded, and no handler came to its end`)
    }
  return faults
}

function* judge(
  id: string,
  run: number,
  { workerId, beganAt, endedAt }: Written,
  own: ReadonlyMap<number, Written>,
  leases: ReadonlyMap<number, Run> | undefined,
): Generator<string> {
  const lease = leases?.get(run)
  if (lease === undefined) return yield `job ${id}: run ${run} began, and was never leased`
  if (lease.workerId !== workerId) yield `job ${id}: run ${run} began in another worker than the one that leased it`
  if (beganAt < lease.at) yield `job ${id}: run ${run} began before it was leased`
  const next = own.get(run + 1)
  const overlaps = endedAt !== undefined && next !== undefined && next.beganAt < endedAt
  if (overlaps && lease.outcome !== 'lease-lost') yield `job ${id}: runs ${run} and ${run + 1} were at work at once`
}

function logOf(events: Iterable<RecordedEvent>): { runs: Runs<Run>; queued: Set<string> } {
  const runs: Runs<Run> = new Map()
  const queued = new Set<string>()
  const current = new Map<string, Run>()
  for (const recorded of events) {
    if (!isJobStream(recorded.stream)) continue
    const id = jobIdOf(recorded.stream)
    const event = recorded as RecordedEvent & JobEvent
    const run = current.get(id)
    if (event.type === 'Queued') queued.add(id)
    if (event.type === 'Leased') {
      const leased = { workerId: event.data.workerId, at: event.at }
      current.set(id, leased)
      put(runs, id, event.data.run, leased)
    } else if (run !== undefined) run.outcome ??= outcomeOf(event)
  }
  return { runs, queued }
}

function outcomeOf({ type, data }: JobEvent): Run['outcome'] {
  if (type === 'Finished') return data.outcome === 'succeeded' ? 'succeeded' : 'other'
  if (type === 'Failed') return data.cause === 'lease-lost' ? 'lease-lost' : 'other'
  return undefined
}

function read(diaries: readonly string[]): { written: Runs<Written>; enqueued: string[]; faults: string[] } {
  const written: Runs<Written> = new Map()
  const enqueued: string[] = []
  const faults: string[] = []
  for (const line of diaries.flatMap((text) => text.split('\n')).filter((each) => each !== '')) {
    const [what, id = '', run = '', workerId = '', at = ''] = line.split(' ')
    const before = written.get(id)?.get(Number(run))
    if (what === 'enqueued') enqueued.push(id)
    else if (what === 'ended' && before !== undefined) put(written, id, Number(run), { ...before, endedAt: Number(at) })
    else {
      if (before !== undefined || what !== 'began') faults.push(`job ${id}: run ${run} ${what} twice`)
      put(written, id, Number(run), { workerId, beganAt: Number(at), endedAt: undefined })
    }
  }
  return { written, enqueued, faults }
}

function put<Each>(runs: Runs<Each>, id: string, run: number, each: Each): void {
  const own = runs.get(id) ?? new Map<number, Each>()
  own.set(run, each)
  runs.set(id, own)
}
