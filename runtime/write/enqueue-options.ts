import { DEFAULT_BACKOFF, toBackoff } from '../../domain/backoff.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import { LAST_INSTANT, toInstant } from '../../domain/instant.js'
import type { DependencyEdge, JobOrigin, Queued } from '../../domain/job/events.js'
import { checkKeys, toCount, toFlag, toLabel, toMaxAttempts, toName, toPriority, toText, toTimeout } from '../checks.js'
import type { FullSettings, JobDefinition } from '../work/run/definition.js'
import type { DependencyOption, EnqueueOptions, QueueDefaults, TraceCarrier, UniqueOptions } from './contract.js'

/** What may be said of one job. */
export const ENQUEUE_KEYS: ReadonlySet<string> = new Set([
  'id',
  'queue',
  'channel',
  'name',
  'priority',
  'runAt',
  'delay',
  'held',
  'dependsOn',
  'unique',
  'concurrencyKey',
  'concurrencyLimit',
  'maxAttempts',
  'timeout',
  'backoff',
  'retain',
  'user',
  'trace',
  'manual',
])

const DEFAULTS: FullSettings = { maxAttempts: 20, timeoutMs: 15 * 60_000, backoff: DEFAULT_BACKOFF }

const QUEUE_KEYS = new Set(['maxAttempts', 'timeout', 'backoff', 'concurrency'])

/** Throws InvalidOption that names the field under `path`. */
export function toQueueDefaults(given: QueueDefaults, path: string): FullSettings {
  checkKeys(given, QUEUE_KEYS, path)
  const { maxAttempts, timeout, backoff, concurrency } = given
  return {
    maxAttempts: maxAttempts === undefined ? DEFAULTS.maxAttempts : toMaxAttempts(maxAttempts, `${path}.maxAttempts`),
    timeoutMs: timeout === undefined ? DEFAULTS.timeoutMs : toTimeout(timeout, `${path}.timeout`),
    backoff: toBackoff(backoff, `${path}.backoff`),
    ...(concurrency !== undefined && { concurrency: toCount(concurrency, `${path}.concurrency`, 1) }),
  }
}

/** What holds for every enqueue of a moment. */
export interface EnqueueSetting {
  readonly now: number
  readonly codeVersion: string | undefined
  readonly queues: ReadonlyMap<string, FullSettings>
  readonly origin: JobOrigin | undefined
  readonly chain: readonly string[] | undefined
}

