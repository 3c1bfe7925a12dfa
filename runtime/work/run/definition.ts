import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Backoff, BackoffOptions } from '../../../domain/backoff.js'
import { toBackoff } from '../../../domain/backoff.js'
import type { RateLimit } from '../../../domain/claim/rate.js'
import type { Duration } from '../../../domain/duration.js'
import { InvalidOption, InvalidPayload } from '../../../domain/errors.js'
import type { Priority } from '../../checks.js'
import { checkKeys, toCount, toLabel, toMaxAttempts, toName, toPriority, toTimeout } from '../../checks.js'
import type { IsolatedModule, IsolatedRun, Isolation } from '../../ports/isolation.js'
import { toSearchPaths } from '../../report/search-paths.js'
import type { JobSettings, JobType } from '../../write/contract.js'
import type { ConcurrencyOptions, RateLimitOptions, TypeConcurrency } from '../../write/limits.js'
import { toRateLimit, toRoles, toTypeConcurrency } from '../../write/limits.js'
import type { JobContext } from './context.js'
import type { JobHooks } from './hooks.js'
import type { IsolationOptions } from './isolated.js'
import { toIsolated } from './isolated.js'

/** What the functions of a type are asked about: one run of one job. */
export interface RunFacts<Payload> {
  readonly payload: Payload
  readonly id: string
  /** Of this run; counts against `maxAttempts`. */
  readonly attempt: number
}

/** What `defineJob` takes beside schema and handler; each is the default for the jobs of this type. */
export interface JobDefaults<Payload, Value = unknown> extends JobSettings, IsolationOptions, JobHooks<Payload, Value> {
  /** Name of the type, stored with every job: it is for ever. */
  readonly type: string
  /** Default `default`. */
  readonly queue?: string
  /** Lower first, default 0. */
  readonly priority?: Priority
  /**
   * Of one run; then its signal aborts and the attempt has failed. null is none. Default 15 min.
   * A function is asked before each run, by the process that runs it.
   */
  readonly timeout?: Duration | null | ((run: RunFacts<Payload>) => Duration | null)
  /** When to try again after `error`: an instant or a wait. undefined leaves it to `backoff`. */
  readonly nextRun?: (run: RunFacts<Payload> & { readonly error: unknown }) => Date | Duration | undefined
  /** `recoverable-only`: only a thrown `Recoverable` is tried again. Default: everything that does not say otherwise. */
  readonly retryOn?: 'any' | 'recoverable-only'
  /**
   * Asked when an attempt has failed, also by its timeout, unless its error alone rules out another one; false ends the job
   * as failed, whatever is left of its attempts.
   */
  readonly onError?: (
    error: unknown,
    ctx: JobContext<Value | undefined>,
  ) => boolean | undefined | Promise<boolean | undefined>
  /**
   * How long after its end a job is kept, whatever the retention rules say; null: for ever. Default: the rules decide, and
   * without rules nothing is removed.
   */
  readonly retain?: Duration | null
  /** Reserved: an actor (`ledger.as`) enqueues it only with this role, or with one of these; the program itself always may. */
  readonly requiredRole?: string | readonly string[]
  /** Enqueues per window of time, of this type in each channel. Default: no limit. */
  readonly rateLimit?: RateLimitOptions
  /**
   * Paths into the payload by whose values jobs can be searched for, as `['customer.id']`: texts, numbers and booleans. They are
   * kept in clear text in the read models, until the job is expunged or removed. At most 20.
   */
  readonly search?: readonly string[]
  /** Counts the shapes of the payload, from 1. Raise it with a change that old payloads do not fit, and give `upcast`. */
  readonly version?: number
  /** Brings a payload that was stored with an older version into the present shape, before the schema sees it. */
  readonly upcast?: (payload: unknown, version: number) => unknown
}

interface SchemaOptions<Schema extends StandardSchemaV1, Result, Value>
  extends JobDefaults<StandardSchemaV1.InferOutput<Schema>, Value>,
    ConcurrencyOptions<StandardSchemaV1.InferInput<Schema>> {
  /** Any Standard Schema (zod, valibot, arktype ...): checked at enqueue, and again before each run. */
  readonly schema: Schema
  /** Left out where jobs of this type are only enqueued. */
  handle?(payload: StandardSchemaV1.InferOutput<Schema>, ctx: JobContext<Value>): Result | Promise<Result>
}

