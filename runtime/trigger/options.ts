/** What callers say of a trigger, checked and brought into the form in which it is recorded. */
import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import type { Json } from '../../domain/event.js'
import type { Instant } from '../../domain/instant.js'
import type { KeyLimit } from '../../domain/job/events.js'
import { canonicalText } from '../../domain/json.js'
import type { Definition } from '../../domain/trigger/decide.js'
import type { Combine, Debounce, Misfire, TriggerFacts } from '../../domain/trigger/events.js'
import type { EventRule } from '../../domain/trigger/match.js'
import type { Schedule, TriggerKind } from '../../domain/trigger/schedule.js'
import { firstOccurrence, occurrencesFrom, toSchedule } from '../../domain/trigger/schedule.js'
import { checkKeys } from '../checks.js'
import type { FullSettings, JobDefinition } from '../work/run/definition.js'
import { checkDefinition, defineJob, validate } from '../work/run/definition.js'
import { encode } from '../write/codec.js'
import type { EnqueueOptions, JobType } from '../write/contract.js'
import { ENQUEUE_KEYS, toFacts, toUnique } from '../write/enqueue-options.js'
import { toConcurrency } from '../write/limits.js'

/** When a trigger fires. */
export interface TriggerTimes {
  readonly kind: TriggerKind
  /**
   * `cron`: 5 or 6 fields, seconds first, or a macro as `@daily`. `every`, `in`: a duration. `at`: an instant. `hourly`, `daily`,
   * `weekly`, `monthly`: a phrase as `on mon,wed-fri between 8am and 6pm`, or nothing. `event`: masks
   * `type:VERB,VERB:value,value:selector`, apart by spaces, or the same as objects. `webhook`, `client`: nothing.
   */
  readonly when?: string | Instant | Duration | readonly EventRule[]
  /** IANA name, for `cron` and the four spread kinds. Default UTC. */
  readonly timezone?: string
  /** How late an `at` or `in` may still fire. Default 24 h; then it counts as missed. */
  readonly late?: Duration | 'always'
}

/** As for an enqueue; when and under what id each job is made is the trigger's to say. */
export type TriggerJobOptions = Omit<EnqueueOptions, 'id' | 'runAt' | 'dependsOn' | 'manual'>

/** What may be said of a trigger beside its id. */
export interface TriggerOptions<Payload = unknown> extends TriggerTimes {
  /** Type of its jobs; made by `defineJob`. */
  readonly job: JobType<Payload>
  /** Of its jobs. A webhook's jobs are given what was posted, and may do without. */
  readonly payload?: Payload
  readonly options?: TriggerJobOptions
  /** What becomes of occurrences for which nobody was there. Default `coalesce`: one firing for all of them. */
  readonly misfire?: Misfire
  /** Requests that come within this time of a first one make one job, at its end. Default: each makes its own at once. */
  readonly debounce?: Duration | DebounceOptions
}

export interface DebounceOptions {
  readonly window: Duration
  /**
   * What the job is given. `drop`: the trigger's own payload, and no event. `append`: the payloads of all, in order, as a list; for
   * kind `event` the events, as a list in `ctx.trigger.event`. `first`: the payload or event of the first request. Default: `drop` for kind `event`, `append` for `webhook`, else `first`.
   */
  readonly combine?: Combine
}

/** What holds for every trigger of a ledger. */
export interface TriggerSetting {
  readonly now: number
  readonly maxBodyBytes: number
  readonly queues: ReadonlyMap<string, FullSettings>
}

/** What may be said of a trigger. */
export const TRIGGER_KEYS: ReadonlySet<string> = new Set([
  'kind',
  'when',
  'timezone',
  'late',
  'job',
  'payload',
  'options',
  'misfire',
  'debounce',
])
const NO_OPTIONS: TriggerJobOptions = Object.freeze({})
/** When and under what id its jobs are made is the trigger's to say. */
const OWN_SAY: ReadonlySet<string> = new Set(['id', 'runAt', 'dependsOn', 'manual'])
const JOB_KEYS: ReadonlySet<string> = new Set([...ENQUEUE_KEYS].filter((key) => !OWN_SAY.has(key)))

