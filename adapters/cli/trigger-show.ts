/** What `triggers show` says. */
import { formatMs } from '../../domain/duration.js'
import type { JobSummary } from '../../runtime/read/queries.js'
import type { TriggerInfo, TriggerMark, TriggerReport } from '../../runtime/trigger/info.js'
import { jobsText } from './inspect.js'
import { iso, type Output, preview, printable, when } from './output.js'
import { stateIn } from './words.js'

export interface ShownTrigger extends TriggerInfo {
  readonly payload?: unknown
  readonly state: TriggerReport
  readonly jobs: readonly JobSummary[]
}

export function showText(output: Output, trigger: ShownTrigger): string {
  const facts = { ...definitionFacts(output, trigger), ...stateFacts(output, trigger) }
  const { jobs } = trigger
  return jobs.length === 0 ? output.facts(facts) : `${output.facts(facts)}\n\n${jobsText(output, jobs)}`
}

/** What it was told, as it was told; a spread one has a slot in it. */
export function timesOf({ when: text, timezone, slot }: TriggerInfo): string {
  const parts = [text, timezone, slot && `slot ${slot}`]
  return printable(parts.filter(Boolean).join(', '))
}

function definitionFacts(output: Output, trigger: ShownTrigger): Record<string, string | undefined> {
  const { kind, lateMs, misfire, debounce, options, payload } = trigger
  return {
    id: printable(trigger.id),
    status: statusOf(output, trigger),
    kind,
    when: timesOf(trigger) || undefined,
    late: lateMs === undefined ? undefined : lateMs === null ? 'always' : `at most ${formatMs(lateMs)}`,
    misfire: misfire === 'coalesce' ? undefined : misfire,
    debounce: debounce && `${formatMs(debounce.windowMs)}, ${debounce.combine}`,
    type: printable(trigger.type),
    queue: printable(trigger.queue),
    channel: printable(trigger.channel) || undefined,
    options: options && preview(options, WHOLE),
    payload: payload === undefined ? undefined : preview(payload, WHOLE),
    added: when(trigger.addedAt),
    changed: trigger.updatedAt === trigger.addedAt ? undefined : when(trigger.updatedAt),
  }
}

const WHOLE = 2_000

function statusOf(output: Output, { status, pausedAt, pauseReason }: TriggerInfo): string {
  if (status === 'active' || pausedAt === undefined) return status
  const why = pauseReason === undefined ? '' : `: ${printable(pauseReason)}`
  return `${output.style('yellow', 'paused')}, since ${when(pausedAt)}${why}`
}

function stateFacts(output: Output, { state, window }: ShownTrigger): Record<string, string | undefined> {
  const { fired, missed, missedMore, lastMissed, lastFailure } = state
  const [next, ...later] = state.next
  return {
    fired: String(fired),
    missed:
      missed === 0
        ? undefined
        : `${missed}${missedMore ? ' or more' : ''}${lastMissed === undefined ? '' : `, the last one: ${lastMissed}`}`,
    'last job':
      state.status === 'none' ? undefined : `${markOf(state.lastExecution)}, ${stateIn(output, state.status)}`,
    'last success': markOf(state.lastSuccess),
    'last failure':
      lastFailure &&
      [markOf(lastFailure), lastFailure.error && printable(lastFailure.error)].filter(Boolean).join(', '),
    'by hand': markOf(state.lastManual),
    collects: window && `${window.count} so far, until ${when(window.until)}`,
    next: next === undefined ? undefined : when(next),
    later: later.length === 0 ? undefined : later.map(iso).join(', '),
  }
}

const markOf = (mark: TriggerMark | undefined): string | undefined => mark && `${mark.jobId}, ${when(mark.at)}`
