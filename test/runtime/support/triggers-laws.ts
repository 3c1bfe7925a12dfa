/** What must be true of triggers on any day, found out from the log alone. Answers with what breaks it, in words. */
import type { RecordedEvent } from '../../../domain/event.js'
import type { Queued } from '../../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../../domain/job/events.js'
import type { TriggerEvent, TriggerFired, TriggerMissed } from '../../../domain/trigger/events.js'
import { triggerStream } from '../../../domain/trigger/events.js'
import type { TriggerState } from '../../../domain/trigger/evolve.js'
import { evolveTrigger } from '../../../domain/trigger/evolve.js'
import { matches } from '../../../domain/trigger/match.js'
import type { Day } from './triggers-world.js'
import { TRIGGERS } from './triggers-world.js'

export function brokenTriggers({ log, skipped, left }: Day): string[] {
  const of = (id: string): RecordedEvent[] => log.filter(({ stream }) => stream === triggerStream(id))
  return [
    ...left,
    ...(skipped > 0 ? [`${skipped} events do not fit their streams`] : []),
    ...Object.keys(TRIGGERS).flatMap((id) => unlawful(id, of(id))),
    ...jobsMissing(log),
    ...['all', 'coalesced', 'slow'].flatMap((id) => unfired(id, of(id))),
    ...['once', 'onceLater'].flatMap((id) => notOnce(id, of(id))),
    ...['slow', 'gather'].flatMap((id) => uncollected(id, of(id))),
    ...['watch', 'gather', 'echo'].flatMap((id) => unanswered(id, of(id), log)),
  ]
}

function unlawful(id: string, events: readonly RecordedEvent[]): string[] {
  try {
    const fold = (state: TriggerState | undefined, event: RecordedEvent): TriggerState =>
      evolveTrigger(state, event as RecordedEvent & TriggerEvent)
    events.reduce<TriggerState | undefined>(fold, undefined)
    return []
  } catch (error) {
    return [`${id}: ${(error as Error).message}`]
  }
}

const typed = <Facts>(events: readonly RecordedEvent[], type: string): Facts[] =>
  events.filter((event) => event.type === type).map(({ data }) => data as Facts)

/** Each firing has its job, and each job of a trigger its firing. */
function jobsMissing(log: readonly RecordedEvent[]): string[] {
  const fired = typed<TriggerFired>(log, 'TriggerFired')
  const jobs = log.filter(({ type, data }) => type === 'Queued' && (data as Queued).trigger !== undefined)
  const made = jobs.map(({ stream, data }) => `${jobIdOf(stream)} for ${(data as Queued).trigger?.occurrence}`)
  const wanted = fired.map(({ jobId, occurrence }) => `${jobId} for ${occurrence}`)
  return [
    ...twice(made).map((job) => `job ${job} is there twice`),
    ...twice(wanted).map((job) => `job ${job} was fired twice`),
    ...wanted.filter((job) => !made.includes(job)).map((job) => `job ${job} was fired and is not there`),
    ...made.filter((job) => !wanted.includes(job)).map((job) => `job ${job} is there and was not fired`),
  ]
}

const twice = (all: readonly unknown[]): unknown[] => all.filter((each, index) => all.indexOf(each) !== index)

/** Every occurrence, from the first to the one before the next, has fired or is counted as missed, in its turn. */
function unfired(id: string, events: readonly RecordedEvent[]): string[] {
  const { schedule } = TRIGGERS[id] as { schedule: { everyMs?: number } }
  const step = schedule.everyMs as number
  let next = typed<{ nextAt: number }>(events, 'TriggerAdded')[0]?.nextAt as number
  const broken: string[] = []
  let missed = 0
  for (const { type, data } of events) {
    const { by, nextAt, occurrence, count = 1 } = data as TriggerFired & TriggerMissed
    if (type === 'TriggerMissed' && by === undefined) {
      if (occurrence !== next + step) broken.push(`${id}: missed ${occurrence} where ${next + step} was to be`)
      missed += count
    }
    const isTimed = by === 'time' && (data as TriggerFired).collected === undefined
    if (!isTimed || nextAt === undefined) continue
    const after = next + (missed + 1) * step
    if (occurrence !== undefined && occurrence !== next)
      broken.push(`${id}: ${occurrence} came where ${next} was to be`)
    if (nextAt !== after) broken.push(`${id}: after ${next} and ${missed} missed comes ${nextAt}`)
    ;[next, missed] = [nextAt, 0]
  }
  return broken
}

function notOnce(id: string, events: readonly RecordedEvent[]): string[] {
  const told = events.flatMap(({ type }) => (type === 'TriggerUpdated' ? [] : [type])).join(' ')
  return told === 'TriggerAdded TriggerFired TriggerRemoved' ? [] : [`${id}: ${told}`]
}

/** Each window ends with one firing, that knows how many requests there were. */
function uncollected(id: string, events: readonly RecordedEvent[]): string[] {
  const broken: string[] = []
  let open = 0
  for (const { type, data } of events) {
    if (type === 'DebounceOpened' && open > 0) broken.push(`${id}: a window opens in another one`)
    if (type.startsWith('Debounce')) open += 1
    const { collected } = data as TriggerFired
    if (type !== 'TriggerFired' || collected === undefined) continue
    if (collected !== open) broken.push(`${id}: ${collected} of ${open} requests were collected`)
    open = 0
  }
  return open === 0 || id === 'slow' ? broken : [...broken, `${id}: ${open} requests wait still`]
}

/** Each event that a trigger asks for is answered once, by a firing or by a reason for none. */
function unanswered(id: string, events: readonly RecordedEvent[], log: readonly RecordedEvent[]): string[] {
  const { schedule } = TRIGGERS[id] as (typeof TRIGGERS)[string]
  const rules = schedule.kind === 'event' ? schedule.rules : []
  const asked = log.filter(({ stream, type, data }) => {
    return (
      type === 'Queued' &&
      isJobStream(stream) &&
      matches(rules, { type: `job/${(data as Queued).type}`, verb: 'CREATED' })
    )
  })
  const answers = events.map(({ data }) => (data as TriggerFired).source).filter((source) => source !== undefined)
  const sources = asked.map((event) => event.id)
  return [
    ...twice(answers).map((source) => `${id}: ${source} was answered twice`),
    ...sources.filter((source) => !answers.includes(source)).map((source) => `${id}: ${source} was not answered`),
    ...answers.filter((source) => !sources.includes(source)).map((source) => `${id}: nobody asked for ${source}`),
  ]
}
