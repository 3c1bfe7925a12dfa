import type { RateLimit } from '../../../domain/claim/rate.js'
import { InvalidOption } from '../../../domain/errors.js'
import type { SearchPaths } from '../../../projections/read-models/payload-paths.js'
import { DuplicateType } from '../../errors.js'
import type { TypeOverride } from '../pool.js'
import type { JobDefinition } from './definition.js'
import { checkDefinition, isRunnable } from './definition.js'

/** A job type as this process knows it. undefined: the queue's own default. */
export interface TypeInfo {
  readonly type: string
  readonly queue: string
  readonly priority: number
  readonly maxAttempts: number | null | undefined
  /** undefined also where the type computes it for each run. */
  readonly timeoutMs: number | null | undefined
  /** Runs at once in this process, where it says so; 0: not run here. */
  readonly concurrency: number | undefined
  /** Who may enqueue it, where it is reserved. */
  readonly requiredRoles: readonly string[] | undefined
  /** Enqueues per window, in each channel. */
  readonly rateLimit: RateLimit | undefined
  /** Runs at once of one key, in all processes, where its jobs have one. */
  readonly concurrencyLimit: number | undefined
  /** Counts the shapes of its payload. */
  readonly version: number
  /** Whether it has a handler here. */
  readonly runnable: boolean
}

/** The job types that a ledger knows, by name. */
export class JobTypes {
  readonly #definitions = new Map<string, JobDefinition>()
  readonly overrides: ReadonlyMap<string, TypeOverride>

  constructor(overrides: ReadonlyMap<string, TypeOverride>) {
    this.overrides = overrides
  }

  get definitions(): ReadonlyMap<string, JobDefinition> {
    return this.#definitions
  }

  /** Throws InvalidOption under `path`, DuplicateType. */
  add(definition: JobDefinition, path: string): void {
    checkDefinition(definition, path)
    if (this.#definitions.has(definition.type)) throw new DuplicateType(definition.type)
    this.#definitions.set(definition.type, definition)
  }

  /** One that was just added and cannot be run after all. */
  drop({ type }: JobDefinition): void {
    this.#definitions.delete(type)
  }

  /** Throws InvalidOption, DuplicateType. */
  addAll(definitions: readonly JobDefinition[], path: string): void {
    if (!Array.isArray(definitions)) throw new InvalidOption(path, 'an array of job definitions', definitions)
    for (const [index, definition] of definitions.entries()) this.add(definition, `${path}[${index}]`)
  }

  /** Those that can be run here. */
  get runnable(): JobDefinition[] {
    return [...this.#definitions.values()].filter(isRunnable)
  }

  /** Of those that declare paths to search by. */
  get searchPaths(): SearchPaths {
    const declared = new Map<string, readonly string[]>()
    for (const [type, { search }] of this.#definitions) if (search !== undefined) declared.set(type, search)
    return declared
  }

  /** In the order in which they were made known. */
  list(): TypeInfo[] {
    return [...this.#definitions.values()].map((definition) => {
      const { type, queue, priority, version, requiredRoles, rateLimit, concurrencyKey } = definition
      const {
        concurrency,
        maxAttempts = definition.maxAttempts,
        timeoutMs = definition.timeoutMs,
      } = this.overrides.get(type) ?? {}
      const concurrencyLimit = concurrencyKey === undefined ? undefined : (definition.concurrencyLimit ?? 1)
      return {
        ...{
          type,
          queue,
          priority,
          maxAttempts,
          timeoutMs,
          concurrency,
          requiredRoles,
          rateLimit,
          concurrencyLimit,
          version,
        },
        runnable: isRunnable(definition),
      }
    })
  }
}
