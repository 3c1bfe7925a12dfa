import type { JobState } from '../../domain/job/evolve.js'
import type { LedgerState } from '../../projections/ledger-state.js'
import type { Lane } from '../../projections/pending-index.js'

export interface Lanes {
  readonly types: readonly string[] | undefined
  readonly queues: readonly string[] | undefined
  readonly channels: readonly string[] | undefined
}

/** The jobs that would be taken next, in that order, as if none that is taken ended before the last of them. */
export function pendingOf(
  { board, queues }: LedgerState,
  wanted: Lanes & { readonly limit: number; readonly now: number },
): JobState[] {
  const { pending, keys } = board
  pending.promoteDue(wanted.now)
  const lanes = pending.lanes.filter((lane) => isWanted(lane, wanted) && !queues.isPaused(lane.queue))
  const begun = new Map<string, number>()
  const runs = (key: string): number => keys.running(key) + (begun.get(key) ?? 0)
  const hasRoom = ({ rare }: JobState): boolean =>
    rare?.concurrency === undefined || runs(rare.concurrency.key) < rare.concurrency.limit
  const taken: JobState[] = []
  while (taken.length < wanted.limit) {
    const job = pending.take(lanes, { hasRoom, anyRank: true })
    if (job === undefined) break
    taken.push(job)
    const key = job.rare?.concurrency?.key
    if (key !== undefined) begun.set(key, (begun.get(key) ?? 0) + 1)
  }
  // They are only looked at: whoever asks again is to see them again.
  for (const job of taken) pending.push(job, wanted.now)
  for (const key of begun.keys()) pending.freed(key)
  return taken
}

const isWanted = ({ type, queue, channel }: Lane, { types, queues, channels }: Lanes): boolean =>
  (types?.includes(type) ?? true) && (queues?.includes(queue) ?? true) && (channels?.includes(channel) ?? true)
