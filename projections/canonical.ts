/** What two states that mean the same have in common, line by line: for a hash of each projection. */
import type { Json } from '../domain/event.js'
import { canonicalText } from '../domain/json.js'
import type { JobRow } from './job-row.js'
import { fromRow, toState } from './job-row.js'
import type { LedgerState } from './ledger-state.js'
import type { TriggerRecord } from './trigger-record.js'

export const PROJECTIONS = ['jobs', 'totals', 'queues', 'workers', 'triggers', 'segments', 'half-done'] as const
export type ProjectionName = (typeof PROJECTIONS)[number]

/** What the log cannot tell any more, since it was taken out: not compared. */
export interface Apart {
  /** Triggers whose records name jobs that were removed. */
  readonly records: ReadonlySet<string>
  /** Jobs were removed: the last sign of life of a worker may have been something it did to one of them. */
  readonly signs: boolean
  /** Jobs were removed of which is not recorded what type they had. */
  readonly types: boolean
}

const NOTHING_APART: Apart = Object.freeze({ records: new Set<string>(), signs: false, types: false })

/** Made when they are asked for, one by one. `now` (ms): what is remembered for a time only is left out once that is over. */
export function canonicalLines(
  state: LedgerState,
  name: ProjectionName,
  now: number,
  apart: Apart = NOTHING_APART,
): Iterable<string> {
  switch (name) {
    case 'jobs':
      return jobLines(state)
    case 'totals':
      return totalLines(state, apart)
    case 'queues':
      return linesOf(state.queues.toJSON(), ({ name }) => name)
    case 'workers':
      return workerLines(state, apart)
    case 'triggers':
      return triggerLines(state, apart)
    case 'segments':
      return linesOf([state.segments.toJSON()], () => '')
    case 'half-done':
      return halfDoneLines(state, now)
  }
}

function* jobLines({ board }: LedgerState): Iterable<string> {
  const jobs = [...board.jobs].sort((a, b) => (a.id < b.id ? -1 : 1))
  for (const job of jobs) yield canonicalText(JSON.parse(toState(job, board.graph)) as Json)
}

/** The row of a job that has ended. Whether its dependencies were met or passed over depends on when it was saved. */
export function endedLine({ state, ...columns }: JobRow): string {
  const job = fromRow(state)
  const dependsOn = job.dependsOn.map((edge) => ({ ...edge, now: undefined }))
  return canonicalText(JSON.parse(JSON.stringify({ ...columns, job: { ...job, dependsOn } })) as Json)
}

function totalLines({ board }: LedgerState, { types }: Apart): Iterable<string> {
  if (types) return linesOf(Object.entries(board.stats.toJSON()), ([queue]) => queue)
  return linesOf(board.stats.toSave(), ([queue, type]) => JSON.stringify([queue, type]))
}

function* workerLines({ workers }: LedgerState, { signs }: Apart): Iterable<string> {
  const told = workers.toJSON().map((worker) => (signs ? { ...worker, lastSeenAt: 0 } : worker))
  yield* linesOf(told, ({ id }) => id)
}

function* triggerLines({ triggers }: LedgerState, { records }: Apart): Iterable<string> {
  const { triggers: states, records: all, owed, bad } = triggers.toJSON()
  yield* linesOf(states, ({ id }) => id)
  yield* linesOf(
    all.filter(([id]) => !records.has(id)),
    ([id]) => id,
  )
  yield* linesOf(owed, ({ triggerId, source }) => `${source} ${triggerId}`)
  yield* linesOf(bad, ([id]) => id)
}

/** When something was seen is the clock of whoever folds. */
function* halfDoneLines({ groups, leaving, board }: LedgerState, now: number): Iterable<string> {
  const { open, parts } = groups.toJSON()
  const unseen = <Thing extends object>(thing: Thing): Thing => ({ ...thing, seenAt: 0 })
  yield* linesOf(open.map(unseen), ({ id, last }) => `${id} ${last.stream}`)
  yield* linesOf(
    parts.map(([stream]) => stream),
    (stream) => stream,
  )
  yield* linesOf(leaving.toJSON().map(unseen), ({ id }) => id)
  const leases = [...board.cancelledLeases].filter(([, { until }]) => until >= now)
  yield* linesOf(leases, ([token]) => token)
}

function* linesOf<Thing>(things: Iterable<Thing>, keyOf: (thing: Thing) => string): Iterable<string> {
  const keyed = [...things].map((thing) => [keyOf(thing), thing] as const)
  keyed.sort(([a], [b]) => (a < b ? -1 : 1))
  // By way of JSON: a field that is undefined and one that is left out say the same.
  for (const [, thing] of keyed) yield canonicalText(JSON.parse(JSON.stringify(thing)) as Json)
}

/** The triggers whose records name a job that was removed. */
export function recordsOf({ triggers }: LedgerState, isRemoved: (jobId: string) => boolean): Set<string> {
  const named = triggers.toJSON().records.filter(([, record]) => marksOf(record).some(isRemoved))
  return new Set(named.map(([id]) => id))
}

function marksOf({ newest, success, failure, execution, manual }: TriggerRecord): string[] {
  return [newest, success, failure, execution, manual].flatMap((mark) => (mark === undefined ? [] : [mark.jobId]))
}
