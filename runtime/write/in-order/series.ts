/** A group over several streams as a series of appends to one stream each. */
import type { BatchDraft, Rest } from '../../../domain/batch/events.js'
import { batchStream } from '../../../domain/batch/events.js'
import { claimTypeOf } from '../../../domain/claim/events.js'
import type { NewEvent } from '../../../domain/event.js'
import type { Queued } from '../../../domain/job/events.js'
import { isJobStream, jobStream } from '../../../domain/job/events.js'
import { isTriggerStream } from '../../../domain/trigger/events.js'
import type { AppendGroup, ExpectedRevision } from '../../ports/event-store.js'
import type { Ids } from '../../ports/ids.js'
import type { Step } from './steps.js'
import { encodeSteps } from './steps.js'

export interface Series {
  /** Until the last of these is stored nothing is decided. All are of one stream. */
  readonly heads: readonly Step[]
  /** What follows from that, in order. */
  readonly rest: readonly Step[]
  /** All other streams that the decision rests on. */
  readonly beside: ReadonlyMap<string, ExpectedRevision>
}

/** Characters that one event carries at most: stores have a limit for what one append may hold, of about a megabyte. */
const PART = 262_144

/**
 * A claim, or a firing, decides and carries what it is for. Several of them, jobs that come together, and what is too long for one event are
 * decided on in a stream of their own.
 */
export function toSeries({ expect, events }: AppendGroup, ids: Ids): Series {
  const steps = stepsOf(expect, events)
  const [first, ...others] = steps
  if (first === undefined || others.length === 0)
    return { heads: steps, rest: [], beside: without(expect, first?.stream) }
  const carries = canCarry(first) && !others.some(canCarry)
  const text = carries ? encodeSteps(others) : ''
  if (carries && text.length <= PART) {
    const head = carrying(first, restOf(others), text, ids)
    return { heads: [head], rest: others, beside: without(expect, first.stream) }
  }
  return submitted(steps, expect, ids)
}

function submitted(steps: readonly Step[], expect: AppendGroup['expect'], ids: Ids): Series {
  const stream = batchStream(ids.uuid())
  const last = restOf(steps)
  const rest = steps.map((step) => (isClaim(step) ? carrying(step, { ...last, head: stream }, undefined, ids) : step))
  const parts = partsOf(encodeSteps(rest))
  const at = rest[0]?.events[0]?.at ?? 0
  const heads = parts.map((content, index): Step => {
    const isLast = index === parts.length - 1
    const facts: BatchDraft = isLast
      ? { type: 'BatchSubmitted', data: { rest: last } }
      : { type: 'BatchPart', data: {} }
    const event = { stream, id: ids.uuid(), at, ...facts, body: { salt: ids.salt(), content } }
    return { stream, expected: index === 0 ? 'none' : index - 1, events: [event] }
  })
  return { heads, rest, beside: expect }
}

/** Never between the halves of a character. */
function partsOf(text: string): string[] {
  const parts: string[] = []
  for (let from = 0; from < text.length; ) {
    const isHalf = /[\ud800-\udbff]/.test(text[from + PART - 1] ?? '')
    const to = from + PART - (isHalf ? 1 : 0)
    parts.push(text.slice(from, to))
    from = to
  }
  return parts
}

const isClaim = ({ stream }: Pick<Step, 'stream'>): boolean => claimTypeOf(stream) !== undefined

/** Its last event has no body of its own. */
const canCarry = (step: Step): boolean => isClaim(step) || isTriggerStream(step.stream)

/** In the order in which they are to be appended. */
function stepsOf(expect: AppendGroup['expect'], events: readonly NewEvent[]): Step[] {
  const byStream = new Map<string, NewEvent[]>()
  for (const event of events) {
    const known = byStream.get(event.stream)
    if (known === undefined) byStream.set(event.stream, [event])
    else known.push(event)
  }
  const steps = [...byStream].map(([stream, own]) => ({ stream, expected: expect.get(stream) ?? 'none', events: own }))
  return waves(steps).flat()
}

function without(expect: AppendGroup['expect'], stream: string | undefined): Map<string, ExpectedRevision> {
  const beside = new Map(expect)
  if (stream !== undefined) beside.delete(stream)
  return beside
}

function restOf(steps: readonly Step[]): Rest {
  const { stream, expected, events } = steps.at(-1) as Step
  const first = expected === 'none' ? 0 : expected + 1
  return { stream, revision: first + events.length - 1, id: (events.at(-1) as NewEvent).id }
}

/** With the rest on its last event. */
function carrying({ events, ...step }: Step, rest: Rest, text: string | undefined, ids: Ids): Step {
  const last = events.at(-1) as NewEvent
  const body = text === undefined ? undefined : { salt: ids.salt(), content: text }
  return { ...step, events: [...events.slice(0, -1), { ...last, data: { ...last.data, rest }, ...(body && { body }) }] }
}

/** A new job: what has been decided gives it an id that nobody else has. */
export const isNewJob = ({ stream, expected }: Step): boolean => expected === 'none' && isJobStream(stream)

/**
 * Steps that may go together. First one by one those that may still meet a rival: counts, then claims, then changes of jobs. Then
 * the new jobs, those that wait for others of them before these, which must not have ended when they come. The last one goes
 * alone: where it is, all are.
 */
export function waves(steps: readonly Step[]): Step[][] {
  const contested = steps.filter((step) => !isNewJob(step)).sort((a, b) => rank(a) - rank(b))
  const all = [...contested.map((step) => [step]), ...dependentsFirst(steps.filter(isNewJob))]
  const last = all.at(-1)
  const end = last !== undefined && last.length > 1 ? last.pop() : undefined
  return end === undefined ? all : [...all, [end]]
}

const RANKS = ['Taken', 'Counted', 'Claimed']
/** What is counted in vain does less harm than what is claimed in vain; and what has fired must come to something. */
function rank({ stream }: Step): number {
  const type = claimTypeOf(stream)
  if (type !== undefined) return RANKS.indexOf(type)
  return RANKS.length + (isTriggerStream(stream) ? 1 : 0)
}

function dependentsFirst(steps: readonly Step[]): Step[][] {
  const byStream = new Map(steps.map((step) => [step.stream, step]))
  const dependents = new Map<string, number>()
  const edges = (step: Step): Step[] => dependenciesOf(step).flatMap((stream) => byStream.get(stream) ?? [])
  for (const step of steps)
    for (const { stream } of edges(step)) dependents.set(stream, (dependents.get(stream) ?? 0) + 1)
  const found: Step[][] = []
  let wave = steps.filter(({ stream }) => !dependents.has(stream))
  while (wave.length > 0) {
    found.push(wave)
    const next: Step[] = []
    for (const { stream, ...rest } of wave.flatMap(edges)) {
      const left = (dependents.get(stream) as number) - 1
      dependents.set(stream, left)
      if (left === 0) next.push({ stream, ...rest })
    }
    wave = next
  }
  return found
}

const dependenciesOf = ({ events }: Step): string[] =>
  ((events[0]?.data as Partial<Queued> | undefined)?.dependsOn ?? []).map(({ id }) => jobStream(id))
