/** What `start` takes: pools of slots, and which jobs each is for. */
import type { Duration } from '../domain/duration.js'
import { toMs } from '../domain/duration.js'
import { InvalidOption } from '../domain/errors.js'
import type { Order } from '../projections/pending-index.js'
import { checkKeys, toCount, toMaxAttempts, toName, toTimeout } from './checks.js'
import { DuplicatePool } from './errors.js'
import type { FleetPlan } from './work/fleet.js'
import type { PoolPlan, TypeOverride } from './work/pool.js'

/** What a pool allows at most, whatever its jobs say: the lesser of both holds. */
export interface PoolCeilings {
  readonly maxAttempts?: number
  /** Of one run. */
  readonly timeout?: Duration
}

/** What one pool of slots is for, and how it takes its jobs. Left out: everything, with 10 slots. */
export interface PoolSettings {
  /** Serve these queues only; default every queue. */
  readonly queues?: readonly string[]
  /** Run these types only; default all that have a handler here. */
  readonly types?: readonly string[]
  /** Serve these channels only; default every channel. */
  readonly channels?: readonly string[]
  /** Runs at once, 1 to 10,000, default 10. */
  readonly concurrency?: number
  /** Runs at once by type, for those that say so; 0: this pool does not run it. */
  readonly perType?: Readonly<Record<string, number>>
  /** Leases recorded in one commit at most, 1 to 1,000. Default: as many as there are free slots. */
  readonly batch?: number
  /** A look at what waits, should ever an event that would wake the pool be missed; at least 100 ms, default 5 s. */
  readonly poll?: Duration
  /** `priority` (default): priority, then age. `time`: age (or the time to run at), then priority. */
  readonly strategy?: Order
  readonly ceilings?: PoolCeilings
  /** How long a lease lasts without a sign of life, at least 1 s, default 30 s. */
  readonly lease?: Duration
}

/** One of several pools. */
export interface PoolOptions extends PoolSettings {
  /** Told apart by it in the worker registry; 1 to 200 characters, no two alike. */
  readonly name: string
}

/** One pool, called `default`; or several with `pools`, and then nothing of a pool beside them. */
export interface StartOptions extends PoolSettings {
  readonly pools?: readonly PoolOptions[]
  /** How often the logger is told how much was done, if anything changed; at least 1 s, null: never. Default 1 min. */
  readonly report?: Duration | null
}

/** What this process says of a type, whatever the type says itself. */
export interface TypeOverrideOptions {
  /** Runs at once in this process; 0: it is not run here. */
  readonly concurrency?: number
  /** What holds for its jobs enqueued here that do not say otherwise, and at most for those run here; null is unlimited. */
  readonly maxAttempts?: number | null
  /** Likewise, of one run; null is none. */
  readonly timeout?: Duration | null
}

const POOL_KEYS = [
  'queues',
  'types',
  'channels',
  'concurrency',
  'perType',
  'batch',
  'poll',
  'strategy',
  'ceilings',
  'lease',
] as const
const START_KEYS = new Set<string>([...POOL_KEYS, 'pools', 'report'])
const NAMED_KEYS = new Set<string>([...POOL_KEYS, 'name'])
const CEILING_KEYS = new Set(['maxAttempts', 'timeout'])
const OVERRIDE_KEYS = new Set(['concurrency', 'maxAttempts', 'timeout'])

/** `option`: where they were given. Throws InvalidOption, DuplicatePool. */
export function checkStartOptions(options: StartOptions, option = 'start'): FleetPlan {
  checkKeys(options, START_KEYS, option)
  const { pools, report = '1m', ...single } = options
  return {
    pools: pools === undefined ? [toPlan(single, 'default', option)] : toPlans(pools, single, option),
    reportMs: toReport(report, `${option}.report`),
  }
}

function toReport(report: Duration | null, option: string): number | undefined {
  if (report === null) return undefined
  const ms = toMs(report, option)
  if (ms >= 1_000) return ms
  throw new InvalidOption(option, 'a duration of at least 1 s, or null for none', report)
}