interface PlainOptions<Payload, Result, Value> extends JobDefaults<Payload, Value>, ConcurrencyOptions<Payload> {
  readonly schema?: undefined
  handle?(payload: Payload, ctx: JobContext<Value>): Result | Promise<Result>
}

/** A job type: its name, its defaults and its handler. Made by `defineJob`. undefined: the queue's own default. */
export interface JobDefinition<Payload = unknown, Result = unknown> extends JobType<Payload, Result>, TypeConcurrency {
  readonly queue: string
  readonly priority: number
  readonly maxAttempts: number | null | undefined
  readonly timeoutMs: number | null | undefined
  readonly timeoutOf: ((run: RunFacts<never>) => Duration | null) | undefined
  readonly backoff: BackoffOptions | undefined
  readonly nextRun: ((run: RunFacts<never> & { readonly error: unknown }) => Date | Duration | undefined) | undefined
  readonly retryOn: 'recoverable-only' | undefined
  readonly onError: JobDefaults<never>['onError']
  readonly init: JobDefaults<never>['init']
  readonly before: JobDefaults<never>['before']
  readonly start: JobDefaults<never>['start']
  readonly commit: JobDefaults<never>['commit']
  readonly retainMs: number | null | undefined
  readonly requiredRoles: readonly string[] | undefined
  readonly rateLimit: RateLimit | undefined
  readonly search: readonly string[] | undefined
  readonly version: number
  readonly upcast: ((payload: unknown, version: number) => unknown) | undefined
  readonly schema: StandardSchemaV1 | undefined
  readonly handle: ((payload: never, ctx: JobContext) => unknown) | undefined
  /** The module that handles it in child processes. */
  readonly isolated: IsolatedModule | undefined
}

/** One that can be run here. */
export type RunnableDefinition = JobDefinition & { readonly handle: NonNullable<JobDefinition['handle']> }

/** Whether it has a handler, here or in a module. */
export const isRunnable = ({ handle, isolated }: JobDefinition): boolean =>
  handle !== undefined || isolated !== undefined

/** Throws InvalidOption where the file of its module is not there. */
export function checkModule({ isolated }: JobDefinition, isolation: Isolation): void {
  if (isolated === undefined || isolation.has(isolated)) return
  throw new InvalidOption('defineJob.module', 'a file that is there', isolated.module)
}

/** With a handler to call. */
export function toRunnable(
  definition: JobDefinition,
  isolation: Isolation,
  world: Pick<IsolatedRun, 'maxBodyBytes' | 'job'>,
): RunnableDefinition {
  const { isolated: module } = definition
  if (module === undefined) return definition as RunnableDefinition
  const handle = (payload: unknown, context: JobContext): unknown =>
    isolation.run({ module, payload, context, ...world })
  return { ...definition, handle }
}

/** Settings with everything filled in. */
export interface FullSettings {
  readonly maxAttempts: number | null
  readonly timeoutMs: number | null
  readonly backoff: Backoff
  /** Runs at once in this process; undefined: as many as it has slots. */
  readonly concurrency?: number
}

const KEYS = new Set([
  'type',
  'queue',
  'priority',
  'maxAttempts',
  'timeout',
  'backoff',
  'nextRun',
  'retryOn',
  'onError',
  'init',
  'before',
  'start',
  'commit',
  'retain',
  'requiredRole',
  'rateLimit',
  'concurrencyKey',
  'concurrencyLimit',
  'search',
  'version',
  'upcast',
  'schema',
  'handle',
  'isolate',
  'module',
])

/**
 * Declares a job type. `ctx.value` has the type of what `start` returns if `start` stands before those that use it.
 * Throws InvalidOption that names what is wrong.
 */
