import type { Duration } from '../domain/duration.js'
import { toMs } from '../domain/duration.js'
import { InvalidOption } from '../domain/errors.js'
import { DuplicateType } from './errors.js'
import type { Logger } from './ports/logger.js'
import type { JobDefinition } from './work/definition.js'
import type { WorkerOptions } from './work/worker.js'
import { DEFAULT_MAX_BODY } from './write/codec.js'

/** What every ledger takes, whatever store is behind it. */
export interface LedgerOptions {
  /** The job types this process knows: to enqueue, and after `start()` to run. */
  readonly jobs?: readonly JobDefinition[]
  /** pino's shape. Default: silent. */
  readonly logger?: Logger
  /** Bytes of one payload or result at most, default 1 MiB. */
  readonly maxPayloadBytes?: number
  /** Recorded with every job and every run, e.g. a git hash. */
  readonly codeVersion?: string
}

export interface StartOptions {
  /** Runs at once, 1 to 10,000, default 10. */
  readonly concurrency?: number
  /** Serve these queues only; default every queue. */
  readonly queues?: readonly string[]
  /** How long a lease lasts without a sign of life, at least 1 s, default 30 s. */
  readonly lease?: Duration
}

export interface CloseOptions {
  /** Let running jobs end by themselves for this long (default 20 s), then abort their signals. */
  readonly drain?: Duration
  /** Wait for them this long in all (default 30 s), then give their leases back. */
  readonly timeout?: Duration
}

const LEDGER_KEYS = new Set(['jobs', 'logger', 'maxPayloadBytes', 'codeVersion'])
const START_KEYS = new Set(['concurrency', 'queues', 'lease'])
const CLOSE_KEYS = new Set(['drain', 'timeout'])
const CANCEL_KEYS = new Set(['ifIdle', 'ifEnded', 'reason'])
const LOGGER_METHODS = ['debug', 'info', 'warn', 'error', 'child'] as const

/** Throws InvalidOption for a key that nobody reads: a misspelt option must not be taken for its default. */
function refuseUnknownKeys(given: object, known: ReadonlySet<string>, path: string): void {
  if (typeof given !== 'object' || given === null) throw new InvalidOption(path, 'an object', given)
  for (const key of Object.keys(given)) {
    if (!known.has(key)) throw new InvalidOption(`${path}.${key}`, `one of ${[...known].join(', ')}`, key)
  }
}

/** Throws InvalidOption, DuplicateType. */
export function checkLedgerOptions(options: LedgerOptions): {
  definitions: Map<string, JobDefinition>
  maxBodyBytes: number
} {
  refuseUnknownKeys(options, LEDGER_KEYS, 'openLedger')
  const { logger, maxPayloadBytes: maxBodyBytes = DEFAULT_MAX_BODY, codeVersion } = options
  if (logger !== undefined && LOGGER_METHODS.some((method) => typeof logger?.[method] !== 'function')) {
    throw new InvalidOption('openLedger.logger', `a logger with ${LOGGER_METHODS.join(', ')}`, logger)
  }
  if (!Number.isSafeInteger(maxBodyBytes) || maxBodyBytes < 1) {
    throw new InvalidOption('openLedger.maxPayloadBytes', 'an integer >= 1', maxBodyBytes)
  }
  if (codeVersion !== undefined && typeof codeVersion !== 'string') {
    throw new InvalidOption('openLedger.codeVersion', 'a text', codeVersion)
  }
  return { definitions: byType(options.jobs ?? []), maxBodyBytes }
}

function byType(jobs: readonly JobDefinition[]): Map<string, JobDefinition> {
  if (!Array.isArray(jobs)) throw new InvalidOption('openLedger.jobs', 'an array of job definitions', jobs)
  const definitions = new Map<string, JobDefinition>()
  for (const [index, job] of (jobs as JobDefinition[]).entries()) {
    if (typeof job?.handle !== 'function' || typeof job.type !== 'string') {
      throw new InvalidOption(`openLedger.jobs[${index}]`, 'made by defineJob()', job)
    }
    if (definitions.has(job.type)) throw new DuplicateType(job.type)
    definitions.set(job.type, job)
  }
  return definitions
}

/** Throws InvalidOption. */
export function checkStartOptions(options: StartOptions): Omit<WorkerOptions, 'definitions'> {
  refuseUnknownKeys(options, START_KEYS, 'start')
  const { concurrency = 10, queues, lease = '30s' } = options
  if (!Number.isSafeInteger(concurrency) || concurrency < 1 || concurrency > 10_000) {
    throw new InvalidOption('start.concurrency', 'an integer from 1 to 10000', concurrency)
  }
  if (
    queues !== undefined &&
    !(Array.isArray(queues) && queues.length > 0 && queues.every((queue) => typeof queue === 'string'))
  ) {
    throw new InvalidOption('start.queues', 'an array of queue names', queues)
  }
  const leaseMs = toMs(lease, 'start.lease')
  if (leaseMs < 1_000) throw new InvalidOption('start.lease', 'a duration of at least 1 s', lease)
  return { concurrency, queues, leaseMs }
}

/** Throws InvalidOption. */
export function checkCloseOptions(options: CloseOptions): { drainMs: number; timeoutMs: number } {
  refuseUnknownKeys(options, CLOSE_KEYS, 'close')
  const timeoutMs = options.timeout === undefined ? 30_000 : toMs(options.timeout, 'close.timeout')
  const drainMs = options.drain === undefined ? Math.min(20_000, timeoutMs) : toMs(options.drain, 'close.drain')
  if (drainMs > timeoutMs)
    throw new InvalidOption('close.drain', `at most \`close.timeout\` (${timeoutMs} ms)`, options.drain)
  return { drainMs, timeoutMs }
}

/** Throws InvalidOption. */
export function checkCancelOptions(options: { readonly [Key in 'ifIdle' | 'ifEnded' | 'reason']?: unknown }): void {
  refuseUnknownKeys(options, CANCEL_KEYS, 'cancel')
  const { ifIdle, ifEnded, reason } = options
  if (ifIdle !== undefined && typeof ifIdle !== 'boolean') {
    throw new InvalidOption('cancel.ifIdle', 'true or false', ifIdle)
  }
  if (ifEnded !== undefined && ifEnded !== 'ignore') throw new InvalidOption('cancel.ifEnded', '"ignore"', ifEnded)
  if (reason !== undefined && typeof reason !== 'string') throw new InvalidOption('cancel.reason', 'a text', reason)
}
