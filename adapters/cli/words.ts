/** What jobs and their events say, for a reader who knows jobs but not our event types. */
import { tries } from '../../domain/backoff.js'
import { formatMs } from '../../domain/duration.js'
import type {
  DependencyEdge,
  FailureCause,
  JobEventMap,
  JobEventType,
  Queued,
  Released,
} from '../../domain/job/events.js'
import { JOB_EVENT_TYPES } from '../../domain/job/events.js'
import type { JobStatusName } from '../../projections/job-status.js'
import type { HistoryEntry, JobSummary } from '../../runtime/read/queries.js'
import { iso, type Output, preview, printable } from './output.js'

const COLORS = { succeeded: 'green', failed: 'red', cancelled: 'yellow', running: 'cyan', blocked: 'yellow' } as const

export function stateIn(output: Output, state: JobStatusName | 'waiting'): string {
  const color = COLORS[state as keyof typeof COLORS]
  return color === undefined ? state : output.style(color, state)
}

/** Those spent, of those it has. */
export const attempts = ({ attempt, maxAttempts }: JobSummary): string => `${attempt}/${maxAttempts ?? 'unlimited'}`

/** `who`: the actor, where the event names one. */
type Words = { readonly [Type in JobEventType]: (facts: JobEventMap[Type], at: number, who?: string) => string }

const NOBODY = 'an operator'

const CAUSES: Readonly<Record<FailureCause, string>> = {
  error: 'failed',
  timeout: 'timed out',
  'lease-lost': 'lost its worker',
  'not-started': 'could not be started',
  'invalid-payload': 'refused its payload',
}

const RELEASED: Readonly<Record<NonNullable<Released['by']> | 'shutdown', string>> = {
  shutdown: 'given back by its worker, which shut down',
  snooze: 'put off by its handler',
  requeue: 'sent back to its place by its worker',
}

const WORDS: Words = {
  Queued: (facts, _at, who) => {
    const { type, queue, channel, name, priority, runAt, held, dependsOn = [], context, manual, trigger } = facts
    return listed(
      `accepted as ${type} in queue ${queue}`,
      channel && `channel ${channel}`,
      name && `named ${name}`,
      priority && `priority ${priority}`,
      runAt && `not before ${iso(runAt)}`,
      held && 'held until it is promoted',
      dependsOn.length > 0 && `after ${dependsOn.map(edgeInWords).join(', ')}`,
      facts.unique && 'the only one of its key',
      trigger && `made by trigger ${trigger.id}`,
      manual && 'started by a person',
      context?.user !== who && context?.user && `for ${context.user}`,
      attemptsInWords(facts),
      keptInWords(facts),
    )
  },
  Leased: ({ run, attempt, workerId, expiresAt }, at) =>
    `run ${run} (attempt ${attempt}) given to worker ${workerId} for ${formatMs(expiresAt - at)}`,
  Heartbeat: ({ progress, expiresAt }, at) =>
    listed(
      'still running',
      progress !== undefined && `progress ${progress}`,
      `lease good for another ${formatMs(expiresAt - at)}`,
    ),
  Released: ({ runAt, by }) =>
    listed(RELEASED[by ?? 'shutdown'], 'no attempt spent', runAt !== undefined && `not before ${iso(runAt)}`),
  Failed: ({ run, attempt, cause, error, retryable }) => {
    const what = cause === 'not-started' ? CAUSES[cause] : `run ${run} (attempt ${attempt}) ${CAUSES[cause]}`
    return listed(error && cause === 'error' ? `${what}: ${error}` : what, !retryable && 'not to be tried again')
  },
  Retried: ({ by, runAt }, at, who) => {
    if (by === 'operator') return `sent round again by ${who ?? NOBODY}, attempts start afresh`
    const wait = runAt > at ? `in ${formatMs(runAt - at)}` : 'at once'
    return listed(`to run again ${wait}`, by === 'lease-lost' && 'no attempt spent')
  },
  Finished: ({ outcome, error, aborted }) => {
    if (outcome === 'failed') return `failed for good${error ? `: ${error}` : ''}`
    return aborted ? 'succeeded: there was nothing left to do' : 'succeeded'
  },
  Cancelled: ({ by, reason }, _at, who) =>
    `cancelled by ${by === 'operator' ? (who ?? NOBODY) : 'a dependency'}${reason ? `: ${reason}` : ''}`,
  Rescheduled: ({ runAt, priority, held, payload }, at) =>
    `changed: ${listed(
      runAt !== undefined && (runAt > at ? `not before ${iso(runAt)}` : 'to run at once'),
      priority !== undefined && `priority ${priority}`,
      held !== undefined && (held ? 'held until it is promoted' : 'not held any more'),
      payload && 'a new payload',
    )}`,
  Condemned: ({ rule }, _at, who) =>
    rule === 'archive'
      ? listed('to go into the archive', who !== undefined && `sent by ${who}`)
      : `about to be removed by ${ruleInWords(rule, who)}`,
  Expunged: ({ rule, hashes }, _at, who) => {
    const count = Object.keys(hashes).length
    return `${count === 1 ? '1 body' : `${count} bodies`} erased by ${ruleInWords(rule === 'operator' ? undefined : rule, who)}`
  },
}

/** Those whose words say themselves who it was. */
const SAY_WHO: readonly string[] = ['Retried', 'Cancelled', 'Condemned', 'Expunged']

/** A type that a newer version has written is shown as it is. */
export function inWords({ type, data, at, metadata }: HistoryEntry): string {
  const { actor, reason } = metadata ?? {}
  const because = reason !== undefined && reason !== (data as { reason?: string }).reason && `because: ${reason}`
  const known = (JOB_EVENT_TYPES as readonly string[]).includes(type)
  const words = WORDS[type as JobEventType] as (facts: object, at: number, who?: string) => string
  const said = known ? words(data, at, actor) : preview(data)
  return printable(listed(said, actor !== undefined && !SAY_WHO.includes(type) && `by ${actor}`, because))
}

const listed = (...parts: readonly (string | number | false | undefined)[]): string => parts.filter(Boolean).join(', ')

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

function attemptsInWords({ maxAttempts, backoff }: Pick<Queued, 'maxAttempts' | 'backoff'>): string {
  const limit = tries(backoff, maxAttempts)
  const within = backoff.expiration === undefined ? '' : ` within ${formatMs(backoff.expiration)}`
  if (limit === null) return `any number of attempts${within}`
  return limit === 1 ? '1 attempt' : `at most ${limit} attempts${within}`
}

function keptInWords({ retainMs }: Pick<Queued, 'retainMs'>): string | undefined {
  if (retainMs === undefined) return undefined
  return retainMs === null ? 'kept for ever' : `kept for ${formatMs(retainMs)} after its end`
}

function ruleInWords(rule: string | undefined, who: string | undefined): string {
  if (rule === undefined) return who ?? NOBODY
  return listed(`the rule ${rule}`, who !== undefined && `run by ${who}`)
}
