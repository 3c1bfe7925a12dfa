/**
 * The only writer of the runtime: inbox -> decide -> append -> fold -> answer.
 *
 * Two laws. A stream is in flight once: a command on it waits until the commit before it is answered. And neither yes nor
 * no is told before it is durable: a refusal that rests on remembered state is looked up in the store first.
 * Commands that share a stream share one group; one flush is one append, so one fsync.
 */

import type { Metadata, RecordedEvent } from '../../domain/event.js'
import { StreamRemoved, StreamUnreadable } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { AppendGroup, AppendOutcome, EventStore, TransactionalAppend } from '../ports/event-store.js'
import type { Ids } from '../ports/ids.js'
import type { Command, Memory, Verdict } from './command.js'
import { drive } from './drive.js'
import type { Group, Judging, Submitted } from './group.js'
import { howToRead, judge, newGroup } from './group.js'
import { shareFate } from './share-fate.js'
import { decideWithin } from './transaction.js'

/** Commands taken into one flush at most: with a synchronous store a flush holds up the host's event loop. */
const FLUSH_LIMIT = 1_000
/** Wait before an append of unknown outcome is sent again: doubles from the first to the last (ms). */
const RESEND_MIN = 20
const RESEND_MAX = 5_000

type Conflict = Extract<AppendOutcome, { kind: 'conflict' }>

export interface JournalOptions {
  readonly store: EventStore
  readonly memory: Memory
  readonly clock: Clock
  readonly ids: Ids
}

const isAlone = ({ command }: Submitted): boolean => command.alone === true

export class Journal {
  readonly #store: EventStore
  readonly #memory: Memory
  readonly #clock: Clock
  readonly #judging: Judging
  #inbox: Submitted[] = []
  /** Commands in it that go alone. */
  #alone = 0
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
    const { memory, clock, ids } = options
    this.#judging = { memory, clock, ids }
  }

  /**
   * Resolves with the answer once what was decided is durable and folded; rejects with the refusal or the store's error.
   * `metadata` goes with every event: who wants it, and in the course of what.
   */
  submit<A>(command: Command<A>, metadata?: Metadata): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      if (this.#abandoned !== undefined) return reject(this.#abandoned)
      const streams = command.streams
      if (command.alone) this.#alone += 1
      this.#inbox.push({ streams, command, metadata, resolve: resolve as (answer: unknown) => void, reject })
      this.#schedule()
    })
  }

  /** Decides and appends in a transaction that belongs to the caller, who alone says whether it ever happened. */
  within<A>(transaction: TransactionalAppend, command: Command<A>, metadata: Metadata | undefined): A | Promise<A> {
    return drive(decideWithin(transaction, command, metadata, this.#judging))
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
    const groups = shareFate(this.#takeInbox()).map(({ commands, streams }) => newGroup(commands, streams))
    for (const group of groups) for (const stream of group.streams) this.#inFlight.add(stream)
    return again.concat(groups)
  }

  /** What may go now. A command on a stream in flight waits, and so does every later one that shares a stream with it. */
  #takeInbox(): Submitted[] {
    if (this.#inFlight.size === 0 && this.#alone === 0) return this.#inbox.splice(0, FLUSH_LIMIT)
    const waits = new Set<string>()
    const shared = new Set<string>()
    const taken: Submitted[] = []
    const left: Submitted[] = []
    for (const command of this.#inbox) {
      const { streams } = command
      const free = streams.every((stream) => !this.#inFlight.has(stream) && !waits.has(stream))
      const alone = isAlone(command)
      if (free && taken.length < FLUSH_LIMIT && !(alone && streams.some((stream) => shared.has(stream)))) {
        taken.push(command)
        for (const stream of streams) (alone ? waits : shared).add(stream)
      } else {
        left.push(command)
        for (const stream of streams) waits.add(stream)
      }
    }
    this.#inbox = left
    this.#alone = left.filter(isAlone).length
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
        // One that was there a moment ago is looked up like any other; one that we meant to begin will never be free.
        if (outcome.actual === 'removed' && group.append?.expect.get(outcome.stream) === 'none') {
          return this.#refuseBurnt(group, outcome.stream)
        }
        return this.#decideAgain(group, outcome)
    }
  }

  /** First in line at the next flush, on what the store says of every stream: the outcome names only the first that differs. */
  async #decideAgain(group: Group, { stream: moved, actual }: Conflict): Promise<void> {
    group.append = undefined
    try {
      for (const stream of group.streams) await this.#read(group, stream)
      // The store has a later record than it can give us: the same conflict would come again for ever.
      const revision = group.beliefs.get(moved)?.state?.revision ?? -1
      if (typeof actual === 'number' && revision < actual) throw new StreamUnreadable(moved, actual)
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
      const doubtful = judge(group, this.#judging)
      if (doubtful.size === 0 && (group.append !== undefined || (await this.#isOneMoment(group)))) return
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
    let state = this.#memory.readsOn(stream)
    const events: RecordedEvent[] = []
    for await (const page of this.#store.readStream(stream, howToRead(group, stream, this.#memory, state))) {
      for (const event of page) {
        state = this.#memory.evolve(state, event)
        events.push(event)
      }
    }
    group.beliefs.set(stream, { state, events, remembered: false })
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

  /** Only who meant to begin this stream: the others of the group are decided again without them. */
  #refuseBurnt(group: Group, stream: string): void {
    const begins = ({ command }: Submitted): boolean => command.fresh?.has(stream) ?? false
    const guilty = group.commands.some(begins) ? begins : (): boolean => true
    const others = group.commands.filter((submitted) => !guilty(submitted))
    this.#land(group)
    if (others.length > 0) {
      const rest = newGroup(others, new Set(others.flatMap(({ streams }) => streams)))
      for (const own of rest.streams) this.#inFlight.add(own)
      this.#unanswered.add(rest)
      this.#again.push(rest)
    }
    for (const { reject } of group.commands.filter(guilty)) reject(new StreamRemoved(stream))
  }

  #land(group: Group): void {
    this.#unanswered.delete(group)
    for (const stream of group.streams) this.#inFlight.delete(stream)
  }
}
