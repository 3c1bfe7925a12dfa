import type { Duration } from '../domain/duration.js'
import { toMs } from '../domain/duration.js'
import { InvalidOption } from '../domain/errors.js'
import type { Instant } from '../domain/instant.js'
import type { RescheduleCommand } from '../domain/job/decide.js'
import type { Projection } from '../projections/fold.js'
import type { AuditOptions, AuditSettings } from './audit/options.js'
import { toAuditSettings } from './audit/options.js'
import type { Priority } from './checks.js'
import { checkKeys, toCount, toFlag, toPriority, toText } from './checks.js'
import type { Logger } from './ports/logger.js'
import type { AnyProjection } from './report/definition.js'
import { toProjections } from './report/definition.js'
import type { StartOptions, TypeOverrideOptions } from './start-options.js'
import { checkStartOptions, toOverrides } from './start-options.js'
import type { RemoveOptions } from './upkeep/removal.js'
import type { RetentionOptions } from './upkeep/retention.js'
import { toSchedule } from './upkeep/retention.js'
import type { FleetPlan } from './work/fleet.js'
import type { FullSettings, JobDefinition } from './work/run/definition.js'
import { JobTypes } from './work/run/job-types.js'
import { DEFAULT_MAX_BODY } from './write/codec.js'
import type { QueueDefaults } from './write/contract.js'
import { toQueueDefaults, toRunAt } from './write/enqueue-options.js'

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
  /** What holds for the jobs of a queue, where neither they nor their type say otherwise. By queue name. */
  readonly queues?: Readonly<Record<string, QueueDefaults>>
  /** Refuse to enqueue types that are not in `jobs`. Default false. */
  readonly strict?: boolean
  /** Answer UnknownType, not RoleRequired, where an actor may not enqueue a type. Default false. */
  readonly conceal?: boolean
  /** Which ended jobs are removed or expunged, and how often that is looked at. Default: nothing is, every hour. */
  readonly retention?: RetentionOptions
  /** Start at once: true, or what `start` is given. Default false. */
  readonly autoStart?: boolean | StartOptions
  /** Whether this process fires triggers whose time has come. Default true: any number of processes may, each fires once. */
  readonly scheduler?: boolean
  /**
   * Keep the tables for `query`, `search` and reports up all the time, so that they lag by less than a second. Default false:
   * they are brought up when they are asked for.
   */
  readonly reports?: boolean
  /** Made by `defineProjection`: rows of your own, kept beside those tables. */
  readonly projections?: readonly AnyProjection[]
  /** What this process says of a type, whatever the type says itself; by type. */
  readonly overrides?: Readonly<Record<string, TypeOverrideOptions>>
  /** Signed checkpoints of the log, so that others can prove what was in it. Default: none. */
  readonly audit?: AuditOptions
}

/** Those options, checked. */
export interface LedgerSettings {
  readonly types: JobTypes
  readonly maxBodyBytes: number
  readonly codeVersion: string | undefined
  readonly queues: ReadonlyMap<string, FullSettings>
  readonly strict: boolean
  readonly conceal: boolean
  readonly autoStart: FleetPlan | undefined
  readonly scheduler: boolean
  readonly reports: boolean
  readonly projections: readonly Projection[]
  readonly audit: AuditSettings | undefined
}

/** What `close` and `stop` take. */
export interface CloseOptions {
  /** Let running jobs end by themselves for this long (default 20 s), then abort their signals. */
  readonly drain?: Duration
  /** Wait for them this long in all (default 30 s), then give their leases back. */
  readonly timeout?: Duration
}

export interface CancelOptions {
  /** Refuse when the job runs (JobRunning). */
  readonly ifIdle?: boolean
  /** `ignore`: answer false instead of throwing JobEnded. */
  readonly ifEnded?: 'ignore'
  /** Recorded with the cancel. Default: the reason given to `as`. */
  readonly reason?: string
}

/** At least one of them. */
export interface RescheduleOptions {
  /** Not before this instant. */
  readonly runAt?: Instant
  /** Not before this long from now. */
  readonly delay?: Duration
  readonly priority?: Priority
  /** true: wait until promoted; false: do not. */
  readonly held?: boolean
}

const LEDGER_KEYS = new Set([
  'jobs',
  'logger',
  'maxPayloadBytes',
  'codeVersion',
  'queues',
  'strict',
  'conceal',
  'retention',
  'autoStart',
  'overrides',
  'scheduler',
  'reports',
  'projections',
  'audit',
])
const CLOSE_KEYS = new Set(['drain', 'timeout'])
const CANCEL_KEYS = new Set(['ifIdle', 'ifEnded', 'reason'])
const LOGGER_METHODS = ['debug', 'info', 'warn', 'error', 'child'] as const

