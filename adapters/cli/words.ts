/** What each event says, for a reader who knows jobs but not our event types. */
import { formatMs } from '../../domain/duration.js'
import type { DependencyEdge, FailureCause, JobEventMap, JobEventType } from '../../domain/job/events.js'
import { JOB_EVENT_TYPES } from '../../domain/job/events.js'
import type { HistoryEntry } from '../../runtime/read/queries.js'
import { iso, preview, printable } from './output.js'

type Words = { readonly [Type in JobEventType]: (facts: JobEventMap[Type], at: number) => string }

const CAUSES: Readonly<Record<FailureCause, string>> = {
  error: 'failed',
  timeout: 'timed out',
  'lease-lost': 'lost its worker',
  'not-started': 'could not be started',
  'invalid-payload': 'refused its payload',
}

const WORDS: Words = {
  Queued: (facts) => {
    const { type, queue, channel, name, priority, runAt, held, dependsOn = [], maxAttempts } = facts
    const parts = [
      `accepted as ${type} in queue ${queue}`,
      channel && `channel ${channel}`,
      name && `named ${name}`,
      priority && `priority ${priority}`,
      runAt && `not before ${iso(runAt)}`,
      held && 'held until it is promoted',
      dependsOn.length > 0 && `after ${dependsOn.map(edgeInWords).join(', ')}`,
      attemptsInWords(maxAttempts),
    ]
    return parts.filter(Boolean).join(', ')
  },
  Leased: ({ run, attempt, workerId, expiresAt }, at) =>
    `run ${run} (attempt ${attempt}) given to worker ${workerId} for ${formatMs(expiresAt - at)}`,
  Heartbeat: ({ progress, expiresAt }, at) =>
    `still running${progress === undefined ? '' : `, progress ${progress}`}, lease good for another ${formatMs(expiresAt - at)}`,
  Released: ({ runAt }) => `given back by its worker, no attempt spent${runAt ? `, not before ${iso(runAt)}` : ''}`,
  Failed: ({ run, attempt, cause, error, retryable }) =>
    `run ${run} (attempt ${attempt}) ${CAUSES[cause]}${error && cause === 'error' ? `: ${error}` : ''}${retryable ? '' : ', not to be tried again'}`,
  Retried: ({ by, runAt }, at) => {
    if (by === 'operator') return 'sent round again by an operator, attempts start afresh'
    const wait = runAt > at ? `in ${formatMs(runAt - at)}` : 'at once'
    return `to run again ${wait}${by === 'lease-lost' ? ', no attempt spent' : ''}`
  },
  Finished: ({ outcome, error }) =>
    outcome === 'succeeded' ? 'succeeded' : `failed for good${error ? `: ${error}` : ''}`,
  Cancelled: ({ by, reason }) =>
    `cancelled by ${by === 'operator' ? 'an operator' : 'a dependency'}${reason ? `: ${reason}` : ''}`,
  Rescheduled: ({ runAt, priority, held }) => {
    const parts = [
      runAt !== undefined && `not before ${iso(runAt)}`,
      priority !== undefined && `priority ${priority}`,
      held !== undefined && (held ? 'held' : 'let go'),
    ]
    return `changed: ${parts.filter(Boolean).join(', ')}`
  },
  Expunged: ({ rule, hashes }) => `${Object.keys(hashes).length} bodies erased by ${rule}`,
}

/** A type that a newer version has written is shown as it is. */
export function inWords({ type, data, at }: HistoryEntry): string {
  if (!(JOB_EVENT_TYPES as readonly string[]).includes(type)) return preview(data)
  const words = WORDS[type as JobEventType] as (facts: object, at: number) => string
  return printable(words(data, at))
}

/** Of an error the message: name and stack are told elsewhere. */
export function bodyPreview({ type, body, erased }: HistoryEntry): string {
  if (erased) return '(erased)'
  const message = type === 'Failed' ? (body as { message?: unknown } | undefined)?.message : undefined
  return typeof message === 'string' ? printable(message).slice(0, 120) : preview(body)
}

export function edgeInWords({ id, on, otherwise }: DependencyEdge): string {
  const exceptions = [on === 'finished' && 'finished', otherwise !== 'block' && `else ${otherwise}`].filter(Boolean)
  return exceptions.length === 0 ? id : `${id} (${exceptions.join(', ')})`
}

function attemptsInWords(maxAttempts: number | null): string {
  if (maxAttempts === null) return 'any number of attempts'
  return maxAttempts === 1 ? '1 attempt' : `at most ${maxAttempts} attempts`
}
