/**
 * The only writer of the runtime: inbox -> decide -> append -> fold -> answer.
 *
 * Two laws. A stream is in flight once: a command on it waits until the commit before it is answered. And neither yes nor
 * no is told before it is durable: a refusal that rests on remembered state is looked up in the store first.
 * Commands that share a stream share one group; one flush is one append, so one fsync. Where the store can make use of it,
 * a flush sets out while others are under way: the first law keeps their streams apart.
 */

import type { Metadata, RecordedEvent } from '../../domain/event.js'
import { StreamRemoved, StreamUnreadable } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { AppendGroup, AppendOutcome, Overlap, TransactionalAppend } from '../ports/event-store.js'
import type { Ids } from '../ports/ids.js'
import type { Command, Memory, Verdict } from './command.js'
import { drive } from './drive.js'
import type { Group, Judging, Submitted } from './group.js'
import { howToRead, judge, newGroup } from './group.js'
import type { Appending } from './in-order/ordered-appends.js'
import { Inbox } from './inbox.js'
import { shareFate } from './share-fate.js'
import { decideWithin } from './transaction.js'

/** Wait before an append of unknown outcome is sent again: doubles from the first to the last (ms). */
const RESEND_MIN = 20
const RESEND_MAX = 5_000

const NO_OVERLAP: Overlap = { calls: 1, from: 1 }

type Conflict = Extract<AppendOutcome, { kind: 'conflict' }>

export interface JournalOptions {
  readonly store: Appending
  readonly memory: Memory
  readonly clock: Clock
  readonly ids: Ids
}

const NONE: ReadonlySet<string> = new Set()

/** Nothing is left to look up, and the append will show whether that was right. */
const isDecided = ({ append }: Group, doubtful: ReadonlySet<string>): boolean =>
  doubtful.size === 0 && append !== undefined

export class Journal {
  readonly #store: Appending
  readonly #memory: Memory
  readonly #clock: Clock
  readonly #judging: Judging
  readonly #overlap: Overlap
  /** A group of several streams is more than one append. */
  readonly #inOrder: boolean
  readonly #inbox = new Inbox()
  /** Groups that met a rival or an unknown outcome: first in line at the next flush. */
  #again: Group[] = []
  readonly #inFlight = new Set<string>()
  readonly #feeders = new Set<() => void>()
  /** Flushes under way. */
  #underWay = 0
  #scheduled = false
  /** Commands that the feeders have to give, as far as they have said. */
  #wanted = 0
  #idle: (() => void)[] = []
  /** Groups whose fate the store has not told. */
  readonly #unanswered = new Set<Group>()
  #abandoned: Error | undefined

  constructor(options: JournalOptions) {
    this.#store = options.store
    this.#memory = options.memory
    this.#clock = options.clock
    const { overlap = NO_OVERLAP, atomicGroups } = options.store.capabilities
    this.#overlap = overlap
    this.#inOrder = !atomicGroups
    const { memory, clock, ids } = options
    this.#judging = { memory, clock, ids }
  }