/** Throws InvalidOption, InvalidPayload that name the field under `path`. */
export async function toDefinition(given: TriggerOptions, setting: TriggerSetting, path: string): Promise<Definition> {
  checkKeys(given, TRIGGER_KEYS, path)
  const { job, options, payload, misfire, debounce } = given
  checkDefinition(job, `${path}.job`)
  const isOptional = given.kind === 'webhook' && payload === undefined
  const stored = encode(payload, `${path}.payload`, setting.maxBodyBytes, isOptional)
  if (!isOptional) await validate(job, payload, `${path}.payload`)
  const checked = options === undefined ? undefined : toJobOptions(options, job, setting, `${path}.options`)
  // A key that follows from a payload that is yet to come is asked for then.
  const keyed = isOptional && typeof job.concurrencyKey === 'function' ? { ...job, concurrencyKey: '-' } : job
  const key = toConcurrency(keyed, payload, options ?? NO_OPTIONS, `${path}.options`)
  if (given.kind === 'client') refuseWaits(options ?? NO_OPTIONS, key, `${path}.options`)
  const schedule = toTimes(given, { type: job.type, channel: options?.channel, payload: stored }, setting.now, path)
  if (schedule.kind === 'event' && typeof stored === 'object')
    throw new InvalidOption(`${path}.payload`, 'JSON, no bytes, for a trigger of kind event', payload)
  const facts = {
    schedule,
    type: job.type,
    ...(checked !== undefined && { options: checked }),
    ...defaultsOf(job),
    ...(hasCode(job) && { code: true as const }),
    ...toMisfire(misfire, schedule, `${path}.misfire`),
    ...(debounce !== undefined && { debounce: toDebounce(debounce, schedule, `${path}.debounce`) }),
  }
  return { facts, payload: stored }
}

/** Its job is under way as soon as it is there. */
function refuseWaits({ delay, held }: TriggerJobOptions, key: KeyLimit | undefined, path: string): void {
  for (const [option, value] of Object.entries({ delay, held, concurrencyKey: key?.key }))
    if (value !== undefined) throw new InvalidOption(`${path}.${option}`, 'absent for a trigger of kind client', value)
}

/** What tells the slots of spread triggers apart. */
interface Seed {
  readonly type: string
  readonly channel?: string | undefined
  readonly payload?: string | Uint8Array | undefined
}

/** Throws InvalidOption. */
function toTimes(given: TriggerTimes, { type, channel = '', payload }: Seed, now: number, path: string): Schedule {
  const own = typeof payload === 'string' ? canonicalText(JSON.parse(payload) as Json) : `${payload?.length}`
  const seed = JSON.stringify([channel, type, own])
  const { kind, when, timezone, late } = given
  return toSchedule({ kind, when, timezone, late }, { now, seed }, path)
}

/** Checked as an enqueue would check them, and kept as they were given. */
function toJobOptions(
  given: TriggerJobOptions,
  job: JobDefinition,
  { now, queues }: TriggerSetting,
  path: string,
): { readonly [option: string]: Json } {
  checkKeys(given, JOB_KEYS, path)
  const facts = toFacts(job, given, { now, queues, codeVersion: undefined, origin: undefined, chain: undefined }, path)
  if (given.unique !== undefined) toUnique(given.unique, facts, () => '', `${path}.unique`)
  return JSON.parse(JSON.stringify(given)) as { readonly [option: string]: Json }
}

function toMisfire(given: unknown, { kind }: Schedule, option: string): Pick<TriggerFacts, 'misfire'> {
  if (given === undefined) return {}
  if (given !== 'coalesce' && given !== 'all' && given !== 'skip')
    throw new InvalidOption(option, '"coalesce", "all" or "skip"', given)
  if (!REPEATS.has(kind)) throw new InvalidOption(option, `absent for a trigger of kind ${kind}`, given)
  return given === 'coalesce' ? {} : { misfire: given }
}

