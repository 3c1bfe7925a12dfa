/**
 * Groups over several streams on a store that appends to one at a time. What is only looked at is looked at right before. Then
 * one append decides, and carries in its event all that follows from it, with ids and revisions; then that is appended. Each of
 * those appends has one outcome for ever, whoever tries it and how often: so whoever finds something half done completes it.
 */
import { type BatchEventType, isBatchStream, type Rest } from '../../../domain/batch/events.js'
import { unclaim } from '../../../domain/claim/claim.js'
import { type Claimed, claimTypeOf } from '../../../domain/claim/events.js'
import type { NewEvent, Position, RecordedEvent } from '../../../domain/event.js'
import type { Leased } from '../../../domain/job/events.js'
import { jobStream } from '../../../domain/job/events.js'
import type { Clock } from '../../ports/clock.js'
import type { AppendGroup, AppendOutcome, EventStore, ReadStreamOptions } from '../../ports/event-store.js'
import { StoreUnavailable } from '../../ports/event-store.js'
import type { Ids } from '../../ports/ids.js'
import { stamp } from '../group.js'
import { isNewJob, type Series, toSeries, waves } from './series.js'
import { decodeSteps, type Step } from './steps.js'

/** What the journal needs of a store. */
export type Appending = Pick<EventStore, 'append' | 'readStream' | 'capabilities'>

/** What the projections know of groups. */
export interface KnownGroups {
  /** Whether this event, or the stream that it names, is known to have come to its end. */
  isDone(event: RecordedEvent, rest: Rest): boolean
}

/** The event that decides, as it is found in the log. */
export type Head = Pick<RecordedEvent, 'stream' | 'revision'>

const submitted: BatchEventType = 'BatchSubmitted'
/** No stream gets there: whoever expects it is told where a stream is, and that it was removed if it was. */
const NOWHERE = 2 ** 31 - 1
/** Appends sent to the store at once. */
const AT_ONCE = 256
/** Tries to complete what somebody else has begun, while the store leaves open what became of it, and the wait in between (ms). */
const TRIES = 5
const RETRY = 50
/** Heads that were completed here and need not be looked at again. */
const REMEMBERED = 10_000

/** A step as it is found in the log, or was put there. */
interface Stored extends Pick<Step, 'stream' | 'expected'> {
  readonly events: readonly Pick<NewEvent, 'type' | 'data'>[]
}

/** It cannot be said whether it will be there. */
type NotKnown = Extract<AppendOutcome, { kind: 'unknown' | 'rejected' }>

const TOO_LATE = 'The batch took so long to be written that it was given up: nothing of it is stored.'

/** What an append of the series has come to. */
interface Ended {
  readonly step: Step
  readonly outcome: AppendOutcome
}

/** A group on its way. `isTried`: its first append may have been stored. `isDecided`: the one that decides is. */
interface Sent {
  readonly series: Series
  isTried: boolean
  isDecided: boolean
}

export class OrderedAppends implements Appending {
  readonly #store: EventStore
  readonly #known: KnownGroups
  readonly #clock: Clock
  readonly #ids: Ids
  /** What is sent again must be the same again. */
  readonly #series = new WeakMap<AppendGroup, Sent>()
  /** Ids of the events that decide on what is being appended here, and the streams of batches. */
  readonly #underWay = new Set<string>()
  readonly #done = new Set<string>()

  constructor(options: {
    readonly store: EventStore
    readonly known: KnownGroups
    readonly clock: Clock
    readonly ids: Ids
  }) {
    this.#store = options.store
    this.#known = options.known
    this.#clock = options.clock
    this.#ids = options.ids
  }

  get capabilities(): EventStore['capabilities'] {
    return this.#store.capabilities
  }

  /** The one who has decided on this is still at it. */
  isUnderWay(headId: string): boolean {
    return this.#underWay.has(headId)
  }

  /** A batch on which nobody has decided: whoever still means to finds that it is too late. */
  async clear(stream: string): Promise<void> {
    await this.#store.remove([stream])
  }

