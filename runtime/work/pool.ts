import type { Lane, Order } from '../../projections/pending-index.js'
import { Caps, Room } from './caps.js'
import type { RunnableDefinition } from './run/definition.js'

/** What a process says of a type, whatever the type says itself. Absent: nothing. */
export interface TypeOverride {
  /** Runs at once in this process; 0: none. */
  readonly concurrency?: number
  /** For jobs enqueued here that do not say otherwise, and a ceiling for those run here; null is unlimited. */
  readonly maxAttempts?: number | null
  readonly timeoutMs?: number | null
}

/** What a pool is to do, checked. */
export interface PoolPlan {
  readonly name: string
  /** Where it was given, for errors: `start`, `start.pools[1]`. */
  readonly path: string
  /** undefined: all that have a handler here. */
  readonly types: readonly string[] | undefined
  readonly queues: readonly string[] | undefined
  readonly channels: readonly string[] | undefined
  readonly concurrency: number
  /** Runs at once by type, for those that say so; 0: not run by this pool. */
  readonly perType: ReadonlyMap<string, number>
  /** Leases in one commit at most. */
  readonly batch: number
  readonly pollMs: number
  readonly order: Order
  readonly maxAttempts: number | undefined
  readonly timeoutMs: number | undefined
  readonly leaseMs: number
}

/** What holds for the runs of a type where they run: the lesser of this and of what the job says. */
export interface Ceilings {
  readonly maxAttempts: number | undefined
  /** Infinity: none. */
  readonly timeoutMs: number
}

export interface PoolSurroundings {
  readonly overrides: ReadonlyMap<string, TypeOverride>
  /** Limits that all pools of this process share. */
  readonly shared: readonly Caps[]
}

/** A number of slots, and which jobs they are for. Its worker may change, its slots stay. */
export class Pool {
  readonly name: string
  readonly queues: readonly string[] | undefined
  readonly channels: readonly string[] | undefined
  readonly batch: number
  readonly pollMs: number
  readonly order: Order
  readonly leaseMs: number
  readonly room: Room
  readonly #plan: PoolPlan
  readonly #surroundings: PoolSurroundings
  readonly #definitions = new Map<string, RunnableDefinition>()
  readonly #ceilings = new Map<string, Ceilings>()

  constructor(plan: PoolPlan, surroundings: PoolSurroundings) {
    const { name, queues, channels, batch, pollMs, order, leaseMs, concurrency, perType } = plan
    this.name = name
    this.queues = queues
    this.channels = channels
    this.batch = batch
    this.pollMs = pollMs
    this.order = order
    this.leaseMs = leaseMs
    this.#plan = plan
    this.#surroundings = surroundings
    const own = perType.size === 0 ? [] : [new Caps(({ type }) => type, perType)]
    this.room = new Room(concurrency, [...surroundings.shared, ...own])
  }

  /** By type. */
  get definitions(): ReadonlyMap<string, RunnableDefinition> {
    return this.#definitions
  }

  /** Whether it runs this type where that has a handler. */
  wants(type: string): boolean {
    const { types, perType } = this.#plan
    const isNamed = (types?.includes(type) ?? true) && perType.get(type) !== 0
    return isNamed && this.#surroundings.overrides.get(type)?.concurrency !== 0
  }

  /** One of the types that it wants; it runs it from now on. */
  takeUp(definition: RunnableDefinition): void {
    this.#definitions.set(definition.type, definition)
  }

  accepts({ type, queue, channel }: Lane): boolean {
    return (
      this.#definitions.has(type) &&
      (this.queues?.includes(queue) ?? true) &&
      (this.channels?.includes(channel) ?? true)
    )
  }

  ceilings(type: string): Ceilings {
    let known = this.#ceilings.get(type)
    if (known === undefined) {
      const { maxAttempts, timeoutMs } = this.#plan
      const override = this.#surroundings.overrides.get(type)
      known = {
        maxAttempts: least(maxAttempts, override?.maxAttempts),
        timeoutMs: least(timeoutMs, override?.timeoutMs) ?? Number.POSITIVE_INFINITY,
      }
      this.#ceilings.set(type, known)
    }
    return known
  }
}

function least(...limits: readonly (number | null | undefined)[]): number | undefined {
  const given = limits.filter((limit): limit is number => typeof limit === 'number')
  return given.length === 0 ? undefined : Math.min(...given)
}