function toPlans(pools: readonly PoolOptions[], beside: PoolSettings, option: string): PoolPlan[] {
  const [stray] = Object.entries(beside).filter(([, value]) => value !== undefined)
  if (stray !== undefined) throw new InvalidOption(`${option}.${stray[0]}`, 'absent where `pools` are given', stray[1])
  if (!Array.isArray(pools) || pools.length === 0) {
    throw new InvalidOption(`${option}.pools`, 'an array of at least one { name, ... }', pools)
  }
  const names = new Set<string>()
  return (pools as readonly PoolOptions[]).map((pool, index) => {
    const path = `${option}.pools[${index}]`
    checkKeys(pool, NAMED_KEYS, path)
    const name = toName(pool.name, `${path}.name`)
    if (names.has(name)) throw new DuplicatePool(name)
    names.add(name)
    return toPlan(pool, name, path)
  })
}

function toPlan(given: PoolSettings, name: string, path: string): PoolPlan {
  const {
    concurrency = 10,
    perType = {},
    batch,
    poll = '5s',
    strategy = 'priority',
    ceilings = {},
    lease = '30s',
  } = given
  checkKeys(ceilings, CEILING_KEYS, `${path}.ceilings`)
  const { maxAttempts, timeout } = ceilings
  if (strategy !== 'priority' && strategy !== 'time') {
    throw new InvalidOption(`${path}.strategy`, '"priority" or "time"', strategy)
  }
  return {
    name,
    path,
    queues: toNames(given.queues, `${path}.queues`, 'queue'),
    types: toNames(given.types, `${path}.types`, 'type'),
    channels: toNames(given.channels, `${path}.channels`, 'channel'),
    concurrency: toCount(concurrency, `${path}.concurrency`, 1, 10_000),
    perType: toCounts(perType, `${path}.perType`),
    batch: batch === undefined ? Number.POSITIVE_INFINITY : toCount(batch, `${path}.batch`, 1, 1_000),
    pollMs: toSpan(poll, `${path}.poll`, 100, '100 ms'),
    order: strategy,
    maxAttempts: maxAttempts === undefined ? undefined : toCount(maxAttempts, `${path}.ceilings.maxAttempts`, 1),
    timeoutMs: timeout === undefined ? undefined : (toTimeout(timeout, `${path}.ceilings.timeout`) ?? undefined),
    leaseMs: toSpan(lease, `${path}.lease`, 1_000, '1 s'),
  }
}

function toSpan(given: Duration, option: string, least: number, shown: string): number {
  const ms = toMs(given, option)
  if (ms >= least) return ms
  throw new InvalidOption(option, `a duration of at least ${shown}`, given)
}

function toNames(given: readonly string[] | undefined, option: string, what: string): readonly string[] | undefined {
  if (given === undefined) return undefined
  if (Array.isArray(given) && given.length > 0 && given.every((name) => typeof name === 'string')) return [...given]
  throw new InvalidOption(option, `an array of ${what} names`, given)
}

function toCounts(given: Readonly<Record<string, number>>, option: string): Map<string, number> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new InvalidOption(option, 'an object of counts by type', given)
  }
  return new Map(Object.entries(given).map(([type, count]) => [type, toCount(count, `${option}.${type}`, 0)]))
}

/** Types that a plan names and nobody knows: a misspelt one would never run. Throws InvalidOption. */
export function checkTypes({ pools }: FleetPlan, known: ReadonlySet<string>): void {
  for (const { path, types = [], perType } of pools) {
    const expected = `types that have a handler here (${[...known].join(', ')})`
    for (const type of types) if (!known.has(type)) throw new InvalidOption(`${path}.types`, expected, type)
    for (const type of perType.keys()) if (!known.has(type)) throw new InvalidOption(`${path}.perType`, expected, type)
  }
}

/** Throws InvalidOption. */
export function toOverrides(given: Readonly<Record<string, TypeOverrideOptions>>): Map<string, TypeOverride> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new InvalidOption('openLedger.overrides', 'an object by type', given)
  }
  return new Map(Object.entries(given).map(([type, own]) => [type, toOverride(own, `openLedger.overrides.${type}`)]))
}

function toOverride(given: TypeOverrideOptions, path: string): TypeOverride {
  checkKeys(given, OVERRIDE_KEYS, path)
  const { concurrency, maxAttempts, timeout } = given
  return {
    ...(concurrency !== undefined && { concurrency: toCount(concurrency, `${path}.concurrency`, 0) }),
    ...(maxAttempts !== undefined && { maxAttempts: toMaxAttempts(maxAttempts, `${path}.maxAttempts`) }),
    ...(timeout !== undefined && { timeoutMs: toTimeout(timeout, `${path}.timeout`) }),
  }
}