  async append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    const simple = groups.filter(isOfOneStream)
    if (simple.length === groups.length) return this.#store.append(groups)
    const others = Promise.all(groups.map((group) => (isOfOneStream(group) ? undefined : this.#carryOut(group))))
    const [appended, carried] = await Promise.all([this.#appendAll(simple), others])
    const outcomes = appended.values()
    return carried.map((outcome) => outcome ?? (outcomes.next().value as AppendOutcome))
  }

  /** A claim is shown when what it is for is there. */
  async *readStream(stream: string, options: ReadStreamOptions = {}): AsyncIterable<RecordedEvent[]> {
    for await (const page of this.#store.readStream(stream, options)) {
      const head = claimTypeOf(stream) === 'Claimed' ? this.#openHeadOf(page[0]) : undefined
      if (head !== undefined) {
        await this.complete(head)
        yield* this.#store.readStream(stream, options)
        return
      }
      yield page
    }
  }

  /** Of the last claim, which is all that is ever read of such a stream. */
  #openHeadOf(event: RecordedEvent | undefined): Head | undefined {
    const rest = (event?.data as Claimed | undefined)?.rest
    if (event === undefined || rest === undefined) return undefined
    if (this.#done.has(rest.head ?? event.id) || this.#known.isDone(event, rest)) return undefined
    return rest.head === undefined ? event : { stream: rest.head, revision: 0 }
  }

  async #carryOut(group: AppendGroup): Promise<AppendOutcome> {
    const sent = this.#series.get(group) ?? { series: toSeries(group, this.#ids), isTried: false, isDecided: false }
    this.#series.set(group, sent)
    const { series, isTried } = sent
    const moved = isTried ? undefined : await this.#look(series)
    if (moved !== undefined) return moved
    sent.isTried = true
    const outcome = await this.#send(group, sent, isTried)
    // It will come, by whoever completes it: nobody may be told that it is surely not there.
    return outcome.kind === 'rejected' && sent.isDecided ? { ...outcome, kind: 'unknown' } : outcome
  }

  async #send(group: AppendGroup, sent: Sent, isAgain: boolean): Promise<AppendOutcome> {
    const { series } = sent
    const names = namesOf(series)
    for (const name of names) this.#underWay.add(name)
    try {
      if (series.rest.length === 0) return await this.#appendAlone(group, series)
      const decided = await this.#decide(series, isAgain)
      if (decided.kind !== 'ok') return decided
      sent.isDecided = true
      const outcome = await this.#follow(series, decided.position)
      if (outcome.kind === 'ok' && group.erase !== undefined) await this.#store.erase(group.erase)
      return outcome
    } finally {
      for (const name of names) this.#underWay.delete(name)
    }
  }

  /** An outcome if the decision rests on what is not so any more. */
  async #look({ beside }: Series): Promise<AppendOutcome | undefined> {
    const expected = [...beside]
    const probes = expected.map(([stream]): AppendGroup => {
      const event = stamp({ stream, type: 'Looked', data: {} }, undefined, this.#clock.now(), this.#ids)
      return { expect: new Map([[stream, NOWHERE]]), events: [event] }
    })
    const outcomes = await this.#appendAll(probes)
    for (const [index, [stream, revision]] of expected.entries()) {
      const outcome = outcomes[index] as AppendOutcome
      if (outcome.kind !== 'conflict') return outcome
      if (outcome.actual !== revision) return { kind: 'conflict', stream, actual: outcome.actual }
    }
    return undefined
  }

  /** All is in one stream; the others were only looked at. */
  async #appendAlone(group: AppendGroup, { heads }: Series): Promise<AppendOutcome> {
    const [{ stream, expected }] = heads as [Step]
    const [outcome] = await this.#appendAll([{ ...group, expect: new Map([[stream, expected]]) }])
    return outcome as AppendOutcome
  }

  async #decide({ heads }: Series, isAgain: boolean): Promise<AppendOutcome> {
    let last: AppendOutcome = { kind: 'ok', position: '' }
    for (const step of heads) {
      last = await this.#appendOne(step)
      const isCleared = last.kind === 'conflict' && last.actual === 'removed' && isBatchStream(step.stream)
      // Somebody has completed it meanwhile; or it took so long that it was given up.
      if (isCleared && isAgain) last = { kind: 'ok', position: '' }
      else if (isCleared) return { kind: 'rejected', error: new StoreUnavailable(TOO_LATE) }
      if (last.kind !== 'ok') return last
    }
    return last
  }

