/** Append calls, one after another: the outcome of each group, and word to the subscribers. */
import type { AppendGroup, AppendOutcome } from '../../runtime/ports/event-store.js'
import { StoreRefused } from '../../runtime/ports/event-store.js'
import { isPlain } from '../shared/groups.js'
import { toPosition } from '../shared/positions.js'
import { type Connections, commit, run } from './connections.js'
import type { Client } from './driver.js'
import { isSurelyUndone, RolledBack, sqlState, toStoreError, Unfinished } from './errors.js'
import { Plan, toActual } from './plan.js'
import type { Answer, Durability, Statements } from './statements.js'
import type { Subscriptions } from './subscriptions.js'
import { TransactionLost, Turn } from './turn.js'

/** While effects do nothing every other writer waits: the server then ends their transaction. */
const IDLE_TIMEOUT = '30s'

export class Appender {
  readonly #connections: Connections
  readonly #statements: Statements
  readonly #subscriptions: Subscriptions
  readonly #durability: Durability
  /** First ids of groups whose fate was left open: a later failure does not tell what became of an earlier try. */
  readonly #doubtful = new Set<string>()
  /** Ends with the last call. Two of them would only wait for each other at the server, each with a connection. */
  #queue: Promise<unknown> = Promise.resolve()
  #going = 0
  /** The furthest position that was told while calls were going on. */
  #told = 0

  constructor(connections: Connections, statements: Statements, subscriptions: Subscriptions, durability: Durability) {
    this.#connections = connections
    this.#statements = statements
    this.#subscriptions = subscriptions
    this.#durability = durability
  }

