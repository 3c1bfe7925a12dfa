import type { BackoffOptions } from '../../domain/backoff.js'
import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import type { DependencyEdge, EdgeCondition, EdgeFallback, Queued } from '../../domain/job/events.js'
import type { JobDefinition } from '../work/definition.js'
import { toBackoff, toLabel, toMaxAttempts, toName, toPriority, toTimeout } from '../work/definition.js'

/** An edge of the dependency graph. A job, or its id alone, means `{ on: 'succeeded', otherwise: 'block' }`. */
export interface DependencyOption {
  readonly id: string
  /** `succeeded` (default): only success meets it. `finished`: failure does too, a cancel never. */
  readonly on?: EdgeCondition
  /** When it can no longer be met: `block` (default, shown by status), `cancel` this job, or `run` it all the same. */
  readonly otherwise?: EdgeFallback
}

/** What an enqueue may say of one job; what is left out comes from its definition. */
export interface EnqueueOptions {
  /** The caller's own id (1 to 200 characters). The same id with the same content again answers `duplicate`. */
  readonly id?: string
  readonly queue?: string
  readonly channel?: string
  /** Shown to people; 1 to 200 characters. */
  readonly name?: string
  /** Lower first. */
  readonly priority?: number
  /** Not before this instant (Date, ms since the epoch, or ISO 8601 text). */
  readonly runAt?: Date | number | string
  /** Not before this long from now. */
  readonly delay?: Duration
  readonly dependsOn?: readonly (string | DependencyOption)[]
  readonly maxAttempts?: number | null
  readonly timeout?: Duration | null
  readonly backoff?: BackoffOptions
}

const KEYS = new Set([
  'id',
  'queue',
  'channel',
  'name',
  'priority',
  'runAt',
  'delay',
  'dependsOn',
  'maxAttempts',
  'timeout',
  'backoff',
])

/** The facts of a new job. Throws InvalidOption that names the field under `path`. Budget 1 us without options. */
export function toFacts(
  definition: JobDefinition,
  options: EnqueueOptions | undefined,
  now: number,
  codeVersion: string | undefined,
  path: string,
): Queued {
  const facts: Writable<Queued> = {
    type: definition.type,
    queue: definition.queue,
    maxAttempts: definition.maxAttempts,
    backoff: definition.backoff,
    timeoutMs: definition.timeoutMs,
  }
  if (definition.priority !== 0) facts.priority = definition.priority
  if (codeVersion !== undefined) facts.codeVersion = codeVersion
  if (options !== undefined) apply(options, facts, definition, now, path)
  return facts
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

function apply(given: EnqueueOptions, facts: Writable<Queued>, base: JobDefinition, now: number, path: string): void {
  if (typeof given !== 'object' || given === null) throw new InvalidOption(path, 'an object of options', given)
  for (const key of Object.keys(given)) {
    if (!KEYS.has(key)) throw new InvalidOption(`${path}.${key}`, `one of ${[...KEYS].join(', ')}`, key)
  }
  const { queue, channel, name, priority, maxAttempts, timeout, backoff, dependsOn } = given
  if (queue !== undefined) facts.queue = toLabel(queue, `${path}.queue`)
  if (channel !== undefined && toLabel(channel, `${path}.channel`) !== '') facts.channel = channel
  if (name !== undefined) facts.name = toName(name, `${path}.name`)
  if (priority !== undefined) facts.priority = toPriority(priority, `${path}.priority`)
  if (maxAttempts !== undefined) facts.maxAttempts = toMaxAttempts(maxAttempts, `${path}.maxAttempts`)
  if (timeout !== undefined) facts.timeoutMs = toTimeout(timeout, `${path}.timeout`)
  if (backoff !== undefined) facts.backoff = toBackoff(backoff, `${path}.backoff`, base.backoff)
  const runAt = toRunAt(given, now, path)
  if (runAt > now) facts.runAt = runAt
  if (dependsOn !== undefined) {
    const edges = toEdges(dependsOn, `${path}.dependsOn`)
    if (edges.length > 0) facts.dependsOn = edges
  }
}

/** An instant; one that has passed is as good as none. */
function toRunAt({ runAt, delay }: EnqueueOptions, now: number, path: string): number {
  if (delay !== undefined) {
    if (runAt !== undefined) throw new InvalidOption(`${path}.delay`, 'absent when `runAt` is given', delay)
    return now + toMs(delay, `${path}.delay`)
  }
  return runAt === undefined ? 0 : toInstant(runAt, `${path}.runAt`)
}

/** Milliseconds since the epoch. Throws InvalidOption. */
export function toInstant(value: Date | number | string, option: string): number {
  const ms = typeof value === 'number' ? value : value instanceof Date ? value.getTime() : parseIso(value)
  if (Number.isFinite(ms) && ms >= 0) return Math.round(ms)
  throw new InvalidOption(option, 'an instant (Date, ms since the epoch, or ISO 8601 text)', value)
}

/** Text without a zone would mean another instant on another machine. */
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/
const parseIso = (text: unknown): number => (typeof text === 'string' && ISO.test(text) ? Date.parse(text) : Number.NaN)

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
  for (const key of Object.keys(edge)) {
    if (!EDGE_KEYS.has(key)) throw new InvalidOption(`${option}.${key}`, `one of ${[...EDGE_KEYS].join(', ')}`, key)
  }
  const { id, on = 'succeeded', otherwise = 'block' } = edge as DependencyOption
  if (on !== 'succeeded' && on !== 'finished') throw new InvalidOption(`${option}.on`, '"succeeded" or "finished"', on)
  if (otherwise !== 'block' && otherwise !== 'cancel' && otherwise !== 'run') {
    throw new InvalidOption(`${option}.otherwise`, '"block", "cancel" or "run"', otherwise)
  }
  return { id: toName(id, `${option}.id`), on, otherwise }
}
