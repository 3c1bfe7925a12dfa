/** Why an enqueue came to nothing: its unique key was held; and why a trigger made no job. */
import type { ClaimState } from '../domain/claim/claim.js'
import { isTaken } from '../domain/claim/claim.js'
import type { RecordedEvent } from '../domain/event.js'
import type { JobState } from '../domain/job/evolve.js'
import type { MissedReason, TriggerMissed } from '../domain/trigger/events.js'
import type { TriggerState } from '../domain/trigger/evolve.js'
import type { Deed } from './deeds.js'
import { deedOf, whoAndWhy } from './deeds.js'
import type { JobStatusName } from './job-status.js'
import type { Told } from './why-waiting.js'

/** Who holds a unique key: an enqueue with it is answered `duplicate`. */
export type KeyExplanation =
  | Told<'free', { readonly last?: string }>
  /** `until` (ms): the end of its window; absent: until the job ends. */
  | Told<
      'held',
      {
        readonly jobId: string
        readonly state: JobStatusName | 'removed'
        readonly since: Deed
        readonly until?: number
      }
    >

/** `claimed`: the last event of the key's stream. `holder`: the job that it names; undefined: it was removed. */
export function explainKey(
  claimed: RecordedEvent | undefined,
  holder: JobState | undefined,
  world: { readonly now: number; statusOf(job: JobState): JobStatusName },
): KeyExplanation {
  if (claimed === undefined) return { code: 'free', says: 'No job has ever had this key.' }
  const { jobId, until } = claimed.data as ClaimState
  if (!isTaken(claimed.data as ClaimState, holder, world.now)) {
    const why = until === undefined ? 'has ended' : 'has had its window'
    return { code: 'free', last: jobId, says: `The key is free: job ${jobId}, which had it last, ${why}.` }
  }
  const state = holder === undefined ? 'removed' : world.statusOf(holder)
  const since = deedOf(claimed)
  const end = until === undefined ? 'until it ends' : `until ${new Date(until).toISOString()}, whatever becomes of it`
  const says = `Job ${jobId} (${state}) holds the key since ${new Date(since.at).toISOString()}, ${end}.`
  return { code: 'held', jobId, state, since, ...(until !== undefined && { until }), says }
}

/** Occurrences or requests of a trigger that made no job. Times are ms since the epoch. */
export interface Skipped extends Pick<TriggerMissed, 'jobId' | 'error' | 'chain'> {
  readonly at: number
  readonly reason: MissedReason
  /** The first of `count`. */
  readonly occurrence: number
  readonly count: number
  readonly says: string
}

export interface TriggerExplanation {
  readonly id: string
  readonly code: 'active' | 'paused' | 'removed' | 'unknown'
  readonly says: string
  readonly nextAt?: number
  /** Who has paused or removed it. */
  readonly by?: Deed
  /** The latest of its firings that made no job, newest first. */
  readonly skipped: readonly Skipped[]
}

const WHY: Readonly<Record<MissedReason, string>> = {
  late: 'nobody was there to fire it in time',
  duplicate: 'a job with its unique key was there already',
  'rate-limited': 'too many jobs of its type had been enqueued',
  skipped: 'the hook of its type wanted none',
  refused: 'the enqueue was refused',
  loop: 'what asked for it came about by this very trigger',
}

/** `latest`: the end of its stream, newest first. */
export function explainTrigger(
  id: string,
  state: TriggerState | undefined,
  latest: readonly RecordedEvent[],
): TriggerExplanation {
  const skipped = latest.filter(({ type }) => type === 'TriggerMissed').map(skip)
  const said = stand(state, latest)
  const last = skipped[0] === undefined ? '' : ` Last skipped: ${skipped[0].says}`
  return { id, ...said, says: `${said.says}${last}`, skipped }
}

function stand(
  state: TriggerState | undefined,
  latest: readonly RecordedEvent[],
): Pick<TriggerExplanation, 'code' | 'says' | 'nextAt' | 'by'> {
  const by = (type: string): Deed | undefined => deedOf(latest.find((event) => event.type === type))
  if (state?.status === 'paused') {
    const deed = by('TriggerPaused')
    return { code: 'paused', ...(deed !== undefined && { by: deed }), says: `It is paused${whoAndWhy(deed)}.` }
  }
  if (state?.status === 'active') {
    const { nextAt } = state
    const next =
      nextAt === undefined ? 'It fires when it is asked to.' : `It fires at ${new Date(nextAt).toISOString()}.`
    return { code: 'active', ...(nextAt !== undefined && { nextAt }), says: next }
  }
  const deed = by('TriggerRemoved')
  if (deed === undefined) return { code: 'unknown', says: 'The log knows no such trigger.' }
  return { code: 'removed', by: deed, says: `It was removed at ${new Date(deed.at).toISOString()}${whoAndWhy(deed)}.` }
}

function skip({ at, data }: RecordedEvent): Skipped {
  const { reason, occurrence, count = 1, more, jobId, error, chain } = data as TriggerMissed
  const what = count === 1 ? new Date(occurrence).toISOString() : `${count}${more ? ' or more' : ''} occurrences`
  const detail = [jobId, error].filter(Boolean).join(': ')
  return {
    ...{ at, reason, occurrence, count },
    ...(jobId !== undefined && { jobId }),
    ...(error !== undefined && { error }),
    ...(chain !== undefined && { chain }),
    says: `${what}: ${WHY[reason]}${detail === '' ? '' : ` (${detail})`}.`,
  }
}