export function defineJob<Schema extends StandardSchemaV1, Result, Value = undefined>(
  options: SchemaOptions<Schema, Result, Value>,
): JobDefinition<StandardSchemaV1.InferInput<Schema>, Awaited<Result>>
export function defineJob<Payload, Result, Value = undefined>(
  options: PlainOptions<Payload, Result, Value>,
): JobDefinition<Payload, Awaited<Result>>
export function defineJob(
  options: SchemaOptions<StandardSchemaV1, unknown, unknown> | PlainOptions<unknown, unknown, unknown>,
): JobDefinition {
  checkKeys(options, KEYS, 'defineJob')
  const { schema, timeout, retryOn = 'any', maxAttempts, queue, retain, version = 1 } = options
  if (schema !== undefined && typeof schema?.['~standard']?.validate !== 'function') {
    throw new InvalidOption('defineJob.schema', 'a Standard Schema', schema)
  }
  if (retryOn !== 'any' && retryOn !== 'recoverable-only') {
    throw new InvalidOption('defineJob.retryOn', '"any" or "recoverable-only"', retryOn)
  }
  // Checked here, merged with the queue's own where a job is enqueued.
  toBackoff(options.backoff, 'defineJob.backoff')
  const isFixed = typeof timeout !== 'function' && timeout !== undefined
  return {
    type: toName(options.type, 'defineJob.type'),
    queue: queue === undefined ? 'default' : toLabel(queue, 'defineJob.queue'),
    priority: options.priority === undefined ? 0 : toPriority(options.priority, 'defineJob.priority'),
    maxAttempts: maxAttempts === undefined ? undefined : toMaxAttempts(maxAttempts, 'defineJob.maxAttempts'),
    timeoutMs: isFixed ? toTimeout(timeout, 'defineJob.timeout') : undefined,
    timeoutOf: typeof timeout === 'function' ? (timeout as JobDefinition['timeoutOf']) : undefined,
    backoff: options.backoff,
    nextRun: toFunction(options.nextRun, 'nextRun') as JobDefinition['nextRun'],
    retryOn: retryOn === 'any' ? undefined : retryOn,
    onError: toFunction(options.onError, 'onError') as JobDefinition['onError'],
    init: toFunction(options.init, 'init') as JobDefinition['init'],
    before: toFunction(options.before, 'before') as JobDefinition['before'],
    start: toFunction(options.start, 'start') as JobDefinition['start'],
    commit: toFunction(options.commit, 'commit') as JobDefinition['commit'],
    retainMs: retain === undefined ? undefined : toTimeout(retain, 'defineJob.retain'),
    requiredRoles:
      options.requiredRole === undefined ? undefined : toRoles(options.requiredRole, 'defineJob.requiredRole'),
    rateLimit: options.rateLimit === undefined ? undefined : toRateLimit(options.rateLimit, 'defineJob.rateLimit'),
    ...toTypeConcurrency(options as ConcurrencyOptions<never>),
    search: toSearchPaths(options.search, 'defineJob.search'),
    version: toCount(version, 'defineJob.version', 1),
    upcast: toFunction(options.upcast, 'upcast') as JobDefinition['upcast'],
    schema,
    handle: toFunction(options.handle, 'handle') as JobDefinition['handle'],
    isolated: toIsolated(options),
  }
}

function toFunction(value: unknown, key: string): unknown {
  if (value === undefined || typeof value === 'function') return value
  throw new InvalidOption(`defineJob.${key}`, 'a function', value)
}

/** Throws InvalidOption for what `defineJob` did not make. */
export function checkDefinition(value: unknown, option: string): asserts value is JobDefinition {
  const { type, version } = (value ?? {}) as Partial<JobDefinition>
  if (typeof type !== 'string' || typeof version !== 'number') {
    throw new InvalidOption(option, 'made by defineJob()', value)
  }
}

/** What the schema makes of the value. Throws InvalidPayload with the schema's own words, `path` before its own path. */
export function validate(definition: JobDefinition, payload: unknown, path: string): unknown | Promise<unknown> {
  if (definition.schema === undefined) return payload
  const outcome = definition.schema['~standard'].validate(payload)
  return outcome instanceof Promise
    ? outcome.then((late) => accept(late, payload, path))
    : accept(outcome, payload, path)
}

function accept(outcome: StandardSchemaV1.Result<unknown>, payload: unknown, path: string): unknown {
  if (outcome.issues === undefined) return outcome.value
  const [issue] = outcome.issues
  const within = (issue?.path ?? []).map((part) => (typeof part === 'object' ? part.key : part))
  let found = payload
  for (const key of within) found = (found as Record<PropertyKey, unknown> | null | undefined)?.[key]
  throw new InvalidPayload([path, ...within.map(String)].join('.'), `as its schema says (${issue?.message})`, found)
}
