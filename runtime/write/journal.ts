/**
 * The only writer of the runtime: inbox -> decide -> append -> fold -> answer.
 *
 * Two laws. A stream is in flight once: a command on it waits until the commit before it is answered. And neither yes nor
 * no is told before it is durable: a refusal that rests on remembered state is looked up in the store first.
 * Commands that share a stream share one group; one flush is one append, so one fsync.
 */

import { JobledgerError } from '../../domain/errors.js'
import type { Draft, NewEvent, RecordedEvent } from '../../domain/event.js'
import type { Clock } from '../ports/clock.js'
import type { AppendGroup, AppendOutcome, EventStore, ExpectedRevision } from '../ports/event-store.js'
import type { Ids } from '../ports/ids.js'
import type { Command, Memory, Seen, StreamState, Verdict } from './command.js'
import { shareFate } from './share-fate.js'

/** Commands taken into one flush at most: with a synchronous store a flush holds up the host's event loop. */
const FLUSH_LIMIT = 1_000
/** Wait before an append of unknown outcome is sent again: doubles from the first to the last (ms). */
const RESEND_MIN = 20
const RESEND_MAX = 5_000

interface Submitted {
  readonly streams: readonly string[]
  readonly command: Command<unknown>
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

/** What the group's decision rests on. */
interface Belief extends Seen {
  /** Out of memory or hope, not out of the store. */
  readonly remembered: boolean
}

/** Commands with one fate, on their way through a flush, and through as many more as it takes. */
interface Group {
  readonly commands: Submitted[]
  readonly streams: ReadonlySet<string>
  readonly beliefs: Map<string, Belief>
  verdicts: Verdict<unknown>[]
  append: AppendGroup | undefined
  resends: number
}

/** The store refused a name for ever: the stream was removed, and a removed stream's name stays burnt. */
export class StreamRemoved extends JobledgerError {
  readonly code = 'STREAM_REMOVED'
  readonly family = 'job'
  constructor(stream: string) {
    super(`Stream ${stream} was removed; its name cannot be used again.`)
  }
}

export interface JournalOptions {
  readonly store: EventStore
  readonly memory: Memory
  readonly clock: Clock
  readonly ids: Ids
}

export class Journal {
  readonly #store: EventStore
  readonly #memory: Memory
  readonly #clock: Clock
  readonly #ids: Ids
  #inbox: Submitted[] = []
  /** Groups that met a rival or an unknown outcome: first in line at the next flush. */
  #again: Group[] = []
  readonly #inFlight = new Set<string>()
  readonly #feeders = new Set<() => void>()
  #flushing = false
  #scheduled = false
  #wanted = false
  #idle: (() => void)[] = []
  /** Groups whose fate the store has not told. */
  readonly #unanswered = new Set<Group>()
  #abandoned: Error | undefined

  constructor(options: JournalOptions) {
    this.#store = options.store
    this.#memory = options.memory
    this.#clock = options.clock
    this.#ids = options.ids
  }

