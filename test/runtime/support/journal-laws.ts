/** What must be true of any day of a journal, found out from the log alone. Each law answers with what breaks it, in words. */
import { isDeepStrictEqual } from 'node:util'
import { JobledgerError } from '../../../domain/errors.js'
import type { Draft, RecordedEvent } from '../../../domain/event.js'
import type { Feed } from '../../../runtime/read/feed.js'
import type { Seen, StreamState, Verdict } from '../../../runtime/write/command.js'
import type { Case, Outcome } from './journal-world.js'

export function brokenLaws(outcome: Outcome): string[] {
  const { cases, log, runtimes } = outcome
  const feed = (runtimes[0] as Outcome['runtimes'][number]).feed
  const history = foldAll(log, feed)
  if (typeof history === 'string') return [history]
  const events = byMark(log)
  return [
    ...runtimes.flatMap(({ store }) => store.faults),
    ...twice(log),
    ...torn(outcome),
    ...runtimes.flatMap(({ store, clock }) => (store.calls > clock.soons ? ['more than one append in a flush'] : [])),
    ...cases.flatMap((one) => judge(one, { cases, events, history })),
  ]
}

interface History {
  readonly events: readonly RecordedEvent[]
  /** Index in the log of each event of the stream, and the state it left. */
  readonly streams: ReadonlyMap<
    string,
    readonly { readonly index: number; readonly state: StreamState; readonly event: RecordedEvent }[]
  >
}

interface Evidence {
  readonly cases: readonly Case[]
  /** Indexes in the log by mark. */
  readonly events: ReadonlyMap<string, readonly number[]>
  readonly history: History
}

/** Folds the whole log; a text if an event is illegal where it stands. */
function foldAll(log: readonly RecordedEvent[], feed: Feed): History | string {
  const streams = new Map<string, { index: number; state: StreamState; event: RecordedEvent }[]>()
  for (const [index, event] of log.entries()) {
    const steps = streams.get(event.stream) ?? []
    streams.set(event.stream, steps)
    try {
      steps.push({ index, event, state: feed.evolve(steps.at(-1)?.state, event) })
    } catch (error) {
      return `${event.stream}@${event.revision}: ${(error as Error).message}`
    }
  }
  return { events: log, streams }
}

function byMark(log: readonly RecordedEvent[]): Map<string, number[]> {
  const events = new Map<string, number[]>()
  for (const [index, { metadata }] of log.entries()) {
    const mark = metadata?.mark
    if (mark === undefined) continue
    const known = events.get(mark)
    if (known === undefined) events.set(mark, [index])
    else known.push(index)
  }
  return events
}

function twice(log: readonly RecordedEvent[]): string[] {
  return new Set(log.map(({ id }) => id)).size === log.length ? [] : ['an event is in the log twice']
}

/** Groups of which a part is in the log, or which others have come between. */
function torn({ log, runtimes }: Outcome): string[] {
  const places = new Map(log.map(({ id }, index) => [id, index]))
  return runtimes.flatMap(({ store }) =>
    store.groups.flatMap(({ events }) => {
      const found = events.flatMap(({ id }) => places.get(id) ?? [])
      const whole =
        found.length === 0 ||
        (found.length === events.length && found.at(-1) === (found[0] as number) + found.length - 1)
      return whole ? [] : [`a group is torn: ${events.map(({ id }) => id).join(' ')}`]
    }),
  )
}

function judge(one: Case, evidence: Evidence): string[] {
  const { mark, answer, decided } = one
  const stored = evidence.events.get(mark) ?? []
  if (answer === undefined || decided === undefined)
    return [`${mark} was never ${answer === undefined ? 'answered' : 'decided'}`]
  if ('no' in answer) {
    if (stored.length > 0) return [`${mark} was told no, and its events are in the log`]
    if (!(answer.no instanceof JobledgerError)) return [`${mark} met ${String(answer.no)}`]
    // The store's own refusal, or that of a neighbour in the same group.
    return answer.no.family === 'store' ? [] : trueOnce(one, answer.no, evidence)
  }
  const { verdict } = decided
  if (verdict instanceof Error) return [`${mark} was told yes to a refusal`]
  if (verdict.answer !== answer.yes) return [`${mark} was given another answer than was decided`]
  return verdict.drafts.length === 0
    ? trueOnce(one, verdict, evidence)
    : recorded(one, verdict.drafts, stored, evidence)
}