  /**
   * Resolves with the answer once what was decided is durable and folded; rejects with the refusal or the store's error.
   * `metadata` goes with every event: who wants it, and in the course of what.
   */
  submit<A>(given: Command<A>, metadata?: Metadata): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      if (this.#abandoned !== undefined) return reject(this.#abandoned)
      const { streams } = given
      // What takes several appends cannot share its fate with others.
      const isWhole = streams.length === 1 || this.#store.capabilities.atomicGroups
      const command = isWhole ? given : { ...given, alone: true as const }
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

  /** There may be commands to ask for, about so many. */
  wake(count = 1): void {
    this.#wanted = Math.max(this.#wanted, count)
    this.#schedule()
  }

  /** Of so many commands that will soon come again, those that are to go in one flush, so that another may go beside it. */
  portionOf(count: number): number {
    const { calls, from } = this.#overlap
    return count < calls * from ? count : Math.ceil(count / calls)
  }

  /** Stops waiting for a store that does not answer: what it has not told is refused with `error`, stored or not. */
  abandon(error: Error): void {
    this.#abandoned = error
    for (const group of this.#unanswered) this.#refuse(group, error)
    for (const { reject } of this.#inbox.clear()) reject(error)
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
    if (this.#scheduled || !this.#maySetOut()) return
    this.#scheduled = true
    this.#clock.soon(() => void this.#flush())
  }

  /** A flush beside another has to be worth a call of its own; what is too little goes with the next. */
  #maySetOut(): boolean {
    const { calls, from } = this.#overlap
    if (this.#underWay === 0) return true
    return this.#underWay < calls && this.#again.length + this.#inbox.length + this.#wanted >= from
  }

  async #flush(): Promise<void> {
    // And none after it.
    if (this.#abandoned !== undefined) return
    this.#wanted = 0
    for (const call of this.#feeders) call()
    const groups = this.#take()
    this.#scheduled = false
    if (groups.length > 0) {
      this.#underWay += 1
      // What is left may be enough to go beside it.
      if (this.#inbox.length + this.#wanted > 0) this.#schedule()
      await this.#carry(groups)
      if (this.#abandoned !== undefined) return
      this.#underWay -= 1
    }
    this.#goOn(groups.length > 0)
  }

  /** `landed`: what is left in the inbox by a flush of nothing waits for a stream in flight; whoever lands that one schedules. */
  #goOn(landed: boolean): void {
    const more = (landed && this.#inbox.length > 0) || this.#again.length > 0 || this.#wanted > 0
    if (more) this.#schedule()
    else if (this.#isIdle()) for (const resolve of this.#idle.splice(0)) resolve()
  }

  async #carry(groups: readonly Group[]): Promise<void> {
    const together: Group[] = []
    for (const group of groups) {
      const prepared = this.#prepare(group)
      if (!(prepared === true || (await prepared))) continue
      if (this.#inOrder && group.streams.size > 1) void this.#carryAlone(group)
      else together.push(group)
    }
    if (together.length > 0) await this.#commit(together)
  }

  /** As a series of appends, which may be many: nobody waits for them but who shares a stream, a heartbeat least of all. */
  async #carryAlone(group: Group): Promise<void> {
    await this.#commit([group])
    if (this.#abandoned === undefined) this.#goOn(true)
  }

  #take(): Group[] {
    const again = this.#again
    this.#again = []
    const groups = shareFate(this.#inbox.take(this.#inFlight)).map(({ commands, streams }) =>
      newGroup(commands, streams),
    )
    for (const group of groups) this.#launch(group)
    return again.concat(groups)
  }

  /**
   * True when there is something to append; no promise where memory has all the answers: the hot path does not leave its
   * tick. A group that cannot even be decided is refused alone.
   */
  #prepare(group: Group): boolean | Promise<boolean> {
    if (group.append !== undefined) return true
    try {
      const unknown = this.#believe(group)
      const doubtful = unknown.size > 0 ? unknown : judge(group, this.#judging)
      return isDecided(group, doubtful) || this.#lookUp(group, doubtful)
    } catch (error) {
      this.#refuse(group, error as Error)
      return false
    }
  }

  async #lookUp(group: Group, doubtful: ReadonlySet<string>): Promise<boolean> {
    try {
      await this.#decide(group, doubtful)
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
    for (const [index, group] of groups.entries()) {
      const settling = this.#settle(group, outcomes[index] as AppendOutcome)
      if (settling !== undefined) await settling
    }
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

  #settle(group: Group, outcome: AppendOutcome): Promise<void> | undefined {
    switch (outcome.kind) {
      case 'ok':
        this.#answer(group)
        return undefined
      case 'rejected':
        this.#refuse(group, outcome.error)
        return undefined
      case 'unknown':
        this.#resendLater(group)
        return undefined
      case 'conflict':
        // One that was there a moment ago is looked up like any other; one that we meant to begin will never be free.
        if (outcome.actual === 'removed' && group.append?.expect.get(outcome.stream) === 'none') {
          this.#refuseBurnt(group, outcome.stream)
          return undefined
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
  async #decide(group: Group, first: ReadonlySet<string>): Promise<void> {
    for (let doubtful = first; ; doubtful = judge(group, this.#judging)) {
      if (isDecided(group, doubtful)) return
      if (doubtful.size === 0 && (await this.#isOneMoment(group))) return
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

  /** Takes what memory has for what the log says. Answers with the streams that only the store knows. */
  #believe(group: Group): ReadonlySet<string> {
    let unknown = NONE
    for (const stream of group.streams) {
      if (group.beliefs.has(stream)) continue
      const state = this.#memory.recall(stream)
      if (state === undefined && !group.commands.some(({ command }) => command.fresh?.has(stream))) {
        unknown = new Set(unknown).add(stream)
      } else group.beliefs.set(stream, { state, remembered: true })
    }
    return unknown
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
      this.#launch(rest)
      this.#again.push(rest)
    }
    for (const { reject } of group.commands.filter(guilty)) reject(new StreamRemoved(stream))
  }

  #launch(group: Group): void {
    this.#unanswered.add(group)
    for (const stream of group.streams) this.#inFlight.add(stream)
  }

  #land(group: Group): void {
    this.#unanswered.delete(group)
    for (const stream of group.streams) this.#inFlight.delete(stream)
  }
}
