/**
 * Groups one after another, in a transaction that somebody else begins and ends, for whatever one `append` statement cannot
 * do: groups that build on each other and do not all hold, that take something out, or that bring writes of the caller.
 */
import type { AppendGroup, AppendOutcome } from '../../runtime/ports/event-store.js'
import { StoreRefused } from '../../runtime/ports/event-store.js'
import { isPlain } from '../shared/groups.js'
import { toPosition } from '../shared/positions.js'
import { run } from './connections.js'
import type { Queryable } from './driver.js'
import { revisionsOf, toActual, toNumberExpected } from './plan.js'
import { Columns } from './rows.js'
import { GONE, NONE } from './schema.js'
import type { Durability, Statements } from './statements.js'

/** Effects have ended or spoilt the transaction they were called in. */
export class TransactionLost extends Error {
  /** What to tell of the group whose effects it was. */
  readonly reason: Error
  /** Whose they were, if that is known. */
  readonly culprit: AppendGroup | undefined

  constructor(reason: Error, culprit?: AppendGroup) {
    super('The transaction is lost.')
    this.reason = reason
    this.culprit = culprit
  }
}

export class Turn {
  readonly #statements: Statements
  readonly #client: Queryable
  readonly #own: boolean
  readonly #heads = new Map<string, number>()
  #columns = new Columns()
  #last = 0

  /** `own`: the transaction is the store's; in the caller's only groups that have nothing but events are taken. */
  constructor(statements: Statements, client: Queryable, own: boolean) {
    this.#statements = statements
    this.#client = client
    this.#own = own
  }

  /** The last position in use. */
  get last(): number {
    return this.#last
  }

  /** Errors are the driver's, or a TypeError for an event that cannot be stored, or TransactionLost. */
  async take(groups: readonly AppendGroup[], durability: Durability): Promise<AppendOutcome[]> {
    this.#last = await this.#statements.takeTurn(this.#client, durability)
    await this.#look(groups.flatMap(({ expect }) => [...expect.keys()]))
    const outcomes: AppendOutcome[] = []
    for (const group of groups) outcomes.push(await this.#group(group))
    await this.#flush()
    return outcomes
  }

  async #group(group: AppendGroup): Promise<AppendOutcome> {
    if (!this.#own && !isPlain(group)) return { kind: 'rejected', error: refusal() }
    await this.#look(group.expect.keys())
    for (const [stream, expected] of group.expect) {
      const actual = this.#heads.get(stream) ?? NONE
      if (actual !== toNumberExpected(expected)) {
        return (await this.#repetition(group)) ?? { kind: 'conflict', stream, actual: toActual(actual) }
      }
    }
    if (group.effects !== undefined) return this.#withEffects(group)
    const outcome = this.#store(group)
    await this.#takeOut(group)
    return outcome
  }

  #store(group: AppendGroup): AppendOutcome {
    const revisions = revisionsOf(group)
    for (const [index, event] of group.events.entries()) {
      const revision = revisions[index] ?? 0
      this.#columns.add(event, revision, 0)
      this.#heads.set(event.stream, revision)
    }
    return { kind: 'ok', position: toPosition(this.#last + this.#columns.length) }
  }

  async #takeOut({ erase = [], remove = [] }: AppendGroup): Promise<void> {
    if (erase.length === 0 && remove.length === 0) return
    await this.#flush()
    if (erase.length > 0) await this.#statements.erase(this.#client, erase)
    if (remove.length > 0) await this.#statements.remove(this.#client, remove)
    for (const stream of remove) if (this.#heads.get(stream) !== NONE) this.#heads.set(stream, GONE)
  }

  async #withEffects(group: AppendGroup): Promise<AppendOutcome> {
    await this.#flush()
    const before = this.#last
    await run(this.#client, 'SAVEPOINT jobledger_effects')
    const outcome = this.#store(group)
    await this.#flush()
    await this.#takeOut(group)
    const failure = (await this.#call(group)) ?? (await this.#release())
    // They may have appended on their own, or what was looked at is taken back.
    this.#heads.clear()
    if (failure === undefined) {
      this.#last = await this.#statements.takeTurn(this.#client, '')
      return outcome
    }
    this.#last = before
    await this.#goBack(failure, group)
    return { kind: 'rejected', error: failure }
  }

  async #call({ effects }: AppendGroup): Promise<Error | undefined> {
    const lent = lend(this.#client)
    try {
      await effects?.(lent.client)
      return undefined
    } catch (thrown) {
      return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown })
    } finally {
      lent.takeBack()
    }
  }

  async #release(): Promise<Error | undefined> {
    try {
      await run(this.#client, 'RELEASE SAVEPOINT jobledger_effects')
      return undefined
    } catch (cause) {
      const message = 'Expected `effects` to leave the transaction open and as it is, with no statement of it failed.'
      return new StoreRefused(message, { cause })
    }
  }

  async #goBack(failure: Error, group: AppendGroup): Promise<void> {
    try {
      await run(this.#client, 'ROLLBACK TO SAVEPOINT jobledger_effects')
      await run(this.#client, 'RELEASE SAVEPOINT jobledger_effects')
    } catch {
      throw new TransactionLost(failure, group)
    }
  }

  /** Reads where streams stand of which that is not known. */
  async #look(streams: Iterable<string>): Promise<void> {
    const unknown = [...new Set(streams)].filter((stream) => !this.#heads.has(stream))
    if (unknown.length === 0) return
    await this.#flush()
    const found = await this.#statements.heads(this.#client, unknown)
    for (const [index, stream] of unknown.entries()) this.#heads.set(stream, found[index] ?? NONE)
  }

  async #flush(): Promise<void> {
    if (this.#columns.length === 0) return
    const columns = this.#columns
    this.#columns = new Columns()
    this.#last = await this.#statements.write(this.#client, this.#last, columns)
  }

  async #repetition(group: AppendGroup): Promise<AppendOutcome | undefined> {
    await this.#flush()
    const [position] = await this.#statements.stored(this.#client, [group])
    return position === undefined ? undefined : { kind: 'ok', position: toPosition(position) }
  }
}

function refusal(): StoreRefused {
  return new StoreRefused(
    "Expected a group with events only in the caller's own transaction: no erase, remove or effects.",
  )
}

/** A client that does nothing any more once it is taken back: whoever kept it would write in somebody else's transaction. */
function lend(client: Queryable): { readonly client: Queryable; takeBack(): void } {
  let isOver = false
  const get = (target: Queryable, key: string | symbol): unknown => {
    if (isOver) throw new StoreRefused('Expected `effects` to leave the client alone once they are over.')
    const value: unknown = Reflect.get(target, key)
    return typeof value === 'function' ? value.bind(target) : value
  }
  const takeBack = (): void => {
    isOver = true
  }
  return { client: new Proxy(client, { get }), takeBack }
}