/** Just the facts decided, each once and in a row, and decided on just what the log says before them. */
function recorded(one: Case, drafts: readonly Draft[], stored: readonly number[], evidence: Evidence): string[] {
  const { mark } = one
  const { events } = evidence.history
  const inRow =
    stored.length === drafts.length && stored.every((place, index) => place === (stored[0] as number) + index)
  if (!inRow) return [`${mark} decided ${drafts.length} events, and ${stored.length} are in the log`]
  const same = drafts.every((draft, index) => isSame(events[stored[index] as number] as RecordedEvent, draft))
  if (!same) return [`${mark} recorded other facts than were decided`]
  const first = stored[0] as number
  const again = decideAt(one, first, evidence.history)
  const rests = !(again instanceof Error) && isDeepStrictEqual(again.drafts, drafts)
  const { after, before } = span(one, evidence)
  if (one.folded <= (stored.at(-1) as number)) return [`${mark} was answered before the projections had it`]
  if (first < after || first >= before) return [`${mark} overtook a command that shares a stream with it`]
  return rests ? [] : [`${mark} was not decided on what the log says before it: ${told(again)}`]
}

/** No, and yes without facts, were true of the log at some moment between question and answer, in the order of asking. */
function trueOnce(one: Case, answer: Verdict<unknown>, evidence: Evidence): string[] {
  const { after, before } = span(one, evidence)
  const [from, until] = [Math.max(one.from, after), Math.min(one.until, before)]
  for (let moment = from; moment <= until; moment += 1) {
    if (told(decideAt(one, moment, evidence.history)) === told(answer)) return []
  }
  return [`${one.mark} was told "${told(answer)}", which was true at no moment from ${from} to ${until}`]
}

/** After the events of every earlier command of the same runtime that shares a stream, before those of every later one. */
function span(one: Case, { cases, events }: Evidence): { after: number; before: number } {
  let after = 0
  let before = Number.POSITIVE_INFINITY
  const own = cases.indexOf(one)
  for (const [place, other] of cases.entries()) {
    const stored = events.get(other.mark)
    if (stored === undefined || other === one || other.runtime !== one.runtime || !share(one, other)) continue
    if (place < own) after = Math.max(after, (stored.at(-1) as number) + 1)
    else before = Math.min(before, stored[0] as number)
  }
  return { after, before }
}

const share = (one: Case, other: Case): boolean =>
  one.command.streams.some((stream) => other.command.streams.includes(stream))

/** The same decision, on the log as it was before the event at `moment`. */
function decideAt({ command, decided }: Case, moment: number, { streams }: History): Verdict<unknown> {
  const seen = (stream: string): Seen => {
    const steps = (streams.get(stream) ?? []).filter(({ index }) => index < moment)
    return { state: steps.at(-1)?.state, events: steps.map(({ event }) => event) }
  }
  const draws = [...(decided?.draws ?? [])]
  return command.decide(seen, decided?.now ?? 0, () => draws.shift() ?? 0)
}

function told(verdict: Verdict<unknown>): string {
  if (verdict instanceof Error) return verdict.message
  return `${verdict.drafts.map(({ type }) => type).join(' ')} -> ${JSON.stringify(verdict.answer)}`
}

function isSame(event: RecordedEvent, draft: Draft): boolean {
  const content = event.body !== undefined && 'content' in event.body ? event.body.content : undefined
  return (
    event.stream === draft.stream &&
    event.type === draft.type &&
    isDeepStrictEqual(event.data, draft.data) &&
    content === draft.body
  )
}