/** Throws InvalidOption, DuplicateType. */
export function checkLedgerOptions(options: LedgerOptions): LedgerSettings {
  checkKeys(options, LEDGER_KEYS, 'openLedger')
  const {
    logger,
    maxPayloadBytes: maxBodyBytes = DEFAULT_MAX_BODY,
    codeVersion,
    strict = false,
    conceal = false,
    scheduler = true,
    reports = false,
  } = options
  if (logger !== undefined && LOGGER_METHODS.some((method) => typeof logger?.[method] !== 'function')) {
    throw new InvalidOption('openLedger.logger', `a logger with ${LOGGER_METHODS.join(', ')}`, logger)
  }
  toSchedule(options.retention)
  return {
    types: toTypes(options),
    maxBodyBytes: toCount(maxBodyBytes, 'openLedger.maxPayloadBytes', 1),
    codeVersion: codeVersion === undefined ? undefined : toText(codeVersion, 'openLedger.codeVersion'),
    queues: toQueues(options.queues ?? {}),
    strict: toFlag(strict, 'openLedger.strict'),
    conceal: toFlag(conceal, 'openLedger.conceal'),
    autoStart: toAutoStart(options.autoStart),
    scheduler: toFlag(scheduler, 'openLedger.scheduler'),
    reports: toFlag(reports, 'openLedger.reports'),
    projections: toProjections(options.projections, 'openLedger.projections'),
    audit: toAuditSettings(options.audit),
  }
}

function toTypes({ jobs = [], overrides = {} }: LedgerOptions): JobTypes {
  const types = new JobTypes(toOverrides(overrides))
  types.addAll(jobs, 'openLedger.jobs')
  return types
}

function toAutoStart(given: LedgerOptions['autoStart']): FleetPlan | undefined {
  if (given === undefined || given === false) return undefined
  return checkStartOptions(given === true ? {} : given, 'openLedger.autoStart')
}

function toQueues(given: NonNullable<LedgerOptions['queues']>): Map<string, FullSettings> {
  if (typeof given !== 'object' || given === null) throw new InvalidOption('openLedger.queues', 'an object', given)
  return new Map(Object.entries(given).map(([name, own]) => [name, toQueueDefaults(own, `openLedger.queues.${name}`)]))
}

/** Throws InvalidOption. */
export function checkCloseOptions(options: CloseOptions, path = 'close'): { drainMs: number; timeoutMs: number } {
  checkKeys(options, CLOSE_KEYS, path)
  const timeoutMs = options.timeout === undefined ? 30_000 : toMs(options.timeout, `${path}.timeout`)
  const drainMs = options.drain === undefined ? Math.min(20_000, timeoutMs) : toMs(options.drain, `${path}.drain`)
  if (drainMs > timeoutMs)
    throw new InvalidOption(`${path}.drain`, `at most \`${path}.timeout\` (${timeoutMs} ms)`, options.drain)
  return { drainMs, timeoutMs }
}

/** Throws InvalidOption. */
export function checkCancelOptions(options: { readonly [Key in 'ifIdle' | 'ifEnded' | 'reason']?: unknown }): void {
  checkKeys(options, CANCEL_KEYS, 'cancel')
  const { ifIdle, ifEnded, reason } = options
  if (ifIdle !== undefined) toFlag(ifIdle, 'cancel.ifIdle')
  if (ifEnded !== undefined && ifEnded !== 'ignore') throw new InvalidOption('cancel.ifEnded', '"ignore"', ifEnded)
  if (reason !== undefined) toText(reason, 'cancel.reason')
}

const RESCHEDULE_KEYS = new Set(['runAt', 'delay', 'priority', 'held'])

/** Throws InvalidOption. */
export function toRescheduleCommand(options: RescheduleOptions, now: number): RescheduleCommand {
  checkKeys(options, RESCHEDULE_KEYS, 'reschedule')
  const { runAt, delay, priority, held } = options
  if (Object.values(options).every((value) => value === undefined)) {
    throw new InvalidOption('reschedule', `at least one of ${[...RESCHEDULE_KEYS].join(', ')}`, options)
  }
  const isTimed = runAt !== undefined || delay !== undefined
  return {
    ...(isTimed && { runAt: toRunAt(options, now, 'reschedule') }),
    ...(priority !== undefined && { priority: toPriority(priority, 'reschedule.priority') }),
    ...(held !== undefined && { held: toFlag(held, 'reschedule.held') }),
  }
}

const REMOVE_KEYS = new Set(['force', 'cascade'])

/** Throws InvalidOption. */
export function checkRemoveOptions(options: RemoveOptions): void {
  checkKeys(options, REMOVE_KEYS, 'remove')
  if (options.force !== undefined) toFlag(options.force, 'remove.force')
  if (options.cascade !== undefined) toFlag(options.cascade, 'remove.cascade')
}