const REPEATS: ReadonlySet<TriggerKind> = new Set(['cron', 'every', 'hourly', 'daily', 'weekly', 'monthly'])
const DEBOUNCE_KEYS = new Set(['window', 'combine'])
const MAX_WINDOW = 24 * 3_600_000

function toDebounce(given: NonNullable<TriggerOptions['debounce']>, { kind }: Schedule, option: string): Debounce {
  if (kind === 'at' || kind === 'in' || kind === 'client')
    throw new InvalidOption(option, `absent for a trigger of kind ${kind}`, given)
  const isShort = typeof given !== 'object' || given === null
  if (!isShort) checkKeys(given, DEBOUNCE_KEYS, option)
  const { window, combine = defaultCombine(kind) } = isShort ? { window: given } : given
  if (combine !== 'drop' && combine !== 'append' && combine !== 'first')
    throw new InvalidOption(`${option}.combine`, '"drop", "append" or "first"', combine)
  // What comes by time brings nothing along.
  if (combine === 'append' && kind !== 'event' && kind !== 'webhook')
    throw new InvalidOption(`${option}.combine`, `"drop" or "first" for a trigger of kind ${kind}`, combine)
  const ms = toMs(window, isShort ? option : `${option}.window`)
  if (ms > 0 && ms <= MAX_WINDOW) return { ms, combine }
  throw new InvalidOption(isShort ? option : `${option}.window`, 'a duration above 0, at most 24h', window)
}

function defaultCombine(kind: TriggerKind): Combine {
  if (kind === 'event') return 'drop'
  return kind === 'webhook' ? 'append' : 'first'
}

/** In the form that `defineJob` takes; what it would say anyway is left out. */
function defaultsOf(job: JobDefinition): Pick<TriggerFacts, 'defaults'> {
  const { queue, priority, maxAttempts, timeoutMs, backoff, retryOn, retainMs, requiredRoles, version, rateLimit } = job
  const said = {
    queue: queue === 'default' ? undefined : queue,
    priority: priority === 0 ? undefined : priority,
    ...{ maxAttempts, timeout: timeoutMs, backoff, retryOn, retain: retainMs, requiredRole: requiredRoles },
    version: version === 1 ? undefined : version,
    rateLimit: rateLimit === undefined ? undefined : { limit: rateLimit.limit, per: rateLimit.perMs },
  }
  const defaults = JSON.parse(JSON.stringify(said)) as { readonly [setting: string]: Json }
  return Object.keys(defaults).length === 0 ? {} : { defaults }
}

/** Stands for one that has functions, which are not known here. */
type StandIn = JobDefinition & Pick<TriggerFacts, 'code'>

/** Whether it is asked about each job that is made. */
const hasCode = ({ code, before, concurrencyKey, timeoutOf }: StandIn): boolean =>
  code === true || before !== undefined || typeof concurrencyKey === 'function' || timeoutOf !== undefined

/** The type of a trigger's jobs, in a process that does not know it. */
export const definitionOf = ({ type, defaults, code }: Pick<TriggerFacts, 'type' | 'defaults' | 'code'>): StandIn => ({
  ...defineJob({ ...defaults, type }),
  ...(code && { code }),
})

/** When a trigger that is added now would fire. */
export function previewOf(
  given: TriggerTimes & Partial<Pick<TriggerOptions, 'job' | 'payload' | 'options'>>,
  { now, maxBodyBytes }: Pick<TriggerSetting, 'now' | 'maxBodyBytes'>,
  count: number,
): number[] {
  checkKeys(given, TRIGGER_KEYS, 'triggers.preview')
  const { job, options, payload } = given
  if (job !== undefined) checkDefinition(job, 'triggers.preview.job')
  const stored = encode(payload, 'triggers.preview.payload', maxBodyBytes, true)
  const seed = { type: job?.type ?? '', channel: options?.channel, payload: stored }
  const schedule = toTimes(given, seed, now, 'triggers.preview')
  return occurrencesFrom(schedule, firstOccurrence(schedule, now), count)
}
