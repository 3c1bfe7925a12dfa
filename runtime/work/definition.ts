import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Backoff, BackoffOptions } from '../../domain/backoff.js'
import * as backoff from '../../domain/backoff.js'
import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption, InvalidPayload } from '../../domain/errors.js'
import type { JobContext } from './context.js'

/** What `defineJob` takes beside schema and handler; each is the default for the jobs of this type. */
export interface JobDefaults {
  /** Name of the type, stored with every job: it is for ever. */
  readonly type: string
  /** Default `default`. */
  readonly queue?: string
  /** Lower first, default 0. */
  readonly priority?: number
  /** All attempts, the first included; null is unlimited. Default 20. */
  readonly maxAttempts?: number | null
  /** Of one run; then its signal aborts and the attempt has failed. null is none. Default 15 min. */
  readonly timeout?: Duration | null
  /** Wait between attempts. Default 1 s x 2^n, at most 1 h, full jitter. */
  readonly backoff?: BackoffOptions
}

interface SchemaOptions<Schema extends StandardSchemaV1, Result> extends JobDefaults {
  /** Any Standard Schema (zod, valibot, arktype ...): checked at enqueue, and again before each run. */
  readonly schema: Schema
  handle(payload: StandardSchemaV1.InferOutput<Schema>, ctx: JobContext): Result | Promise<Result>
}

interface PlainOptions<Payload, Result> extends JobDefaults {
  readonly schema?: undefined
  handle(payload: Payload, ctx: JobContext): Result | Promise<Result>
}

/** A job type: its name, its defaults and its handler. Made by `defineJob`. */
export interface JobDefinition<Payload = unknown, Result = unknown> {
  readonly type: string
  readonly queue: string
  readonly priority: number
  readonly maxAttempts: number | null
  readonly timeoutMs: number | null
  readonly backoff: Backoff
  readonly schema: StandardSchemaV1 | undefined
  readonly handle: (payload: never, ctx: JobContext) => unknown
  /** Never there: carries the types for `enqueue` and `result`. */
  readonly '~types'?: { readonly payload: Payload; readonly result: Result }
}

const DEFAULT_MAX_ATTEMPTS = 20
const DEFAULT_TIMEOUT_MS = 15 * 60_000
const KEYS = new Set(['type', 'queue', 'priority', 'maxAttempts', 'timeout', 'backoff', 'schema', 'handle'])

/** Declares a job type. Throws InvalidOption that names what is wrong. */
export function defineJob<Schema extends StandardSchemaV1, Result>(
  options: SchemaOptions<Schema, Result>,
): JobDefinition<StandardSchemaV1.InferInput<Schema>, Awaited<Result>>
export function defineJob<Payload, Result>(
  options: PlainOptions<Payload, Result>,
): JobDefinition<Payload, Awaited<Result>>
export function defineJob(
  options: SchemaOptions<StandardSchemaV1, unknown> | PlainOptions<unknown, unknown>,
): JobDefinition {
  if (typeof options !== 'object' || options === null) throw new InvalidOption('defineJob', 'an object', options)
  for (const key of Object.keys(options)) {
    if (!KEYS.has(key)) throw new InvalidOption(`defineJob.${key}`, `one of ${[...KEYS].join(', ')}`, key)
  }
  const { schema, handle } = options
  if (typeof handle !== 'function') throw new InvalidOption('defineJob.handle', 'a function', handle)
  if (schema !== undefined && typeof schema?.['~standard']?.validate !== 'function') {
    throw new InvalidOption('defineJob.schema', 'a Standard Schema', schema)
  }
  return {
    type: toName(options.type, 'defineJob.type'),
    queue: options.queue === undefined ? 'default' : toLabel(options.queue, 'defineJob.queue'),
    priority: toPriority(options.priority ?? 0, 'defineJob.priority'),
    maxAttempts:
      options.maxAttempts === undefined
        ? DEFAULT_MAX_ATTEMPTS
        : toMaxAttempts(options.maxAttempts, 'defineJob.maxAttempts'),
    timeoutMs: options.timeout === undefined ? DEFAULT_TIMEOUT_MS : toTimeout(options.timeout, 'defineJob.timeout'),
    backoff: toBackoff(options.backoff, 'defineJob.backoff', backoff.DEFAULT_BACKOFF),
    schema,
    handle: handle as JobDefinition['handle'],
  }
}

/** What the schema makes of the value. Throws InvalidPayload with the schema's own words, `path` before its own path. */
export function validate(definition: JobDefinition, payload: unknown, path: string): unknown | Promise<unknown> {
  if (definition.schema === undefined) return payload
  const outcome = definition.schema['~standard'].validate(payload)
  return outcome instanceof Promise ? outcome.then((late) => accept(late, path)) : accept(outcome, path)
}

function accept(outcome: StandardSchemaV1.Result<unknown>, path: string): unknown {
  if (outcome.issues === undefined) return outcome.value
  const [issue] = outcome.issues
  const within = (issue?.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part))
  throw new InvalidPayload([path, ...within].join('.'), 'as its schema says', issue?.message)
}

/** Stored as UTF-8, two names with different halves of a character would become one. */
const HALF_CHARACTER = /\p{Surrogate}/u

/** 1 to 200 characters. */
export function toName(value: unknown, option: string): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= 200 && !HALF_CHARACTER.test(value)) return value
  throw new InvalidOption(option, 'a name of 1 to 200 characters of well-formed Unicode', value)
}

/** A queue or a channel: '' is a name like any other. */
export function toLabel(value: unknown, option: string): string {
  if (typeof value === 'string' && value.length <= 200 && !HALF_CHARACTER.test(value)) return value
  throw new InvalidOption(option, 'a name of at most 200 characters of well-formed Unicode', value)
}

export function toPriority(value: unknown, option: string): number {
  if (Number.isSafeInteger(value)) return value as number
  throw new InvalidOption(option, 'an integer (lower first)', value)
}

export function toMaxAttempts(value: unknown, option: string): number | null {
  if (value === null || (Number.isSafeInteger(value) && (value as number) >= 1)) return value as number | null
  throw new InvalidOption(option, 'an integer >= 1, or null for unlimited', value)
}

const BACKOFF_KEYS = new Set(['min', 'max', 'factor', 'jitter'])

export function toBackoff(given: BackoffOptions | undefined, option: string, base: Backoff): Backoff {
  for (const key of Object.keys(given ?? {})) {
    if (!BACKOFF_KEYS.has(key))
      throw new InvalidOption(`${option}.${key}`, `one of ${[...BACKOFF_KEYS].join(', ')}`, key)
  }
  return backoff.toBackoff(given, option, base)
}

export function toTimeout(value: Duration | null, option: string): number | null {
  if (value === null) return null
  const ms = toMs(value, option)
  if (ms > 0) return ms
  throw new InvalidOption(option, 'a duration above 0, or null for none', value)
}