  /** Resolves with the answer once what was decided is durable and folded; rejects with the refusal or the store's error. */
  submit<A>(command: Command<A>): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      if (this.#abandoned !== undefined) return reject(this.#abandoned)
      const streams = command.streams
      this.#inbox.push({ streams, command, resolve: resolve as (answer: unknown) => void, reject })
      this.#schedule()
    })
  }

  /**
   * `call` is asked for commands right before each flush, when all that the flush before it set off has happened: so it is
   * asked once, not once for each thing that happened. Gives back how to stop.
   */
  beforeFlush(call: () => void): () => void {
    this.#feeders.add(call)
    this.wake()
    return () => void this.#feeders.delete(call)
  }

  /** There may be commands to ask for. */
  wake(): void {
    this.#wanted = true
    this.#schedule()
  }

  /** Stops waiting for a store that does not answer: what it has not told is refused with `error`, stored or not. */
  abandon(error: Error): void {
    this.#abandoned = error
    for (const group of this.#unanswered) this.#refuse(group, error)
    for (const { reject } of this.#inbox.splice(0)) reject(error)
    this.#again = []
    this.#inFlight.clear()
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** Resolves when nothing is waiting or under way. */
  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #isIdle(): boolean {
    return this.#inbox.length === 0 && this.#inFlight.size === 0
  }

  /** A macrotask per flush: between two commits the host's timers and sockets get their turn. */
  #schedule(): void {
    if (this.#scheduled || this.#flushing) return
    this.#scheduled = true
    this.#clock.soon(() => {
      this.#scheduled = false
      void this.#flush()
    })
  }

  async #flush(): Promise<void> {
    this.#flushing = true
    this.#wanted = false
    for (const call of this.#feeders) call()
    const groups = this.#take()
    for (const group of groups) this.#unanswered.add(group)
    if (groups.length > 0) await this.#carry(groups)
    if (this.#abandoned !== undefined) return
    this.#flushing = false
    // What is left in the inbox by a flush of nothing waits for a stream in flight; whoever lands that one schedules.
    const more = (groups.length > 0 && this.#inbox.length > 0) || this.#again.length > 0 || this.#wanted
    if (more) this.#schedule()
    else if (this.#isIdle()) for (const resolve of this.#idle.splice(0)) resolve()
  }

  async #carry(groups: readonly Group[]): Promise<void> {
    const toAppend: Group[] = []
    for (const group of groups) if (await this.#prepare(group)) toAppend.push(group)
    if (toAppend.length > 0) await this.#commit(toAppend)
  }

  #take(): Group[] {
    const again = this.#again
    this.#again = []
    const groups = shareFate(this.#takeInbox()).map(newGroup)
    for (const group of groups) for (const stream of group.streams) this.#inFlight.add(stream)
    return again.concat(groups)
  }

  /** What may go now. A command on a stream in flight waits, and so does every later one that shares a stream with it. */
  #takeInbox(): Submitted[] {
    if (this.#inFlight.size === 0) return this.#inbox.splice(0, FLUSH_LIMIT)
    const waits = new Set<string>()
    const taken: Submitted[] = []
    const left: Submitted[] = []
    for (const command of this.#inbox) {
      const free = command.streams.every((stream) => !this.#inFlight.has(stream) && !waits.has(stream))
      if (free && taken.length < FLUSH_LIMIT) taken.push(command)
      else {
        left.push(command)
        for (const stream of command.streams) waits.add(stream)
      }
    }
    this.#inbox = left
    return taken
  }

  /** True when there is something to append. A group that cannot even be decided is refused alone. */
  async #prepare(group: Group): Promise<boolean> {
    if (group.append !== undefined) return true
    try {
      await this.#decide(group)
    } catch (error) {
      this.#refuse(group, error as Error)
      return false
    }
    if (group.append === undefined) this.#answer(group)
    return group.append !== undefined
  }

  async #commit(groups: readonly Group[]): Promise<void> {
    const outcomes = await this.#append(groups)
    let last = ''
    for (const outcome of outcomes) if (outcome.kind === 'ok' && outcome.position > last) last = outcome.position
    if (last !== '') await this.#memory.reached(last)
    for (const [index, group] of groups.entries()) await this.#settle(group, outcomes[index] as AppendOutcome)
  }

  /**
   * A store that breaks its promise and throws leaves everything open. Only a TypeError says that a group is none that a
   * store could keep, and that nothing was stored: the groups then go one by one, and the others do not suffer for it.
   */
  async #append(groups: readonly Group[]): Promise<readonly AppendOutcome[]> {
    try {
      return await this.#store.append(groups.map((group) => group.append as AppendGroup))
    } catch (error) {
      if (!(error instanceof TypeError)) return groups.map(() => ({ kind: 'unknown', error: error as Error }))
      if (groups.length === 1) return [{ kind: 'rejected', error }]
      const outcomes: AppendOutcome[] = []
      for (const group of groups) outcomes.push(...(await this.#append([group])))
      return outcomes
    }
  }

  async #settle(group: Group, outcome: AppendOutcome): Promise<void> {
    switch (outcome.kind) {
      case 'ok':
        return this.#answer(group)
      case 'rejected':
        return this.#refuse(group, outcome.error)
      case 'unknown':
        return this.#resendLater(group)
      case 'conflict':
        if (outcome.actual === 'removed') return this.#refuse(group, new StreamRemoved(outcome.stream))
        return this.#decideAgain(group)
    }
  }

  /** First in line at the next flush, on what the store says of every stream: the outcome names only the first that differs. */
  async #decideAgain(group: Group): Promise<void> {
    group.append = undefined
    try {
      for (const stream of group.streams) await this.#read(group, stream)
      this.#again.push(group)
    } catch (error) {
      this.#refuse(group, error as Error)
    }
  }

  /** The same ids at the same revisions: if the first try was stored after all, the store answers `ok`. */
  #resendLater(group: Group): void {
    const wait = Math.min(RESEND_MAX, RESEND_MIN * 2 ** group.resends)
    group.resends += 1
    this.#clock.at(this.#clock.now() + wait, () => {
      if (this.#abandoned !== undefined) return
      this.#again.push(group)
      this.#schedule()
    })
  }

  /** Leaves the group with verdicts and, when there are facts to record, with the append that records them. */
  async #decide(group: Group): Promise<void> {
    for (const stream of group.streams) {
      const reading = group.beliefs.has(stream) ? undefined : this.#believe(group, stream)
      if (reading !== undefined) await reading
    }
    for (;;) {
      const doubtful = this.#judge(group)
      if (doubtful.length === 0 && (group.append !== undefined || (await this.#isOneMoment(group)))) return
      for (const stream of doubtful) await this.#read(group, stream)
    }
  }

  /**
   * Several streams were read one after the other, and no append will prove that they were ever so together: looks
   * whether all still are, and takes up what has moved on.
   */
  async #isOneMoment(group: Group): Promise<boolean> {
    if (group.streams.size === 1) return true
    let still = true
    for (const stream of group.streams) {
      let revision: number | undefined
      for await (const [last] of this.#store.readStream(stream, { backwards: true, limit: 1 }))
        revision = last?.revision
      if (revision === group.beliefs.get(stream)?.state?.revision) continue
      await this.#read(group, stream)
      still = false
    }
    return still
  }

  /** No promise where memory has the answer: the hot path does not leave its tick. */
  #believe(group: Group, stream: string): Promise<void> | undefined {
    const state = this.#memory.recall(stream)
    const fresh = state === undefined && group.commands.some(({ command }) => command.fresh?.has(stream))
    if (state === undefined && !fresh) return this.#read(group, stream)
    group.beliefs.set(stream, { state, remembered: true })
    return undefined
  }

  async #read(group: Group, stream: string): Promise<void> {
    let state: StreamState | undefined
    const events: RecordedEvent[] = []
    for await (const page of this.#store.readStream(stream, { bodies: true })) {
      for (const event of page) {
        state = this.#memory.evolve(state, event)
        events.push(event)
      }
    }
    group.beliefs.set(stream, { state, events, remembered: false })
  }

  /**
   * Every command decides on the state that those before it in the group leave. Answers with the streams to look up
   * before a refusal may be told; then nothing is decided yet.
   */
  #judge(group: Group): string[] {
    const now = this.#clock.now()
    const overlay = group.commands.length > 1 ? new Map<string, Seen>() : undefined
    const seen = (stream: string): Seen => overlay?.get(stream) ?? (group.beliefs.get(stream) as Belief)
    const events: NewEvent[] = []
    group.verdicts = []
    for (const { command } of group.commands) {
      const verdict = command.decide(seen, now, () => this.#ids.draw())
      if (verdict instanceof Error || verdict.drafts.length === 0) {
        const doubtful = command.streams.filter((stream) => group.beliefs.get(stream)?.remembered)
        if (doubtful.length > 0) return doubtful
      } else {
        for (const draft of verdict.drafts) {
          const event = this.#stamp(draft, now)
          events.push(event)
          if (overlay === undefined) continue
          const { state, events: read } = seen(event.stream)
          overlay.set(event.stream, { state: this.#memory.evolve(state, event), events: read && [...read, event] })
        }
      }
      group.verdicts.push(verdict)
    }
    if (events.length > 0) group.append = { expect: expectations(group), events }
    return []
  }

  /** Once per decision; a resend keeps id, time and salt. */
  #stamp(draft: Draft, at: number): NewEvent {
    const { stream, type, data, metadata, body } = draft
    const content = body === undefined ? undefined : { salt: this.#ids.salt(), content: body }
    return { stream, id: this.#ids.uuid(), type, at, data, metadata, body: content }
  }

  #answer(group: Group): void {
    this.#land(group)
    for (const [index, { resolve, reject }] of group.commands.entries()) {
      const verdict = group.verdicts[index] as Verdict<unknown>
      if (verdict instanceof Error) reject(verdict)
      else resolve(verdict.answer)
    }
  }

  #refuse(group: Group, error: Error): void {
    this.#land(group)
    for (const { reject } of group.commands) reject(error)
  }

  #land(group: Group): void {
    this.#unanswered.delete(group)
    for (const stream of group.streams) this.#inFlight.delete(stream)
  }
}

function newGroup({ commands, streams }: { commands: Submitted[]; streams: Set<string> }): Group {
  return { commands, streams, beliefs: new Map(), verdicts: [], append: undefined, resends: 0 }
}

function expectations(group: Group): Map<string, ExpectedRevision> {
  const expect = new Map<string, ExpectedRevision>()
  for (const [stream, { state }] of group.beliefs) expect.set(stream, state?.revision ?? 'none')
  return expect
}