/** The facts of a new job. Throws InvalidOption that names the field under `path`. Budget 1 us without options. */
export function toFacts(
  definition: JobDefinition,
  options: EnqueueOptions | undefined,
  { now, codeVersion, queues, origin, chain }: EnqueueSetting,
  path: string,
): Queued {
  if (options !== undefined) checkKeys(options, ENQUEUE_KEYS, path)
  const queue = options?.queue === undefined ? definition.queue : toLabel(options.queue, `${path}.queue`)
  const { maxAttempts, timeoutMs, backoff } = queues.get(queue) ?? DEFAULTS
  const facts: Writable<Queued> = {
    type: definition.type,
    queue,
    maxAttempts: definition.maxAttempts === undefined ? maxAttempts : definition.maxAttempts,
    backoff: definition.backoff === undefined ? backoff : toBackoff(definition.backoff, 'defineJob.backoff', backoff),
    timeoutMs: definition.timeoutMs === undefined ? timeoutMs : definition.timeoutMs,
  }
  if (definition.timeoutOf !== undefined) facts.timeoutBy = 'type'
  if (definition.retryOn !== undefined) facts.retryOn = definition.retryOn
  if (definition.retainMs !== undefined) facts.retainMs = definition.retainMs
  if (definition.priority !== 0) facts.priority = definition.priority
  if (definition.version !== 1) facts.payloadVersion = definition.version
  if (codeVersion !== undefined) facts.codeVersion = codeVersion
  if (origin !== undefined) facts.context = origin
  if (chain !== undefined) facts.chain = chain
  if (options !== undefined) apply(options, facts, now, path)
  return facts
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

function apply(given: EnqueueOptions, facts: Writable<Queued>, now: number, path: string): void {
  const { channel, name, priority, maxAttempts, timeout, backoff, dependsOn, held, retain, manual } = given
  if (channel !== undefined && toLabel(channel, `${path}.channel`) !== '') facts.channel = channel
  if (name !== undefined) facts.name = toName(name, `${path}.name`)
  if (priority !== undefined) facts.priority = toPriority(priority, `${path}.priority`)
  if (maxAttempts !== undefined) facts.maxAttempts = toMaxAttempts(maxAttempts, `${path}.maxAttempts`)
  if (timeout !== undefined) {
    facts.timeoutMs = toTimeout(timeout, `${path}.timeout`)
    delete facts.timeoutBy
  }
  if (backoff !== undefined) facts.backoff = toBackoff(backoff, `${path}.backoff`, facts.backoff)
  if (held !== undefined && toFlag(held, `${path}.held`)) facts.held = true
  if (manual !== undefined && toFlag(manual, `${path}.manual`)) facts.manual = true
  if (retain !== undefined) facts.retainMs = toTimeout(retain, `${path}.retain`)
  const runAt = toRunAt(given, now, path)
  if (runAt > now) facts.runAt = runAt
  if (dependsOn !== undefined) {
    const edges = toEdges(dependsOn, `${path}.dependsOn`)
    if (edges.length > 0) facts.dependsOn = edges
  }
  const origin = toOrigin(given, facts.context, path)
  if (origin !== undefined) facts.context = origin
}

/** An instant; one that has passed is as good as none. */
export function toRunAt({ runAt, delay }: Pick<EnqueueOptions, 'runAt' | 'delay'>, now: number, path: string): number {
  if (delay !== undefined) {
    if (runAt !== undefined) throw new InvalidOption(`${path}.delay`, 'absent when `runAt` is given', delay)
    const instant = now + toMs(delay, `${path}.delay`)
    if (instant <= LAST_INSTANT) return instant
    throw new InvalidOption(`${path}.delay`, 'a duration that ends where there are still dates', delay)
  }
  return runAt === undefined ? 0 : toInstant(runAt, `${path}.runAt`)
}

/** W3C Trace Context: version, trace id, parent id, flags. */
const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/
const TRACE_KEYS = new Set(['traceparent', 'tracestate', 'baggage'])

/** Over what is inherited. A trace is replaced whole: the state of another one would be wrong beside it. */
function toOrigin(
  { user, trace }: EnqueueOptions,
  inherited: JobOrigin | undefined,
  path: string,
): JobOrigin | undefined {
  if (user === undefined && trace === undefined) return inherited
  const heir = inherited?.user
  const origin =
    trace === undefined ? inherited : { ...(heir !== undefined && { user: heir }), ...toTrace(trace, `${path}.trace`) }
  return user === undefined ? origin : { ...origin, user: toName(user, `${path}.user`) }
}

function toTrace(given: TraceCarrier, path: string): TraceCarrier {
  checkKeys(given, TRACE_KEYS, path)
  const { traceparent, tracestate, baggage } = given
  if (typeof traceparent !== 'string' || !TRACEPARENT.test(traceparent)) {
    throw new InvalidOption(`${path}.traceparent`, 'a W3C traceparent (00-<32 hex>-<16 hex>-<2 hex>)', traceparent)
  }
  return {
    traceparent,
    ...(tracestate !== undefined && { tracestate: toText(tracestate, `${path}.tracestate`) }),
    ...(baggage !== undefined && { baggage: toText(baggage, `${path}.baggage`) }),
  }
}

function toEdges(given: EnqueueOptions['dependsOn'], option: string): DependencyEdge[] {
  if (!Array.isArray(given)) throw new InvalidOption(option, 'an array of job ids or { id, on, otherwise }', given)
  const edges = given.map((edge, index) => toEdge(edge, `${option}[${index}]`))
  const ids = new Set<string>()
  for (const [index, { id }] of edges.entries()) {
    if (ids.has(id)) throw new InvalidOption(`${option}[${index}].id`, 'named only once', id)
    ids.add(id)
  }
  return edges
}

const EDGE_KEYS = new Set(['id', 'on', 'otherwise'])

function toEdge(given: string | DependencyOption, option: string): DependencyEdge {
  const edge = typeof given === 'string' ? { id: given } : given
  if (typeof edge !== 'object' || edge === null)
    throw new InvalidOption(option, 'a job id or { id, on, otherwise }', given)
  checkKeys(edge, EDGE_KEYS, option)
  const { id, on = 'succeeded', otherwise = 'block' } = edge as DependencyOption
  if (on !== 'succeeded' && on !== 'finished') throw new InvalidOption(`${option}.on`, '"succeeded" or "finished"', on)
  if (otherwise !== 'block' && otherwise !== 'cancel' && otherwise !== 'run') {
    throw new InvalidOption(`${option}.otherwise`, '"block", "cancel" or "run"', otherwise)
  }
  return { id: toName(id, `${option}.id`), on, otherwise }
}

/** What is said of time and priority here, and not by the type. A time that has passed means at once. */
export function toReplacement(
  { runAt, delay, priority }: EnqueueOptions,
  facts: Queued,
  now: number,
): Pick<Queued, 'runAt' | 'priority'> {
  const isTimed = runAt !== undefined || delay !== undefined
  return {
    ...(isTimed && { runAt: facts.runAt ?? now }),
    ...(priority !== undefined && { priority: facts.priority ?? 0 }),
  }
}

const UNIQUE_KEYS = new Set(['key', 'scope', 'window', 'onDuplicate'])

/** What the claim is about, as one text to be hashed. */
export interface UniqueFacts {
  readonly identity: string
  readonly windowMs: number | undefined
  readonly replaces: boolean
}

/** `within`: the name that `scope` asks for. `own`: which kind of key, and the key. */
export const identityOf = (scope: string, within: string, own: readonly string[]): string =>
  JSON.stringify([scope, within, ...own])

/** Throws InvalidOption. `payload` is the stored form. */
export function toUnique(given: UniqueOptions, facts: Queued, payload: () => string, path: string): UniqueFacts {
  checkKeys(given, UNIQUE_KEYS, path)
  const { key, scope = 'type', window, onDuplicate = 'keep' } = given
  const within = { type: facts.type, queue: facts.queue, channel: facts.channel ?? '', ledger: '' }
  if (typeof scope !== 'string' || !Object.hasOwn(within, scope)) {
    throw new InvalidOption(`${path}.scope`, `one of ${Object.keys(within).join(', ')}`, scope)
  }
  if (onDuplicate !== 'keep' && onDuplicate !== 'replace') {
    throw new InvalidOption(`${path}.onDuplicate`, '"keep" or "replace"', onDuplicate)
  }
  const own = key === undefined ? ['payload', payload()] : ['key', toName(key, `${path}.key`)]
  const windowMs = window === undefined ? undefined : toMs(window, `${path}.window`)
  if (windowMs === 0) throw new InvalidOption(`${path}.window`, 'a duration above 0', window)
  return { identity: identityOf(scope, within[scope], own), windowMs, replaces: onDuplicate === 'replace' }
}