  /** Rejects with TypeError for an event that cannot be stored at all. */
  append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    const plan = groups.every(isPlain) ? Plan.of(groups) : undefined
    this.#going += 1
    const work = (): Promise<AppendOutcome[]> =>
      plan === undefined ? this.#careful(groups) : this.#together(groups, plan)
    const turn = this.#queue.then(work).finally(() => this.#done())
    this.#queue = turn.catch(() => {})
    return this.#connections.track(turn)
  }

  /**
   * Somebody has committed up to a position. It may have been we: word of a commit can be here before the answer to it, and
   * whoever went to read for that would get late what the answer hands over.
   */
  hear(position: number): void {
    if (this.#going > 0) this.#told = Math.max(this.#told, position)
    else this.#subscriptions.heard(position)
  }

  #done(): void {
    this.#going -= 1
    if (this.#told > 0) this.#subscriptions.heard(this.#told)
    this.#told = 0
  }

  async #together(groups: readonly AppendGroup[], plan: Plan): Promise<AppendOutcome[]> {
    let client: Client
    try {
      client = await this.#connections.borrow()
    } catch (error) {
      return this.#failed(groups, error, 'rejected')
    }
    let failure: unknown
    try {
      const answer = await this.#statements.append(client, plan, this.#durability)
      if (answer.wrong === null || !plan.whole) return await this.#settle(groups, plan, answer, client)
    } catch (error) {
      failure = error
      return this.#failed(groups, error, isSurelyUndone(error) ? 'rejected' : 'unknown')
    } finally {
      this.#connections.giveBack(client, failure)
    }
    return this.#careful(groups)
  }

  async #settle(groups: readonly AppendGroup[], plan: Plan, answer: Answer, client: Client): Promise<AppendOutcome[]> {
    const { previous, last } = answer
    const wrong = new Map<number, readonly [stream: string, actual: number]>()
    for (const [index, actual] of answer.wrong ?? []) {
      const batch = plan.batches[index] ?? 0
      // The first one counts.
      if (!wrong.has(batch)) wrong.set(batch, [plan.names[index] ?? '', actual])
    }
    this.#tell(previous, last, () => plan.recorded(previous, new Set(wrong.keys())))
    const missed = groups.filter((_, batch) => wrong.has(batch))
    const stored = missed.length === 0 ? [] : await this.#repeated(missed, client)
    let position = previous
    return groups.map((group, batch) => {
      const mismatch = wrong.get(batch)
      if (mismatch === undefined) {
        position += group.events.length
        this.#doubtful.delete(idOf(group))
        return { kind: 'ok', position: toPosition(position) }
      }
      const before = stored.shift()
      if (before instanceof Error) return this.#unknown(group, before)
      const [stream, actual] = mismatch
      return before === undefined
        ? { kind: 'conflict', stream, actual: toActual(actual) }
        : { kind: 'ok', position: toPosition(before) }
    })
  }

  /** Where groups are that were stored by an earlier call. An error: nobody can say. */
  async #repeated(groups: readonly AppendGroup[], client: Client): Promise<(number | undefined | Error)[]> {
    try {
      return await this.#statements.stored(client, groups)
    } catch (cause) {
      const error = toStoreError(cause, this.#connections.place)
      return groups.map(() => error)
    }
  }

  #tell(previous: number, last: number, events: () => ReturnType<Plan['recorded']>): void {
    if (last === previous || !this.#subscriptions.listening) return
    this.#subscriptions.publish({ previous, last, events: events() })
  }

  async #careful(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    try {
      return await this.#oneByOne(groups)
    } catch (error) {
      if (!(error instanceof TransactionLost)) throw error
      return this.#eachAlone(groups, error)
    }
  }

  /**
   * For groups whose transaction was spoilt by the effects of one of them, and may have been committed by them: what is stored
   * already is found by its ids. Effects that had been called are called again where what they had written is gone.
   */
  async #eachAlone(groups: readonly AppendGroup[], { reason, culprit }: TransactionLost): Promise<AppendOutcome[]> {
    const refuse = (): never => {
      throw reason
    }
    const outcomes: AppendOutcome[] = []
    for (const group of groups) {
      const isIt = group === culprit || groups.length === 1
      const [outcome] = await this.#careful([isIt ? { ...group, effects: refuse } : group])
      if (outcome !== undefined) outcomes.push(outcome)
    }
    return outcomes
  }

  async #oneByOne(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    let client: Client
    try {
      client = await this.#connections.borrow()
    } catch (error) {
      return this.#failed(groups, error, 'rejected')
    }
    let failure: unknown
    try {
      await run(client, `BEGIN; SET LOCAL idle_in_transaction_session_timeout = '${IDLE_TIMEOUT}'`)
      const turn = new Turn(this.#statements, client, true)
      const outcomes = await turn.take(groups, this.#durability)
      const error = await this.#commit(client, groups)
      if (error !== undefined) {
        failure = error
        return this.#failed(groups, error, isSurelyUndone(error) ? 'rejected' : 'unknown')
      }
      for (const group of groups) this.#doubtful.delete(idOf(group))
      this.#subscriptions.heard(turn.last)
      return outcomes
    } catch (error) {
      // The connection is closed with its transaction, whatever state that is in.
      if (error instanceof TransactionLost) {
        failure = new Unfinished(undefined)
        throw error
      }
      failure = new Unfinished(error)
      return this.#failed(groups, error, 'rejected')
    } finally {
      this.#connections.giveBack(client, failure)
    }
  }

  async #commit(client: Client, groups: readonly AppendGroup[]): Promise<unknown> {
    try {
      await commit(client)
      return undefined
    } catch (error) {
      if (error instanceof RolledBack) throw new TransactionLost(unawaited(error))
      const isDeferred = sqlState(error).startsWith('23') && groups.some(({ effects }) => effects !== undefined)
      if (isDeferred) throw new TransactionLost(unmet(error))
      return error
    }
  }

  #failed(groups: readonly AppendGroup[], cause: unknown, kind: 'rejected' | 'unknown'): AppendOutcome[] {
    const error = toStoreError(cause, this.#connections.place)
    if (error instanceof TypeError) throw error
    return groups.map((group) => (kind === 'rejected' ? this.#rejected(group, error) : this.#unknown(group, error)))
  }

  #rejected(group: AppendGroup, error: Error): AppendOutcome {
    return this.#doubtful.has(idOf(group)) ? { kind: 'unknown', error } : { kind: 'rejected', error }
  }

  #unknown(group: AppendGroup, error: Error): AppendOutcome {
    this.#doubtful.add(idOf(group))
    return { kind: 'unknown', error }
  }
}

function unmet(cause: unknown): StoreRefused {
  return new StoreRefused('Expected `effects` to meet every deferred constraint by the end of the transaction.', {
    cause,
  })
}

function unawaited(cause: unknown): StoreRefused {
  const message =
    'Expected `effects` to have awaited every statement of theirs: one of them has failed after they were over.'
  return new StoreRefused(message, { cause })
}

function idOf(group: AppendGroup): string {
  return group.events[0]?.id ?? ''
}