  /** What the one who has decided goes on with. */
  async #follow(series: Series, decidedAt: Position): Promise<AppendOutcome> {
    const ended = await this.#appendRest(series.rest)
    const open = openIn(ended)
    if (open !== undefined) return open
    const head = series.heads.at(-1) as Step
    const notUndone = await this.#undo([head, ...storedIn(ended)], lostIn(series.rest, ended))
    if (notUndone !== undefined) return notUndone
    await this.#tidy({ stream: head.stream, revision: revisionOf(head) })
    const conflict = ended.find(({ outcome }) => outcome.kind === 'conflict')
    if (conflict !== undefined) return conflict.outcome
    const positions = ended.map(({ outcome }) => (outcome.kind === 'ok' ? outcome.position : ''))
    return { kind: 'ok', position: [decidedAt, ...positions].reduce((a, b) => (a > b ? a : b)) }
  }

  /**
   * What somebody else has decided, or this process before it died. May be done by several at once, and again. Throws when the
   * store cannot.
   */
  async complete(head: Head): Promise<void> {
    const found = await this.#find(head)
    if (found === undefined) return
    const { steps, event } = found
    for (let tries = 1; ; tries += 1) {
      const open = await this.#complete(event, steps)
      if (open === undefined) break
      if (open.kind === 'rejected' || tries === TRIES) throw open.error
      await this.#pause(RETRY * tries)
    }
    await this.#tidy(event)
    this.#done.add(isBatchStream(event.stream) ? event.stream : event.id)
    if (this.#done.size > REMEMBERED) this.#done.delete(this.#done.values().next().value as string)
  }

  async #complete(head: RecordedEvent, steps: readonly Step[]): Promise<NotKnown | undefined> {
    const ended = await this.#appendRest(steps.map((step) => this.#givenBack(step)))
    const open = openIn(ended)
    if (open !== undefined) return open
    const decided = { stream: head.stream, expected: head.revision - 1, events: [head] }
    return this.#undo([decided, ...storedIn(ended)], lostIn(steps, ended, true))
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.at(this.#clock.now() + ms, resolve))
  }

  /** undefined: nothing was decided, or it has been cleared away since. */
  async #find({ stream, revision }: Head): Promise<{ steps: Step[]; event: RecordedEvent } | undefined> {
    const isBatch = isBatchStream(stream)
    const events: RecordedEvent[] = []
    const which = isBatch ? {} : { from: revision, limit: 1 }
    for await (const page of this.#store.readStream(stream, { ...which, bodies: true })) events.push(...page)
    const event = events.at(-1)
    if (event === undefined || (isBatch && event.type !== submitted)) return undefined
    const texts = events.map(({ body }) => (body !== undefined && 'content' in body ? body.content : undefined))
    if (texts.some((text) => typeof text !== 'string')) return undefined
    return { steps: decodeSteps(texts.join('')), event }
  }

  /** A lease that nobody is there to use: recorded all the same, so that it can never come later, and given back in the same append. */
  #givenBack(step: Step): Step {
    const leased = step.events.at(-1)
    // A new job that was leased as it was made is for that worker alone.
    if (leased?.type !== 'Leased' || isNewJob(step)) return step
    const { token } = leased.data as Leased
    const draft = { stream: step.stream, type: 'Released', data: { token } }
    return { ...step, events: [...step.events, stamp(draft, undefined, this.#clock.now(), this.#ids)] }
  }

  /** Ends with the first that meets a rival, unless that is a new job: those were decided together. */
  async #appendRest(rest: readonly Step[]): Promise<Ended[]> {
    const ended: Ended[] = []
    for (const wave of waves(rest)) {
      const outcomes = await this.#appendAll(wave.map(toGroup))
      const own = wave.map((step, index) => ({ step, outcome: outcomes[index] as AppendOutcome }))
      ended.push(...own)
      const goesOn = ({ step, outcome }: Ended): boolean =>
        outcome.kind === 'ok' || (outcome.kind === 'conflict' && isNewJob(step))
      if (!own.every(goesOn)) return ended
    }
    return ended
  }

  /** Claims for jobs that never come keep nobody out. */
  async #undo(stored: readonly Stored[], lost: ReadonlySet<string>): Promise<NotKnown | undefined> {
    for (const step of stored) {
      const last = step.events.at(-1)
      if (last?.type !== 'Claimed' || !lost.has(jobStream((last.data as Claimed).jobId))) continue
      const undone = stamp(unclaim(step.stream, last.data as Claimed), undefined, this.#clock.now(), this.#ids)
      // Whoever has it by now, or has undone it, is welcome.
      const outcome = await this.#appendOne({ stream: step.stream, expected: revisionOf(step), events: [undone] })
      if (isNotKnown(outcome)) return outcome
    }
    return undefined
  }

  /** What was carried is in its place. What cannot be cleared away does no harm. */
  async #tidy({ stream, revision }: Head): Promise<void> {
    try {
      if (isBatchStream(stream)) await this.#store.remove([stream])
      else if (this.#store.capabilities.erase) await this.#store.erase([{ stream, revision }])
    } catch {}
  }

  async #appendOne(step: Step): Promise<AppendOutcome> {
    const [outcome] = await this.#appendAll([toGroup(step)])
    return outcome as AppendOutcome
  }

  async #appendAll(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    const outcomes: AppendOutcome[] = []
    for (let from = 0; from < groups.length; from += AT_ONCE) {
      const some = groups.slice(from, from + AT_ONCE)
      outcomes.push(...(await this.#store.append(some).catch((error) => some.map(() => thrown(error)))))
    }
    return outcomes
  }
}

/** By a store that breaks its promise: only a TypeError says that what it was given is none that it could keep. */
const thrown = (error: Error): AppendOutcome => ({ kind: error instanceof TypeError ? 'rejected' : 'unknown', error })

const isOfOneStream = ({ expect }: AppendGroup): boolean => expect.size < 2

const toGroup = ({ stream, expected, events }: Step): AppendGroup => ({ expect: new Map([[stream, expected]]), events })

function namesOf({ heads }: Series): string[] {
  const { stream, events } = heads.at(-1) as Step
  return [...events.map(({ id }) => id), ...(isBatchStream(stream) ? [stream] : [])]
}

const revisionOf = ({ expected, events }: Stored): number => (expected === 'none' ? -1 : expected) + events.length

const isNotKnown = (outcome: AppendOutcome): outcome is NotKnown =>
  outcome.kind === 'unknown' || outcome.kind === 'rejected'

const openIn = (ended: readonly Ended[]): NotKnown | undefined => ended.map(({ outcome }) => outcome).find(isNotKnown)

const storedIn = (ended: readonly Ended[]): Step[] =>
  ended.filter(({ outcome }) => outcome.kind === 'ok').map(({ step }) => step)

/** Streams of what does not come to be. `others`: what was removed was there before. */
function lostIn(rest: readonly Step[], ended: readonly Ended[], others = false): Set<string> {
  const lost = new Set(rest.map(({ stream }) => stream))
  for (const { step, outcome } of ended) {
    const wasThere = others && outcome.kind === 'conflict' && outcome.actual === 'removed'
    if (outcome.kind === 'ok' || wasThere) lost.delete(step.stream)
  }
  return lost
}
